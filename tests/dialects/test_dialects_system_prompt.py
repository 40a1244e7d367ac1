"""An operator's words stand before the client's, or in their place; nothing of the client's is rewritten on the way."""

from __future__ import annotations

import copy
from typing import Any

import pytest

pytest.importorskip("hypothesis")

from hypothesis import given
from hypothesis import strategies as some

from monorelay.dialects.conversation import conversation_of
from monorelay.dialects.system_prompt import with_system

USER = {"role": "user", "content": "Hi"}
LATE = {"role": "system", "content": "Late."}


def chat(*messages: Any) -> dict[str, Any]:
    return {"messages": list(messages)}


def system(content: Any, role: str = "system", **more: Any) -> dict[str, Any]:
    return {"role": role, "content": content, **more}


BLOCK = {"type": "text", "text": "Old.", "cache_control": {"type": "ephemeral"}}
ADDED = {"type": "text", "text": "New."}
TOOLS = {"type": "additional_tools", "role": "developer", "tools": []}

CASES = [
    # openai.chat, prepend
    ("openai.chat", chat(USER), "New.", None, chat(system("New."), USER)),
    ("openai.chat", chat(system("Old."), USER), "New.", None, chat(system("New.\n\nOld."), USER)),
    ("openai.chat", chat(system("Old.", name="n"), USER), "New.", None, chat(system("New.\n\nOld.", name="n"), USER)),
    ("openai.chat", chat(system("Old.", "developer"), USER), "New.", None, chat(system("New.\n\nOld.", "developer"), USER)),
    ("openai.chat", chat(system([BLOCK]), USER), "New.", None, chat(system([ADDED, BLOCK]), USER)),
    ("openai.chat", chat(system(""), USER), "New.", None, chat(system("New."), USER)),
    ("openai.chat", chat(system(None), USER), "New.", None, chat(system("New."), USER)),
    ("openai.chat", chat(USER, LATE), "New.", None, chat(system("New."), USER, LATE)),
    # openai.chat, replace
    ("openai.chat", chat(system("A"), system("B", "developer"), USER, LATE), None, "New.", chat(system("New."), USER, LATE)),
    ("openai.chat", chat(system("A", "developer"), USER), None, "New.", chat(system("New.", "developer"), USER)),
    ("openai.chat", chat(USER), None, "New.", chat(system("New."), USER)),
    ("openai.chat", chat(system("A"), USER), None, "", chat(USER)),
    ("openai.chat", chat(system("A"), USER), "First.", "New.", chat(system("First.\n\nNew."), USER)),
    ("openai.chat", chat(system("A"), USER), "First.", "", chat(system("First."), USER)),
    # openai.responses
    ("openai.responses", {"input": "Hi"}, "New.", None, {"instructions": "New."}),
    ("openai.responses", {"input": "Hi", "instructions": "Old."}, "New.", None, {"instructions": "New.\n\nOld."}),
    ("openai.responses", {"input": [system("Old.", "developer"), USER]}, "New.", None, {"instructions": "New."}),
    (
        "openai.responses",
        {"input": [system("Old.", "developer"), {**system("B"), "type": "message"}, USER, LATE], "instructions": "Old."},
        None,
        "New.",
        {"instructions": "New.", "input": [USER, LATE]},
    ),
    ("openai.responses", {"input": [TOOLS, USER]}, None, "New.", {"instructions": "New."}),
    ("openai.responses", {"input": "Hi", "instructions": "Old."}, None, "", {"instructions": None}),
    # anthropic.messages
    ("anthropic.messages", chat(USER), "New.", None, {"system": "New."}),
    ("anthropic.messages", {"system": "Old.", **chat(USER)}, "New.", None, {"system": "New.\n\nOld."}),
    ("anthropic.messages", {"system": [BLOCK], **chat(USER)}, "New.", None, {"system": [ADDED, BLOCK]}),
    ("anthropic.messages", {"system": [BLOCK], **chat(USER)}, None, "New.", {"system": "New."}),
    ("anthropic.messages", {"system": "A", **chat(LATE, USER, LATE)}, None, "New.", {"system": "New.", **chat(USER, LATE)}),
    ("anthropic.messages", {"system": "Old.", **chat(USER)}, None, "", {"system": []}),
    ("anthropic.messages", {"system": [BLOCK], **chat(USER)}, "First.", "New.", {"system": "First.\n\nNew."}),
    ("anthropic.count_tokens", {"system": "Old.", **chat(USER)}, "New.", None, {"system": "New.\n\nOld."}),
    # Nothing to change, or no place for it.
    ("openai.chat", chat(USER), None, None, {}),
    ("openai.chat", chat(USER), "", None, {}),
    ("openai.chat", chat(), "New.", None, {}),
    ("openai.chat", {"messages": "Hi"}, "New.", None, {}),
    ("openai.completions", {"prompt": "Hi"}, "New.", "New.", {}),
    ("openai.embeddings", {"input": "Hi"}, "New.", "New.", {}),
]


@pytest.mark.parametrize(("capability", "body", "prepend", "replace", "changed"), CASES)
def test_with_system(
    capability: str, body: dict[str, Any], prepend: str | None, replace: str | None, changed: dict[str, Any]
) -> None:
    """Only the fields that change are told, and the request itself stays as it came."""
    before = copy.deepcopy(body)
    assert with_system(capability, body, prepend, replace) == changed
    assert body == before


CONTENT = some.none() | some.text(max_size=3) | some.lists(some.just(BLOCK) | some.integers(), max_size=2)
ENTRY = some.integers() | some.fixed_dictionaries(
    {"role": some.sampled_from(["system", "developer", "user", ["x"], {}, None]), "content": CONTENT}
)


@given(
    some.sampled_from(["openai.chat", "openai.responses", "anthropic.messages"]),
    some.dictionaries(some.sampled_from(["messages", "input", "system", "instructions"]), CONTENT | some.lists(ENTRY, max_size=4)),
)
def test_any_shape(capability: str, body: dict[str, Any]) -> None:
    """No shape is a fault, and what is put in is what a reader finds first."""
    before = copy.deepcopy(body)
    changed = with_system(capability, body, "NEW", "OTHER")
    assert body == before
    if changed:
        assert conversation_of(capability, {**body, **changed}).system.startswith("NEW")
