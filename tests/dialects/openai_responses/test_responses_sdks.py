"""The vendors' own SDKs agree: OpenAI's reads what clients are told, both vendors' types hold what upstreams are told."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, get_type_hints

import pytest

pytest.importorskip("pydantic")
openai = pytest.importorskip("openai")
httpx2 = pytest.importorskip("httpx2")
anthropic = pytest.importorskip("anthropic")

from responses_stage import CHAT, DONE, MESSAGES, USAGE, call, chunk, event, hints  # noqa: E402
from test_responses_cases import CASES, Case, every  # noqa: E402

from monorelay.dialects.sse import read_events  # noqa: E402


def client(respond: Callable[[bytes], tuple[int, str, bytes]]) -> Any:
    """An SDK whose network is a function from a request's body to status, type and body."""

    def handle(request: Any) -> Any:
        status, kind, body = respond(request.content)
        return httpx2.Response(status, headers={"content-type": kind}, content=body)

    http = openai.DefaultHttpxClient(transport=httpx2.MockTransport(handle))
    return openai.OpenAI(
        api_key="k", base_url="http://relay.test/v1", http_client=http, max_retries=0, _strict_response_validation=True
    )


def relayed(translator: Any, upstream: bytes, seen: list[dict[str, Any]] | None = None) -> Any:
    """An SDK in front of a relay whose upstream answers so."""

    def respond(request: bytes) -> tuple[int, str, bytes]:
        translation = translator.begin(json.loads(request), request, hints())
        if seen is not None:
            seen.append(json.loads(translation.request))
        if not json.loads(request).get("stream"):
            return 200, "application/json", translation.answer(upstream)
        transducer = translation.stream()
        return 200, "text/event-stream", transducer.feed(upstream) + transducer.close()

    return client(respond)


def plain(response: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(response.to_json(exclude_unset=True))
    for item in found["output"]:
        item.pop("parsed_arguments", None)
        for part in item.get("content") or ():
            part.pop("parsed", None)
    return found


@every("client-answer.json")
def test_answers(case: Case) -> None:
    """A response read by the SDK says what the case says, and every field has its type."""
    from openai.types.responses import Response

    told = case.json("client-answer.json")
    response = client(lambda request: (200, "application/json", case.bytes("client-answer.json"))).responses.create(input="x")
    assert plain(response) == told
    Response.model_validate(told)
    text = [part["text"] for item in told["output"] for part in item.get("content", ()) if part["type"] == "output_text"]
    assert response.output_text == "".join(text)


@every("client.sse")
def test_events(case: Case) -> None:
    """Every event has the type of its name."""
    from openai.types.responses import ResponseStreamEvent
    from pydantic import TypeAdapter

    adapter: Any = TypeAdapter(ResponseStreamEvent)
    for each in read_events(case.bytes("client.sse")):
        fields = json.loads(each.data)
        assert type(adapter.validate_python(fields)).__name__ == type(_built(each.name)).__name__


def _built(name: str) -> Any:
    """The class that the SDK would build for an event of this name."""
    from openai._models import construct_type
    from openai.types.responses import ResponseStreamEvent

    return construct_type(value={"type": name}, type_=ResponseStreamEvent)


@every("client.sse", "client-answer.json")
def test_streams(case: Case) -> None:
    """A stream put together by the SDK's helper is the response of the last event; an incomplete one is no final response."""
    sdk = client(lambda request: (200, "text/event-stream", case.bytes("client.sse")))
    whole = json.loads(read_events(case.bytes("client.sse"))[-1].data)["response"]
    with sdk.responses.stream(model="m", input="x") as stream:
        last = list(stream)[-1]
        if whole["status"] == "completed":
            assert plain(stream.get_final_response()) == whole
    assert last.type == f"response.{whole['status']}"


def test_errors_in_streams() -> None:
    """Are an event that says what happened, and no final response."""
    for case in CASES:
        if case.folder.name.endswith("error-later"):
            sdk = client(lambda request, case=case: (200, "text/event-stream", case.bytes("client.sse")))
            with sdk.responses.stream(model="m", input="x") as stream:
                last = list(stream)[-1]
                assert last.type == "response.failed" and last.response.error.message in ("Provider disconnected", "Overloaded")
                with pytest.raises(RuntimeError):
                    stream.get_final_response()


@pytest.mark.parametrize("translator", [CHAT, MESSAGES], ids=["chat", "messages"])
@pytest.mark.parametrize(
    "status, error", [(400, "BadRequestError"), (401, "AuthenticationError"), (404, "NotFoundError"), (429, "RateLimitError")]
)
def test_refusals_are_raised(translator: Any, status: int, error: str) -> None:
    """As the class that belongs to the status."""
    upstream = b'{"type":"error","error":{"message":"Because.","type":"x","param":null,"code":"y"}}'

    def respond(request: bytes) -> tuple[int, str, bytes]:
        return status, "application/json", translator.begin(json.loads(request), request, hints()).refusal(status, upstream)

    with pytest.raises(getattr(openai, error), match="Because") as raised:
        client(respond).responses.create(model="m", input="x")
    assert raised.value.code == "y"


def test_structured_output_is_parsed() -> None:
    """By the SDK's own helper, whichever way the upstream was asked."""
    from pydantic import BaseModel

    class City(BaseModel):
        name: str

    chat = json.dumps({"id": "c", "choices": [{"message": {"content": '{"name":"Ulm"}'}, "finish_reason": "stop"}]}).encode()
    block = {"type": "text", "text": '{"name":"Ulm"}'}
    messages = json.dumps({"id": "msg_1", "type": "message", "content": [block], "stop_reason": "end_turn"}).encode()
    for translator, upstream in ((CHAT, chat), (MESSAGES, messages)):
        response = relayed(translator, upstream).responses.parse(model="m", input="x", text_format=City)
        assert response.output_parsed == City(name="Ulm")


TOOLS: list[Any] = [
    {
        "type": "function",
        "name": "f",
        "description": "d",
        "strict": False,
        "parameters": {"type": "object", "properties": {"x": {"type": "string"}}},
    },
    {"type": "custom", "name": "c"},
]
LOOPS = [
    (
        CHAT,
        chunk({"reasoning_content": "r"})
        + chunk(call(0, "call_1", "f", ""))
        + chunk(call(0, None, None, '{"x":"ü"}'))
        + chunk(call(1, "call_2", "c", '{"input":"free text"}'))
        + chunk({}, "tool_calls")
        + DONE,
        {
            "id": "c",
            "model": "m",
            "choices": [{"message": {"role": "assistant", "content": "done"}, "finish_reason": "stop"}],
            "usage": USAGE,
        },
        [
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"x":"ü"}'}},
                    {"id": "call_2", "type": "function", "function": {"name": "c", "arguments": '{"input":"free text"}'}},
                ],
            },
            {"role": "tool", "tool_call_id": "call_1", "content": "12"},
            {"role": "tool", "tool_call_id": "call_2", "content": "ok"},
        ],
    ),
    (
        MESSAGES,
        event(type="message_start", message={"id": "msg_1", "model": "m", "usage": {"input_tokens": 1, "output_tokens": 1}})
        + event(type="content_block_start", index=0, content_block={"type": "thinking", "thinking": "r", "signature": "c2ln"})
        + event(type="content_block_stop", index=0)
        + event(
            type="content_block_start",
            index=1,
            content_block={"type": "tool_use", "id": "call_1", "name": "f", "input": {"x": "ü"}},
        )
        + event(type="content_block_stop", index=1)
        + event(
            type="content_block_start",
            index=2,
            content_block={"type": "tool_use", "id": "call_2", "name": "c", "input": {"input": "free text"}},
        )
        + event(type="content_block_stop", index=2)
        + event(type="message_delta", delta={"stop_reason": "tool_use"}, usage={"output_tokens": 9})
        + event(type="message_stop"),
        {"id": "msg_2", "type": "message", "model": "m", "content": [{"type": "text", "text": "done"}], "stop_reason": "end_turn"},
        [
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "r", "signature": "c2ln"},
                    {"type": "tool_use", "id": "call_1", "name": "f", "input": {"x": "ü"}},
                    {"type": "tool_use", "id": "call_2", "name": "c", "input": {"input": "free text"}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "call_1", "content": "12"},
                    {"type": "tool_result", "tool_use_id": "call_2", "content": "ok"},
                ],
            },
        ],
    ),
]


@pytest.mark.parametrize("translator, stream, answer, history", LOOPS, ids=["chat", "messages"])
def test_a_tool_loop(translator: Any, stream: bytes, answer: dict[str, Any], history: list[Any]) -> None:
    """Ask, be called, return the results with the SDK's own items, be answered: names, arguments and ids survive the round."""
    seen: list[dict[str, Any]] = []
    items: list[Any] = [{"role": "user", "content": "go"}]
    with relayed(translator, stream, seen).responses.stream(model="m", input=items, tools=TOOLS) as events:
        first = events.get_final_response()
    assert [item.type for item in first.output] == ["reasoning", "function_call", "custom_tool_call"]
    assert first.output[2].input == "free text"
    items += first.output
    items.append({"type": "function_call_output", "call_id": first.output[1].call_id, "output": "12"})
    items.append({"type": "custom_tool_call_output", "call_id": first.output[2].call_id, "output": "ok"})
    second = relayed(translator, json.dumps(answer).encode(), seen).responses.create(model="m", input=items, tools=TOOLS)
    assert second.output_text == "done" and second.status == "completed" and second.store is False
    assert seen[1]["messages"][1:] == history


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


@every()
def test_requests(case: Case) -> None:
    """What the upstream is told has the types of its vendor's reference, but for what a provider file asks for."""
    from anthropic.types import message_create_params
    from openai.types.chat import completion_create_params
    from pydantic import ConfigDict, TypeAdapter, with_config

    body = case.json("upstream.json")
    kind: Any
    if case.pair.endswith("chat"):
        params: Any = completion_create_params
        kind = params.CompletionCreateParamsStreaming if body.get("stream") else params.CompletionCreateParamsNonStreaming
        for turn in body["messages"]:
            turn.pop("reasoning_content", None)
    else:
        params = message_create_params
        kind = params.MessageCreateParamsStreaming if body.get("stream") else params.MessageCreateParamsNonStreaming
    assert set(body) <= set(get_type_hints(kind))
    _check(TypeAdapter(with_config(ConfigDict(strict=False))(kind)), body)
