"""TLS for clients: the same answers as over TCP, a certificate that a reload renews, no word about who cannot speak it."""

from __future__ import annotations

import asyncio
import logging
import ssl
from dataclasses import replace
from pathlib import Path

import pytest
from h2_upstream import CERTIFICATE
from web_specs import CHAT, relay_config
from web_stage import ASKED, DONE, GIVEN, MIB, Client, WebStage, chunked, event, in_loop, request, soon, web_stage, whole

from monorelay.config.fields import Secret
from monorelay.config.tls import MinVersion, TlsSpec

RENEWED = str(Path(__file__).with_name("renewed.pem"))


def take(stage: WebStage, pem: str | None, generation: int = 2, min_version: MinVersion = "1.2") -> list[str]:
    """A reload that serves this pair from now on; what is wrong with it."""
    config = relay_config(stage.upstream)
    text = Path(pem).read_text() if pem is not None else ""
    tls = TlsSpec(text, Secret(text), min_version) if text else None
    return list(map(str, stage.front.adopt(replace(config, server=replace(config.server, tls=tls)), generation)))


def trusting(pem: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=pem)
    context.set_alpn_protocols(["h2", "http/1.1"])
    return context


async def secure_client(stage: WebStage, pem: str = CERTIFICATE, context: ssl.SSLContext | None = None) -> Client:
    """A client over TLS that trusts nobody else."""
    options = {"ssl": context or trusting(pem), "server_hostname": "localhost"}
    client = Client(*await asyncio.open_connection("127.0.0.1", stage.port, **options))  # type: ignore[arg-type]
    stage.clients.append(client)
    return client


def test_a_call_over_tls() -> None:
    """HTTP/1.1 is agreed upon, the answer is whole, and the connection is kept for the next."""

    @in_loop
    async def test() -> None:
        async with web_stage() as stage:
            stage.upstream.part = stage.upstream.answering(whole(GIVEN), close=False)
            assert take(stage, CERTIFICATE) == []
            client = await secure_client(stage)
            assert client.writer.get_extra_info("ssl_object").selected_alpn_protocol() == "http/1.1"
            for _ in range(2):
                await client.ask("POST", CHAT, ASKED)
                answer = await client.answer()
                assert (answer.status, answer.body) == (200, GIVEN)
            info = await client.ask("GET", "/health") or await client.answer()
            assert info.status == 200

    test()


@in_loop
async def test_streams_and_large_answers_over_tls() -> None:
    """Events come one by one as they do over TCP, and megabytes arrive to the byte."""
    body = b'{"x": "' + b"y" * (3 * MIB) + b'"}'
    async with web_stage() as stage:
        stage.upstream.part = stage.upstream.answering(chunked(event("one"), event("two"), DONE), close=False)
        assert take(stage, CERTIFICATE) == []
        client = await secure_client(stage)
        await client.ask("POST", CHAT, {**ASKED, "stream": True})
        assert (await client.answer()).body == event("one") + event("two") + DONE
        await client.ask("POST", CHAT, {**ASKED, "stream": True})
        assert (await client.answer()).body == event("one") + event("two") + DONE
    async with web_stage() as stage:
        stage.upstream.part = stage.upstream.answering(whole(body))
        assert take(stage, CERTIFICATE) == []
        client = await secure_client(stage)
        await client.ask("POST", CHAT, {**ASKED, "messages": ["z" * MIB]})
        assert (await client.answer()).body == body


@in_loop
async def test_a_client_that_leaves_over_tls() -> None:
    """The upstream's exchange ends with it, as over TCP."""
    async with web_stage() as stage:
        assert take(stage, CERTIFICATE) == []
        client = await secure_client(stage)
        await client.ask("POST", CHAT, {**ASKED, "stream": True})
        peer, _ = await stage.upstream.exchange()
        client.writer.transport.abort()
        assert await peer.reader.read(1) == b""


@in_loop
async def test_a_renewed_certificate() -> None:
    """New connections are shown the new one; a connection that stands goes on; a pair that does not fit changes nothing."""
    async with web_stage() as stage:
        assert take(stage, CERTIFICATE) == []
        old = await secure_client(stage)
        assert take(stage, RENEWED, 3) == []
        with pytest.raises(ssl.SSLCertVerificationError):
            await secure_client(stage)
        new = await secure_client(stage, RENEWED)
        mixed = replace(TlsSpec(Path(CERTIFICATE).read_text(), Secret(Path(RENEWED).read_text())))
        config = relay_config(stage.upstream)
        (problem,) = stage.front.adopt(replace(config, server=replace(config.server, tls=mixed)), 4)
        assert str(problem) == "config.yml:1:1: server.tls.key: does not belong to the certificate beside it"
        for client in (old, new, await secure_client(stage, RENEWED)):
            await client.ask("GET", "/health")
            assert (await client.answer()).status == 200


@in_loop
async def test_tls_can_be_turned_on_and_off_by_a_reload() -> None:
    """Whoever is connected stays so."""
    async with web_stage() as stage:
        plain = await stage.client()
        assert take(stage, CERTIFICATE) == []
        secure = await secure_client(stage)
        assert take(stage, None, 3) == []
        for client in (plain, secure, await stage.client()):
            await client.ask("GET", "/health")
            assert (await client.answer()).status == 200


@in_loop
async def test_plain_http_on_a_port_that_serves_tls() -> None:
    """It is told what to do, in the one language it speaks, and closed."""
    async with web_stage() as stage:
        assert take(stage, CERTIFICATE) == []
        client = await stage.client()
        await client.send(request("GET", "/health"))
        answer = await client.answer()
        assert answer.status == 400 and "https://" in answer.error["message"]
        assert await client.rest() == b""


@pytest.mark.parametrize("sent", [b"", b"\x00\x01\x02", b"\x16\x03\x01\x00\x05hello", b"\x16\x03"])
def test_who_speaks_no_tls(sent: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """Strangers are no reason for a warning, and others go on being served."""

    @in_loop
    async def test() -> None:
        async with web_stage() as stage:
            assert take(stage, CERTIFICATE) == []
            stranger = await stage.client()
            await stranger.send(sent)
            if len(sent) < 3:
                stranger.leave()
            else:
                await stranger.rest()
            client = await secure_client(stage)
            await client.ask("GET", "/health")
            assert (await client.answer()).status == 200
            await soon(lambda: len(stage.front._switchboard.waiting) <= 1)

    with caplog.at_level(logging.INFO):
        test()
    assert not [record for record in caplog.records if record.levelno > logging.INFO]


@in_loop
async def test_the_oldest_version_that_is_spoken() -> None:
    """min_version refuses older ones."""
    async with web_stage() as stage:
        assert take(stage, CERTIFICATE, min_version="1.3") == []
        older = trusting(CERTIFICATE)
        older.maximum_version = ssl.TLSVersion.TLSv1_2
        with pytest.raises(ssl.SSLError):
            await secure_client(stage, context=older)
        client = await secure_client(stage)
        assert client.writer.get_extra_info("ssl_object").version() == "TLSv1.3"
