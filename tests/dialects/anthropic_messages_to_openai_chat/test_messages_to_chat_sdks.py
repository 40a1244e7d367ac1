"""The vendors' own SDKs agree: Anthropic's reads what clients are told, OpenAI's types hold what upstreams are told."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, get_type_hints

import pytest

pytest.importorskip("pydantic")
anthropic = pytest.importorskip("anthropic")
httpx2 = pytest.importorskip("httpx2")
pytest.importorskip("openai")

from messages_to_chat_stage import DONE, USAGE, call, chunk, hints  # noqa: E402
from test_messages_to_chat_cases import CASES, Case  # noqa: E402

from monorelay.dialects.anthropic_messages_to_openai_chat import TRANSLATOR  # noqa: E402

BODY = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}


def client(respond: Callable[[bytes], tuple[int, str, bytes]]) -> Any:
    """An SDK whose network is a function from a request's body to status, type and body."""

    def handle(request: Any) -> Any:
        status, kind, body = respond(request.content)
        return httpx2.Response(status, headers={"content-type": kind}, content=body)

    http = anthropic.DefaultHttpxClient(transport=httpx2.MockTransport(handle))
    return anthropic.Anthropic(api_key="k", base_url="http://relay.test", http_client=http, max_retries=0)


def relayed(upstream: bytes, seen: list[dict[str, Any]] | None = None) -> Any:
    """An SDK in front of a relay whose upstream answers so: a stream where it begins like one."""

    def respond(request: bytes) -> tuple[int, str, bytes]:
        translation = TRANSLATOR.begin(json.loads(request), request, hints())
        if seen is not None:
            seen.append(json.loads(translation.request))
        if not json.loads(request).get("stream"):
            return 200, "application/json", translation.answer(upstream)
        transducer = translation.stream()
        return 200, "text/event-stream", transducer.feed(upstream) + transducer.close()

    return client(respond)


def plain(message: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(message.to_json())
    found.pop("stop_details", None)
    for block in found["content"]:
        block.pop("parsed_output", None)
    return found


@pytest.mark.parametrize("case", [each for each in CASES if each.has("client-answer.json")], ids=lambda case: case.name)
def test_answers(case: Case) -> None:
    """A message read by the SDK says what the case says, and every field has its type."""
    told = case.json("client-answer.json")
    message = client(lambda request: (200, "application/json", case.bytes("client-answer.json"))).messages.create(**BODY)
    assert plain(message) == told
    type(message).model_validate(told, strict=True)


@pytest.mark.parametrize(
    "case", [each for each in CASES if each.has("client-answer.json") and each.has("client.sse")], ids=lambda case: case.name
)
def test_streams(case: Case) -> None:
    """A stream read by the SDK is the same message."""
    with client(lambda request: (200, "text/event-stream", case.bytes("client.sse"))).messages.stream(**BODY) as stream:
        message = plain(stream.get_final_message())
    assert message == case.json("client-answer.json")


def test_an_error_in_a_stream_is_raised() -> None:
    """With the upstream's words."""
    case = next(each for each in CASES if each.name == "error-later")
    with client(lambda request: (200, "text/event-stream", case.bytes("client.sse"))).messages.stream(**BODY) as stream:
        with pytest.raises(anthropic.APIStatusError, match="Provider disconnected"):
            stream.get_final_message()


@pytest.mark.parametrize(
    "status, error", [(400, "BadRequestError"), (401, "AuthenticationError"), (404, "NotFoundError"), (429, "RateLimitError")]
)
def test_refusals_are_raised(status: int, error: str) -> None:
    """As the class that belongs to the status."""
    upstream = b'{"error":{"message":"Because.","type":"x","param":null,"code":"y"}}'

    def respond(request: bytes) -> tuple[int, str, bytes]:
        told = TRANSLATOR.begin(json.loads(request), request, hints()).refusal(status, upstream)
        assert told is not None
        return status, "application/json", told

    with pytest.raises(getattr(anthropic, error), match="Because"):
        client(respond).messages.create(**BODY)


def test_a_tool_loop() -> None:
    """Ask, be called, return the result with the SDK's own blocks, be answered: names, arguments and ids survive the round."""
    deltas = [
        chunk({"reasoning_content": "r"}),
        chunk(call(0, "call_1", "f", "")),
        chunk(call(0, None, None, '{"x":"ü"}')),
        chunk({}, "tool_calls"),
        DONE,
    ]
    seen: list[dict[str, Any]] = []
    tools = [{"name": "f", "description": "d", "input_schema": {"type": "object", "properties": {"x": {"type": "string"}}}}]
    turns: list[Any] = [{"role": "user", "content": "go"}]
    with relayed(b"".join(deltas), seen).messages.stream(model="m", max_tokens=9, messages=turns, tools=tools) as stream:
        first = stream.get_final_message()
    assert first.stop_reason == "tool_use"
    use = first.content[-1]
    turns += [
        {"role": "assistant", "content": first.content},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": use.id, "content": "12"}]},
    ]
    answer = json.dumps(
        {
            "id": "c",
            "model": "m",
            "choices": [{"message": {"role": "assistant", "content": "done"}, "finish_reason": "stop"}],
            "usage": USAGE,
        }
    )
    second = relayed(answer.encode(), seen).messages.create(model="m", max_tokens=9, messages=turns, tools=tools)
    assert second.content[0].text == "done"
    assert seen[1]["messages"][1:] == [
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"x":"ü"}'}}],
        },
        {"role": "tool", "tool_call_id": "call_1", "content": "12"},
    ]


def _check(adapter: Any, value: Any) -> None:
    """Iterables of a request's type are read lazily: only reading them to their end is a check."""

    def read(found: Any) -> None:
        if isinstance(found, dict):
            for each in found.values():
                read(each)
        elif not isinstance(found, str) and hasattr(found, "__iter__"):
            for each in found:
                read(each)

    read(adapter.validate_python(value))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_requests(case: Case) -> None:
    """What the upstream is told has the types of OpenAI's reference, but for what a provider file asks for."""
    from openai.types.chat import completion_create_params as params
    from pydantic import ConfigDict, TypeAdapter, with_config

    body = case.json("upstream.json")
    for turn in body["messages"]:
        turn.pop("reasoning_content", None)
        for each in turn.get("tool_calls", ()):
            each.pop("extra_content", None)
    body.pop("thinking", None)
    kind = params.CompletionCreateParamsStreaming if body.get("stream") else params.CompletionCreateParamsNonStreaming
    assert set(body) <= set(get_type_hints(kind))
    _check(TypeAdapter(with_config(ConfigDict(strict=False))(kind)), body)
