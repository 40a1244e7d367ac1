"""Providers that know no streams: a whole answer to ``stream: true`` is told as the stream that was asked for, on every way."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

openai = pytest.importorskip("openai")
anthropic = pytest.importorskip("anthropic")

from fault_scripts import DIALECTS, PAIRS  # noqa: E402
from story_errors import is_error  # noqa: E402
from story_process import KEY, Relay  # noqa: E402
from story_providers import SECRETS, SERVER, keys  # noqa: E402
from story_upstream import Recorder, ok  # noqa: E402
from translation_answers import call, chat_says, messages_say, text, thinking, use  # noqa: E402

OFFERS = {"chat": "openai.chat", "messages": "anthropic.messages", "responses": "openai.responses"}
IDS = frozenset({"id", "call_id", "created", "created_at", "item_id"})
RESPONSE = json.loads(DIALECTS["responses"].whole) | {
    "output": [
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Hm. \u00e9"}], "status": "completed"},
        *json.loads(DIALECTS["responses"].whole)["output"],
        {
            "type": "function_call",
            "id": "fc_1",
            "call_id": "call_1",
            "name": "look",
            "arguments": '{"at": 1.10}',
            "status": "completed",
        },
    ],
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": [],
}
SAID: dict[str, Any] = {
    "chat": chat_says(
        {
            "content": "Hello é",
            "reasoning_content": "Hm.",
            "tool_calls": [call("look", '{"at": 1.10}'), call("look", "{}", "call_2")],
        },
        "tool_calls",
    ).whole,
    "messages": messages_say(
        [thinking("Hm."), text("Hello é"), use("look", {"at": 1.1}), use("look", {}, "toolu_2")], "tool_use"
    ).whole,
    "responses": RESPONSE,
}


@pytest.fixture(scope="module")
def relay(start: Callable[..., Relay], upstream: Recorder) -> Relay:
    providers = {
        name: {
            "base_url": f"{upstream.origin}/{name}",
            "keys": keys("a", "b"),
            "offers": {word: "/x"},
            "models": {"include": [name]},
        }
        for name, word in OFFERS.items()
    }
    return start({"server": SERVER, "providers": providers}, environ=SECRETS)


@pytest.fixture(scope="module")
def clients(relay: Relay) -> Iterator[tuple[Any, Any]]:
    strict: dict[str, Any] = {"api_key": KEY, "max_retries": 0, "timeout": 15}
    with openai.OpenAI(base_url=f"{relay.url}/v1", **strict) as one, anthropic.Anthropic(base_url=relay.url, **strict) as two:
        yield one, two


def told(clients: Any, client: str, up: str, stream: bool) -> Any:
    """What the client's own SDK makes of it, whole or from a stream."""
    asked: dict[str, Any] = {"model": up}
    if client == "messages":
        made, more = clients[1].messages, {"max_tokens": 99, "messages": [{"role": "user", "content": "hi"}]}
        final = "get_final_message"
    elif client == "chat":
        made, more, final = clients[0].chat.completions, {"messages": [{"role": "user", "content": "hi"}]}, "get_final_completion"
        more |= {"stream_options": {"include_usage": True}} if stream else {}
    else:
        made, more, final = clients[0].responses, {"input": "hi"}, "get_final_response"
    if not stream:
        return made.create(**asked, **more)
    with made.stream(**asked, **more) as events:
        return getattr(events, final)()


def plain(value: Any) -> Any:
    """Without ids and times, which are made anew for each translation, and without what says nothing."""
    if isinstance(value, dict):
        return {name: plain(one) for name, one in value.items() if name not in IDS and one not in (None, [])}
    return [plain(one) for one in value] if isinstance(value, list) else value


@pytest.mark.parametrize(("client", "up"), PAIRS, ids=[f"{client} on {up}" for client, up in PAIRS])
def test_a_whole_answer_is_told_as_a_stream(clients: Any, upstream: Recorder, client: str, up: str) -> None:
    """The SDK that streams has in the end what the SDK that does not is given: words, thoughts, calls, the reason, the usage."""
    upstream.answer(ok(SAID[up]), ok(SAID[up]))
    whole, streamed = (told(clients, client, up, stream) for stream in (False, True))
    assert upstream.wait(2)[1].json["stream"] is True
    mine, theirs = plain(streamed.model_dump(mode="json")), plain(whole.model_dump(mode="json"))
    if client == "chat":  # the SDK's accumulated calls carry the index of their deltas, and what it parsed
        for one in mine["choices"][0]["message"]["tool_calls"]:
            one.pop("index", None)
            one["function"].pop("parsed_arguments", None)
    assert mine == theirs
    said = json.dumps(mine)
    assert "Hello" in said and "look" in said
    assert "Hm." in said or (client, up) == ("messages", "responses")  # a thought without its seal is none there
    upstream.reset()


@pytest.mark.parametrize("client", OFFERS)
def test_its_head_says_so(relay: Relay, upstream: Recorder, client: str) -> None:
    """An event stream, with what the upstream's head said besides; without a stream asked for, not a byte is changed."""
    said = DIALECTS[client]
    upstream.answer(ok(said.whole, "X-Request-Id: up"), ok(said.whole))
    body = {**said.body, "model": client, "stream": True}
    answer = relay.post(said.path, body)
    assert (answer.status, answer.header("content-type"), answer.header("x-request-id")) == (200, "text/event-stream", "up")
    assert answer.whole and b"Hello you" in answer.body
    assert relay.post(said.path, {**body, "stream": False}).body == said.whole
    upstream.reset()


@pytest.mark.parametrize("body", [b"[]", b'{"a": 1}', b'{"choices": [], "content": 1, "output": [], "status": "queued"}', b'"x"'])
@pytest.mark.parametrize(("client", "up"), PAIRS[:5])
def test_what_is_no_answer_is_no_stream(relay: Relay, upstream: Recorder, client: str, up: str, body: bytes) -> None:
    """A client that waits for events is told that there are none, while another provider can still be asked."""
    upstream.answer(ok(body))
    answer = relay.post(DIALECTS[client].path, {**DIALECTS[client].body, "model": up, "stream": True})
    is_error(answer, 503, "upstream_error", DIALECTS[client].family)
    upstream.reset()


def test_an_error_in_it_is_one(relay: Relay, upstream: Recorder) -> None:
    """A response that failed for a rate limit cools its key, as the event would; the next key answers."""
    failed = {**RESPONSE, "status": "failed", "output": [], "error": {"code": "rate_limit_exceeded", "message": "slow"}}
    upstream.answer(ok(failed), ok(RESPONSE))
    answer = relay.post("/v1/responses", {"model": "responses", "input": "hi", "stream": True})
    assert answer.status == 200 and b"response.completed" in answer.body and answer.header("x-monorelay-attempts") == "2"
