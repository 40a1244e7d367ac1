"""Whole answers that are no success: every status, bodies of every kind, successes that are none, and what heads may look like."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from fault_scripts import DIALECTS, PAIRS
from story_client import Answer
from story_errors import is_error
from story_process import Relay
from story_providers import SECRETS, SERVER, keys
from story_upstream import CLOSE, HANG, RESET, Recorded, Recorder, Step, ok, streamed

OFFERS = {
    "chat": {"openai.chat": "/chat/completions", "openai.embeddings": "/embeddings"},
    "messages": {"anthropic.messages": "/messages"},
    "responses": {"openai.responses": "/responses"},
}
SPARE = 24  # providers of each dialect whose key a test may wear out
OPENAI = b'{"error":{"message":"the sea","type":"invalid_request_error","param":null,"code":null}}'
CLAUDE = b'{"type":"error","error":{"type":"invalid_request_error","message":"the sea"}}'
ERRORS = {"chat": OPENAI, "responses": OPENAI, "messages": CLAUDE}
streams = pytest.mark.parametrize("stream", [False, True], ids=["json", "stream"])
pairs = pytest.mark.parametrize(("client", "up"), PAIRS, ids=[f"{client} on {up}" for client, up in PAIRS])


@pytest.fixture(scope="module")
def relay(start: Callable[..., Relay], upstream: Recorder) -> Relay:
    timeouts = {"connect": 5, "first_byte": 5, "idle": 5}
    providers = {
        f"{name}{number}": {"base_url": f"{upstream.origin}/{name}", "keys": keys("a"), "offers": offers, "timeouts": timeouts}
        for name, offers in OFFERS.items()
        for number in ["", *range(SPARE)]
    }
    return start({"server": SERVER, "providers": providers}, environ=SECRETS, expected=("it rests for",))


@pytest.fixture(scope="module")
def spares() -> Iterator[int]:
    return iter(range(SPARE))


@pytest.fixture(autouse=True)
def no_rule(upstream: Recorder) -> None:
    upstream.rule(lambda request: None)


def ask(relay: Relay, client: str, provider: str, stream: bool = False, model: str = "m", call: str = "") -> Answer:
    body = {"model": f"{model}@{provider}", "stream": stream, **DIALECTS[client].body}
    return relay.ask("POST", DIALECTS[client].path, *((("x-request-id", call),) if call else ()), body=body)


# ---------------------------------------------------------------------------------------------------- statuses


@streams
@pytest.mark.parametrize(("client", "up"), [("chat", "chat"), ("messages", "messages"), ("messages", "chat"), ("chat", "messages")])
def test_every_status(relay: Relay, upstream: Recorder, client: str, up: str, stream: bool) -> None:
    """3xx and 5xx are the upstream's fault, 4xx the caller's own (but for those that refuse the key): one attempt each."""

    def script(request: Recorded) -> tuple[Step, ...]:
        return ok(ERRORS[up], "Location: http://127.0.0.1:9/", status=f"{request.json['model']} Said")

    upstream.rule(script)
    statuses = [status for status in range(300, 600) if status not in (401, 402, 403, 429)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda status: ask(relay, client, up, stream, str(status)), statuses))
    for status, answer in zip(statuses, answers, strict=True):
        family = DIALECTS[client].family
        assert answer.header("x-monorelay-upstream-status") == str(status)
        assert answer.header("x-monorelay-attempts") == "1" and "location" not in answer.names()
        if 400 <= status < 500:
            assert answer.status == status and "the sea" in answer.error["message"]
            assert ("type" in answer.json) is (family == "anthropic")
            if client == up:
                assert answer.body == ERRORS[up]
        else:
            message = is_error(answer, 503, "upstream_error", family)
            assert ("redirect" in message) if status < 400 else ("the sea" in message)
    assert len(upstream.requests) == len(statuses), "none is retried, no redirect is followed"
    upstream.rule(lambda request: None)
    upstream.answer(ok(DIALECTS[up].whole))
    assert ask(relay, client, up).status == 200, "the key is as good as before"


# ---------------------------------------------------------------------------------------------------- bodies

BODIES: dict[str, tuple[bytes, str, str]] = {
    "HTML": (b"<html><head><title>Oh dear</title></head></html>", "text/html", "Oh dear"),
    "HTML that calls itself JSON": (b"<html>Oh dear</html>", "application/json", "Oh dear"),
    "text": (b"Oh dear", "text/plain", "Oh dear"),
    "nothing": (b"", "application/json", "an empty body"),
    "detail": (b'{"detail":"Oh dear"}', "application/json", "Oh dear"),
    "details": (b'{"detail":[{"loc":["body"],"msg":"Oh dear"}]}', "application/json", "Oh dear"),
    "a string": (b'{"error":"Oh dear"}', "application/json", "Oh dear"),
    "a message": (b'{"message":"Oh dear","status":1}', "application/json", "Oh dear"),
    "a list of errors": (b'[{"error":{"code":1,"message":"Oh dear"}}]', "application/json", "Oh dear"),
    "errors": (b'{"errors":[{"message":"Oh dear"}],"success":false}', "application/json", "Oh dear"),
    "problem": (b'{"title":"Oh dear","status":1}', "application/problem+json", "Oh dear"),
    "an event": (b'event: error\ndata: {"error":{"message":"Oh dear"}}\n\n', "text/event-stream", "Oh dear"),
    "cut JSON": (b'{"error":{"message":"Oh dear', "application/json", "Oh dear"),
    "no text at all": (b"\xff\xfe\x00\x01 Oh dear", "application/octet-stream", "Oh dear"),
    "a novel": (b"Oh dear" + b"x" * 300_000, "text/plain", "Oh dear"),
}


@streams
@pytest.mark.parametrize("kind", BODIES)
@pairs
def test_bodies_of_refusals(relay: Relay, upstream: Recorder, client: str, up: str, kind: str, stream: bool) -> None:
    """Whatever the upstream says is told in the one envelope, briefly."""
    body, content_type, said = BODIES[kind]
    for status in (422, 500):
        upstream.answer(ok(body, kind=content_type, status=f"{status} Said"))
        answer = ask(relay, client, up, stream)
        expected = (422, "invalid_request_error") if status == 422 else (503, "upstream_error")
        message = is_error(answer, *expected, DIALECTS[client].family)
        assert said in message and len(message) < 800
        assert message.startswith(f"[{up}] ") or kind == "a list of errors", "of such a list the first is taken for the error"
        assert answer.header("x-monorelay-upstream-status") == str(status)


# ---------------------------------------------------------------------------------------------------- successes that are none

ASIDE = b'{"error":{"message":"the sea","code":%s},"user_id":"u"}'
NONE_AT_ALL: dict[str, tuple[tuple[Step, ...], int, str]] = {
    "a web page": (ok(b"<html>login</html>", kind="text/html; charset=utf-8"), 503, "upstream_error"),
    "nothing": (ok(b""), 503, "upstream_error"),
    "nothing of no type": ((b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",), 503, "upstream_error"),
    "blanks": (ok(b"  \n"), 503, "upstream_error"),
    "text that calls itself JSON": (ok(b"upstream timed out"), 503, "upstream_error"),
    "an error": (ok(ASIDE % b"502"), 503, "upstream_error"),
    "an error of the caller's": (ok(ASIDE % b"400"), 400, "invalid_request_error"),
    "an error in words": (ok(b'{"error":"the sea"}'), 503, "upstream_error"),
    "an error of the other family": (
        ok(b'{"type":"error","error":{"type":"overloaded_error","message":"the sea"}}'),
        503,
        "upstream_error",
    ),
    "an empty stream": (streamed(), 503, "upstream_error"),
    "a stream of comments": (streamed(b": one\n\n", b": two\n\n"), 503, "upstream_error"),
    "a stream with an error": (streamed(b'data: {"error":{"message":"the sea","code":502}}\n\n'), 503, "upstream_error"),
    "a stream of garbage": (streamed(b"\x00\xff\x00garbage" * 50), 503, "upstream_error"),
    "a stream of cut JSON": (streamed(b'data: {"choices": [{"del\n\n'), 503, "upstream_error"),
}


@streams
@pytest.mark.parametrize("form", NONE_AT_ALL)
@pairs
def test_a_success_that_is_none(relay: Relay, upstream: Recorder, client: str, up: str, form: str, stream: bool) -> None:
    """200 is not enough: what cannot be an answer fails the attempt."""
    steps, status, kind = NONE_AT_ALL[form]
    upstream.answer(steps)
    answer = ask(relay, client, up, stream)
    message = is_error(answer, status, kind, DIALECTS[client].family)
    assert ("the sea" in message) is (b"the sea" in b"".join(step for step in steps if isinstance(step, bytes)))
    assert answer.header("x-monorelay-upstream-status") == "200" and len(upstream.requests) == 1


def test_an_error_in_a_success_counts_against_its_key(relay: Relay, upstream: Recorder, spares: Iterator[int]) -> None:
    """429 cools it, 401 and 402 let it rest, as if the status had said so."""
    for code, then in ((b"429", "no_keys"), (b"401", "upstream_error"), (b"402", "upstream_error")):
        for client, up in PAIRS[:2]:
            provider = f"{up}{next(spares)}"
            upstream.answer(ok(ASIDE % code))
            is_error(ask(relay, client, provider), 503, then, DIALECTS[client].family)
            upstream.reset()
            is_error(ask(relay, client, provider), 503, "no_keys", DIALECTS[client].family)
            assert upstream.requests == []


@pytest.mark.parametrize(
    "body", [b'{"error":null,"id":"x"}', b'{"id":"x","error":{"message":"the model\'s"}}', b'{"error":{},"data":[]}']
)
def test_a_success_may_speak_of_errors(relay: Relay, upstream: Recorder, body: bytes) -> None:
    """A response that failed is an answer, and passes byte for byte."""
    upstream.answer(ok(body))
    answer = ask(relay, "responses", "responses")
    assert (answer.status, answer.body) == (200, body)


# ---------------------------------------------------------------------------------------------------- errors in mid-stream

IN_BAND = {
    "chat": b'data: {"error":{"message":"the sea","type":"server_error","code":%d}}\n\n',
    "messages": b'event: error\ndata: {"type":"error","error":{"type":"api_error","message":"the sea","code":%d}}\n\n',
    "responses": b'event: error\ndata: {"type":"error","code":"%d","message":"the sea","sequence_number":9}\n\n',
}
AFTERWARDS: dict[str, tuple[Step, ...]] = {
    "ended": (b"0\r\n\r\n",),
    "closed": (CLOSE,),
    "reset": (0.02, RESET),
    "talks on": (b"7\r\n: and \n\r\n0\r\n\r\n",),
}


@pytest.mark.parametrize("then", AFTERWARDS)
@pairs
def test_an_error_after_the_commit_is_told_once(relay: Relay, upstream: Recorder, client: str, up: str, then: str) -> None:
    """The upstream's own words end the stream; nothing is added, and no end is made up."""
    dialect = DIALECTS[up]
    sent = streamed(*dialect.events[: dialect.opening + 2], IN_BAND[up] % 500)[:-1]
    upstream.answer((*sent, *AFTERWARDS[then]))
    answer = ask(relay, client, up, True)
    assert answer.status == 200 and answer.whole
    text = answer.body.decode()
    assert text.count("the sea") == 1 and "Hel" in text
    assert not re.search(r'\[DONE\]|message_stop|response\.completed|finish_reason":"|message_delta', text), text
    if client == up:
        assert answer.body.startswith(b"".join(piece for piece in dialect.events[: dialect.opening + 2]) + IN_BAND[up] % 500)


@pytest.mark.parametrize("then", ["closed", "reset"])
@pairs
def test_what_happens_after_the_end_harms_nobody(relay: Relay, upstream: Recorder, client: str, up: str, then: str) -> None:
    """A connection that breaks when everything was said."""
    upstream.answer((*streamed(*DIALECTS[up].events)[:-1], *AFTERWARDS[then]))
    call = f"ended-{client}-{up}-{then}"
    answer = ask(relay, client, up, True, call=call)
    assert "broken" not in relay.wait_for(rf"call={call} .* status=200 .*\n")[0]
    assert answer.status == 200 and answer.whole and "error" not in answer.body.decode().replace('"error":null', "")
    if client == up:
        assert answer.body == b"".join(DIALECTS[up].events)


def test_an_upstream_that_does_not_end_is_not_waited_for(relay: Relay, upstream: Recorder) -> None:
    """Three silent seconds after its last event the client has its end, and the upstream is let go."""
    upstream.rule(lambda request: (*streamed(*DIALECTS[request.target.split("/")[1]].events)[:-1], HANG))
    began = time.monotonic()
    with ThreadPoolExecutor(len(PAIRS)) as pool:
        answers = list(pool.map(lambda pair: ask(relay, *pair, True), PAIRS))
    assert 2.5 < time.monotonic() - began < 4.5
    for (client, up), answer in zip(PAIRS, answers, strict=True):
        assert answer.status == 200 and answer.whole and b"error" not in answer.body.replace(b'"error":null', b"")
        if client == up:
            assert answer.body == b"".join(DIALECTS[up].events)
    assert all(request.gone.wait(1) for request in upstream.requests)


def test_what_comes_late_behind_the_last_content_is_relayed(relay: Relay, upstream: Recorder) -> None:
    """The usage of a chat, its other choices, its [DONE]."""
    events = DIALECTS["chat"].events
    upstream.answer(streamed(*events[:4], 3.5, *events[4:]))
    answer = ask(relay, "chat", "chat", True)
    assert answer.body == b"".join(events) and answer.whole


@pytest.mark.parametrize("client", DIALECTS)
def test_an_answer_without_its_type_is_known_by_what_was_asked(relay: Relay, upstream: Recorder, client: str) -> None:
    """Passed on byte for byte; and a cut one is no success."""
    dialect = DIALECTS[client]
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

    def chunks(*pieces: bytes) -> tuple[Step, ...]:
        return (head, *(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces), b"0\r\n\r\n")

    for stream, whole in ((False, [dialect.whole]), (True, list(dialect.events))):
        upstream.answer(chunks(*whole), chunks(b"".join(whole[:2])[:60]))
        answer = ask(relay, client, client, stream)
        assert (answer.status, answer.body) == (200, b"".join(whole))
        is_error(ask(relay, client, client, stream), 503, "upstream_error", dialect.family)


# ---------------------------------------------------------------------------------------------------- heads

WHOLE = DIALECTS["chat"].whole
LENGTH = b"Content-Type: application/json\r\nContent-Length: %d\r\n" % len(WHOLE)
GOOD_HEADS: dict[str, tuple[Step, ...]] = {
    "100 before it": (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n" + LENGTH + b"\r\n" + WHOLE,),
    "early hints": (b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" * 3, b"HTTP/1.1 200 OK\r\n" + LENGTH + b"\r\n" + WHOLE),
    "no reason": (b"HTTP/1.1 200\r\n" + LENGTH + b"\r\n" + WHOLE,),
    "HTTP/1.0": (b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n" + WHOLE, CLOSE),
    "bare line feeds": (b"HTTP/1.1 200 OK\n" + LENGTH.replace(b"\r", b"") + b"\n" + WHOLE,),
    "in pieces": tuple(bytes([byte]) for byte in b"HTTP/1.1 200 OK\r\n" + LENGTH + b"\r\n") + (WHOLE,),
    "a long field": (b"HTTP/1.1 200 OK\r\nX-Long: " + b"y" * 60_000 + b"\r\n" + LENGTH + b"\r\n" + WHOLE,),
    "many fields": (b"HTTP/1.1 200 OK\r\n" + b"X-Many: y\r\n" * 1000 + LENGTH + b"\r\n" + WHOLE,),
    "odd fields": (b"HTTP/1.1 200 OK\r\nX-\xff: \xfe\x07\r\n" + LENGTH + b"\r\n" + WHOLE,),
    "201": (b"HTTP/1.1 201 Created\r\n" + LENGTH + b"\r\n" + WHOLE,),
    "a second answer": (b"HTTP/1.1 200 OK\r\n" + LENGTH + b"\r\n" + WHOLE + b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n", CLOSE),
}
BAD_HEADS: dict[str, tuple[Step, ...]] = {
    "HTTP/0.9": (WHOLE, CLOSE),
    "another protocol": (b"220 mail.example ESMTP\r\n", CLOSE),
    "TLS": (b"\x15\x03\x01\x00\x02\x02\x46", CLOSE),
    "no number": (b"HTTP/1.1 OK 200\r\n\r\n", CLOSE),
    "status 0": (b"HTTP/1.1 000 Oh\r\nContent-Length: 0\r\n\r\n", CLOSE),
    "status 99": (b"HTTP/1.1 99 Oh\r\nContent-Length: 0\r\n\r\n", CLOSE),
    "status 600": (b"HTTP/1.1 600 Oh\r\nContent-Length: 0\r\n\r\n", CLOSE),
    "status 999": (b"HTTP/1.1 999 Oh\r\nContent-Length: 0\r\n\r\n", CLOSE),
    "101": (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", CLOSE),
    "1xx and nothing else": (b"HTTP/1.1 100 Continue\r\n\r\n", CLOSE),
    "a huge field": (b"HTTP/1.1 200 OK\r\nX-Huge: " + b"y" * 2_000_000 + b"\r\n\r\n", CLOSE),
    "a huge head": (b"HTTP/1.1 200 OK\r\n" + b"X-Many: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n" * 50_000 + b"\r\n", CLOSE),
    "a head without an end": (b"HTTP/1.1 200 OK\r\nX-A: b\r\n", CLOSE),
    "NUL": (b"HTTP/1.1 200 OK\r\nX-Nul: a\x00b\r\n\r\n", CLOSE),
    "a length that is none": (b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: many\r\n\r\n", CLOSE),
    "two lengths": (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 3\r\nContent-Length: 9\r\n\r\n{}",
        CLOSE,
    ),
}


@pytest.mark.parametrize("form", GOOD_HEADS)
def test_heads_that_are_odd_but_good(relay: Relay, upstream: Recorder, form: str) -> None:
    """Whoever reads them generously has an answer."""
    for stream in (False, True):
        upstream.answer(GOOD_HEADS[form], GOOD_HEADS[form])
        answer = ask(relay, "chat", "chat", stream)
        assert answer.status // 100 == 2 and (b"[DONE]" in answer.body if stream else answer.body == WHOLE), answer
        upstream.reset()
    assert ask(relay, "messages", "chat").status in (200, 503)
    upstream.reset()


@pytest.mark.parametrize("form", BAD_HEADS)
@pytest.mark.parametrize(("client", "up"), [("chat", "chat"), ("messages", "chat")])
def test_heads_that_are_none(relay: Relay, upstream: Recorder, client: str, up: str, form: str) -> None:
    """upstream_error, at once, and the next request is served."""
    for stream in (False, True):
        upstream.answer(BAD_HEADS[form], BAD_HEADS[form])
        message = is_error(ask(relay, client, up, stream), 503, "upstream_error", DIALECTS[client].family)
        assert message.startswith(f"[{up}] ")
        upstream.reset()
        upstream.answer(ok(DIALECTS[up].whole))
        assert ask(relay, client, up).status == 200


@pytest.mark.parametrize("apart", [False, True], ids=["with the head", "behind it"])
def test_what_a_body_hides_behind_its_length_is_nobodys_answer(relay: Relay, upstream: Recorder, apart: bool) -> None:
    """Bytes after the end of an answer do not become the next one's beginning, however libcurl comes to read them."""
    poison = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{"bad":1}'
    head, body = ok(WHOLE)[0][: -len(WHOLE)], WHOLE + poison  # type: ignore[index]
    upstream.reset()
    upstream.answer((head, 0.1, body) if apart else (head + body,), ok(WHOLE), ok(WHOLE))
    for _ in range(3):
        answer = ask(relay, "chat", "chat")
        assert (answer.status, answer.body) == (200, WHOLE)


def test_a_call_with_an_answer_at_once_and_a_body_still_going_up(relay: Relay, upstream: Recorder) -> None:
    """A refusal before the body was read: its status, not a broken pipe."""
    big = {"model": "m@chat", "messages": [{"role": "user", "content": "x" * 3_000_000}]}
    upstream.answer_early(*ok(OPENAI, "Connection: close", status="413 Large"), 0.5)
    answer = relay.post("/v1/chat/completions", big)
    assert (answer.status, answer.body) == (413, OPENAI)


@pytest.mark.parametrize("form", ["json", "stream"])
def test_a_trail_tells_nothing_of_what_was_said(relay: Relay, upstream: Recorder, form: str) -> None:
    """An upstream that repeats our key does not get it into an answer."""
    for steps in (ok(b"<b>sk-up-a</b>", status="500 sk-up-a"), streamed(b'data: {"error":{"message":"sk-up-a","code":500}}\n\n')):
        upstream.answer(steps)
        answer = ask(relay, "chat", "chat", form == "stream")
        assert answer.status == 503 and b"sk-up-a" not in answer.body + answer.head
