"""Any content: requests and streams made by hypothesis never break anything."""

from __future__ import annotations

import json
from typing import Any

import pytest

pytest.importorskip("hypothesis")

from hypothesis import given, settings
from hypothesis import strategies as some
from responses_stage import CHAT, DONE, ERROR, MESSAGES, Told, begin, chunk, event, hints

from monorelay.dialects.interface import Truncated, Untranslatable
from monorelay.dialects.sealed_thoughts import seal

WORDS = some.text(max_size=12)
NAMES = some.from_regex(r"[a-zA-Z0-9_-]{1,80}", fullmatch=True)
IDS = some.sampled_from(["call_1", "call_2", "b64-x", "f:0"])
ANYTHING = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats(allow_nan=False, allow_infinity=False) | WORDS,
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(WORDS, inner, max_size=3),
    max_leaves=8,
)
OBJECTS = some.dictionaries(WORDS, ANYTHING, max_size=3)


def thing(kind: str, **fields: some.SearchStrategy[Any]) -> some.SearchStrategy[dict[str, Any]]:
    return some.fixed_dictionaries({"type": some.just(kind), **fields})


TEXT = thing("input_text", text=WORDS)
IMAGE = thing(
    "input_image", image_url=some.sampled_from(["data:image/png;base64,AAAA", "https://e.org/x"]), detail=some.just("auto")
)
FILE = thing("input_file", file_data=some.just("data:application/pdf;base64,AAAA"), filename=WORDS)
SHOWN = WORDS | some.lists(TEXT | IMAGE | FILE, max_size=3)
ITEM = some.one_of(
    some.fixed_dictionaries({"role": some.just("user"), "content": SHOWN}),
    some.fixed_dictionaries({"role": some.sampled_from(["system", "developer"]), "content": WORDS | some.lists(TEXT, max_size=2)}),
    some.fixed_dictionaries(
        {"role": some.just("assistant"), "content": WORDS | some.lists(thing("output_text", text=WORDS), max_size=2)}
    ),
    thing("function_call", call_id=IDS, name=NAMES, arguments=some.sampled_from(["", "{}", '{"a":1}', "no JSON", "[1]"])),
    thing("function_call", call_id=IDS, name=NAMES, arguments=some.just("{}"), namespace=NAMES),
    thing("custom_tool_call", call_id=IDS, name=NAMES, input=WORDS),
    thing("function_call_output", call_id=IDS, output=SHOWN),
    thing("custom_tool_call_output", call_id=IDS, output=SHOWN),
    thing("shell_call", call_id=IDS, action=OBJECTS),
    thing("shell_call_output", call_id=IDS, output=some.lists(OBJECTS, max_size=2)),
    thing("apply_patch_call", call_id=IDS, operation=OBJECTS),
    thing("apply_patch_call_output", call_id=IDS, status=some.sampled_from(["completed", "failed"])),
    thing("reasoning", id=WORDS, summary=some.lists(thing("summary_text", text=WORDS), max_size=2)),
    thing(
        "reasoning",
        id=WORDS,
        encrypted_content=WORDS.map(
            lambda text: seal("anthropic.messages", {"type": "thinking", "thinking": text, "signature": "s"})
        ),
    ),
    thing("web_search_call", id=WORDS),
)
TOOL = some.one_of(
    thing("function", name=NAMES, parameters=some.none() | OBJECTS, strict=some.booleans()),
    thing("custom", name=NAMES),
    thing("namespace", name=NAMES, description=WORDS, tools=some.lists(thing("function", name=NAMES), max_size=2)),
    some.sampled_from([{"type": "web_search"}, {"type": "shell"}, {"type": "local_shell"}, {"type": "apply_patch"}]),
)
REQUEST = some.fixed_dictionaries(
    {"model": WORDS, "input": WORDS | some.lists(ITEM, max_size=7)},
    optional={
        "instructions": some.none() | WORDS,
        "tools": some.lists(TOOL, max_size=3),
        "tool_choice": some.sampled_from(["auto", "none", "required", {"type": "function", "name": "f"}, {"type": "shell"}]),
        "parallel_tool_calls": some.booleans(),
        "reasoning": some.sampled_from([None, {"effort": "low"}, {"effort": None, "summary": "auto"}, {"effort": "none"}]),
        "text": some.sampled_from(
            [{"format": {"type": "json_object"}}, {"format": {"type": "json_schema", "name": "n", "schema": {}}}]
        ),
        "stream": some.booleans(),
        "max_output_tokens": some.integers(16, 9999),
        "temperature": some.floats(0, 2),
        "prompt_cache_key": WORDS,
    },
)
QUIRKS = some.fixed_dictionaries(
    {},
    optional={
        "echo_reasoning": some.booleans(),
        "reasoning": some.sampled_from(["effort", "thinking", "none"]),
        "thinking": some.sampled_from(["budget", "adaptive", "none"]),
        "late_system": some.sampled_from(["user", "system"]),
        "system_role": some.sampled_from(["system", "developer", "user"]),
        "json_schema": some.booleans(),
        "drop": some.just(("temperature", "stop")),
    },
)
BOTH = pytest.mark.parametrize("translator", [CHAT, MESSAGES], ids=["chat", "messages"])


@BOTH
@given(body=REQUEST, quirks=QUIRKS, strict=some.booleans())
@settings(deadline=None, max_examples=120)
def test_valid_requests(translator: Any, body: dict[str, Any], quirks: dict[str, Any], strict: bool) -> None:
    """Never anything but Untranslatable; in what comes out every result answers a call; nothing is changed in place."""
    before = json.dumps(body)
    try:
        translation = translator.begin(body, before.encode(), hints(strict, **quirks))
    except Untranslatable as refused:
        assert refused.field and str(refused)
        return
    assert json.dumps(body) == before
    assert not (strict and translation.lost)
    told = json.loads(translation.request)
    _check_chat(told) if translator is CHAT else _check_messages(told)


def _check_chat(told: dict[str, Any]) -> None:
    open_calls: list[str] = []
    for turn in told["messages"]:
        if turn["role"] == "tool":
            open_calls.remove(turn["tool_call_id"])
        elif turn["role"] == "assistant":
            open_calls = [each["id"] for each in turn.get("tool_calls", ())]
            assert turn["content"] or open_calls
        else:
            assert turn["content"]
    names = [tool["function"]["name"] for tool in told.get("tools", ())]
    assert len(set(names)) == len(names) and all(len(name) <= 64 for name in names)


def _check_messages(told: dict[str, Any]) -> None:
    roles = [turn["role"] for turn in told["messages"] if turn["role"] != "system"]
    assert roles[0] == "user" and all(one != other for one, other in zip(roles, roles[1:], strict=False))
    open_calls: set[str] = set()
    for turn in told["messages"]:
        blocks = turn["content"] if isinstance(turn["content"], list) else [{"type": "text", "text": turn["content"]}]
        for block in blocks:
            if block["type"] == "tool_result":
                assert block["tool_use_id"] in open_calls
        if turn["role"] == "assistant":
            open_calls = {block["id"] for block in blocks if block["type"] == "tool_use"}
            assert blocks[-1]["type"] != "thinking"
    names = [tool["name"] for tool in told.get("tools", ())]
    assert len(set(names)) == len(names)


@BOTH
@given(
    body=some.dictionaries(
        some.sampled_from(["input", "instructions", "tools", "tool_choice", "text", "reasoning", "include"]), ANYTHING
    )
)
@settings(deadline=None, max_examples=120)
def test_shapeless_requests(translator: Any, body: dict[str, Any]) -> None:
    """Bodies of no shape at all are refused by name, or translated."""
    try:
        begin(body, translator)
    except Untranslatable as refused:
        assert refused.field


@BOTH
@given(
    items=some.lists(
        some.dictionaries(some.sampled_from(["type", "role", "content", "output", "call_id", "id", "tools", "summary"]), ANYTHING),
        max_size=3,
    )
)
@settings(deadline=None, max_examples=120)
def test_shapeless_items(translator: Any, items: list[Any]) -> None:
    """Nor do items of no shape break anything."""
    try:
        begin({"input": items}, translator)
    except Untranslatable as refused:
        assert refused.field


CALL = some.fixed_dictionaries(
    {
        "function": some.fixed_dictionaries(
            {},
            optional={
                "name": some.sampled_from(["f", "c", "shell"]),
                "arguments": some.sampled_from(["", "{}", '{"a":', '{"input":"', "1}", 'x"}', "null", "x"]),
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
        "tool_calls": some.lists(CALL, max_size=2),
        "annotations": ANYTHING,
    },
)
CHUNK = some.one_of(
    some.builds(chunk, DELTA, some.sampled_from([None, None, None, "stop", "length", "tool_calls"])),
    some.builds(lambda value: b"data: " + json.dumps(value).encode() + b"\n\n", ANYTHING),
    some.builds(
        lambda value: b"data: " + json.dumps(value).encode() + b"\n\n",
        some.fixed_dictionaries(
            {}, optional={"choices": ANYTHING, "usage": ANYTHING, "error": ANYTHING, "id": ANYTHING, "model": ANYTHING}
        ),
    ),
    some.binary(max_size=20),
    some.just(DONE),
)
INDEX = some.integers(0, 2)
BLOCK = some.one_of(
    thing("text", text=WORDS),
    thing("thinking", thinking=WORDS, signature=WORDS),
    thing("redacted_thinking", data=WORDS),
    thing("tool_use", id=IDS, name=some.sampled_from(["f", "c", "shell"]), input=OBJECTS),
    thing("server_tool_use", id=IDS),
    some.dictionaries(some.sampled_from(["type", "text", "id", "name", "input"]), ANYTHING),
)
PIECE = some.one_of(
    thing("text_delta", text=WORDS),
    thing("thinking_delta", thinking=WORDS),
    thing("signature_delta", signature=WORDS),
    thing("input_json_delta", partial_json=some.sampled_from(["", "{}", '{"a":', '{"input":"', "1}", 'x"}', "x"])),
    thing("citations_delta", citation=ANYTHING),
    some.dictionaries(some.sampled_from(["type", "text"]), ANYTHING),
)
EVENT = some.one_of(
    some.builds(lambda message: event(type="message_start", message=message), ANYTHING | OBJECTS),
    some.builds(lambda index, block: event(type="content_block_start", index=index, content_block=block), INDEX, BLOCK),
    some.builds(lambda index, piece: event(type="content_block_delta", index=index, delta=piece), INDEX, PIECE),
    some.builds(lambda index: event(type="content_block_stop", index=index), INDEX | ANYTHING),
    some.builds(
        lambda reason, usage: event(type="message_delta", delta={"stop_reason": reason}, usage=usage),
        some.sampled_from(["end_turn", "max_tokens", "refusal", None, 5]),
        ANYTHING,
    ),
    some.builds(lambda error: event(type="error", error=error), ANYTHING),
    some.just(event(type="message_stop")),
    some.binary(max_size=20),
)
TOOLS = [{"type": "function", "name": "f"}, {"type": "custom", "name": "c"}, {"type": "shell"}]


@given(some.lists(CHUNK, max_size=8))
@settings(deadline=None, max_examples=250)
def test_any_chat_stream(chunks: list[bytes]) -> None:
    _check_stream(CHAT, chunks)


@given(some.lists(EVENT, max_size=8))
@settings(deadline=None, max_examples=250)
def test_any_messages_stream(chunks: list[bytes]) -> None:
    _check_stream(MESSAGES, chunks)


def _check_stream(translator: Any, chunks: list[bytes]) -> None:
    """Feeding never raises; what comes out is always a stream by the dialect's grammar, with one end."""
    stream = begin({"input": "Hi", "stream": True, "tools": TOOLS}, translator).stream()
    out = []
    for each in chunks:
        was_open = stream.opened
        out.append(stream.feed(each))
        assert stream.opened >= was_open
        if stream.error is not None and not stream.opened:
            assert out[-1] == b""
    try:
        out.append(stream.close())
    except Truncated:
        out.append(stream.fail(ERROR))
    told = Told(b"".join(out))
    assert (told.response is None) != (told.error is None)
    assert stream.finished and stream.feed(b"data: x\n\n") == b""
