"""Any content: requests and streams made by hypothesis never break anything."""

from __future__ import annotations

import json
from typing import Any

import pytest

pytest.importorskip("hypothesis")

from hypothesis import given, settings
from hypothesis import strategies as some
from messages_to_chat_stage import DONE, Told, begin, chunk, event, hints

from monorelay.dialects.anthropic_messages_to_openai_chat import TRANSLATOR
from monorelay.dialects.interface import Truncated, Untranslatable
from monorelay.errors import ErrorBody

WORDS = some.text(max_size=12)
NAMES = some.from_regex(r"[a-zA-Z0-9_-]{1,80}", fullmatch=True)
IDS = some.sampled_from(["toolu_1", "call_2", "b64-x", "f:0"])
ANYTHING = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats(allow_nan=False, allow_infinity=False) | WORDS,
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(WORDS, inner, max_size=3),
    max_leaves=8,
)
OBJECTS = some.dictionaries(WORDS, ANYTHING, max_size=3)
MARKS = some.none() | some.just({"type": "ephemeral"})


def block(kind: str, **fields: some.SearchStrategy[Any]) -> some.SearchStrategy[dict[str, Any]]:
    return some.fixed_dictionaries({"type": some.just(kind), **fields}, optional={"cache_control": MARKS})


TEXT = block("text", text=WORDS)
SOURCE = some.one_of(
    some.fixed_dictionaries({"type": some.just("base64"), "media_type": some.just("image/png"), "data": some.just("AAAA")}),
    some.fixed_dictionaries({"type": some.just("url"), "url": some.just("https://example.com/x")}),
    some.fixed_dictionaries({"type": some.just("file"), "file_id": WORDS}),
)
IMAGE = block("image", source=SOURCE)
DOCUMENT = block(
    "document",
    source=SOURCE
    | some.fixed_dictionaries({"type": some.just("text"), "media_type": some.just("text/plain"), "data": WORDS})
    | some.fixed_dictionaries({"type": some.just("content"), "content": WORDS | some.lists(TEXT | IMAGE, max_size=2)}),
    title=some.none() | WORDS,
)
FOUND = block("search_result", source=WORDS, title=WORDS, content=some.lists(TEXT, max_size=2))
RESULT = block(
    "tool_result",
    tool_use_id=IDS,
    content=WORDS | some.lists(TEXT | IMAGE | DOCUMENT | FOUND, max_size=3),
    is_error=some.booleans(),
)
USE = block("tool_use", id=IDS, name=NAMES, input=OBJECTS)
THOUGHT = block("thinking", thinking=WORDS, signature=WORDS) | block("redacted_thinking", data=WORDS)
SERVED = block("server_tool_use", id=IDS, name=some.just("web_search"), input=OBJECTS)
MESSAGE = some.one_of(
    some.fixed_dictionaries(
        {"role": some.just("user"), "content": WORDS | some.lists(TEXT | IMAGE | DOCUMENT | FOUND | RESULT, max_size=4)}
    ),
    some.fixed_dictionaries(
        {"role": some.just("assistant"), "content": WORDS | some.lists(TEXT | USE | THOUGHT | SERVED, max_size=4)}
    ),
    some.fixed_dictionaries({"role": some.just("system"), "content": WORDS | some.lists(TEXT, max_size=2)}),
)
TOOL = some.one_of(
    some.fixed_dictionaries(
        {"name": NAMES, "input_schema": OBJECTS},
        optional={"description": WORDS, "strict": some.booleans(), "type": some.just("custom")},
    ),
    some.just({"type": "web_search_20250305", "name": "web_search"}),
)
REQUEST = some.fixed_dictionaries(
    {"model": WORDS, "max_tokens": some.integers(0, 9999), "messages": some.lists(MESSAGE, max_size=5)},
    optional={
        "system": WORDS | some.lists(TEXT, max_size=3),
        "tools": some.lists(TOOL, max_size=3),
        "tool_choice": some.sampled_from([{"type": "auto"}, {"type": "any"}, {"type": "none"}, {"type": "tool", "name": "f"}]),
        "thinking": some.sampled_from([{"type": "adaptive"}, {"type": "enabled", "budget_tokens": 2048}, {"type": "disabled"}]),
        "output_config": some.sampled_from([{"effort": "low"}, {"format": {"type": "json_schema", "schema": {"type": "object"}}}]),
        "stream": some.booleans(),
        "stop_sequences": some.lists(WORDS, max_size=6),
        "temperature": some.floats(0, 1),
        "metadata": some.fixed_dictionaries({}, optional={"user_id": some.none() | WORDS}),
    },
)
QUIRKS = some.fixed_dictionaries(
    {},
    optional={
        "echo_reasoning": some.booleans(),
        "reasoning": some.sampled_from(["effort", "thinking", "none"]),
        "system_role": some.sampled_from(["system", "developer", "user"]),
        "json_schema": some.booleans(),
        "drop": some.just(("temperature", "stop")),
    },
)


@given(REQUEST, QUIRKS, some.booleans())
@settings(deadline=None, max_examples=150)
def test_valid_requests(body: dict[str, Any], quirks: dict[str, Any], strict: bool) -> None:
    """Never anything but Untranslatable; in what comes out all tool messages answer a call; nothing is changed in place."""
    before = json.dumps(body)
    try:
        translation = TRANSLATOR.begin(body, b"", hints(strict, **quirks))
    except Untranslatable as refused:
        assert refused.field and str(refused)
        return
    assert json.dumps(body) == before
    told = json.loads(translation.request)
    open_calls: set[str] = set()
    for turn in told["messages"]:
        if turn["role"] == "tool":
            assert turn["tool_call_id"] in open_calls
        elif turn["role"] == "assistant":
            open_calls = {each["id"] for each in turn.get("tool_calls", ())}
            assert turn["content"] or open_calls
            assert all(isinstance(json.loads(each["function"]["arguments"]), dict) for each in turn.get("tool_calls", ()))
        else:
            assert turn["content"]
    assert all(len(tool["function"]["name"]) <= 64 for tool in told.get("tools", ()))
    assert not (strict and translation.lost)


@given(
    some.dictionaries(
        some.sampled_from(
            ["messages", "system", "tools", "tool_choice", "thinking", "output_config", "stop_sequences", "metadata"]
        ),
        ANYTHING,
    )
)
@settings(deadline=None, max_examples=150)
def test_shapeless_requests(body: dict[str, Any]) -> None:
    """Bodies of no shape at all are refused by name, or translated."""
    try:
        begin(body)
    except Untranslatable as refused:
        assert refused.field


CALL = some.fixed_dictionaries(
    {
        "function": some.fixed_dictionaries(
            {},
            optional={
                "name": some.sampled_from(["f", "g"]),
                "arguments": some.sampled_from(["", "{}", '{"a":', "1}", "null", "x"]),
            },
        )
    },
    optional={"index": some.integers(0, 2), "id": some.sampled_from(["a", "b", ""])},
)
DELTA = some.fixed_dictionaries(
    {},
    optional={
        "content": some.none() | WORDS | some.lists(ANYTHING, max_size=2),
        "reasoning_content": some.none() | WORDS,
        "refusal": some.none() | WORDS,
        "tool_calls": some.lists(CALL, max_size=3),
    },
)
CHUNKS = some.lists(DELTA.map(chunk) | ANYTHING.map(event) | some.sampled_from([b": ping\n\n", b"data: {\n\n"]), max_size=8)


@given(CHUNKS, some.sampled_from([b"", DONE, chunk({}, "stop"), chunk({}, "tool_calls")]), some.integers(1, 50))
@settings(deadline=None, max_examples=200)
def test_any_stream(chunks: list[bytes], ending: bytes, size: int) -> None:
    """Feeding never raises; what comes out obeys the dialect's grammar, and does not depend on how the bytes were cut."""
    stream = b"".join(chunks) + ending
    told = []
    for step in (size, len(stream) or 1):
        transducer = begin({"stream": True}).stream()
        out = [transducer.feed(stream[at : at + step]) for at in range(0, len(stream), step)]
        try:
            out.append(transducer.close())
        except Truncated:
            out.append(transducer.fail(ErrorBody("upstream_error", "cut")))
        told.append(b"".join(out))
    assert told[0] == told[1]
    Told(told[0])


@given(some.binary(max_size=200))
@settings(deadline=None, max_examples=100)
def test_any_bytes(stream: bytes) -> None:
    """Nor does it raise on what is no stream."""
    transducer = begin({"stream": True}).stream()
    transducer.feed(stream)
    with pytest.raises(Truncated):
        transducer.close()
    with pytest.raises(Truncated):
        begin({}).answer(stream)
    assert begin({}).refusal(400, stream) is None


@given(some.lists(some.tuples(NAMES, OBJECTS), min_size=1, max_size=3), some.text(max_size=50), some.integers(1, 9))
@settings(deadline=None, max_examples=100)
def test_round_trips(used: list[tuple[str, Any]], words: str, size: int) -> None:
    """Text, tool names, arguments and ids that go up come back as they were, streamed in pieces of any size."""
    tools = [{"name": name, "input_schema": {"type": "object", "properties": {}}} for name in {name for name, _ in used}]
    uses = [{"type": "tool_use", "id": f"toolu_{at}", "name": name, "input": given} for at, (name, given) in enumerate(used)]
    content = [*([{"type": "text", "text": words}] if words else []), *uses]
    translation = begin({"tools": tools, "messages": [{"role": "assistant", "content": content}]})
    told = json.loads(translation.request)["messages"][0]
    chunks = [chunk({"content": words[at : at + size]}) for at in range(0, len(words), size)]
    for at, each in enumerate(told["tool_calls"]):
        arguments = each["function"]["arguments"]
        chunks.append(
            chunk(
                {"tool_calls": [{"index": at, "id": each["id"], "function": {"name": each["function"]["name"], "arguments": ""}}]}
            )
        )
        pieces = [arguments[start : start + size] for start in range(0, len(arguments), size)]
        chunks += [chunk({"tool_calls": [{"index": at, "function": {"arguments": piece}}]}) for piece in pieces]
    transducer = translation.stream()
    read = Told(transducer.feed(b"".join([*chunks, chunk({}, "tool_calls"), DONE])) + transducer.close())
    assert read.message is not None
    assert read.message["content"] == content
    answer = {"choices": [{"message": {"content": words, "tool_calls": told["tool_calls"]}, "finish_reason": "tool_calls"}]}
    assert json.loads(translation.answer(json.dumps(answer).encode()))["content"] == content
