"""Calls about objects: who made them is remembered, and they find their way back."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from plan_specs import keys
from relay_stage import JSON, Stage, play, provider, route

from monorelay.config.settings import ClientSpec
from monorelay.store.objects import Owner
from monorelay.upstream.scripted import End, Head, reply
from monorelay.upstream.upload import Upload

ROUTES = (
    route("file-upload", "/v1/files", needs="openai.files", body="stream"),
    route("file", "/v1/files/{file_id}", methods=("GET", "DELETE"), needs="openai.files", upstream="/{file_id}"),
    route("batches", "/v1/batches", needs="openai.batches", refers=("input_file_id",)),
    route("responses", "/v1/responses", needs="openai.responses", model="required", refers=("previous_response_id",)),
    route("credits", "/v1/credits", methods=("GET",), needs="credits"),
)
FILE = reply(200, b'{"id": "file-1", "object": "file"}', [JSON])


def stage_of(tmp_path: Path, *scripts: Any, **more: Any) -> Stage:
    words = ("openai.files", "openai.batches", "openai.responses", "credits")
    providers = (provider("first", *words, keys=keys("f1", "f2")), provider("second", *words, keys=keys("s1", "s2")))
    return Stage(*providers, routes=ROUTES, scripts=scripts, place=tmp_path, **more)


def upload(data: bytes = b"data") -> Upload:
    body = Upload(len(data))
    body.write(data)
    body.finish()
    return body


def went_to(stage: Stage, number: int = -1) -> str:
    sent = stage.engine.requests[number]
    key = next(line.rpartition("-")[2] for line in sent.headers if line.startswith("authorization"))
    return f"{sent.url.partition('//')[2].partition('.')[0]}/{key}"


def test_an_object_is_asked_of_the_provider_and_key_that_made_it(tmp_path: Path) -> None:
    """Whatever the order of the providers, and whatever key would be next."""

    async def scene() -> None:
        stage = stage_of(tmp_path, *[FILE] * 5)
        await stage.carry(upload(), 0, query="provider=second")
        assert went_to(stage) == "second/s1"
        for _ in range(3):
            await stage.carry(b"", 1, file_id="file-1", method="GET")
            assert went_to(stage) == "second/s1"
        await stage.carry(b"", 1, file_id="file-unknown", method="GET")
        assert went_to(stage).startswith("first/")
        stage.database.close()

    play(scene)


def test_a_body_may_refer_to_an_object(tmp_path: Path) -> None:
    """input_file_id of a batch; previous_response_id decides before the model does."""

    async def scene() -> None:
        stage = stage_of(tmp_path, FILE, FILE, reply(200, b'{"id": "resp_1"}', [JSON]), FILE)
        await stage.carry(upload(), 0, query="provider=second")
        await stage.carry({"input_file_id": "file-1"}, 2)
        assert went_to(stage) == "second/s1"
        await stage.carry({"model": "m@second"}, 3)
        await stage.carry({"model": "m", "previous_response_id": "resp_1"}, 3)
        assert went_to(stage).startswith("second/")
        refused = await stage.carry({"model": "m@first", "previous_response_id": "resp_1"}, 3)
        assert (refused.status, refused.error["type"]) == (400, "invalid_request_error")
        stage.database.close()

    play(scene)


def test_another_key_serves_when_the_maker_is_cooling(tmp_path: Path) -> None:
    async def scene() -> None:
        stage = stage_of(tmp_path, FILE, reply(429, b"", [("retry-after", "60")]), FILE, FILE)
        await stage.carry(upload(), 0, query="provider=second")
        await stage.carry(b"", 1, file_id="file-1", method="GET")
        assert went_to(stage) == "second/s2"
        await stage.carry(b"", 1, file_id="file-1", method="GET")
        assert went_to(stage) == "second/s2"
        stage.database.close()

    play(scene)


def test_what_memory_forgot_is_found_on_disk(tmp_path: Path) -> None:
    """One indexed look-up: another worker, or an earlier run, may have made it."""

    async def scene() -> None:
        before = stage_of(tmp_path)
        before.resources.objects.remember("file%2F9", Owner("second", "x"))
        before.resources.objects.remember("file/9", Owner("second", "x"))
        before.database.close()
        stage = stage_of(tmp_path, FILE)
        await stage.carry(b"", 1, file_id="file%2F9", method="GET")
        assert went_to(stage).startswith("second/")
        assert stage.engine.requests[0].url.endswith("/file%2F9")
        stage.database.close()

    play(scene)


def test_a_deleted_object_is_forgotten(tmp_path: Path) -> None:
    async def scene() -> None:
        stage = stage_of(tmp_path, FILE, reply(200, b'{"id": "file-1", "deleted": true}', [JSON]))
        await stage.carry(upload(), 0, query="provider=second")
        await stage.carry(b"", 1, file_id="file-1", method="DELETE")
        assert stage.resources.objects.recall("file-1") is None
        stage.database.close()

    play(scene)


def test_what_a_client_only_reads_moves_no_object_that_is_known(tmp_path: Path) -> None:
    """A file's content may look like an object: it must not redirect somebody else's."""

    async def scene() -> None:
        stage = stage_of(tmp_path, FILE, FILE)
        await stage.carry(upload(), 0, query="provider=second")
        await stage.carry(b"", 1, file_id="file-other", method="GET")
        owner = stage.resources.objects.recall("file-1")
        assert owner is not None and owner.provider == "second"
        stage.database.close()

    play(scene)


def test_the_provider_may_be_named_by_a_header_or_by_the_clients_token(tmp_path: Path) -> None:
    """The request first, then the token, then priority; neither goes up."""

    async def scene() -> None:
        stage = stage_of(tmp_path, *[reply(200, b"{}", [JSON])] * 4)
        client = ClientSpec("ci", "0" * 64, provider="second")
        for number, (more, where) in enumerate(
            (
                ({}, "first"),
                ({"client": client}, "second"),
                ({"client": client, "x_monorelay_provider": "First"}, "first"),
                ({"query": "a=1&provider=second"}, "second"),
            )
        ):
            await stage.carry(b"", 4, **more)
            assert went_to(stage, number).startswith(where)
        assert not any("monorelay" in line for request in stage.engine.requests for line in request.headers)
        assert stage.engine.requests[3].url.endswith("?a=1")
        stage.database.close()

    play(scene)


def test_a_provider_that_does_not_exist_is_named_back(tmp_path: Path) -> None:
    async def scene() -> None:
        stage = stage_of(tmp_path)
        answer = await stage.carry(b"", 4, query="provider=secnd")
        assert (answer.status, answer.error["type"]) == (404, "model_not_found")
        assert "did you mean 'second'" in answer.error["message"]
        stage.database.close()

    play(scene)


def test_an_upload_is_sent_once(tmp_path: Path) -> None:
    """When a 429 comes after its first bytes went up, the key cools and the client is told when to come again."""

    async def scene() -> None:
        stage = stage_of(tmp_path, ())
        body = Upload(None)
        task = stage.begin(body, 0)
        exchange = await stage.engine.exchange(0)
        body.write(b"first")
        await asyncio.sleep(0.01)
        body.finish()
        await asyncio.sleep(0.01)
        exchange.push(Head(429, (("retry-after", "9"),)))
        exchange.push(End())
        await task
        assert (stage.reply.status, stage.reply.error["type"], len(stage.engine.exchanges)) == (503, "no_keys", 1)
        assert int(stage.reply.headers["retry-after"]) >= 1
        assert stage.resources.pool("first").available(0.0) == 1
        stage.database.close()

    play(scene)
