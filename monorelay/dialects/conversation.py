"""What a request asks, whatever its dialect: the instructions and the turns of a conversation, for those who choose a target by it.

| capability | instructions | turns |
| --- | --- | --- |
| openai.chat | leading messages of system or developer | messages |
| openai.responses | instructions, leading items of developer or system | input: a text, or items |
| anthropic.messages, anthropic.count_tokens | system: a text, or blocks; leading messages of system | messages |
| openai.completions | none | prompt |

It is a reading for judgement, not for translation: text is what counts, everything else is counted. Total: what has not the shape
of the reference counts as nothing. The work is bounded too: of very many turns or parts only the first and the last are read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

BETWEEN = "\n\n"

_CARRYING = frozenset({"openai.chat", "openai.responses", "anthropic.messages", "anthropic.count_tokens", "openai.completions"})

# Kinds of parts. They do not collide, so that one table reads all dialects. What is looked for in a tuple may be no text.
_TEXTS = frozenset({"text", "input_text", "output_text"})
_IMAGES = frozenset({"image_url", "input_image", "image", "file", "input_file", "document", "input_audio", "audio", "video_url"})
_CALLS = frozenset({"tool_use", "server_tool_use", "mcp_tool_use"})
_RESULTS = ("tool_result", "mcp_tool_result")

_INSTRUCTING = ("system", "developer")
_ROLES = {
    "user": "user",
    "assistant": "assistant",
    "system": "system",
    "developer": "system",
    "tool": "tool",
    "function": "tool",
}

# Claude Code's first block names the client's release: it says nothing about the conversation, and changes in the middle of it.
_BILLING = "x-anthropic-billing-header:"

_FIRST, _LAST = 64, 448  # how many turns, or parts of a content, are read from each end
_EDGE = 1024  # characters of each end of a text that stand for it
_FEW = 4  # parts at each end of a content that stand for it
_SOON = 16  # among so many messages the first user's must be


@dataclass(frozen=True, slots=True)
class Turn:
    """One message. ``role``: user, assistant, tool (results of tools only) or system (instructions in mid-conversation).

    ``images`` counts whatever is shown and not written, documents and recordings too; ``tools`` counts calls and results.
    """

    role: str
    text: str
    images: int = 0
    tools: int = 0


@dataclass(frozen=True, slots=True)
class Conversation:
    """``turns`` are the first and the last ones where there are very many; ``length`` is how many there are. ``tools`` is the
    number of tools offered.
    """

    system: str = ""
    turns: tuple[Turn, ...] = ()
    length: int = 0
    tools: int = 0
    max_tokens: int | None = None


NOTHING = Conversation()


def carries_messages(capability: str) -> bool:
    return capability in _CARRYING


def conversation_of(capability: str, body: Mapping[str, Any]) -> Conversation:
    """Everything about the conversation that a request of ``capability`` carries; ``NOTHING`` for one that carries none.

    >>> conversation_of("openai.chat", {"messages": [{"role": "user", "content": "Hi"}]}).turns
    (Turn(role='user', text='Hi', images=0, tools=0),)
    """
    if capability not in _CARRYING:
        return NOTHING
    instructions, entries = _entries(capability, body)
    lead = leading_instructions(entries)
    texts = [_content(instructions)[0], *(_content(entry.get("content"))[0] for entry in _ends(entries[:lead]))]
    rest = entries[lead:]
    return Conversation(
        system=BETWEEN.join(filter(None, texts)),
        turns=tuple(turn for entry in _ends(rest) if (turn := _turn(entry)) is not None),
        length=len(rest),
        tools=_count(body.get("tools")) + _count(body.get("functions")),
        max_tokens=next((value for name in _MAXIMA if type(value := body.get(name)) is int and value > 0), None),
    )


def first_words(capability: str, body: Mapping[str, Any]) -> tuple[str, str]:
    """What tells this conversation from others, and stays as it grows: instructions and the first user's text, the ends of each.

    Quick, and no longer for a long body: nothing is copied but what is returned.
    """
    if capability not in _CARRYING:
        return "", ""
    instructions, entries = _entries(capability, body)
    system = _glimpse(instructions)
    for entry in entries[:_SOON]:
        if not isinstance(entry, dict):
            continue
        role = entry.get("role")
        if role == "user":
            return system, _glimpse(entry.get("content"))
        if role in _INSTRUCTING and _is_message(entry):
            system += _glimpse(entry.get("content"))
    return system, ""


# ---------------------------------------------------------------------------------------------------- entries

_MAXIMA = ("max_completion_tokens", "max_tokens", "max_output_tokens")


def _entries(capability: str, body: Mapping[str, Any]) -> tuple[object, list[Any]]:
    """The instructions that stand beside the conversation, and its messages or items; a bare text is a user's message."""
    if capability == "openai.chat":
        return None, _as_list(body.get("messages"))
    if capability == "openai.responses":
        given = body.get("input")
        return body.get("instructions"), [{"role": "user", "content": given}] if isinstance(given, str) else _as_list(given)
    if capability == "openai.completions":
        prompt = body.get("prompt")
        return None, [{"role": "user", "content": prompt}] if isinstance(prompt, (str, list)) else []
    return body.get("system"), _as_list(body.get("messages"))


def leading_instructions(entries: Sequence[Any]) -> int:
    """How many messages at the beginning are instructions. An item of another type (tools that are added) is none of them."""
    for at, entry in enumerate(entries):
        if not (isinstance(entry, dict) and entry.get("role") in _INSTRUCTING and _is_message(entry)):
            return at
    return len(entries)


def _is_message(entry: Mapping[str, Any]) -> bool:
    return bool(entry.get("type", "message") == "message")


def _turn(entry: object) -> Turn | None:
    """None for what is no turn: an unknown role, a thought, or no object at all."""
    if not isinstance(entry, dict):
        return None
    kind = entry.get("type", "message")
    if kind == "message":
        role = entry.get("role")
        known = _ROLES.get(role) if isinstance(role, str) else None
        return None if known is None else _message(known, entry)
    if not isinstance(kind, str):
        return None
    if kind.endswith("_output"):
        text, images, _ = _content(entry.get("output"))
        return Turn("tool", text, images, 1)
    return Turn("assistant", "", 0, 1) if kind.endswith("_call") else None


def _message(role: str, entry: Mapping[str, Any]) -> Turn:
    text, images, tools = _content(entry.get("content"))
    if role == "tool":
        tools = 1
    elif role == "assistant":
        tools += _count(entry.get("tool_calls")) + isinstance(entry.get("function_call"), dict)
    elif role == "user" and tools and _only_results(entry.get("content")):
        role = "tool"
    return Turn(role, text, images, tools)


# ---------------------------------------------------------------------------------------------------- contents


def _content(content: object, depth: int = 0) -> tuple[str, int, int]:
    """Text, number of images, number of calls and results."""
    if isinstance(content, str):
        return ("" if content.startswith(_BILLING) else content), 0, 0
    texts: list[str] = []
    images = tools = 0
    for part in _ends(_as_list(content)):
        if isinstance(part, str):
            texts.append(part)
            continue
        kind = part.get("type") if isinstance(part, dict) else None
        if not isinstance(kind, str):
            continue
        if kind in _TEXTS:
            text = part.get("text")
            if isinstance(text, str) and not text.startswith(_BILLING):
                texts.append(text)
        elif kind in _IMAGES:
            images += 1
        elif kind in _CALLS:
            tools += 1
        elif kind in _RESULTS and not depth:
            text, shown, _ = _content(part.get("content"), 1)
            texts.append(text)
            images += shown
            tools += 1
    return BETWEEN.join(filter(None, texts)), images, tools


def _only_results(content: object) -> bool:
    """Whether a user's message only brings what tools answered: then nobody has spoken."""
    return all(isinstance(part, dict) and part.get("type") in _RESULTS for part in _ends(_as_list(content)))


def _glimpse(content: object) -> str:
    """The ends of a text, or of the texts at the ends of a content."""
    if isinstance(content, str):
        if content.startswith(_BILLING):
            return ""
        return content if len(content) <= 2 * _EDGE else content[:_EDGE] + content[-_EDGE:]
    if not isinstance(content, list):
        return ""
    glimpses = []
    for part in content if len(content) <= 2 * _FEW else content[:_FEW] + content[-_FEW:]:
        text = part.get("text") if isinstance(part, dict) else part
        if isinstance(text, str):
            glimpses.append(_glimpse(text))
    return "".join(glimpses)


def _ends(entries: list[Any]) -> list[Any]:
    return entries if len(entries) <= _FIRST + _LAST else entries[:_FIRST] + entries[-_LAST:]


def _as_list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _count(value: object) -> int:
    return len(value) if isinstance(value, list) else 0
