"""Failures across dialects: refusals, faults, and streams that break, as the client's own SDK sees them.

Every pair is held to the same promises: a refusal keeps its status, message, param and code in the client's envelope; a failure
before the first content is a status; after it an error of the stream, and never a clean end.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

openai = pytest.importorskip("openai")
anthropic = pytest.importorskip("anthropic")

from story_process import Relay  # noqa: E402
from story_upstream import CLOSE, RESET, Recorder, Step, ok, streamed  # noqa: E402
from translation_answers import (  # noqa: E402
    block_start,
    chat_says,
    chunk,
    data,
    delta,
    event,
    message_start,
    messages_say,
    text,
)
from translation_stage import Stage, user  # noqa: E402

SPARES = 6  # keys that may wear out, one for each of these


@pytest.fixture(scope="module")
def stage(start: Callable[..., Relay], upstream: Recorder) -> Iterator[Stage]:
    found = Stage(start, upstream, spares=SPARES)
    found.relay.expect_log("it rests for|no key")
    yield found
    found.close()


@dataclass(frozen=True)
class Pair:
    client: str  # messages, chat, responses, completions
    provider: str  # chat, claude

    def __str__(self) -> str:
        return f"{self.client} on {self.provider}"

    @property
    def errors(self) -> Any:
        """The SDK's module."""
        return anthropic if self.client == "messages" else openai

    def ask(self, stage: Stage, stream: bool, provider: str | None = None) -> Any:
        model = f"up-model@{provider or self.provider}"
        if self.client == "messages":
            return stage.anthropic.messages.create(model=model, max_tokens=9, messages=[user("hi")], stream=stream)
        if self.client == "chat":
            return stage.openai.chat.completions.create(model=model, messages=[user("hi")], stream=stream)
        if self.client == "responses":
            return stage.openai.responses.create(model=model, input="hi", stream=stream)
        return stage.lenient.completions.create(model=model, prompt="hi", stream=stream)

    def text_of(self, events: Any) -> str:
        """What a stream said until its end; the SDK raises where it ends in an error, but for a response that failed."""
        said = ""
        for each in events:
            if self.client == "messages":
                assert each.type not in ("message_delta", "message_stop"), "a clean end"
                said += getattr(getattr(each, "delta", None), "text", "")
            elif self.client == "responses":
                assert each.type not in ("response.completed", "response.incomplete"), "a clean end"
                said += each.delta if each.type == "response.output_text.delta" else ""
                if each.type == "response.failed":
                    error = each.response.error
                    assert each.response.status == "failed" and error.code and error.message
                    raise openai.APIError(error.message, request=None, body=error.to_dict())  # type: ignore[arg-type]
            else:
                assert all(choice.finish_reason is None for choice in each.choices), "a clean end"
                said += "".join(
                    getattr(choice, "text", None) or getattr(choice, "delta", None).content or "" for choice in each.choices
                )
        return said

    def refusal(self, message: str, **more: Any) -> Any:
        """An error body of the upstream's dialect."""
        if self.provider == "chat":
            return {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": None, **more}}
        return {"type": "error", "error": {"type": "invalid_request_error", "message": message}, "request_id": "req_011CSH"}

    @property
    def beginning(self) -> list[bytes]:
        """A stream before its first content."""
        return (
            [chunk({"role": "assistant", "content": ""})]
            if self.provider == "chat"
            else [message_start(), block_start(0, text(""))]
        )

    @property
    def content(self) -> bytes:
        return chunk({"content": "Hello"}) if self.provider == "chat" else delta(0, "text_delta", text="Hello")

    def in_stream(self, message: str, kind: str, code: str | None = None) -> bytes:
        """An error event of the upstream's dialect."""
        if self.provider == "chat":
            return data({"error": {"message": message, "type": kind, "code": code, "param": None}})
        return event("error", error={"type": kind, "message": message})

    @property
    def answer(self) -> Any:
        return chat_says({"content": "hi"}) if self.provider == "chat" else messages_say([text("hi")])


PAIRS = [
    Pair("messages", "chat"),
    Pair("chat", "claude"),
    Pair("responses", "chat"),
    Pair("responses", "claude"),
    Pair("completions", "chat"),
    Pair("completions", "claude"),
]
pairs = pytest.mark.parametrize("pair", PAIRS, ids=str)
streams = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])


def body_of(error: Any) -> dict[str, Any]:
    """The error object, as this SDK gives it; Anthropic's envelope is checked on the way."""
    if isinstance(error, anthropic.APIError):
        assert error.body["type"] == "error"  # type: ignore[index,call-overload]
        return error.body["error"]  # type: ignore[index,call-overload,no-any-return]
    return error.body  # type: ignore[no-any-return]


@pairs
@streams
@pytest.mark.parametrize(
    ("status", "line", "name"),
    [
        (400, "400 Bad Request", "BadRequestError"),
        (404, "404 Not Found", "NotFoundError"),
        (409, "409 Conflict", "ConflictError"),
        (413, "413 Payload Too Large", "APIStatusError"),
        (422, "422 Unprocessable Entity", "UnprocessableEntityError"),
    ],
)
def test_a_refusal_of_the_callers_request(stage: Stage, pair: Pair, stream: bool, status: int, line: str, name: str) -> None:
    """The upstream's status and words, in the SDK's own exception, without a second try."""
    stage.upstream.answer(ok(pair.refusal(f"no: {status}"), status=line))
    with pytest.raises(getattr(pair.errors, name)) as raised:
        pair.ask(stage, stream)
    error = body_of(raised.value)
    assert (
        raised.value.status_code == status and error["message"] == f"no: {status}" and error["type"].endswith(("_error", "_large"))
    )
    assert len(stage.upstream.requests) == 1
    if pair.provider == "claude" and pair.client == "messages":
        assert raised.value.body["request_id"] == "req_011CSH"


@pytest.mark.parametrize("pair", [pair for pair in PAIRS if pair.provider == "chat"], ids=str)
def test_param_and_code_survive(stage: Stage, pair: Pair) -> None:
    """Clients act on them: a context that is too long is cut and sent again."""
    refusal = pair.refusal("maximum context length is 8192 tokens", param="messages", code="context_length_exceeded")
    stage.upstream.answer(ok(refusal, status="400 Bad Request"))
    with pytest.raises(pair.errors.BadRequestError) as raised:
        pair.ask(stage, False)
    error = body_of(raised.value)
    assert (error["param"], error["code"], error["type"]) == ("messages", "context_length_exceeded", "invalid_request_error")


@pairs
@pytest.mark.parametrize(
    "body",
    [
        b"<html><body><h1>Bad Request</h1></body></html>",
        b"plain words",
        b"",
        b'{"detail":[{"loc":["body"],"msg":"field required"}]}',
        b'{"message":"no envelope","code":400}',
        b'{"error":"a string"}',
        b'{"error":{}}',
        b'{"error":{"message":',
        b"[1,2]",
    ],
    ids=["HTML", "text", "empty", "FastAPI", "no envelope", "a string", "an empty object", "cut", "a list"],
)
def test_a_refusal_in_any_form(stage: Stage, pair: Pair, body: bytes) -> None:
    """It is wrapped into the client's envelope, never passed on as it is."""
    stage.upstream.answer(ok(body, status="400 Bad Request"))
    with pytest.raises(pair.errors.BadRequestError) as raised:
        pair.ask(stage, False)
    error = body_of(raised.value)
    if body == b'{"error":{}}' and pair == Pair("completions", "chat"):
        return  # one dialect of errors: it is passed on as it is
    assert isinstance(error, dict) and error["type"] and isinstance(error["message"], str) and error["message"]


@pairs
@streams
@pytest.mark.parametrize("line", ["500 Internal Server Error", "502 Bad Gateway", "503 Service Unavailable", "529 Overloaded"])
def test_a_fault_of_the_upstream(stage: Stage, pair: Pair, stream: bool, line: str) -> None:
    """503 upstream_error that names the provider and quotes the upstream."""
    stage.upstream.answer(ok(pair.refusal("boom"), status=line))
    with pytest.raises(pair.errors.InternalServerError) as raised:
        pair.ask(stage, stream)
    error = body_of(raised.value)
    assert (raised.value.status_code, error["type"]) == (503, "upstream_error") and "boom" in error["message"]
    assert error["message"].startswith(f"[{pair.provider}]")


@pytest.mark.parametrize(("pair", "number"), [(pair, PAIRS.index(pair) // 2) for pair in PAIRS], ids=lambda value: str(value))
def test_a_key_that_is_spent(stage: Stage, pair: Pair, number: int) -> None:
    """429: no_keys, with the time to come again."""
    provider = f"{pair.provider}-{number + 3 * (pair.client == 'completions')}"
    stage.upstream.answer(ok(pair.refusal("slow down"), "Retry-After: 1", status="429 Too Many Requests"))
    with pytest.raises(pair.errors.APIStatusError) as raised:
        pair.ask(stage, False, provider)
    assert (raised.value.status_code, body_of(raised.value)["type"]) == (503, "no_keys")
    assert int(raised.value.response.headers["retry-after"]) >= 1


@pairs
def test_an_error_event_before_any_content_is_a_status(stage: Stage, pair: Pair) -> None:
    """The attempt failed, and nothing was sent yet."""
    kind = "server_error" if pair.provider == "chat" else "api_error"
    for first in ([], pair.beginning):
        stage.upstream.answer(streamed(*first, pair.in_stream("boom", kind), end=False))
        with pytest.raises(pair.errors.InternalServerError) as raised:
            pair.ask(stage, True)
        error = body_of(raised.value)
        assert (raised.value.status_code, error["type"]) == (503, "upstream_error") and "boom" in error["message"]


@pairs
def test_an_error_event_that_is_the_callers_fault(stage: Stage, pair: Pair) -> None:
    """400, as it would have been without a stream."""
    stage.upstream.answer(streamed(pair.in_stream("too long", "invalid_request_error"), end=False))
    with pytest.raises(pair.errors.BadRequestError) as raised:
        pair.ask(stage, True)
    assert body_of(raised.value)["message"] == "too long"


@pairs
@pytest.mark.parametrize("first", ["nothing", "a comment", "the beginning", "half an event"])
def test_a_stream_that_ends_before_any_content_is_a_status(stage: Stage, pair: Pair, first: str) -> None:
    """A connection that just closes is no answer."""
    pieces = {"nothing": [], "a comment": [b": hi\n\n"], "the beginning": pair.beginning, "half an event": [pair.content[:20]]}[
        first
    ]
    stage.upstream.answer(streamed(*pieces, end=first != "half an event"))
    with pytest.raises(pair.errors.InternalServerError) as raised:
        pair.ask(stage, True)
    assert (raised.value.status_code, body_of(raised.value)["type"]) == (503, "upstream_error")


@pairs
@pytest.mark.parametrize("how", ["an error", "its end", "a close", "a reset", "half an event"])
def test_a_stream_that_breaks_after_content(stage: Stage, pair: Pair, how: str) -> None:
    """What came is there, and then the SDK sees an error; an upstream's own words are kept."""
    kind = "server_error" if pair.provider == "chat" else "overloaded_error"
    rest: dict[str, list[Step]] = {
        "an error": [pair.in_stream("boom", kind)],
        "its end": [],
        "a close": [0.02, CLOSE],
        "a reset": [0.05, RESET],
        "half an event": [pair.content[:25]],
    }
    stage.upstream.answer(streamed(*pair.beginning, pair.content, *rest[how], end=how in ("an error", "its end")))
    said = []
    with pytest.raises(pair.errors.APIError) as raised:
        for each in pair.ask(stage, True):
            said.append(pair.text_of([each]))
    assert "".join(said) == "Hello"
    assert not isinstance(raised.value, pair.errors.APIConnectionError), "the relay ends its own stream whole"
    if how == "an error":
        assert "boom" in str(raised.value)


@pairs
@pytest.mark.parametrize("form", ["cut JSON", "cut body", "HTML", "no choices", "null"])
def test_a_success_that_is_none(stage: Stage, pair: Pair, form: str) -> None:
    """200 with something else in it: upstream_error."""
    whole = json.dumps(pair.answer.whole).encode()
    cut = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(whole)}\r\n\r\n".encode() + whole[:40]
    answers: dict[str, tuple[Step, ...]] = {
        "cut JSON": ok(whole[:60]),
        "cut body": (cut, CLOSE),
        "HTML": ok(b"<html>login</html>", kind="text/html"),
        "no choices": ok({"id": "x"}),
        "null": ok(b"null"),
    }
    stage.upstream.answer(answers[form])
    with pytest.raises(pair.errors.InternalServerError) as raised:
        pair.ask(stage, False)
    error = body_of(raised.value)
    assert (raised.value.status_code, error["type"]) == (503, "upstream_error") and error["message"].startswith(
        f"[{pair.provider}]"
    )


@pairs
def test_a_failed_stream_leaves_nothing_behind(stage: Stage, pair: Pair) -> None:
    """The next request is served as if nothing had happened."""
    stage.upstream.answer(streamed(*pair.beginning, end=False), streamed(*pair.answer.events))
    with pytest.raises(pair.errors.InternalServerError):
        pair.ask(stage, True)
    assert len(list(pair.ask(stage, True))) > 1
