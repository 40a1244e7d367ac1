"""Any request, any answer, any stream: only Untranslatable and Truncated are ever raised, and what is told is always valid."""

from __future__ import annotations

import json
from typing import Any

import pytest
from chat_to_messages_stage import begin, hints

from monorelay.dialects.interface import Truncated, Untranslatable
from monorelay.dialects.openai_chat_to_anthropic_messages import TRANSLATOR
from monorelay.dialects.sse import read_events
from monorelay.errors import ErrorBody

hypothesis = pytest.importorskip("hypothesis")
st = pytest.importorskip("hypothesis.strategies")

PLAIN = hypothesis.settings(
    max_examples=150, deadline=None, database=None, suppress_health_check=list(hypothesis.HealthCheck), derandomize=True
)
WORDS = st.text(max_size=12)
TEXTS = st.one_of(WORDS, st.sampled_from(["", " ", "a b", "\ud800", "data:image/png;base64,iVBO", "http://x/y", "call_1", "f:0"]))
NAMES = st.sampled_from(["f", "g", "clock"])
ANY = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), TEXTS),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from("type text url name id function arguments index thinking content".split()), inner, max_size=4
        ),
    ),
    max_leaves=12,
)

# ---------------------------------------------------------------------------------------------------- valid requests

MARKS = {"cache_control": st.just({"type": "ephemeral"})}
PARTS = st.lists(
    st.one_of(
        st.fixed_dictionaries({"type": st.just("text"), "text": TEXTS}, optional=MARKS),
        st.just({"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBO"}}),
        st.just({"type": "image_url", "image_url": {"url": "https://x/y.png", "detail": "low"}}),
        st.just({"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBE"}}),
        st.just({"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}),
    ),
    max_size=3,
)
CONTENT = st.one_of(TEXTS, PARTS)
OBJECTS = st.dictionaries(WORDS, st.one_of(WORDS, st.integers(), st.booleans()), max_size=3)
CALL = st.builds(
    lambda own, name, given: {"id": own, "type": "function", "function": {"name": name, "arguments": given}},
    st.sampled_from(["call_1", "call_2", "f:0"]),
    NAMES,
    st.one_of(st.builds(json.dumps, OBJECTS), st.sampled_from(["", "{", "[1]", "null"])),
)
THOUGHTS = st.lists(st.builds(lambda text: {"type": "thinking", "thinking": text, "signature": "S"}, WORDS), max_size=2)
MESSAGE = st.one_of(
    st.fixed_dictionaries({"role": st.sampled_from(["system", "developer"]), "content": TEXTS}),
    st.fixed_dictionaries({"role": st.just("user"), "content": CONTENT}, optional={"name": WORDS}),
    st.fixed_dictionaries(
        {"role": st.just("assistant"), "content": st.one_of(st.none(), TEXTS)},
        optional={
            "tool_calls": st.lists(CALL, max_size=3),
            "thinking_blocks": THOUGHTS,
            "reasoning_content": WORDS,
            "refusal": WORDS,
        },
    ),
    st.fixed_dictionaries(
        {"role": st.just("tool"), "tool_call_id": st.sampled_from(["call_1", "call_2", "f:0"]), "content": CONTENT}
    ),
)
TOOL = st.builds(
    lambda name, strict: {"type": "function", "function": {"name": name, "strict": strict, "parameters": {"type": "object"}}},
    NAMES,
    st.booleans(),
)
REQUEST = st.fixed_dictionaries(
    {"messages": st.lists(MESSAGE, max_size=6)},
    optional={
        "max_tokens": st.integers(1, 50_000),
        "temperature": st.floats(0, 2),
        "top_p": st.floats(0, 1),
        "stop": st.one_of(TEXTS, st.lists(TEXTS, max_size=4)),
        "tools": st.lists(TOOL, max_size=3),
        "tool_choice": st.one_of(
            st.sampled_from(["auto", "none", "required"]), st.just({"type": "function", "function": {"name": "f"}})
        ),
        "parallel_tool_calls": st.booleans(),
        "reasoning_effort": st.sampled_from(["none", "minimal", "low", "medium", "high", "xhigh", "max"]),
        "response_format": st.sampled_from(
            [
                {"type": "text"},
                {"type": "json_object"},
                {"type": "json_schema", "json_schema": {"name": "a b", "schema": {"type": "object", "properties": {}}}},
            ]
        ),
        "n": st.sampled_from([1, 2]),
        "seed": st.integers(),
        "stream": st.booleans(),
    },
)


@PLAIN
@hypothesis.given(REQUEST, st.sampled_from(["budget", "adaptive", "none"]), st.booleans(), st.booleans())
def test_valid_requests(body: dict[str, Any], thinking: str, json_schema: bool, strict: bool) -> None:
    """Turns alternate, begin with the user, hold no empty text; results open their turn; thinking fits below the limit."""
    try:
        request = TRANSLATOR.begin(body, b"", hints(strict, thinking=thinking, json_schema=json_schema)).request
    except Untranslatable as refused:
        assert refused.field and str(refused)
        return
    found = json.loads(request)
    roles = [turn["role"] for turn in found["messages"]]
    assert roles[0] == "user" and all(first != second for first, second in zip(roles, roles[1:], strict=False))
    used: set[str] = set()
    for turn in found["messages"]:
        content = turn["content"] if isinstance(turn["content"], list) else [{"type": "text", "text": turn["content"]}]
        kinds = [block["type"] for block in content]
        assert kinds and all(block["text"].strip() for block in content if block["type"] == "text")
        assert kinds == sorted(kinds, key=lambda kind: kind != "tool_result")
        own = [block["id"] for block in content if block["type"] == "tool_use"]
        assert not used & set(own) and len(own) == len(set(own))
        used |= set(own)
    if found.get("thinking", {}).get("type") == "enabled":
        assert 1024 <= found["thinking"]["budget_tokens"] < found["max_tokens"]
        assert found.get("tool_choice", {}).get("type") not in ("any", "tool") and found.get("temperature", 1) == 1
    if any(
        block["type"] == "tool_use" for turn in found["messages"] if isinstance(turn["content"], list) for block in turn["content"]
    ):
        assert found["tools"]


FIELDS = """messages max_tokens temperature top_p stop tools tool_choice functions function_call reasoning_effort response_format n
metadata user service_tier thinking output_config web_search_options parallel_tool_calls stream_options stream""".split()


@PLAIN
@hypothesis.given(st.dictionaries(st.sampled_from(FIELDS), ANY, max_size=6))
def test_any_request(body: dict[str, Any]) -> None:
    """Whatever shape a body has, it is translated to JSON or refused."""
    try:
        json.loads(begin(body).request)
    except Untranslatable as refused:
        assert refused.field


@PLAIN
@hypothesis.given(st.one_of(ANY, st.fixed_dictionaries({"content": st.lists(ANY)}, optional={"usage": ANY, "stop_reason": ANY})))
def test_any_answer(answer: Any) -> None:
    """Whatever shape an answer has, it is a completion or no answer at all."""
    translation = begin({})
    try:
        found = json.loads(translation.answer(json.dumps(answer).encode()))
    except Truncated:
        return
    assert found["object"] == "chat.completion" and isinstance(found["choices"][0]["finish_reason"], str)


DELTA = st.fixed_dictionaries(
    {"type": st.sampled_from(["text_delta", "input_json_delta", "thinking_delta", "signature_delta", "citations_delta"])},
    optional={name: st.one_of(WORDS, ANY) for name in ("text", "partial_json", "thinking", "signature", "citation")},
)
BLOCK = st.fixed_dictionaries(
    {"type": st.sampled_from(["text", "tool_use", "thinking", "redacted_thinking", "server_tool_use"])},
    optional={name: ANY for name in ("text", "id", "name", "input", "thinking", "citations")},
)
EVENT = st.one_of(
    st.fixed_dictionaries({"type": st.just("message_start"), "message": ANY}),
    st.fixed_dictionaries(
        {"type": st.just("content_block_start"), "index": st.integers(0, 2), "content_block": st.one_of(BLOCK, ANY)}
    ),
    st.fixed_dictionaries({"type": st.just("content_block_delta"), "index": st.integers(0, 2), "delta": st.one_of(DELTA, ANY)}),
    st.fixed_dictionaries({"type": st.just("content_block_stop"), "index": st.one_of(st.integers(0, 2), ANY)}),
    st.fixed_dictionaries({"type": st.just("message_delta"), "delta": ANY, "usage": ANY}),
    st.fixed_dictionaries({"type": st.sampled_from(["ping", "message_stop", "error"])}, optional={"error": ANY}),
    ANY,
)


@PLAIN
@hypothesis.given(st.lists(EVENT, max_size=8), st.booleans(), st.integers(1, 40))
def test_any_stream(events: list[Any], legacy: bool, size: int) -> None:
    """Whatever events come, however they are cut: whole events of JSON go out, the same ones, and the end is an end or an error."""
    body = {"stream_options": {"include_usage": True}, **({"functions": [{"name": "f"}]} if legacy else {})}
    stream = b"".join(b"data: %b\n\n" % json.dumps(each).encode() for each in events)
    told = []
    for chunks in ([stream], [stream[at : at + size] for at in range(0, len(stream), size)]):
        transducer = begin(body).stream()
        out = b"".join(transducer.feed(chunk) for chunk in chunks)
        try:
            out += transducer.close()
        except Truncated:
            out += transducer.fail(ErrorBody("upstream_error", "cut"))
        told.append(out)
    assert told[0] == told[1]
    found = read_events(told[0])
    assert b"".join(event.raw for event in found) == told[0]
    for event in found:
        assert event.data == b"[DONE]" or isinstance(json.loads(event.data), dict)


@PLAIN
@hypothesis.given(st.binary(max_size=200))
def test_any_bytes(stream: bytes) -> None:
    """Feeding never raises."""
    transducer = begin({}).stream()
    transducer.feed(stream)
    with pytest.raises(Truncated):
        transducer.close()


@PLAIN
@hypothesis.given(st.lists(st.tuples(NAMES, OBJECTS), min_size=1, max_size=3), WORDS)
def test_round_trip(called: list[tuple[str, dict[str, Any]]], text: str) -> None:
    """Text, names, arguments and ids that the upstream said come back to it as they were."""
    content: list[dict[str, Any]] = [{"type": "text", "text": text}] if text.strip() else []
    content += [{"type": "tool_use", "id": f"toolu_{at}", "name": name, "input": given} for at, (name, given) in enumerate(called)]
    answer = json.dumps({"content": content, "stop_reason": "tool_use"}).encode()
    said = json.loads(begin({}).answer(answer))["choices"][0]["message"]
    history = [{"role": "user", "content": "x"}, said, {"role": "tool", "tool_call_id": "toolu_0", "content": "y"}]
    assert json.loads(begin({"messages": history}).request)["messages"][1]["content"] == content
