"""The switchboard is an ``HTTPServerConnectionDelegate`` like any other: a stock server of Tornado takes it as its application."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from plan_specs import config, provider, route
from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPResponse
from tornado.ioloop import IOLoop
from tornado.simple_httpclient import HTTPStreamClosedError
from web_specs import ROUTES, TOKEN

from monorelay.clock import SystemClock
from monorelay.plan.compile import compile_plan
from monorelay.relay.resources import Resources
from monorelay.store.database import Database
from monorelay.store.objects import ObjectMemory
from monorelay.upstream.scripted import Chunk, Head, ScriptedEngine, failing, reply
from monorelay.web.answers import Answers
from monorelay.web.base_url import BaseUrl
from monorelay.web.machine import Machine
from monorelay.web.switchboard import Switchboard

JSON = ("content-type", "application/json")
SSE = ("content-type", "text/event-stream")
KNOWN = {"authorization": f"Bearer {TOKEN}"}
CHAT = {"method": "POST", "headers": KNOWN, "body": '{"model": "m", "messages": []}'}


@pytest.fixture
def engine() -> ScriptedEngine:
    """The upstream: whatever the test says."""
    return ScriptedEngine()


@pytest.fixture
def app(io_loop: IOLoop, engine: ScriptedEngine, tmp_path: Path) -> Iterator[Switchboard]:
    """A worker's switchboard around it, as ``web/serve.py`` puts it together."""
    threads = ThreadPoolExecutor(1)
    database = Database(tmp_path / "monorelay.db")

    async def build() -> Switchboard:
        loop, clock = asyncio.get_running_loop(), SystemClock()
        resources = Resources(engine, ObjectMemory(database, clock), clock, loop)
        answers = Answers(resources, database, BaseUrl("127.0.0.1", 0), Machine(tmp_path, loop, threads), ("127.0.0.1", 0))
        acme = provider("acme", "openai.chat", "anthropic.messages", include=("m", "n"))
        plan = compile_plan(config(acme, routes=(*ROUTES, route("info", "/api/info", methods=("GET",), answer="info"))), 1)
        resources.adopt(plan)
        return Switchboard(plan, resources, answers)

    board = io_loop.run_sync(build)
    yield board
    assert (board.busy, board.calls) == (0, {})
    board.close()
    threads.shutdown()
    database.close()


async def error_of(http_client: AsyncHTTPClient, url: str, **more: Any) -> HTTPResponse:
    with pytest.raises(HTTPClientError) as caught:
        await http_client.fetch(url, **more)
    assert caught.value.response is not None
    return caught.value.response


@pytest.mark.gen_test
async def test_health_is_public(http_client: AsyncHTTPClient, base_url: str) -> None:
    """And says what is served."""
    answer = await http_client.fetch(f"{base_url}/health")
    assert json.loads(answer.body)["generation"] == 1
    head = await http_client.fetch(f"{base_url}/health", method="HEAD")
    assert (head.code, head.body) == (200, b"")


@pytest.mark.gen_test
async def test_the_list_of_models_names_their_provider(http_client: AsyncHTTPClient, base_url: str) -> None:
    answer = await http_client.fetch(f"{base_url}/v1/models")
    assert [(model["id"], model["owned_by"]) for model in json.loads(answer.body)["data"]] == [("m", "acme"), ("n", "acme")]


@pytest.mark.gen_test
async def test_everything_else_asks_for_a_credential(http_client: AsyncHTTPClient, base_url: str) -> None:
    """401 in the envelope, and no retry would help."""
    for path in ("/api/info", "/metrics", "/nowhere"):
        answer = await error_of(http_client, base_url + path)
        assert answer.code == 401
        assert json.loads(answer.body)["error"]["type"] == "auth_error"
        assert answer.headers["x-should-retry"] == "false"
    assert (await http_client.fetch(f"{base_url}/api/info", headers=KNOWN)).code == 200


@pytest.mark.gen_test
async def test_a_call_is_relayed(http_client: AsyncHTTPClient, base_url: str, engine: ScriptedEngine) -> None:
    """Body and fields of the request go up, body and fields of the answer come back."""
    engine.scripts.append(reply(200, b'{"id":  1.0}', [JSON, ("x-request-id", "r-1"), ("set-cookie", "c")]))
    answer = await http_client.fetch(f"{base_url}/v1/chat/completions", **CHAT)
    assert answer.body == b'{"id":  1.0}'
    assert answer.headers["x-request-id"] == "r-1"
    assert answer.headers["x-monorelay-provider"] == "acme"
    assert "set-cookie" not in answer.headers
    (exchange,) = engine.exchanges
    assert exchange.request.body == CHAT["body"].encode()
    assert "authorization: Bearer sk-a" in exchange.request.headers


@pytest.mark.gen_test
async def test_a_stream_arrives_as_it_was_sent(http_client: AsyncHTTPClient, base_url: str, engine: ScriptedEngine) -> None:
    """Event by event."""
    events = [b'data: {"choices":[{"delta":{"content":"%d"}}]}\n\n' % number for number in range(50)] + [b"data: [DONE]\n\n"]
    engine.scripts.append(reply(200, events, [SSE]))
    came: list[bytes] = []
    await http_client.fetch(f"{base_url}/v1/chat/completions", streaming_callback=came.append, **CHAT)
    assert b"".join(came) == b"".join(events)


@pytest.mark.gen_test
async def test_a_failure_becomes_a_status(http_client: AsyncHTTPClient, base_url: str, engine: ScriptedEngine) -> None:
    """503 in the envelope, with the phase."""
    engine.scripts.append(failing("first_byte"))
    answer = await error_of(http_client, f"{base_url}/v1/chat/completions", **CHAT)
    assert answer.code == 503
    assert json.loads(answer.body)["error"]["type"] == "upstream_error"
    assert "first_byte" in json.loads(answer.body)["error"]["message"]


@pytest.mark.gen_test
async def test_a_client_that_leaves_cancels_its_call(
    http_client: AsyncHTTPClient, base_url: str, engine: ScriptedEngine, app: Switchboard
) -> None:
    """The exchange is aborted, before its head and in the middle."""
    for script in ((), (Head(200, (SSE,)), Chunk(b'data: {"choices":[{"delta":{"content":"x"}}]}\n\n'))):
        engine.scripts.append(script)
        with pytest.raises((HTTPClientError, HTTPStreamClosedError)):
            await http_client.fetch(f"{base_url}/v1/chat/completions", request_timeout=0.2, **CHAT)
        while app.busy:
            await asyncio.sleep(0.01)
        assert engine.exchanges[-1].aborted
