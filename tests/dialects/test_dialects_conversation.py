"""Conversations are read alike, whatever their dialect; whatever has no shape counts as nothing, and long ones cost little."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("hypothesis")

from hypothesis import given
from hypothesis import strategies as some

from monorelay.dialects.conversation import NOTHING, Conversation, Turn, carries_messages, conversation_of, first_words

CARRYING = ("openai.chat", "openai.responses", "anthropic.messages", "anthropic.count_tokens", "openai.completions")

CHAT = {
    "model": "m",
    "max_completion_tokens": 300,
    "tools": [{"type": "function"}, {"type": "function"}],
    "messages": [
        {"role": "system", "content": "Be kind."},
        {"role": "developer", "content": [{"type": "text", "text": "Be brief."}]},
        {"role": "user", "content": [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": "x"}}]},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}, {"id": "2"}]},
        {"role": "tool", "tool_call_id": "1", "content": "a cat"},
        {"role": "tool", "tool_call_id": "2", "content": [{"type": "text", "text": "a dog"}]},
        {"role": "system", "content": "Hurry."},
        {"role": "assistant", "content": "Both."},
    ],
}
RESPONSES = {
    "model": "m",
    "max_output_tokens": 300,
    "tools": [{"type": "function"}, {"type": "web_search"}],
    "instructions": "Be kind.",
    "input": [
        {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "Be brief."}]},
        {"role": "user", "content": [{"type": "input_text", "text": "What is this?"}, {"type": "input_image", "image_url": "x"}]},
        {"type": "reasoning", "summary": [], "encrypted_content": "x"},
        {"type": "function_call", "call_id": "1", "name": "look", "arguments": "{}"},
        {"type": "custom_tool_call", "call_id": "2", "name": "look", "input": ""},
        {"type": "function_call_output", "call_id": "1", "output": "a cat"},
        {"type": "custom_tool_call_output", "call_id": "2", "output": [{"type": "input_text", "text": "a dog"}]},
        {"type": "message", "role": "system", "content": "Hurry."},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Both."}]},
    ],
}
MESSAGES = {
    "model": "m",
    "max_tokens": 300,
    "tools": [{"name": "look"}, {"name": "see"}],
    "system": [
        {"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1;"},
        {"type": "text", "text": "Be kind."},
        {"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}},
    ],
    "messages": [
        {"role": "user", "content": [{"type": "text", "text": "What is this?"}, {"type": "image", "source": {}}]},
        {
            "role": "assistant",
            "content": [{"type": "thinking", "thinking": "Hm"}, {"type": "tool_use", "id": "1"}, {"type": "tool_use", "id": "2"}],
        },
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "1", "content": "a cat"}]},
        {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": "2", "content": [{"type": "text", "text": "a dog"}]}],
        },
        {"role": "system", "content": "Hurry."},
        {"role": "assistant", "content": "Both."},
    ],
}
TURNS = (
    Turn("user", "What is this?", 1, 0),
    Turn("assistant", "", 0, 2),
    Turn("tool", "a cat", 0, 1),
    Turn("tool", "a dog", 0, 1),
    Turn("system", "Hurry."),
    Turn("assistant", "Both."),
)


def test_chat() -> None:
    """Leading instructions are the system's, later ones are turns; calls, results and images are counted."""
    assert conversation_of("openai.chat", CHAT) == Conversation("Be kind.\n\nBe brief.", TURNS, 6, 2, 300)


@pytest.mark.parametrize("capability", ["anthropic.messages", "anthropic.count_tokens"])
def test_messages(capability: str) -> None:
    """The same conversation in blocks; results of tools are nobody's words; a client's release is no instruction."""
    assert conversation_of(capability, MESSAGES) == Conversation("Be kind.\n\nBe brief.", TURNS, 6, 2, 300)


def test_responses() -> None:
    """The same in items: each call is one, and a thought is no turn."""
    read = conversation_of("openai.responses", RESPONSES)
    assert read.system == "Be kind.\n\nBe brief."
    assert read.turns == (TURNS[0], Turn("assistant", "", 0, 1), Turn("assistant", "", 0, 1), *TURNS[2:])
    assert (read.length, read.tools, read.max_tokens) == (8, 2, 300)


@pytest.mark.parametrize(
    ("capability", "body", "turns"),
    [
        ("openai.responses", {"input": "Hello"}, (Turn("user", "Hello"),)),
        ("openai.completions", {"prompt": "Once upon"}, (Turn("user", "Once upon"),)),
        ("openai.completions", {"prompt": ["One", "Two"]}, (Turn("user", "One\n\nTwo"),)),
        ("openai.completions", {"prompt": [15496, 11]}, (Turn("user", ""),)),
        ("openai.completions", {}, ()),
        (
            "anthropic.messages",
            {"messages": [{"role": "user", "content": [{"type": "tool_result", "content": "r"}, {"type": "text", "text": "go"}]}]},
            (Turn("user", "r\n\ngo", 0, 1),),
        ),
        (
            "openai.chat",
            {"messages": [{"role": "assistant", "function_call": {"name": "f"}}, {"role": "function", "content": "r"}]},
            (Turn("assistant", "", 0, 1), Turn("tool", "r", 0, 1)),
        ),
    ],
)
def test_other_forms(capability: str, body: dict[str, Any], turns: tuple[Turn, ...]) -> None:
    """Bare texts, prompts, and the older names of things."""
    assert conversation_of(capability, body).turns == turns


def test_who_carries_messages() -> None:
    """Embeddings, files and models carry no conversation."""
    assert all(carries_messages(capability) for capability in CARRYING)
    for other in ("openai.embeddings", "openai.models", "acme.chat", "anthropic.models", ""):
        assert not carries_messages(other)
        assert conversation_of(other, CHAT) is NOTHING
        assert first_words(other, CHAT) == ("", "")


def test_very_many_turns() -> None:
    """Only the ends are read, but all are counted."""
    messages = [{"role": "user", "content": str(number)} for number in range(100_000)]
    read = conversation_of("openai.chat", {"messages": messages})
    assert (len(read.turns), read.length) == (512, 100_000)
    assert (read.turns[0].text, read.turns[-1].text) == ("0", "99999")


FIRST = [
    ("openai.chat", CHAT, ("Be kind.Be brief.", "What is this?")),
    ("openai.responses", RESPONSES, ("Be kind.Be brief.", "What is this?")),
    ("anthropic.messages", MESSAGES, ("Be kind.Be brief.", "What is this?")),
    ("openai.responses", {"input": "Hello"}, ("", "Hello")),
    ("openai.completions", {"prompt": "Once"}, ("", "Once")),
    ("openai.chat", {"messages": [{"role": "assistant", "content": "Hi"}, {"role": "user", "content": "Yes"}]}, ("", "Yes")),
    ("openai.chat", {"messages": []}, ("", "")),
]


@pytest.mark.parametrize(("capability", "body", "words"), FIRST)
def test_first_words(capability: str, body: dict[str, Any], words: tuple[str, str]) -> None:
    """Instructions and the first user's words, which stay the same while a conversation grows."""
    assert first_words(capability, body) == words
    grown = json.loads(json.dumps(body))
    for entries in (grown.get("messages"), grown.get("input")):
        if isinstance(entries, list) and entries:
            entries += [{"role": "assistant", "content": "A"}, {"role": "user", "content": "B"}]
            assert first_words(capability, grown) == words


def test_first_words_of_a_long_text() -> None:
    """Both ends stand for it: conversations that begin alike and differ at the end are told apart."""
    begun = "x" * 100_000
    one = first_words("openai.chat", {"messages": [{"role": "user", "content": begun + "one"}]})
    two = first_words("openai.chat", {"messages": [{"role": "user", "content": begun + "two"}]})
    assert one != two
    assert len(one[1]) == 2048


def best(work: Callable[[], object]) -> float:
    took = []
    for _ in range(300):
        begun = time.perf_counter()
        work()
        took.append(time.perf_counter() - begun)
    return min(took)


def test_first_words_are_quick() -> None:
    """Less than 5 µs of a body of 100 kB; the best of many runs, because machines are busy."""
    turns = [{"role": role, "content": "words and words " * 60} for _ in range(50) for role in ("user", "assistant")]
    body = {"messages": [{"role": "system", "content": "instructions " * 1000}, *turns]}
    assert len(json.dumps(body)) > 100_000
    assert best(lambda: first_words("openai.chat", body)) < 5e-6


ODD = some.none() | some.integers() | some.just([]) | some.just([7]) | some.just({}) | some.text(max_size=3)
PART = ODD | some.fixed_dictionaries(
    {},
    optional={
        "type": ODD | some.sampled_from(["text", "input_text", "image", "tool_use", "tool_result"]),
        "text": ODD,
        "content": ODD | some.just([[[{"type": "tool_result", "content": []}]]]),
    },
)
CONTENT = ODD | some.lists(PART, max_size=3)
ENTRY = ODD | some.fixed_dictionaries(
    {},
    optional={
        "role": ODD | some.sampled_from(["system", "developer", "user", "assistant", "tool"]),
        "type": ODD | some.sampled_from(["message", "function_call", "function_call_output"]),
        "content": CONTENT,
        "output": CONTENT,
        "tool_calls": CONTENT,
        "function_call": ODD,
    },
)
ANYTHING = CONTENT | some.lists(ENTRY, max_size=4)
FIELDS = some.sampled_from(["messages", "input", "system", "instructions", "prompt", "tools", "max_tokens"])


@given(some.dictionaries(FIELDS, ANYTHING, max_size=4), some.sampled_from(CARRYING))
def test_any_shape(body: dict[str, Any], capability: str) -> None:
    """No shape is a fault; what is read is text and numbers."""
    read = conversation_of(capability, body)
    assert all(isinstance(turn.text, str) and turn.images >= 0 and turn.tools >= 0 for turn in read.turns)
    assert isinstance(read.system, str)
    assert all(isinstance(words, str) for words in first_words(capability, body))
