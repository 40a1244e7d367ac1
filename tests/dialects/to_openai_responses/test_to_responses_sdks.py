"""The vendors' own SDKs agree: they read what clients are told, and OpenAI's types hold what upstreams are told, and tell."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, get_type_hints

import pytest

pytest.importorskip("pydantic")
openai = pytest.importorskip("openai")
anthropic = pytest.importorskip("anthropic")
httpx2 = pytest.importorskip("httpx2")

from test_to_responses_cases import CASES, Case, every  # noqa: E402
from to_responses_stage import CHAT, MESSAGES, PAIRS, Server, answer, call, hints, message, response, thought  # noqa: E402

from monorelay.dialects.sse import read_events  # noqa: E402

SSE = "text/event-stream"


def transport(respond: Callable[[bytes], tuple[int, str, bytes]]) -> Any:
    """A network that is a function from a request's body to status, type and body."""

    def handle(request: Any) -> Any:
        status, kind, body = respond(request.content)
        return httpx2.Response(status, headers={"content-type": kind}, content=body)

    return httpx2.MockTransport(handle)


def chat_client(respond: Callable[[bytes], tuple[int, str, bytes]]) -> Any:
    http = openai.DefaultHttpxClient(transport=transport(respond))
    return openai.OpenAI(api_key="k", base_url="http://relay.test/v1", http_client=http, max_retries=0)


def messages_client(respond: Callable[[bytes], tuple[int, str, bytes]]) -> Any:
    http = anthropic.DefaultHttpxClient(transport=transport(respond))
    return anthropic.Anthropic(api_key="k", base_url="http://relay.test", http_client=http, max_retries=0)


def relayed(pair: str, upstream: list[Any], seen: list[dict[str, Any]] | None = None) -> Callable[[bytes], tuple[int, str, bytes]]:
    """The network between an SDK and a relay whose upstream gives these items."""

    def respond(request: bytes) -> tuple[int, str, bytes]:
        translation = PAIRS[pair].TRANSLATOR.begin(json.loads(request), request, hints())
        if seen is not None:
            seen.append(json.loads(translation.request))
        if not json.loads(request).get("stream"):
            return 200, "application/json", translation.answer(answer(*upstream))
        transducer = translation.stream()
        return 200, SSE, transducer.feed(Server().stream(response(*upstream))) + transducer.close()

    return respond


def of(pair: str, *names: str) -> pytest.MarkDecorator:
    cases = [case for case in CASES if case.pair == pair and case.has(*names)]
    return pytest.mark.parametrize("case", cases, ids=lambda case: case.folder.name)


def plain(told: Any) -> Any:
    return json.loads(told.to_json(exclude_unset=True))


SHORT = {"length": openai.LengthFinishReasonError, "content_filter": openai.ContentFilterFinishReasonError}
ASK: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}


@of(CHAT, "client-answer.json")
def test_chat_answers(case: Case) -> None:
    """A completion read by the SDK says what the case says, and every field has its type."""
    told = case.json("client-answer.json")
    read = chat_client(lambda request: (200, "application/json", case.bytes("client-answer.json"))).chat.completions.create(**ASK)
    assert plain(read) == told
    type(read).model_validate(told, strict=True)


@of(CHAT, "client-answer.json", "client.sse")
def test_chat_streams(case: Case) -> None:
    """A stream put together by the SDK is the same completion; one that was cut short it refuses to parse, as it should."""
    told = case.json("client-answer.json")
    if "custom" in str(told):
        return  # which this SDK's helper cannot read, whoever says them
    client = chat_client(lambda request: (200, SSE, case.bytes("client.sse")))
    with client.chat.completions.stream(**ASK) as stream:
        error = SHORT.get(told["choices"][0]["finish_reason"])
        if error is not None:
            with pytest.raises(error):
                stream.get_final_completion()
            return
        read = plain(stream.get_final_completion())
    if "usage" not in read:
        del told["usage"]
    choice, expected = read["choices"][0], told["choices"][0]
    assert choice["finish_reason"] == expected["finish_reason"] and choice.get("logprobs") == expected["logprobs"]
    said = {name: value for name, value in choice["message"].items() if name != "parsed"}
    wanted = {name: value for name, value in expected["message"].items() if value is not None}
    for name in ("tool_calls", "annotations"):
        for each in said.get(name) or ():
            each.pop("index", None)
            each.get("function", {}).pop("parsed_arguments", None)
    assert {name: value for name, value in said.items() if value or name in wanted} == wanted


@of(MESSAGES, "client-answer.json")
def test_messages_answers(case: Case) -> None:
    """A message read by the SDK says what the case says, and every field has its type."""
    told = case.json("client-answer.json")
    client = messages_client(lambda request: (200, "application/json", case.bytes("client-answer.json")))
    read = client.messages.create(max_tokens=9, **ASK)
    assert plain(read) == told
    type(read).model_validate(told, strict=True)


@of(MESSAGES, "client-answer.json", "client.sse")
def test_messages_streams(case: Case) -> None:
    """A stream put together by the SDK is the same message."""
    client = messages_client(lambda request: (200, SSE, case.bytes("client.sse")))
    with client.messages.stream(max_tokens=9, **ASK) as stream:
        read = plain(stream.get_final_message())
    for block in read["content"]:
        block.pop("parsed_output", None)
    assert {name: value for name, value in read.items() if name != "stop_details"} == case.json("client-answer.json")


def test_errors_in_streams_are_raised() -> None:
    """With the upstream's words."""
    chat, messages = (next(each for each in CASES if each.folder.name == f"{pair}-error-later") for pair in (CHAT, MESSAGES))
    with pytest.raises(openai.APIError, match="The model broke off"):
        list(chat_client(lambda request: (200, SSE, chat.bytes("client.sse"))).chat.completions.create(stream=True, **ASK))
    client = messages_client(lambda request: (200, SSE, messages.bytes("client.sse")))
    with pytest.raises(anthropic.APIStatusError, match="The model broke off"):
        with client.messages.stream(max_tokens=9, **ASK) as stream:
            stream.get_final_message()


@pytest.mark.parametrize(
    "status, error", [(400, "BadRequestError"), (401, "AuthenticationError"), (404, "NotFoundError"), (429, "RateLimitError")]
)
def test_refusals_are_raised(status: int, error: str) -> None:
    """As the class that belongs to the status."""
    upstream = b'{"error":{"message":"Because.","type":"x","param":null,"code":"y"}}'

    def respond(pair: str) -> Callable[[bytes], tuple[int, str, bytes]]:
        def answer_(request: bytes) -> tuple[int, str, bytes]:
            told = PAIRS[pair].TRANSLATOR.begin(json.loads(request), request, hints()).refusal(status, upstream)
            return status, "application/json", told

        return answer_

    with pytest.raises(getattr(openai, error), match="Because"):
        chat_client(respond(CHAT)).chat.completions.create(**ASK)
    with pytest.raises(getattr(anthropic, error), match="Because"):
        messages_client(respond(MESSAGES)).messages.create(max_tokens=9, **ASK)


FIRST = [thought("Hm", "So"), message("Let me see."), call("f", '{"x":"ü"}')]
EXPECTED = [
    {"type": "message", "role": "user", "content": "Hi"},
    FIRST[0],
    {"type": "message", "role": "assistant", "content": "Let me see."},
    {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": '{"x":"ü"}'},
    {"type": "function_call_output", "call_id": "call_1", "output": "12"},
]


@pytest.mark.parametrize("streamed", [False, True])
def test_a_tool_loop_of_chat(streamed: bool) -> None:
    """Ask, be called, return the SDK's own message and the result: thoughts, names, arguments and ids survive the round."""
    seen: list[dict[str, Any]] = []
    client = chat_client(relayed(CHAT, FIRST, seen))
    tools = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}]
    asked = {**ASK, "reasoning_effort": "low", "tools": tools}
    if streamed:
        with client.chat.completions.stream(**asked) as stream:
            said = stream.get_final_completion().choices[0].message
    else:
        said = client.chat.completions.create(**asked).choices[0].message
    back = said.to_dict()
    turns = [*ASK["messages"], back, {"role": "tool", "tool_call_id": said.tool_calls[0].id, "content": "12"}]
    client.chat.completions.create(**{**asked, "messages": turns})
    assert seen[1]["input"] == EXPECTED


@pytest.mark.parametrize("streamed", [False, True])
def test_a_tool_loop_of_messages(streamed: bool) -> None:
    """The same with the other SDK's own blocks."""
    seen: list[dict[str, Any]] = []
    client = messages_client(relayed(MESSAGES, FIRST, seen))
    tools = [{"name": "f", "input_schema": {"type": "object", "properties": {"x": {"type": "string"}}}}]
    asked = {**ASK, "max_tokens": 99, "thinking": {"type": "adaptive"}, "tools": tools}
    if streamed:
        with client.messages.stream(**asked) as stream:
            first = stream.get_final_message()
    else:
        first = client.messages.create(**asked)
    assert first.stop_reason == "tool_use"
    result = {"type": "tool_result", "tool_use_id": first.content[-1].id, "content": "12"}
    turns = [*ASK["messages"], {"role": "assistant", "content": first.content}, {"role": "user", "content": [result]}]
    client.messages.create(**{**asked, "messages": turns})
    assert seen[1]["input"] == EXPECTED


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
    """What the upstream is told has the types of OpenAI's reference."""
    from openai.types.responses import response_create_params as params
    from pydantic import ConfigDict, TypeAdapter, with_config

    body = case.json("upstream.json")
    kind = params.ResponseCreateParamsStreaming if body.get("stream") else params.ResponseCreateParamsNonStreaming
    assert set(body) <= set(get_type_hints(kind))
    _check(TypeAdapter(with_config(ConfigDict(strict=False))(kind)), body)


@pytest.mark.parametrize("case", [case for case in CASES if case.has("upstream.sse") and "junk" not in case.folder.name], ids=str)
def test_upstreams_are_real(case: Case) -> None:
    """What the upstreams of these cases say has the types of the reference, too."""
    from openai.types.responses import ResponseStreamEvent
    from pydantic import TypeAdapter

    adapter: Any = TypeAdapter(ResponseStreamEvent)
    for number, each in enumerate(read_events(case.bytes("upstream.sse"))):
        fields = {"sequence_number": number, **json.loads(each.data)}
        if "response" in fields:
            fields["response"] = {"parallel_tool_calls": True, "tool_choice": "auto", "tools": [], **fields["response"]}
        adapter.validate_python(fields)
