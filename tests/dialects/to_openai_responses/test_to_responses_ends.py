"""What streams tell besides text, and how they end: errors before and after content, responses cut short, usage, refusals."""

from __future__ import annotations

import json

import pytest
from test_to_responses_streams import ASKED, EVERY, SERVERS, agreed
from to_responses_clients import told, without_indexes
from to_responses_stage import (
    CHAT,
    ERROR,
    MESSAGES,
    PAIRS,
    USAGE,
    Server,
    answer,
    begin,
    call,
    custom,
    event,
    message,
    response,
    run,
    thought,
)

from monorelay.dialects.interface import Truncated
from monorelay.dialects.sse import read_events

FAILURES = {
    "failed": event(
        "response.failed", response=response(status="failed", error={"code": "rate_limit_exceeded", "message": "Slow."})
    ),
    "error": event("error", code="rate_limit_exceeded", message="Slow.", param=None, sequence_number=3),
    "nested": event("error", error={"type": "tokens", "code": "rate_limit_exceeded", "message": "Slow.", "param": None}),
    "bare": b'data: {"error":{"message":"Slow.","code":"rate_limit_exceeded"}}\n\n',
    "completed": event(
        "response.completed", response=response(status="failed", error={"code": "rate_limit_exceeded", "message": "Slow."})
    ),
}


@EVERY
@pytest.mark.parametrize("failure", FAILURES)
def test_an_error_before_content(pair: str, failure: str) -> None:
    """It fails the attempt; only a relay that committed long ago, and so closes the stream, gets it for the client."""
    begun = event("response.created", response=response(status="in_progress"))
    transducer = begin(pair, ASKED[pair]).stream()
    early = transducer.feed(begun) + transducer.feed(FAILURES[failure])
    assert b"Slow" not in early and not transducer.opened and transducer.finished
    assert transducer.error is not None and transducer.error.status == 429
    assert (transducer.error.body.message, transducer.error.body.code) == ("Slow.", "rate_limit_exceeded")
    assert transducer.feed(FAILURES[failure]) == b""
    read = told(pair, early + transducer.close())
    assert read.error is not None and read.error["message"] == "Slow." and read.error["type"] == "rate_limit_error"


@EVERY
@pytest.mark.parametrize("failure", FAILURES)
def test_an_error_after_content(pair: str, failure: str) -> None:
    """The client is told what there was, then the error, then nothing more."""
    begun = event("response.output_text.delta", output_index=0, item_id="msg_1", content_index=0, delta="Hel")
    for chunks in ([begun, FAILURES[failure]], [begun + FAILURES[failure]], [begun, FAILURES[failure].rstrip()]):
        transducer = begin(pair, ASKED[pair]).stream()
        read = told(pair, run(transducer, *chunks))
        assert transducer.error is not None and transducer.finished and not read.is_whole
        assert read.error is not None and read.error["message"] == "Slow." and read.error["code"] == "rate_limit_exceeded"
        assert transducer.fail(ERROR) == b"" and transducer.close() == b""


@EVERY
def test_a_late_error_without_its_blank_line(pair: str) -> None:
    """It still fails the attempt; and where that is too late, the client is still told."""
    transducer = begin(pair, ASKED[pair]).stream()
    transducer.feed(FAILURES["failed"].rstrip())
    with pytest.raises(Truncated, match="Slow"):
        transducer.close()
    assert not transducer.opened and transducer.error is not None
    assert told(pair, transducer.fail(ERROR)).error is not None


@EVERY
def test_a_cancelled_response_is_an_error(pair: str) -> None:
    """Also where nobody says why."""
    for end in (event("response.cancelled", response=response(status="cancelled")), event("response.failed", response=None)):
        transducer = begin(pair, ASKED[pair]).stream()
        transducer.feed(end)
        assert transducer.error is not None and transducer.error.body.message
    with pytest.raises(Truncated):
        begin(pair).answer(answer(status="cancelled"))


@EVERY
@pytest.mark.parametrize(
    "reason, chat, messages",
    [
        ("max_output_tokens", "length", "max_tokens"),
        ("content_filter", "content_filter", "refusal"),
        ("steered", "stop", "end_turn"),
        ("max_messages", "length", "max_tokens"),
        (None, "length", "max_tokens"),
    ],
)
def test_incomplete_responses(pair: str, reason: str | None, chat: str, messages: str) -> None:
    """Why a response stopped short is told, streamed or not."""
    details = None if reason is None else {"reason": reason}
    whole = response(message("Hel"), status="incomplete", incomplete_details=details)
    found = agreed(pair, run(begin(pair, ASKED[pair]).stream(), Server().stream(whole)))
    assert found == json.loads(begin(pair, ASKED[pair]).answer(json.dumps(whole).encode()))
    assert (found["choices"][0]["finish_reason"] if pair == CHAT else found["stop_reason"]) == (chat if pair == CHAT else messages)


def test_a_call_that_was_cut_is_not_made_whole() -> None:
    """Its arguments are those that came: a client must not run a call that was never finished."""
    for arguments in ("", '{"path": "/etc', "{"):
        whole = response(
            call("rm", arguments, status="incomplete"), status="incomplete", incomplete_details={"reason": "max_output_tokens"}
        )
        for server in (Server(), Server(last=False), Server(items=True, parts=False)):
            found = agreed(CHAT, run(begin(CHAT, ASKED[CHAT]).stream(), server.stream(whole)))
            choice = found["choices"][0]
            said = choice["message"]["tool_calls"][0]["function"]["arguments"]
            assert choice["finish_reason"] == "length" and arguments.startswith(said) and said != "{}"


def test_custom_tools() -> None:
    """The text of a call of a custom tool is told as it is, in pieces."""
    items = [custom("patch", 'say "hi"\n'), custom("patch", "", "call_2", "ctc_2")]
    whole = json.loads(begin(CHAT, ASKED[CHAT]).answer(answer(*items)))
    calls = whole["choices"][0]["message"]["tool_calls"]
    assert calls[0] == {"id": "call_1", "type": "custom", "custom": {"name": "patch", "input": 'say "hi"\n'}}
    for server in SERVERS.values():
        assert agreed(CHAT, run(begin(CHAT, ASKED[CHAT]).stream(), server.stream(response(*items)))) == without_indexes(whole)


def test_arguments_that_come_twice_are_told_once() -> None:
    """Servers open a call with ``{}``, or repeat its arguments in another spelling."""
    item = call("f", '{"a": 1}')
    where = {"item_id": "fc_1", "output_index": 0}
    stream = b"".join(
        [
            event("response.output_item.added", output_index=0, item={**item, "arguments": "{}"}),
            event("response.function_call_arguments.delta", **where, delta='{"a":1}'),
            event("response.function_call_arguments.done", **where, arguments='{"a": 1}'),
            event("response.output_item.done", output_index=0, item=item),
            event("response.completed", response=response(item)),
        ]
    )
    chat = agreed(CHAT, run(begin(CHAT, ASKED[CHAT]).stream(), stream))
    assert chat["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"] == '{"a":1}'
    messages = agreed(MESSAGES, run(begin(MESSAGES, ASKED[MESSAGES]).stream(), stream))
    assert messages["content"] == [{"type": "tool_use", "id": "call_1", "name": "f", "input": {"a": 1}}]


def test_interleaved_calls() -> None:
    """Deltas of several calls at once find their own; blocks of messages do not overlap."""
    items = [call("a", '{"n":1}'), call("b", '{"m":2}', "call_2", "fc_2")]
    events = [event("response.output_item.added", output_index=at, item={**each, "arguments": ""}) for at, each in enumerate(items)]
    for piece in range(7):
        for at, each in enumerate(items):
            where = {"item_id": each["id"], "output_index": at}
            events.append(event("response.function_call_arguments.delta", **where, delta=each["arguments"][piece]))
    events += [event("response.output_item.done", output_index=at, item=each) for at, each in enumerate(items)]
    begun = event("response.created", response=response(status="in_progress"))
    stream = b"".join([begun, *events, event("response.completed", response=response(*items))])
    for pair in PAIRS:
        whole = json.loads(begin(pair, ASKED[pair]).answer(answer(*items)))
        assert agreed(pair, run(begin(pair, ASKED[pair]).stream(), stream)) == without_indexes(whole)


@EVERY
def test_citations(pair: str) -> None:
    """A source is told when it comes, where it comes, or with the end of its message; the vendor's own files are not."""
    page = {"type": "url_citation", "start_index": 3, "end_index": 7, "title": "T", "url": "https://example.com/a"}
    other = {**page, "url": "https://example.com/b", "start_index": 0, "end_index": 2}
    file = {"type": "file_citation", "file_id": "file_1", "filename": "f", "index": 1}
    first, second = message("Before.", "msg_1"), message("See here.", "msg_2", annotations=[page, file])
    second["content"].append({"type": "output_text", "text": " More.", "annotations": [other]})
    items = [first, second]
    whole = json.loads(begin(pair, ASKED[pair]).answer(answer(*items)))
    for server in (Server(), Server(deltas=False, parts=False)):
        assert agreed(pair, run(begin(pair, ASKED[pair]).stream(), server.stream(response(*items)))) == without_indexes(whole)
    added = event(
        "response.output_text.annotation.added",
        item_id="msg_2",
        output_index=1,
        content_index=0,
        annotation_index=0,
        annotation=page,
    )
    events = [each.raw for each in read_events(Server().stream(response(*items)))]
    at = next(at for at, each in enumerate(events) if b"output_text.done" in each and b"See here" in each)
    stream = b"".join([*events[:at], added, *events[at:]])
    assert agreed(pair, run(begin(pair, ASKED[pair]).stream(), stream)) == without_indexes(whole)
    if pair == CHAT:
        cited = whole["choices"][0]["message"]
        spots = [each["url_citation"] for each in cited["annotations"]]
        assert cited["content"][spots[0]["start_index"] : spots[0]["end_index"]] == " her"
        assert cited["content"][spots[1]["start_index"] : spots[1]["end_index"]] == " M"
    else:
        assert [each["url"] for each in whole["content"][1]["citations"]] == [page["url"], other["url"]]


def test_logprobs() -> None:
    """Probabilities of tokens are told to whom asked for them."""
    told_ = [{"token": "Hi", "logprob": -0.5, "top_logprobs": [{"token": "Hi", "logprob": -0.5}]}]
    stream = b"".join(
        [
            event("response.output_item.added", output_index=0, item={**message(""), "content": []}),
            event("response.output_text.delta", item_id="msg_1", output_index=0, content_index=0, delta="Hi", logprobs=told_),
            event("response.completed", response=response(message("Hi", logprobs=told_))),
        ]
    )
    bare = {"token": "Hi", "logprob": -0.5, "bytes": None}
    expected = {"content": [{**bare, "top_logprobs": [bare]}], "refusal": None}
    asked = {"logprobs": True, "top_logprobs": 1}
    assert agreed(CHAT, run(begin(CHAT, asked).stream(), stream))["choices"][0]["logprobs"] == expected
    whole = json.loads(begin(CHAT, asked).answer(answer(message("Hi", logprobs=told_))))
    assert whole["choices"][0]["logprobs"] == expected
    assert agreed(CHAT, run(begin(CHAT).stream(), stream))["choices"][0]["logprobs"] is None


@EVERY
def test_thoughts_are_told_to_whom_asked(pair: str) -> None:
    """A client of messages that asked for no thinking gets no block that it does not know; chat has no such blocks."""
    items = [thought("Hm"), message("So.")]
    for body in ({}, {"thinking": {"type": "disabled"}}):
        stream = run(begin(pair, body).stream(), Server().stream(response(*items)))
        found = agreed(pair, stream)
        if pair == MESSAGES:
            assert found["content"] == [{"type": "text", "text": "So."}]
            assert found["content"] == json.loads(begin(pair, body).answer(answer(*items)))["content"]


def test_thinking_that_is_omitted() -> None:
    """The client gets what it needs to send the thought back, and no text."""
    asked = {"thinking": {"type": "adaptive", "display": "omitted"}}
    items = [thought("Hm"), message("So.")]
    whole = json.loads(begin(MESSAGES, asked).answer(answer(*items)))
    block = whole["content"][0]
    assert block["type"] == "thinking" and block["thinking"] == "" and block["signature"]
    assert agreed(MESSAGES, run(begin(MESSAGES, asked).stream(), Server().stream(response(*items)))) == whole


@EVERY
def test_usage_that_nobody_told_is_unknown(pair: str) -> None:
    """It is not zero, where the dialect can say so."""
    transducer = begin(pair, ASKED[pair]).stream()
    found = agreed(pair, run(transducer, Server().stream(response(message("x"), usage=None))))
    assert transducer.usage is None
    assert "usage" not in found if pair == CHAT else found["usage"] == {"input_tokens": 0, "output_tokens": 0}


def test_usage_is_hidden_unless_asked_for() -> None:
    """The ledger knows it all the same."""
    transducer = begin(CHAT, {"stream": True}).stream()
    assert "usage" not in agreed(CHAT, run(transducer, Server().stream(response(message("x")))))
    assert transducer.usage is not None and transducer.usage.output == USAGE["output_tokens"]


@EVERY
@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b'{"error":{"message":"no","code":"server_error"}}', b'{"output":1}', b'{"status":"failed"}'],
)
def test_answers_that_are_none(pair: str, body: bytes) -> None:
    """Cut, of another shape, or an error in a success: never passed on."""
    with pytest.raises(Truncated):
        begin(pair).answer(body)
    with pytest.raises(Truncated):
        begin(pair).answer(answer(message("x"), status="in_progress"))


@EVERY
def test_keepalive(pair: str) -> None:
    """A comment, or a ping."""
    assert begin(pair).stream().keepalive() == (b": keepalive\n\n" if pair == CHAT else b'event: ping\ndata: {"type": "ping"}\n\n')


@EVERY
def test_refusals(pair: str) -> None:
    """In the client's envelope, with message, code and param; what holds no error is the relay's to wrap."""
    body = b'{"error":{"message":"Bad tool.","type":"invalid_request_error","param":"tools[0]","code":"x"}}'
    translated = begin(pair).refusal(400, body)
    assert translated is not None
    read = json.loads(translated)
    assert read["error"] == {"message": "Bad tool.", "type": "invalid_request_error", "param": "tools[0]", "code": "x"}
    assert ("type" in read) == (pair == MESSAGES)
    assert begin(pair).refusal(502, b"<html>") is None
    empty = begin(pair).refusal(500, b'{"error":{}}')
    assert empty is not None and json.loads(empty)["error"]["message"]
