"""The official SDKs on both ends: OpenAI's client sends and reads, Anthropic's types judge what the upstream is told.

The client's transport is the translation itself, so nothing but the wire is missing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from chat_to_messages_stage import CLOCK, WEATHER, block, end, event, hints, message, start, text

from monorelay.dialects.interface import Translation, Truncated
from monorelay.dialects.openai_chat_to_anthropic_messages import TRANSLATOR
from monorelay.errors import ErrorBody

httpx2 = pytest.importorskip("httpx2")
openai = pytest.importorskip("openai")
anthropic = pytest.importorskip("anthropic")
pydantic = pytest.importorskip("pydantic")

USER = {"role": "user", "content": "Hi"}
CASES = sorted((Path(__file__).parent.parent / "cases").glob("openai_chat_to_anthropic_messages-*"))
THOUGHT = (
    ("thinking_delta", "thinking", "Let me "),
    ("thinking_delta", "thinking", "see."),
    ("signature_delta", "signature", "S=="),
)


def judge_request(body: dict[str, Any]) -> None:
    """Raises where Anthropic's types do not hold this request."""
    from anthropic.types import message_create_params as params

    kind = params.MessageCreateParamsStreaming if body.get("stream") else params.MessageCreateParamsNonStreaming
    adapter = pydantic.TypeAdapter(kind)  # to be kept: the lists are judged when they are read
    _walk(adapter.validate_python(body))


def _walk(value: Any) -> None:
    if isinstance(value, Mapping):
        for each in value.values():
            _walk(each)
    elif isinstance(value, Iterable) and not isinstance(value, str | bytes):
        for each in value:
            _walk(each)


class Upstream:
    """A client whose upstream answers with this message, these events, or this refusal; it keeps what it was told."""

    def __init__(self, answer: dict[str, Any] | list[bytes] | tuple[int, dict[str, Any]], **quirks: Any) -> None:
        self.told: dict[str, Any] = {}
        self._answer = answer
        self._quirks = quirks
        transport = httpx2.MockTransport(self._reply)
        self.client = openai.OpenAI(
            api_key="k", base_url="http://relay/v1", max_retries=0, http_client=httpx2.Client(transport=transport)
        )

    def _reply(self, request: Any) -> Any:
        body = json.loads(request.content)
        translation = TRANSLATOR.begin(body, request.content, hints(**self._quirks))
        self.told = json.loads(translation.request)
        judge_request(self.told)
        if isinstance(self._answer, tuple):
            status, refusal = self._answer
            return httpx2.Response(status, content=translation.refusal(status, json.dumps(refusal).encode()), headers=_JSON)
        if isinstance(self._answer, dict):
            return httpx2.Response(200, content=translation.answer(json.dumps(self._answer).encode()), headers=_JSON)
        return httpx2.Response(200, content=b"".join(_stream(translation, self._answer)), headers=_EVENTS)


_JSON = {"content-type": "application/json"}
_EVENTS = {"content-type": "text/event-stream"}


def _stream(translation: Translation, chunks: list[bytes]) -> Iterator[bytes]:
    transducer = translation.stream()
    for chunk in chunks:
        yield transducer.feed(chunk)
    try:
        yield transducer.close()
    except Truncated:
        yield transducer.fail(ErrorBody("upstream_error", "The stream broke off."))


@pytest.mark.parametrize("folder", CASES, ids=lambda folder: folder.name.partition("-")[2])
def test_requests_are_valid(folder: Path) -> None:
    """Every case's request is one by Anthropic's own types."""
    judge_request(json.loads((folder / "upstream.json").read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    "folder", [each for each in CASES if (each / "client-answer.json").exists()], ids=lambda folder: folder.name.partition("-")[2]
)
def test_answers_are_valid(folder: Path) -> None:
    """Every case's answer is one by OpenAI's own types."""
    from openai.types.chat import ChatCompletion

    ChatCompletion.model_validate_json((folder / "client-answer.json").read_bytes())


# The types of a stream know no custom tools, though the vendor streams them.
STREAMED = [each for each in CASES if (each / "client.sse").exists() and not each.name.endswith("custom-tool")]


@pytest.mark.parametrize("folder", STREAMED, ids=lambda folder: folder.name.partition("-")[2])
def test_chunks_are_valid(folder: Path) -> None:
    """So is every chunk of every case's stream."""
    from openai.types.chat import ChatCompletionChunk

    for line in (folder / "client.sse").read_bytes().splitlines():
        if line.startswith(b"data: {") and b'{"error"' not in line:
            ChatCompletionChunk.model_validate_json(line.removeprefix(b"data: "))


def test_text() -> None:
    """Asked and answered, whole and streamed."""
    up = Upstream(message({"type": "text", "text": "Hello"}))
    found = up.client.chat.completions.create(model="m", messages=[{"role": "system", "content": "Be brief."}, USER])
    assert found.choices[0].message.content == "Hello"
    assert found.choices[0].finish_reason == "stop"
    assert (found.usage.prompt_tokens, found.usage.completion_tokens, found.usage.total_tokens) == (25, 9, 34)
    assert up.told["system"] == [{"type": "text", "text": "Be brief."}]
    up = Upstream([start(), text(0, "Hel", "lo"), end()])
    chunks = list(
        up.client.chat.completions.create(model="m", messages=[USER], stream=True, stream_options={"include_usage": True})
    )
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "Hello"
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
    assert chunks[-1].usage.total_tokens == 34 and chunks[-1].choices == []


def test_usage_is_hidden_from_who_did_not_ask() -> None:
    """A stream tells usage only when it was asked for."""
    chunks = list(Upstream([start(), text(0, "x"), end()]).client.chat.completions.create(model="m", messages=[USER], stream=True))
    assert all(chunk.usage is None and chunk.choices for chunk in chunks)


ARGUMENTS = (("input_json_delta", "partial_json", '{"city"'), ("input_json_delta", "partial_json", ':"Köln"}'))
CALLING = [
    start(),
    block(0, "thinking", *THOUGHT, thinking="", signature=""),
    block(1, "redacted_thinking", data="R=="),
    text(2, "Looking."),
    block(3, "tool_use", *ARGUMENTS, id="toolu_1", name="weather", input={}),
    block(4, "tool_use", id="toolu_2", name="clock", input={}),
    end("tool_use"),
]


def test_a_whole_tool_loop_with_thinking() -> None:
    """Asked, called twice at once, answered: the client's own helper keeps what the upstream must see again."""
    asked = {"model": "m", "tools": [WEATHER, CLOCK], "reasoning_effort": "medium"}
    up = Upstream(CALLING)
    with up.client.chat.completions.stream(messages=[USER], **asked) as stream:
        for _ in stream:
            pass
        answer = stream.get_final_completion().choices[0]
    assert answer.finish_reason == "tool_calls"
    assert [(call.function.name, json.loads(call.function.arguments)) for call in answer.message.tool_calls] == [
        ("weather", {"city": "Köln"}),
        ("clock", {}),
    ]
    assert answer.message.reasoning_content == "Let me see."
    results = [{"role": "tool", "tool_call_id": call.id, "content": "fine"} for call in answer.message.tool_calls]
    up = Upstream(message({"type": "text", "text": "Done"}))
    found = up.client.chat.completions.create(messages=[USER, answer.message, *results], **asked)
    assert found.choices[0].message.content == "Done"
    assert up.told["messages"][1]["content"] == [
        {"type": "thinking", "thinking": "Let me see.", "signature": "S=="},
        {"type": "redacted_thinking", "data": "R=="},
        {"type": "text", "text": "Looking."},
        {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Köln"}},
        {"type": "tool_use", "id": "toolu_2", "name": "clock", "input": {}},
    ]
    assert [each["tool_use_id"] for each in up.told["messages"][2]["content"]] == ["toolu_1", "toolu_2"]


def test_the_same_loop_unstreamed() -> None:
    """A message that was not streamed brings its thinking back too."""
    thought = {"type": "thinking", "thinking": "Hm.", "signature": "S=="}
    call = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Köln"}}
    up = Upstream(message(thought, call, reason="tool_use"))
    said = up.client.chat.completions.create(model="m", messages=[USER], tools=[WEATHER], reasoning_effort="low").choices[0].message
    result = {"role": "tool", "tool_call_id": said.tool_calls[0].id, "content": "4 °C"}
    up = Upstream(message({"type": "text", "text": "Cold"}))
    up.client.chat.completions.create(model="m", messages=[USER, said, result], tools=[WEATHER], reasoning_effort="low")
    assert up.told["messages"][1]["content"] == [thought, call]
    assert up.told["thinking"] == {"type": "enabled", "budget_tokens": 2048}


@pytest.mark.parametrize("native", [True, False], ids=["native", "by-tool"])
@pytest.mark.parametrize("streamed", [True, False], ids=["streamed", "whole"])
def test_structured_output(native: bool, streamed: bool) -> None:
    """The client's parser gets its object, whichever way the upstream was asked."""

    class Person(pydantic.BaseModel):  # type: ignore[name-defined, misc]
        name: str
        age: int

    piece = '{"name":"Ann","age":7}'
    if native:
        told: Any = [start(), text(0, piece[:9], piece[9:]), end()] if streamed else message({"type": "text", "text": piece})
    elif streamed:
        delta = (("input_json_delta", "partial_json", piece[:9]), ("input_json_delta", "partial_json", piece[9:]))
        told = [start(), block(0, "tool_use", *delta, id="t", name="Person", input={}), end("tool_use")]
    else:
        told = message({"type": "tool_use", "id": "t", "name": "Person", "input": json.loads(piece)}, reason="tool_use")
    up = Upstream(told, json_schema=native)
    if streamed:
        with up.client.chat.completions.stream(model="m", messages=[USER], response_format=Person) as stream:
            found = stream.get_final_completion()
    else:
        found = up.client.chat.completions.parse(model="m", messages=[USER], response_format=Person)
    assert found.choices[0].finish_reason == "stop"
    assert found.choices[0].message.parsed == Person(name="Ann", age=7)
    assert found.choices[0].message.tool_calls is None
    assert ("output_config" in up.told) == native


@pytest.mark.parametrize(
    ("status", "kind", "raised"),
    [
        (400, "invalid_request_error", "BadRequestError"),
        (401, "authentication_error", "AuthenticationError"),
        (403, "permission_error", "PermissionDeniedError"),
        (404, "not_found_error", "NotFoundError"),
        (413, "request_too_large", "APIStatusError"),
        (429, "rate_limit_error", "RateLimitError"),
        (500, "api_error", "InternalServerError"),
        (529, "overloaded_error", "InternalServerError"),
    ],
)
def test_refusals(status: int, kind: str, raised: str) -> None:
    """Each is the exception that OpenAI's client knows it by, with the upstream's words and request id."""
    refusal = {"type": "error", "error": {"type": kind, "message": "No: because."}, "request_id": "req_1"}
    with pytest.raises(getattr(openai, raised)) as caught:
        Upstream((status, refusal)).client.chat.completions.create(model="m", messages=[USER])
    assert caught.value.type == kind
    assert "No: because." in str(caught.value)
    assert caught.value.response.json()["request_id"] == "req_1"


@pytest.mark.parametrize("last", [[], [event("error", error={"type": "overloaded_error", "message": "Overloaded"})]])
def test_a_broken_stream_is_an_error(last: list[bytes]) -> None:
    """Cut or ended by an error, after some text: the client raises, and never sees an end."""
    up = Upstream([start(), text(0, "One"), *last])
    said, reasons = "", []
    with pytest.raises(openai.APIError) as caught:
        for chunk in up.client.chat.completions.create(model="m", messages=[USER], stream=True):
            said += chunk.choices[0].delta.content or ""
            reasons.append(chunk.choices[0].finish_reason)
    assert said == "One"
    assert set(reasons) == {None}
    assert str(caught.value) == ("Overloaded" if last else "The stream broke off.")


def test_images_and_files() -> None:
    """What clients attach arrives as blocks that Anthropic's types know."""
    up = Upstream(message({"type": "text", "text": "A cat"}))
    parts: list[Any] = [
        {"type": "text", "text": "What is it?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}},
        {"type": "image_url", "image_url": {"url": "https://example.com/cat.png"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0="}},
    ]
    up.client.chat.completions.create(model="m", messages=[{"role": "user", "content": parts}])
    assert [each["type"] for each in up.told["messages"][0]["content"]] == ["text", "image", "image", "document"]


def _collect(choose: Callable[[Any], Any], chunks: Iterable[Any]) -> list[Any]:
    return [found for chunk in chunks if chunk.choices and (found := choose(chunk.choices[0].delta)) is not None]


def test_functions_of_old() -> None:
    """A client that knows functions, not tools, is called by function_call, once."""
    functions = [{"name": "clock", "parameters": {"type": "object", "properties": {}}}]
    first, second = block(0, "tool_use", id="a", name="clock", input={}), block(1, "tool_use", id="b", name="clock", input={})
    up = Upstream([start(), first, second, end("tool_use")])
    chunks = list(up.client.chat.completions.create(model="m", messages=[USER], functions=functions, stream=True))
    calls = _collect(lambda delta: delta.function_call, chunks)
    assert (calls[0].name, "".join(call.arguments for call in calls)) == ("clock", "{}")
    assert chunks[-1].choices[0].finish_reason == "function_call"
    assert up.told["tool_choice"] == {"type": "auto", "disable_parallel_tool_use": True}
