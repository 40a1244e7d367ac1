"""The public address: asked for once, and what the log says of it when it cannot be found."""

from __future__ import annotations

import asyncio
import logging

import pytest

from monorelay.config.fields import Origin, Origins
from monorelay.config.settings import ServerSpec
from monorelay.upstream.scripted import Script, ScriptedEngine, failing, reply
from monorelay.web import base_url
from monorelay.web.base_url import BaseUrl

SERVER = ServerSpec(Origins(Origin("config.yml", 1, 1), {}))


def found(script: Script, *, is_loud: bool = True) -> str:
    """The base URL after the service was asked, twice."""

    async def ask() -> str:
        engine = ScriptedEngine(script)
        address = BaseUrl("127.0.0.1", 8787, is_loud=is_loud)
        await address.find_public(engine)
        await address.find_public(engine)
        assert len(engine.requests) == 1
        return address.of(SERVER)

    return asyncio.run(ask())


def test_the_address_that_was_told() -> None:
    assert found(reply(200, b"203.0.113.7\n")) == "http://203.0.113.7:8787/v1"


@pytest.mark.parametrize(
    ("script", "why"),
    [
        (failing("connect", "Could not resolve host."), "api.ipify.org, connect: Could not resolve host."),
        (reply(200, b"<html>"), "api.ipify.org answered with no address"),
        (reply(200, b"\xff"), "api.ipify.org answered with no address"),
        ((), "api.ipify.org, no answer within 0.05 s"),
    ],
)
def test_why_it_was_not_found(script: Script, why: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """In words, and in one line; of several workers only one says it."""
    if not script:
        monkeypatch.setattr(base_url, "LIMIT", 0.05)
    with caplog.at_level(logging.INFO, "monorelay.web"):
        assert found(script) == "http://127.0.0.1:8787/v1"
        assert found(script, is_loud=False) == "http://127.0.0.1:8787/v1"
    assert [record.getMessage() for record in caplog.records] == [
        f"the public address could not be found ({why}); base_url uses the local one"
    ]
