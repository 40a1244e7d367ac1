"""The official SDKs through the relay, against the demo upstream: every call of the table, sync and async, streaming and not.

The relay has two providers, one per dialect, both the built-in demo upstream in a process of its own.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from story_process import KEY, TOP, Relay
from story_providers import SECRETS, SERVER

anthropic = pytest.importorskip("anthropic")
openai = pytest.importorskip("openai")

import calls  # noqa: E402  (only where both SDKs are installed)


@pytest.fixture(scope="module")
def demo() -> Iterator[str]:
    """The origin of a running demo upstream, without pauses."""
    pace = ["--word", "0", "--moment", "0", "--slow", "0.1"]
    command = [sys.executable, "-m", "monorelay.demo", "--port", "0", *pace, "--until-eof"]
    process = subprocess.Popen(command, cwd=TOP, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None and process.stdout is not None
    yield process.stdout.readline().split()[-1]
    process.stdin.close()
    process.wait(10)
    process.stdout.close()


@pytest.fixture(scope="module")
def relay(start: Callable[..., Relay], demo: str) -> Relay:
    providers = {
        "plain": {
            "extends": "openai-compatible",
            "base_url": f"{demo}/v1",
            "keys": [{"label": "main", "secret": "${UP_A}"}, {"label": "spare", "secret": "${UP_B}"}],
            "models": {"exclude": ["demo-claude*"]},
            "offers": {"credits": "/credits"},
        },
        "claude": {
            "extends": "anthropic-compatible",
            "base_url": demo,
            "keys": [{"label": "main", "secret": "${UP_C}"}],
            "models": {"include": ["demo-claude*", "demo-cut", "demo-late-error"]},
            "priority": 60,
        },
    }
    return start({"server": SERVER, "providers": providers}, environ=SECRETS)


@pytest.fixture(scope="module")
def clients(relay: Relay) -> Iterator[Any]:
    found = calls.connect(relay.url, KEY)
    calls.patiently(lambda: found.openai.models.list(), lambda models: calls.CLAUDE in [model.id for model in models])
    yield found
    found.close()


@pytest.mark.parametrize("call", [*calls.CALLS, *calls.RELAY_CALLS], ids=lambda call: call.name)
def test_sdk_call(clients: Any, call: Any) -> None:
    """What the SDK makes of the relayed answer is whole by the SDK's own types, and says what was asked for."""
    call(clients)


def test_every_route_of_the_relay_is_called(relay: Relay) -> None:
    """No endpoint of the shipped routes is left out of the table."""
    done = subprocess.run(
        [sys.executable, "-m", "monorelay", "routes", "--config-dir", str(relay.etc), "--json"],
        cwd=TOP,
        env={"PATH": "/usr/bin:/bin", **SECRETS},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    counted = relay.ask("GET", "/metrics").body.decode()
    relayed = [route["route"] for route in calls_of(done.stdout) if route.get("needs")]
    missing = [name for name in relayed if f'route="{name}"' not in counted]
    assert missing == []


def calls_of(text: str) -> list[dict[str, Any]]:
    found = json.loads(text)
    return found["routes"] if isinstance(found, dict) else found


def test_with_raw_response(clients: Any) -> None:
    """Headers and bytes are there for who wants them."""
    raw = clients.openai.chat.completions.with_raw_response.create(model=calls.MODEL, messages=calls.user("hi"))
    assert raw.headers["x-monorelay-provider"] == "plain" and raw.headers["x-monorelay-attempts"] == "1"
    assert raw.parse().choices[0].message.content == "You said: hi"
    raw = clients.anthropic.messages.with_raw_response.create(model=calls.CLAUDE, max_tokens=9, messages=calls.user("hi"))
    assert raw.headers["x-monorelay-provider"] == "claude" and raw.parse().content[0].text == "You said: hi"


def test_request_ids_reach_the_sdk(clients: Any) -> None:
    """``_request_id`` is what a user quotes when something went wrong."""
    completion = clients.openai.chat.completions.create(model=calls.MODEL, messages=calls.user("hi"))
    assert completion._request_id
    message = clients.anthropic.messages.create(model=calls.CLAUDE, max_tokens=9, messages=calls.user("hi"))
    assert message._request_id


def test_async_clients(relay: Relay, clients: Any) -> None:
    """Both SDKs asynchronously, streaming and not, 20 side by side."""

    async def chat(client: Any, text: str) -> None:
        stream = await client.chat.completions.create(model=calls.MODEL, messages=calls.user(text), stream=True)
        pieces = [choice.delta.content or "" async for chunk in stream for choice in chunk.choices]
        assert "".join(pieces) == f"You said: {text}"
        whole = await client.chat.completions.create(model=calls.MODEL, messages=calls.user(text))
        assert whole.choices[0].message.content == f"You said: {text}"

    async def message(client: Any, text: str) -> None:
        async with client.messages.stream(model=calls.CLAUDE, max_tokens=64, messages=calls.user(text)) as stream:
            assert "".join([piece async for piece in stream.text_stream]) == f"You said: {text}"
        whole = await client.messages.create(model=calls.CLAUDE, max_tokens=64, messages=calls.user(text))
        assert whole.content[0].text == f"You said: {text}"

    async def main() -> None:
        async with (
            openai.AsyncOpenAI(base_url=f"{relay.url}/v1", api_key=KEY, max_retries=0) as one,
            anthropic.AsyncAnthropic(base_url=relay.url, api_key=KEY, max_retries=0) as two,
        ):
            await asyncio.gather(*(chat(one, f"n {n}") for n in range(10)), *(message(two, f"n {n}") for n in range(10)))

    asyncio.run(main())


@pytest.mark.parametrize(
    ("model", "error", "kind"),
    [
        ("demo-400", "BadRequestError", "invalid_request_error"),
        ("demo-404", "NotFoundError", "invalid_request_error"),
        ("demo-500", "InternalServerError", "upstream_error"),
        ("demo-503", "InternalServerError", "upstream_error"),
        ("demo-html", "InternalServerError", "upstream_error"),
        ("demo-redirect", "InternalServerError", "upstream_error"),
        ("demo-error", "InternalServerError", "upstream_error"),
        ("demo@plian", "NotFoundError", "model_not_found"),
        ("demo-claude@plain", "NotFoundError", "model_not_found"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_errors_are_the_sdks_own_exceptions(clients: Any, model: str, error: str, kind: str, stream: bool) -> None:
    """Before the first content a failure is a status, for streams too; the SDK reads the body's type."""
    if model == "demo-error" and not stream:
        return
    with pytest.raises(getattr(openai, error)) as raised:
        clients.openai.chat.completions.create(model=model, messages=calls.user("hi"), stream=stream)
    assert raised.value.type == kind and raised.value.request_id


@pytest.mark.parametrize("key", ["wrong", ""])
def test_a_wrong_key_is_the_sdks_authentication_error(relay: Relay, key: str) -> None:
    """At once: x-should-retry keeps the SDK's own retries off."""
    with openai.OpenAI(base_url=f"{relay.url}/v1", api_key=key or "x", max_retries=5) as client:
        with pytest.raises(openai.AuthenticationError) as raised:
            client.chat.completions.create(model=calls.MODEL, messages=calls.user("hi"))
        assert raised.value.type == "auth_error"
    with anthropic.Anthropic(base_url=relay.url, api_key=key or "x", max_retries=5) as other:
        with pytest.raises(anthropic.AuthenticationError) as refused:
            other.messages.create(model=calls.CLAUDE, max_tokens=9, messages=calls.user("hi"))
        assert refused.value.body["error"]["type"] == "auth_error"


# Where the upstream was cut inside an event, the SDK stumbles over its half before it reads ours: that is no clean end either.
BROKEN = (openai.APIError, anthropic.APIError, json.JSONDecodeError)


@pytest.mark.parametrize("model", ["demo-cut", "demo-late-error"])
def test_a_stream_that_breaks_off_raises_in_the_sdk(clients: Any, model: str) -> None:
    """After some content; never a clean end."""
    words = "one two three four"
    with pytest.raises(BROKEN):
        list(clients.openai.chat.completions.create(model=model, messages=calls.user(words), stream=True))
    with pytest.raises((*BROKEN, AssertionError)):
        events = list(clients.openai.responses.create(model=model, input=words, stream=True))
        assert events[-1].type not in ("response.failed", "error"), "this SDK gives the failure as an event"
    with pytest.raises(BROKEN):
        list(clients.anthropic.messages.create(model=model, max_tokens=64, messages=calls.user(words), stream=True))


def test_a_large_file_goes_up_and_comes_down(clients: Any) -> None:
    """20 MB of every byte."""
    content = bytes(range(256)) * 80_000
    file = clients.openai.files.create(file=("big.bin", content), purpose="user_data")
    assert file.bytes == len(content)
    assert clients.openai.files.content(file.id).content == content
    clients.openai.files.delete(file.id)
