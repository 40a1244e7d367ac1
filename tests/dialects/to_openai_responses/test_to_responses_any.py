"""Any content: requests and streams made by hypothesis never break anything."""

from __future__ import annotations

import json
from typing import Any

import pytest

pytest.importorskip("hypothesis")

from hypothesis import given, settings
from hypothesis import strategies as some
from to_responses_clients import told, without_indexes
from to_responses_stage import (
    CHAT,
    MESSAGES,
    PAIRS,
    Server,
    answer,
    begin,
    call,
    event,
    hints,
    message,
    refusal,
    response,
    run,
    thought,
)

from monorelay.dialects.interface import Truncated, Untranslatable

WORDS = some.text(max_size=12)
NAMES = some.from_regex(r"[a-zA-Z0-9_-]{1,80}", fullmatch=True)
IDS = some.sampled_from(["toolu_1", "call_2", "b64-x", "f:0", "x" * 70])
ANYTHING = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats(allow_nan=False, allow_infinity=False) | WORDS,
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(WORDS, inner, max_size=3),
    max_leaves=8,
)
OBJECTS = some.dictionaries(WORDS, ANYTHING, max_size=3)
PAIR = some.sampled_from(list(PAIRS))


def thing(kind: str, **fields: Any) -> some.SearchStrategy[dict[str, Any]]:
    strategies = {name: value if isinstance(value, some.SearchStrategy) else some.just(value) for name, value in fields.items()}
    return some.fixed_dictionaries({"type": some.just(kind), **strategies})


def turn(role: str, **fields: some.SearchStrategy[Any]) -> some.SearchStrategy[dict[str, Any]]:
    return some.fixed_dictionaries({"role": some.just(role)}, optional=fields)


# ---------------------------------------------------------------------- requests of chat

PART = some.one_of(
    thing("text", text=WORDS),
    thing("image_url", image_url={"url": "data:image/png;base64,AA"}),
    thing("file", file={"file_id": "f"}),
    thing("input_audio", input_audio={}),
    thing("refusal", refusal=WORDS),
    thing("hologram"),
)
CONTENT = some.none() | WORDS | some.lists(PART, max_size=3)
FUNCTION = some.fixed_dictionaries({"name": NAMES}, optional={"arguments": WORDS | some.just('{"a":1}'), "parameters": OBJECTS})
CHAT_CALL = some.one_of(
    some.fixed_dictionaries({"id": IDS, "type": some.just("function"), "function": FUNCTION}),
    some.fixed_dictionaries({"id": IDS, "type": some.just("custom"), "custom": some.just({"name": "c", "input": "x"})}),
)
DETAIL = some.fixed_dictionaries(
    {"type": some.sampled_from(["reasoning.summary", "reasoning.text", "reasoning.encrypted", "reasoning.other"])},
    optional={"summary": WORDS, "text": WORDS, "data": WORDS, "id": WORDS, "format": some.just("openai-responses-v1")},
)
CHAT_TURN = some.one_of(
    turn("system", content=CONTENT),
    turn("developer", content=WORDS),
    turn("user", content=CONTENT, name=WORDS),
    turn(
        "assistant",
        content=CONTENT,
        refusal=WORDS,
        tool_calls=some.lists(CHAT_CALL, max_size=3),
        reasoning_content=WORDS,
        reasoning_details=some.lists(DETAIL, max_size=4),
    ),
    turn("tool", content=CONTENT, tool_call_id=IDS),
)
CHAT_REQUEST = some.fixed_dictionaries(
    {"model": WORDS, "messages": some.lists(CHAT_TURN, max_size=6)},
    optional={
        "tools": some.lists(
            some.fixed_dictionaries({"type": some.just("function"), "function": FUNCTION}) | thing("web_search"), max_size=3
        ),
        "functions": some.lists(FUNCTION, max_size=2),
        "tool_choice": some.sampled_from(["auto", "none", "required", {"type": "function", "function": {"name": "f"}}]),
        "max_tokens": some.integers(0, 9999),
        "reasoning_effort": some.sampled_from(["none", "minimal", "low", "max"]),
        "response_format": some.sampled_from([{"type": "json_object"}, {"type": "json_schema", "json_schema": {"schema": {}}}]),
        "stop": WORDS,
        "logprobs": some.booleans(),
        "stream": some.booleans(),
    },
)

# ---------------------------------------------------------------------- requests of messages

TEXT = thing("text", text=WORDS)
SOURCE = some.one_of(
    thing("base64", media_type="image/png", data="AA"), thing("url", url="https://example.com/x"), thing("file", file_id=WORDS)
)
IMAGE, DOCUMENT = thing("image", source=SOURCE), thing("document", source=SOURCE, title=some.none() | WORDS)
RESULT = thing(
    "tool_result", tool_use_id=IDS, content=WORDS | some.lists(TEXT | IMAGE | DOCUMENT, max_size=3), is_error=some.booleans()
)
USE = thing("tool_use", id=IDS, name=NAMES, input=OBJECTS)
THOUGHT = thing("thinking", thinking=WORDS, signature=WORDS) | thing("redacted_thinking", data=WORDS)
MESSAGE = some.one_of(
    turn("user", content=WORDS | some.lists(TEXT | IMAGE | DOCUMENT | RESULT, max_size=4)),
    turn("assistant", content=WORDS | some.lists(TEXT | USE | THOUGHT, max_size=4)),
    turn("system", content=WORDS | some.lists(TEXT, max_size=2)),
)
MESSAGES_REQUEST = some.fixed_dictionaries(
    {"model": WORDS, "max_tokens": some.integers(0, 9999), "messages": some.lists(MESSAGE, max_size=5)},
    optional={
        "system": WORDS | some.lists(TEXT, max_size=3),
        "tools": some.lists(
            some.fixed_dictionaries({"name": NAMES, "input_schema": OBJECTS}) | thing("web_search_20250305", name="web_search"),
            max_size=3,
        ),
        "tool_choice": some.sampled_from([{"type": "auto"}, {"type": "any"}, {"type": "none"}, {"type": "tool", "name": "f"}]),
        "thinking": some.sampled_from([{"type": "adaptive"}, {"type": "enabled", "budget_tokens": 2048}, {"type": "disabled"}]),
        "output_config": some.sampled_from([{"effort": "low"}, {"format": {"type": "json_schema", "schema": {"type": "object"}}}]),
        "stop_sequences": some.lists(WORDS, max_size=6),
        "stream": some.booleans(),
    },
)
QUIRKS = some.fixed_dictionaries(
    {},
    optional={
        "echo_reasoning": some.booleans(),
        "reasoning": some.sampled_from(["effort", "thinking", "none"]),
        "system_role": some.sampled_from(["system", "developer", "user"]),
        "json_schema": some.booleans(),
        "drop": some.just(("temperature", "reasoning.summary", "text.format")),
    },
)
REQUEST = some.tuples(some.just(CHAT), CHAT_REQUEST) | some.tuples(some.just(MESSAGES), MESSAGES_REQUEST)


@given(REQUEST, QUIRKS, some.booleans())
@settings(deadline=None, max_examples=200)
def test_valid_requests(asked: tuple[str, dict[str, Any]], quirks: dict[str, Any], strict: bool) -> None:
    """Never anything but Untranslatable; results answer calls, thoughts lead to something, ids are short, nothing is changed."""
    pair, body = asked
    before = json.dumps(body)
    try:
        translation = PAIRS[pair].TRANSLATOR.begin(body, b"", hints(strict, **quirks))
    except Untranslatable as refused:
        assert refused.field and str(refused)
        return
    assert json.dumps(body) == before
    assert not (strict and translation.lost)
    found = json.loads(translation.request)
    assert found["store"] is False and found["input"]
    open_calls: set[str] = set()
    for item, following in zip(found["input"], [*found["input"][1:], None], strict=True):
        if item["type"] in ("function_call", "custom_tool_call"):
            assert item["call_id"] not in open_calls and 0 < len(item["call_id"]) <= 64
            open_calls.add(item["call_id"])
        elif item["type"] in ("function_call_output", "custom_tool_call_output"):
            open_calls.remove(item["call_id"])
        elif item["type"] == "reasoning":
            assert following is not None and following["type"] in ("reasoning", "message", "function_call", "custom_tool_call")
            assert following.get("role", "assistant") == "assistant"
        else:
            assert item["type"] == "message"


@given(
    PAIR,
    some.dictionaries(
        some.sampled_from(
            "messages system tools tool_choice functions function_call thinking output_config stop response_format metadata"
            " reasoning reasoning_effort max_tokens web_search_options stream_options logprobs".split()
        ),
        ANYTHING,
    ),
)
@settings(deadline=None, max_examples=200)
def test_shapeless_requests(pair: str, body: dict[str, Any]) -> None:
    """Bodies of no shape at all are refused by name, or translated."""
    try:
        begin(pair, body)
    except Untranslatable as refused:
        assert refused.field


# ---------------------------------------------------------------------- streams

KINDS = (
    *("response.created", "response.output_item.added", "response.output_item.done", "response.output_text.delta"),
    *("response.output_text.done", "response.output_text.annotation.added", "response.refusal.delta", "response.refusal.done"),
    *("response.reasoning_summary_text.delta", "response.reasoning_summary_text.done", "response.reasoning_text.delta"),
    *("response.reasoning_text.done", "response.function_call_arguments.delta", "response.function_call_arguments.done"),
    *("response.custom_tool_call_input.delta", "response.custom_tool_call_input.done", "response.future"),
)
ITEM = some.one_of(
    some.builds(message, WORDS),
    some.builds(refusal, WORDS),
    some.builds(thought, WORDS, encrypted=some.none() | some.just("gA")),
    some.builds(call, some.sampled_from(["f", "", "g"]), some.sampled_from(["", "{}", '{"a":1}', "x", '{"a']), IDS),
    OBJECTS,
)
FIELDS = some.fixed_dictionaries(
    {},
    optional={
        "item_id": some.sampled_from(["msg_1", "fc_1", "rs_1", ""]) | ANYTHING,
        "output_index": some.integers(0, 2) | ANYTHING,
        "content_index": some.integers(0, 1) | ANYTHING,
        "summary_index": some.integers(0, 1),
        "delta": WORDS | some.sampled_from(['{"a":', "1}", "{}"]) | ANYTHING,
        "text": WORDS,
        "arguments": some.sampled_from(["{}", '{"a":1}', ""]) | ANYTHING,
        "input": WORDS,
        "refusal": WORDS,
        "annotation": some.just({"type": "url_citation", "url": "u"}) | OBJECTS,
        "item": ITEM,
        "response": OBJECTS,
        "logprobs": ANYTHING,
    },
)
EVENT = some.builds(lambda kind, fields: event(kind, **fields), some.sampled_from(KINDS), FIELDS)
JUNK = some.sampled_from([b": ping\n\n", b"data: {\n\n", b"data: [DONE]\n\n", b"data: 5\n\n"])
END = some.one_of(
    some.just(b""),
    some.builds(
        lambda kind, items, more: event(kind, response=response(*items, **more)),
        some.sampled_from(["response.completed", "response.incomplete", "response.failed", "response.done"]),
        some.lists(ITEM, max_size=3),
        some.fixed_dictionaries({}, optional={"usage": OBJECTS, "incomplete_details": ANYTHING, "error": ANYTHING}),
    ),
    some.builds(lambda fields: event("error", **{key: fields[key] for key in fields if key != "kind"}), OBJECTS),
)


@given(PAIR, some.lists(EVENT | JUNK, max_size=10), END, some.integers(1, 50))
@settings(deadline=None, max_examples=200)
def test_any_stream(pair: str, events: list[bytes], ending: bytes, size: int) -> None:
    """Feeding never raises; what comes out obeys the dialect's grammar, and does not depend on how the bytes were cut."""
    stream = b"".join(events) + ending
    asked = {"thinking": {"type": "adaptive"}} if pair == MESSAGES else {"logprobs": True}
    found = [
        run(begin(pair, asked).stream(), *(stream[at : at + step] for at in range(0, len(stream), step)))
        for step in (size, len(stream) or 1)
    ]
    assert found[0] == found[1]
    told(pair, found[0])


@given(PAIR, some.binary(max_size=200))
@settings(deadline=None, max_examples=100)
def test_any_bytes(pair: str, stream: bytes) -> None:
    """Nor does it raise on what is no stream."""
    transducer = begin(pair).stream()
    transducer.feed(stream)
    with pytest.raises(Truncated):
        transducer.close()
    with pytest.raises(Truncated):
        begin(pair).answer(stream)
    assert begin(pair).refusal(400, stream) is None


SERVER = some.builds(
    Server,
    deltas=some.booleans(),
    parts=some.booleans(),
    items=some.just(True),
    last=some.booleans(),
    size=some.integers(1, 9),
    ids=some.sampled_from(["fixed", "new"]),
)
SAID = some.lists(
    some.one_of(
        some.builds(message, some.text(max_size=20)),
        some.builds(thought, some.text(min_size=1, max_size=20), some.text(min_size=1, max_size=20)),
        some.builds(call, NAMES, OBJECTS.map(json.dumps)),
        some.builds(refusal, some.text(min_size=1, max_size=20)),
    ),
    max_size=5,
)


@given(PAIR, SAID, SERVER)
@settings(deadline=None, max_examples=200)
def test_any_response_by_any_server(pair: str, items: list[dict[str, Any]], server: Server) -> None:
    """Streamed, it is what it is whole."""
    items = [{**item, "id": f"{item['id']}_{at}", **_call_id(item, at)} for at, item in enumerate(items)]
    asked = {"thinking": {"type": "adaptive"}} if pair == MESSAGES else {"stream_options": {"include_usage": True}}
    whole = json.loads(begin(pair, asked).answer(answer(*items)))
    read = told(pair, run(begin(pair, asked).stream(), server.stream(response(*items))))
    assert read.is_whole
    assert without_indexes(read.answer) == without_indexes(whole)


def _call_id(item: dict[str, Any], at: int) -> dict[str, Any]:
    return {"call_id": f"call_{at}"} if "call_id" in item else {}


@given(some.lists(some.tuples(NAMES, OBJECTS), min_size=1, max_size=3), some.text(min_size=1, max_size=50), SERVER)
@settings(deadline=None, max_examples=100)
def test_round_trips(used: list[tuple[str, Any]], words: str, server: Server) -> None:
    """Text, tool names, arguments and ids that go up come back as they were, streamed in pieces of any size."""
    tools = [{"name": name, "input_schema": {"type": "object", "properties": {}}} for name in {name for name, _ in used}]
    uses = [{"type": "tool_use", "id": f"toolu_{at}", "name": name, "input": given} for at, (name, given) in enumerate(used)]
    content = [{"type": "text", "text": words}, *uses]
    translation = begin(MESSAGES, {"tools": tools, "messages": [{"role": "assistant", "content": content}]})
    text, *calls = json.loads(translation.request)["input"]
    back = [message(text["content"]), *({**each, "id": f"fc_{at}", "status": "completed"} for at, each in enumerate(calls))]
    read = told(MESSAGES, run(translation.stream(), server.stream(response(*back))))
    assert read.answer is not None and read.answer["content"] == content
    assert json.loads(translation.answer(answer(*back)))["content"] == content
