"""However a server tells a response, the client is told the same: once, in order, and as in a whole answer."""

from __future__ import annotations

import json
from typing import Any

import pytest
from to_responses_clients import told, without_indexes
from to_responses_stage import (
    CHAT,
    ERROR,
    MESSAGES,
    PAIRS,
    Server,
    answer,
    begin,
    call,
    event,
    message,
    refusal,
    response,
    run,
    thought,
)

from monorelay.dialects.interface import Usage
from monorelay.dialects.sse import read_events

EVERY = pytest.mark.parametrize("pair", PAIRS)
ASKED: dict[str, dict[str, Any]] = {
    CHAT: {"stream": True, "stream_options": {"include_usage": True}, "reasoning_effort": "low"},
    MESSAGES: {"stream": True, "thinking": {"type": "adaptive"}},
}
TWO_PARTS = message("Hello", "msg_1")
TWO_PARTS["content"].append({"type": "output_text", "text": ", wörld", "annotations": []})
OUTPUTS: dict[str, list[dict[str, Any]]] = {
    "text": [message("Hello, wörld")],
    "two parts": [TWO_PARTS],
    "two messages": [message("Let me see.", "msg_1"), message("Done.", "msg_2")],
    "nothing": [],
    "empty text": [message("")],
    "refusal": [refusal("I will not.")],
    "thought": [thought("**Plan**\n\nFirst.", "Then."), message("So.")],
    "own words": [thought("I think", "so", field="content", encrypted=None), message("So.")],
    "silent thought": [thought(), message("So.")],
    "two thoughts": [thought("A", item_id="rs_1"), thought("B", encrypted="gBBB", item_id="rs_2"), message("So.")],
    "call": [call("weather", '{"city": "Köln"}')],
    "call without arguments": [call("clock", "")],
    "call with empty arguments": [call("clock", "{}")],
    "parallel calls": [call("a", '{"n":1}'), call("b", '{"n":{"m":[2]}}', "call_2", "fc_2"), call("a", "{}", "call_3", "fc_3")],
    "all": [thought("Why"), message("Look:"), call("a", '{"x":"}"}'), thought("Also", item_id="rs_2"), call("b", "{}", "c2", "f2")],
    "hosted": [{"id": "ws_1", "type": "web_search_call", "status": "completed"}, message("Found.")],
    "unknown": [{"id": "q_1", "type": "quantum_call", "status": "completed"}, message("Found.")],
}
SERVERS = {
    "usual": Server(),
    "by letters": Server(size=1),
    "by much": Server(size=1000),
    "no deltas": Server(deltas=False),
    "no dones": Server(parts=False),
    "items only": Server(deltas=False, parts=False),
    "end only": Server(deltas=False, parts=False, items=False),
    "no items": Server(items=False),
    "nothing at the end": Server(last=False),
    "deltas, nothing at the end": Server(parts=False, last=False),
    "new ids": Server(ids="new"),
    "new ids, no dones": Server(ids="new", parts=False),
    "no ids": Server(ids="none"),
    "all at index 0": Server(indexes=False),
    "no ids, all at index 0": Server(ids="none", indexes=False),
}


def agreed(pair: str, stream: bytes) -> dict[str, Any]:
    read = told(pair, stream)
    assert read.is_whole and read.answer is not None
    found: dict[str, Any] = without_indexes(read.answer)
    return found


@EVERY
@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("output", OUTPUTS)
def test_every_server_tells_the_same(pair: str, output: str, server: str) -> None:
    """A stream is the whole answer, whatever the server leaves out, repeats or numbers anew."""
    items = OUTPUTS[output]
    whole = json.loads(begin(pair, ASKED[pair]).answer(answer(*items)))
    transducer = begin(pair, ASKED[pair]).stream()
    found = agreed(pair, run(transducer, SERVERS[server].stream(response(*items))))
    if not SERVERS[server].items:
        found, whole = _without_seals(found), _without_seals(whole)
    assert found == without_indexes(whole)
    assert transducer.usage == Usage(20, 100, 0, 30, 8)
    assert transducer.opened and transducer.error is None and transducer.object_ids == ()


def _without_seals(found: dict[str, Any]) -> dict[str, Any]:
    """Where names and what is encrypted come last of all, calls are the last blocks, and seals are in blocks of their own."""
    if "content" not in found:
        return found
    content = [{**block, "signature": ""} if block["type"] == "thinking" else block for block in found["content"]]
    kept = [block for block in content if block.get("thinking") != ""]
    return {**found, "content": sorted(kept, key=lambda block: bool(block["type"] == "tool_use"))}


@EVERY
@pytest.mark.parametrize("output", OUTPUTS)
def test_cut_anywhere(pair: str, output: str) -> None:
    """A stream that breaks off is a client's stream that ends in an error; a whole one needs nothing behind its last event."""
    stream = Server().stream(response(*OUTPUTS[output]))
    whole = run(begin(pair, ASKED[pair]).stream(), stream)
    for cut in range(0, len(stream.rstrip()), 23):
        read = told(pair, run(begin(pair, ASKED[pair]).stream(), stream[:cut]))
        assert not read.is_whole and read.error == {"message": ERROR.message, "type": ERROR.type}
    assert run(begin(pair, ASKED[pair]).stream(), stream.rstrip()) == whole


@EVERY
@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"], ids=["lf", "crlf", "cr"])
@pytest.mark.parametrize("size", [1, 2, 7, 100])
def test_cut_into_chunks(pair: str, line_end: bytes, size: int) -> None:
    """Chunks of any size, and lines that end in any way, are the same stream."""
    stream = Server().stream(response(*OUTPUTS["all"]))
    whole = run(begin(pair, ASKED[pair]).stream(), stream)
    bent = stream.replace(b"\n", line_end)
    assert run(begin(pair, ASKED[pair]).stream(), *(bent[at : at + size] for at in range(0, len(bent), size))) == whole


@EVERY
def test_each_piece_is_told_at_once(pair: str) -> None:
    """No delta waits for the next event."""
    events = [each.raw for each in read_events(Server().stream(response(*OUTPUTS["all"])))]
    transducer = begin(pair, ASKED[pair]).stream()
    for each in events:
        out = transducer.feed(each)
        assert bool(out) or b".delta" not in each or b'"delta": "{}"' in each  # an empty object waits for what may follow it


@EVERY
def test_content_opens_the_stream(pair: str) -> None:
    """Not the announcement, nor a message that is still empty; a letter of text does, and so does the name of a call."""
    empty = event("response.output_item.added", output_index=0, item={**message(""), "content": []})
    begun = event("response.created", response=response(status="in_progress"))
    for opening in (
        event("response.output_text.delta", output_index=0, item_id="msg_1", content_index=0, delta="H"),
        event("response.output_item.added", output_index=1, item=call("f", "")),
        event("response.refusal.delta", output_index=0, item_id="msg_1", content_index=0, delta="N"),
        event("response.reasoning_summary_text.delta", output_index=1, item_id="rs_1", summary_index=0, delta="T"),
    ):
        transducer = begin(pair, ASKED[pair]).stream()
        transducer.feed(begun + empty)
        transducer.feed(event("response.output_text.delta", output_index=0, item_id="msg_1", content_index=0, delta=""))
        assert not transducer.opened
        assert transducer.feed(opening) and transducer.opened
