"""The system prompt and the turns of a conversation, as the messages of openai.chat.

| anthropic.messages | openai.chat |
| --- | --- |
| system; a message of the role system | a message of the provider's system role, in place |
| user: text, images, documents | a user message: plain text, or parts |
| user: tool_result | a tool message, right behind the assistant's turn that called; what else the user says follows after them |
| an image or a file inside a tool_result | in the user's message behind it: a tool message holds text only |
| assistant: text, tool_use | content, tool_calls |
| assistant: thinking | reasoning_content where the provider wants it back, else nothing |
| system: tool_addition, tool_removal | the tools of the request (``tools.py``) |
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from monorelay.dialects.anthropic_messages_to_openai_chat.calls import call_of, tool_call_id
from monorelay.dialects.anthropic_messages_to_openai_chat.parts import Block, blocks_of, drop, shown, text_field
from monorelay.dialects.chat_content import BETWEEN, Part, as_content, text_part
from monorelay.dialects.interface import Untranslatable
from monorelay.dialects.loss import Losses
from monorelay.dialects.quirks import Quirks
from monorelay.dialects.tool_names import ToolNames

Message = dict[str, Any]

# Claude Code's first block: it names the client's release, which changes often and would spoil the upstream's prompt cache.
_BILLING = "x-anthropic-billing-header:"
TOOL_CHANGES = frozenset({"tool_addition", "tool_removal"})
_UNSAID = frozenset({"redacted_thinking", "fallback"})


class Conversation:
    """The messages so far.

    Mutable: ``messages`` grows; ``_results_at`` is where the next result of the latest calls belongs, ``_open_calls`` are their
    ids.
    """

    __slots__ = ("_losses", "_names", "_open_calls", "_quirks", "_results_at", "messages")

    def __init__(self, quirks: Quirks, names: ToolNames, losses: Losses) -> None:
        self.messages: list[Message] = []
        self._quirks = quirks
        self._names = names
        self._losses = losses
        self._open_calls: frozenset[str] = frozenset()
        self._results_at = 0

    def add(self, message: Mapping[str, Any], field: str) -> None:
        """One message of the request. Raises Untranslatable."""
        role = message.get("role")
        blocks = blocks_of(message.get("content"), f"{field}.content")
        if role == "user":
            self._add_user(blocks, f"{field}.content")
        elif role == "assistant":
            self._add_assistant(blocks, f"{field}.content")
        elif role == "system":
            self.add_system([block for block in blocks if block.get("type") not in TOOL_CHANGES], f"{field}.content")
        else:
            raise Untranslatable(f"{field}.role", f"`{field}.role` is {role!r}; it must be user, assistant or system.")

    def add_system(self, blocks: Sequence[Block], field: str) -> None:
        texts = []
        for block in blocks:
            if block.get("type") != "text":
                drop(block, self._losses)
                continue
            text = text_field(block, "text", field)
            if text and not text.startswith(_BILLING):
                texts.append(text_part(text))
        if texts:
            self.messages.append({"role": self._quirks.system_role, "content": as_content(texts)})

    def instruct(self, words: str) -> None:
        """Puts words of our own into the first system message: many models take but one."""
        first = self.messages[0] if self.messages else {}
        if first.get("role") == self._quirks.system_role and isinstance(first["content"], str):
            first["content"] += BETWEEN + words
        else:
            self.messages.insert(0, {"role": self._quirks.system_role, "content": words})

    def _add_user(self, blocks: Sequence[Block], field: str) -> None:
        parts: list[Part] = []
        brought: list[Part] = []  # by tool results
        for block in blocks:
            if block.get("type") == "tool_result":
                brought += self._add_result(block, field)
            else:
                parts += shown(block, field, self._losses)
        if brought or parts:
            self.messages.append({"role": "user", "content": as_content([*brought, *parts])})

    def _add_result(self, block: Block, field: str) -> list[Part]:
        """Adds a tool message. Returns what only a user's message can show of the result."""
        call_id = tool_call_id(text_field(block, "tool_use_id", field))
        inside = blocks_of(block.get("content"), f"{field}.content")
        parts = [part for each in inside for part in shown(each, f"{field}.content", self._losses)]
        text = BETWEEN.join(part["text"] for part in parts if part["type"] == "text")
        others = [part for part in parts if part["type"] != "text"]
        if block.get("is_error"):
            text = f"Error: {text}" if text else "Error"
        elif others and not text:
            text = "The result follows in the next message."
        if call_id not in self._open_calls:  # a tool message that answers no call would be refused
            return [text_part(f"Result of the tool call {call_id}:\n{text}"), *others]
        self.messages.insert(self._results_at, {"role": "tool", "tool_call_id": call_id, "content": text})
        self._results_at += 1
        return [text_part(f"From the result of the tool call {call_id}:"), *others] if others else []

    def _add_assistant(self, blocks: Sequence[Block], field: str) -> None:
        text = ""
        thoughts: list[str] = []
        calls: list[dict[str, Any]] = []
        is_running = False  # text of several blocks in a row is one text that citations have cut up
        for block in blocks:
            kind = block.get("type")
            if kind == "text":
                piece = text_field(block, "text", field)
                text += piece if is_running or not text else BETWEEN + piece
            elif kind == "tool_use":
                calls.append(call_of(block, field, self._names))
            elif kind == "thinking":
                thoughts.append(text_field(block, "thinking", field))
            elif kind == "compaction":
                text += "".join(part["text"] for part in shown(block, field, self._losses))
            elif kind not in _UNSAID:
                drop(block, self._losses)
            is_running = kind == "text"
        if not text and not calls:
            return
        if self.messages and self.messages[-1]["role"] == "assistant":  # two turns in a row are one
            earlier = self.messages.pop()
            text = BETWEEN.join(each for each in (earlier["content"], text) if each)
            calls = [*earlier.get("tool_calls", ()), *calls]
            thoughts = [each for each in (earlier.get("reasoning_content"), *thoughts) if each]
        message: Message = {"role": "assistant", "content": text or None}
        if calls:
            message["tool_calls"] = calls
        if self._quirks.echo_reasoning and (thoughts or calls):
            # Where reasoning is to come back, a turn with calls is refused without the field, even if nothing was thought.
            message["reasoning_content"] = BETWEEN.join(thoughts)
        self.messages.append(message)
        self._open_calls = frozenset(call["id"] for call in calls)
        self._results_at = len(self.messages)


def current_turn(messages: Sequence[Mapping[str, Any]]) -> int:
    """Where the last message of a user stands; -1 where there is none. What a system message says for one turn holds behind it."""
    return max((at for at, message in enumerate(messages) if message.get("role") == "user"), default=-1)


def is_cleared(message: Mapping[str, Any], is_current: bool) -> bool:
    """Whether a system message was meant for an earlier turn only."""
    return message.get("role") == "system" and message.get("clear_at") == "next_user_message" and not is_current
