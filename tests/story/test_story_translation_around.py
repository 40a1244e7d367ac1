"""What surrounds a translation: tools for models that take none, signs of life, the SDK's beta calls, names, counts, refusals."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

openai = pytest.importorskip("openai")
anthropic = pytest.importorskip("anthropic")

from story_process import KEY, Relay  # noqa: E402
from story_providers import SECRETS, SERVER, keys  # noqa: E402
from story_upstream import Recorder, ok, streamed  # noqa: E402
from translation_answers import CHAT_USAGE, DONE, call, chat_says, chunk, messages_say, text, use  # noqa: E402
from translation_stage import CHAT, MESSAGES, WEATHER, assistant, user  # noqa: E402

ROUTES = {
    "messages": ("/v1/messages", "anthropic.messages"),
    "chat": ("/v1/chat/completions", "openai.chat"),
    "responses": ("/v1/responses", "openai.responses"),
}


@pytest.fixture(scope="module")
def relay(start: Callable[..., Relay], upstream: Recorder) -> Relay:
    """Streams show signs of life after a tenth of a second; models named dumb-… take no tools."""
    base = {"keys": keys("a"), "base_url": f"{upstream.origin}/v1"}
    config = {
        "server": SERVER,
        "providers": {
            "chat": {**base, "offers": CHAT, "models": {"include": ["*gpt*"]}},
            "claude": {**base, "offers": MESSAGES, "models": {"include": ["*claude*"]}},
            "both": {**base, "offers": CHAT | MESSAGES},
            "proud": {**base, "offers": CHAT, "translate": False},
            "moody": {**base, "offers": CHAT, "quirks": {"max_tokens_field": "max_completion_tokens"}},
        },
        "tool_calling": {"unsupported_models": ["dumb-*"]},
        "model_routing": {"aliases": {"sonnet": "gpt-1@chat"}, "model_overrides": {"old-gpt": "new-gpt"}},
    }
    stream = {"keepalive": 0.1}
    routes = [
        {"route": name, "path": path, "methods": ["POST"], "needs": needs, "body": "json", "model": "required", "stream": stream}
        for name, (path, needs) in ROUTES.items()
    ]
    return start(config, {f"routes.d/{number}.yml": routes[number] for number in range(3)} | _masks(), environ=SECRETS)


def _masks() -> dict[str, Any]:
    """The shipped routes of these paths give way."""
    return {f"routes.d/{name}.yml": "" for name in ("10-chat", "14-responses", "20-messages")}


@pytest.fixture(scope="module")
def clients(relay: Relay) -> Iterator[tuple[Any, Any]]:
    strict: dict[str, Any] = {"api_key": KEY, "max_retries": 0, "timeout": 15, "_strict_response_validation": True}
    with openai.OpenAI(base_url=f"{relay.url}/v1", **strict) as one, anthropic.Anthropic(base_url=relay.url, **strict) as two:
        yield one, two


TOOL = {"name": "get_weather", "description": "Weather of a city", "input_schema": WEATHER}
FUNCTION = {"type": "function", "function": {"name": "get_weather", "parameters": WEATHER}}


def test_tools_become_text_for_models_that_take_none(clients: Any, upstream: Recorder) -> None:
    """Tools, the choice among them and the turns of earlier calls; reported, and answered by words."""
    upstream.answer(ok(chat_says({"content": "18 C"}).whole), ok(messages_say([text("18 C")]).whole))
    turns = [
        user("Weather?"),
        assistant([text("Let me look."), use("get_weather", {"city": "Paris"}, "t1")]),
        user([{"type": "tool_result", "tool_use_id": "t1", "content": "18 C in Paris"}]),
    ]
    raw = clients[1].messages.with_raw_response.create(model="dumb-gpt", max_tokens=9, messages=turns, tools=[TOOL])
    assert raw.parse().content[0].text == "18 C" and "tools" in raw.headers["x-monorelay-lossy"].split(", ")
    calling = {"role": "assistant", "content": None, "tool_calls": [call("get_weather", '{"city":"Paris"}', "c1")]}
    chat = [user("Weather?"), calling, {"role": "tool", "tool_call_id": "c1", "content": "18 C in Paris"}]
    raw = clients[0].chat.completions.with_raw_response.create(model="dumb-claude", messages=chat, tools=[FUNCTION])
    assert raw.parse().choices[0].message.content == "18 C" and "tools" in raw.headers["x-monorelay-lossy"].split(", ")
    for request in upstream.wait(2):
        told = json.dumps(request.json["messages"])
        assert not request.json.keys() & {"tools", "tool_choice"}
        assert not any(word in told for word in ("tool_use", "tool_result", "tool_calls", '"tool"'))
        assert "get_weather" in request.body.decode() and "18 C in Paris" in told and "Paris" in told


@pytest.mark.parametrize(
    ("name", "model", "sign"), [("messages", "gpt-1", "event: ping"), ("chat", "claude-1", ": "), ("responses", "gpt-1", ": ")]
)
def test_signs_of_life_on_a_translated_stream(relay: Relay, upstream: Recorder, name: str, model: str, sign: str) -> None:
    """While the upstream is silent after its first words, in the client's own way."""
    go_on = threading.Event()
    answer = messages_say([text("Hello there")]) if model == "claude-1" else chat_says({"content": "Hello there"})
    upstream.answer(streamed(*answer.events[:5], go_on, *answer.events[5:]))
    body = {
        "model": model,
        "max_tokens": 9,
        "stream": True,
        **({"input": "hi"} if name == "responses" else {"messages": [user("hi")]}),
    }
    with relay.wire() as wire:
        wire.request("POST", ROUTES[name][0], ("Authorization", f"Bearer {KEY}"), body=body)
        assert wire.head()[0] == 200
        pieces: list[str] = []
        while sum(piece.startswith(sign) for piece in pieces) < 2:
            pieces.append((wire.chunk() or b"").decode())
        go_on.set()
        while piece := wire.chunk():
            pieces.append(piece.decode())
    whole = "".join(pieces)
    assert all(piece.endswith("\n\n") for piece in pieces) and whole.count("Hello") >= 1
    assert "message_stop" in whole or "[DONE]" in whole or "response.completed" in whole


@pytest.mark.parametrize("stream", [False, True])
def test_the_beta_calls_of_the_sdk(clients: Any, upstream: Recorder, stream: bool) -> None:
    """client.beta.messages: what marks them as beta stays with the client."""
    answer = chat_says(
        {"reasoning_content": "hm", "content": "Look.", "tool_calls": [call("get_weather", '{"city":"P"}')]}, "tool_calls"
    )
    asked: dict[str, Any] = {
        "model": "gpt-1",
        "max_tokens": 9,
        "messages": [user("hi")],
        "tools": [TOOL],
        "betas": ["context-1m-2025-08-07"],
    }
    if stream:
        upstream.answer(streamed(*answer.events))
        with clients[1].beta.messages.stream(**asked) as events:
            message = events.get_final_message()
    else:
        upstream.answer(ok(answer.whole))
        message = clients[1].beta.messages.create(**asked)
    assert [block.type for block in message.content] == ["thinking", "text", "tool_use"] and message.content[2].input == {
        "city": "P"
    }
    sent = upstream.taken()
    assert sent.target == "/v1/chat/completions" and not {name for name in sent.names if name.startswith("anthropic-")}
    assert "betas" not in sent.json


def test_native_is_preferred(clients: Any, upstream: Recorder) -> None:
    """A provider that speaks the client's dialect is spoken to in it."""
    upstream.answer(ok(messages_say([text("hi")]).whole), ok(chat_says({"content": "hi"}).whole))
    clients[1].messages.create(model="m@both", max_tokens=9, messages=[user("hi")])
    clients[0].chat.completions.create(model="m@both", messages=[user("hi")])
    assert [request.target for request in upstream.wait(2)] == ["/v1/v1/messages", "/v1/chat/completions"]


def test_renamed_models(clients: Any, upstream: Recorder) -> None:
    """An alias and an override reach the upstream; what it calls itself reaches the client."""
    upstream.answer(ok(chat_says({"content": "hi"}).whole), ok(chat_says({"content": "hi"}).whole))
    message = clients[1].messages.create(model="sonnet", max_tokens=9, messages=[user("hi")])
    assert message.model == "up-model-2026-08-07"
    clients[1].messages.create(model="old-gpt", max_tokens=9, messages=[user("hi")])
    assert [request.json["model"] for request in upstream.wait(2)] == ["gpt-1", "new-gpt"]


def test_a_provider_may_forbid_it(clients: Any, upstream: Recorder) -> None:
    """`translate: false`: whoever speaks another dialect does not find its models."""
    with pytest.raises(anthropic.NotFoundError) as raised:
        clients[1].messages.create(model="m@proud", max_tokens=9, messages=[user("hi")])
    assert raised.value.body["error"]["type"] == "model_not_found" and not upstream.requests
    upstream.answer(ok(chat_says({"content": "hi"}).whole))
    assert clients[0].chat.completions.create(model="m@proud", messages=[user("hi")]).choices[0].message.content == "hi"


def test_what_was_used_is_counted(relay: Relay, clients: Any, upstream: Recorder) -> None:
    """Tokens of translated calls, whole and streamed, are in the metrics as the upstream told them."""

    def counted() -> dict[str, int]:
        lines = relay.ask("GET", "/metrics").body.decode().splitlines()
        found = [line.rpartition(" ") for line in lines if "tokens" in line and 'provider="moody"' in line]
        return {name: int(float(value)) for name, _, value in found}

    before = counted()
    upstream.answer(ok(chat_says({"content": "hi"}).whole))
    clients[1].messages.create(model="m@moody", max_tokens=9, messages=[user("hi")])
    events = [chunk({"content": "hi"}), chunk({}, "stop"), chunk(None, usage=CHAT_USAGE), DONE]
    upstream.answer(streamed(*events))
    list(clients[1].messages.create(model="m@moody", max_tokens=9, messages=[user("hi")], stream=True))
    after = counted()
    assert sorted(after[name] - before.get(name, 0) for name in after if "input" in name or "output" in name) == [20, 24]
