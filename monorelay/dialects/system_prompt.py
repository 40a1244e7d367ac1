"""An operator's own words in a request's instructions: put before the client's, or in their place.

| capability | prepend | replace |
| --- | --- | --- |
| openai.chat | into the first system or developer message, else a new first one | one message for all leading ones |
| openai.responses | before `instructions`, which stand before `input` | `instructions`; leading ones in `input` go |
| anthropic.messages, .count_tokens | before `system`; a block of its own before blocks | `system`; leading ones in `messages` go |

What an instruction in mid-conversation says stays: it belongs to its place. openai.completions has no place for any. Blocks and
their marks of caching are never rewritten. A conversation that has not the shape of the reference is left alone: its upstream says
what is wrong with it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from monorelay.dialects.conversation import BETWEEN, leading_instructions

Fields = Mapping[str, Any]


def with_system(capability: str, body: Fields, prepend: str | None = None, replace: str | None = None) -> dict[str, Any]:
    """The top-level fields that change, with their new values; ``body`` stays as it is. Replacing comes first; "" leaves none.

    >>> with_system("anthropic.messages", {"system": "Be kind.", "messages": []}, prepend="Be brief.")
    {'system': 'Be brief.\\n\\nBe kind.'}
    """
    changes = _CHANGES.get(capability)
    if changes is None or (replace is None and not prepend):
        return {}
    return changes(body, prepend or "", replace)


def _chat(body: Fields, prepend: str, replace: str | None) -> dict[str, Any]:
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        return {}
    lead = leading_instructions(messages)
    leading, rest = messages[:lead], messages[lead:]
    role = leading[0]["role"] if leading else "system"
    if replace is not None:
        leading = [{"role": role, "content": replace}] if replace else []
    if prepend:
        if leading:
            leading = [{**leading[0], "content": _before(prepend, leading[0].get("content"))}, *leading[1:]]
        else:
            leading = [{"role": role, "content": prepend}]
    return {"messages": leading + rest}


def _responses(body: Fields, prepend: str, replace: str | None) -> dict[str, Any]:
    changed: dict[str, Any] = {}
    instructions: Any = body.get("instructions")
    if replace is not None:
        instructions = replace
        items = body.get("input")
        lead = leading_instructions(items) if isinstance(items, list) else 0
        if lead:
            changed["input"] = items[lead:] if items else []
    if prepend:
        instructions = _before(prepend, instructions)
    return {"instructions": instructions or None, **changed}


def _messages(body: Fields, prepend: str, replace: str | None) -> dict[str, Any]:
    changed: dict[str, Any] = {}
    system: Any = body.get("system")
    if replace is not None:
        system = replace
        messages = body.get("messages")
        lead = leading_instructions(messages) if isinstance(messages, list) else 0
        if lead and messages:
            changed["messages"] = messages[lead:]
    if prepend:
        system = _before(prepend, system)
    return {"system": system or [], **changed}  # blocks may be none; an empty text is refused here and there


def _before(text: str, content: object) -> Any:
    """``content`` with a text before it: joined to a text, a part of its own before parts. Both dialects write a part alike."""
    if isinstance(content, str) and content:
        return text + BETWEEN + content
    if isinstance(content, list) and content:
        return [{"type": "text", "text": text}, *content]
    return text


_CHANGES: dict[str, Callable[[Fields, str, str | None], dict[str, Any]]] = {
    "openai.chat": _chat,
    "openai.responses": _responses,
    "anthropic.messages": _messages,
    "anthropic.count_tokens": _messages,
}
