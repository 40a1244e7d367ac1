"""The system prompt and the turns of a conversation, as instructions and items of the input.

| anthropic.messages | openai.responses |
| --- | --- |
| system | instructions |
| a message of the role system | a message of the provider's system role, in place |
| user: text, images, documents, search results | a message of the user |
| user: tool_result | function_call_output, in text or in parts; what else the user says follows after it |
| assistant: text, tool_use | messages and function_call, in their order |
| assistant: thinking that this pair sealed | the reasoning item, as it was |
| assistant: other thinking | a reasoning item where the provider wants it back, else nothing |
| system: tool_addition, tool_removal | the tools of the request |
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from monorelay.dialects.anthropic_messages_to_openai_chat.parts import Block, blocks_of, drop, shown, text_field
from monorelay.dialects.anthropic_messages_to_openai_chat.turns import TOOL_CHANGES, current_turn, is_cleared
from monorelay.dialects.carrying_ids import read_carrying_id
from monorelay.dialects.interface import Untranslatable
from monorelay.dialects.loss import Losses
from monorelay.dialects.quirks import Quirks
from monorelay.dialects.responses_input import BETWEEN, InputItems, Item, Part, input_part, reasoning_item, text_part
from monorelay.dialects.sealed_thoughts import unseal
from monorelay.dialects.tool_input import read_arguments
from monorelay.dialects.tool_names import ToolNames

# Claude Code's first block: it names the client's release, which changes often and would spoil the upstream's prompt cache.
_BILLING = "x-anthropic-billing-header:"
_UNSAID = frozenset({"redacted_thinking", "fallback"})


class Turns:
    """Mutable: ``items`` grow by ``add_all``."""

    __slots__ = ("_losses", "_names", "_quirks", "items")

    def __init__(self, quirks: Quirks, names: ToolNames, losses: Losses) -> None:
        self.items = InputItems()
        self._quirks = quirks
        self._names = names
        self._losses = losses

    def __repr__(self) -> str:
        return f"<Turns {self.items!r}>"

    def add_all(self, messages: object) -> None:
        """The whole conversation. Raises Untranslatable."""
        if not isinstance(messages, list):
            raise Untranslatable("messages", "`messages` must be a list of messages.")
        turns = blocks_of(messages, "messages")
        now = current_turn(turns)
        for at, message in enumerate(turns):
            if not is_cleared(message, is_current=at > now):
                self._add(message, f"messages.{at}")
        if not self.items.items:
            raise Untranslatable("messages", "There is nothing to send: no message holds anything that could be told.")

    def instructions(self, system: object) -> str:
        """The system prompt. Raises Untranslatable."""
        return BETWEEN.join(self._said(blocks_of(system, "system"), "system"))

    def _add(self, message: Mapping[str, Any], field: str) -> None:
        role = message.get("role")
        blocks, field = blocks_of(message.get("content"), f"{field}.content"), f"{field}.content"
        if role == "user":
            self._add_user(blocks, field)
        elif role == "assistant":
            self._add_assistant(blocks, field)
        elif role == "system":
            texts = self._said([block for block in blocks if block.get("type") not in TOOL_CHANGES], field)
            if texts:
                self.items.say(self._quirks.system_role, BETWEEN.join(texts))
        else:
            raise Untranslatable("messages.role", f"`role` in `{field[:-8]}` is {role!r}; it must be user, assistant or system.")

    def _said(self, blocks: Sequence[Block], field: str) -> list[str]:
        """The texts of whoever instructs."""
        texts = []
        for block in blocks:
            if block.get("type") != "text":
                drop(block, self._losses)
                continue
            text = text_field(block, "text", field)
            if text and not text.startswith(_BILLING):
                texts.append(text)
        return texts

    def _add_user(self, blocks: Sequence[Block], field: str) -> None:
        parts: list[Part] = []
        for block in blocks:
            if block.get("type") == "tool_result":
                self._add_result(block, field)
            else:
                parts += _shown(block, field, self._losses)
        if parts:
            self.items.say("user", parts)

    def _add_result(self, block: Block, field: str) -> None:
        use_id = text_field(block, "tool_use_id", field)
        inside = blocks_of(block.get("content"), f"{field}.content")
        parts = [part for each in inside for part in _shown(each, f"{field}.content", self._losses)]
        if block.get("is_error"):
            first = parts.pop(0)["text"] if parts and parts[0]["type"] == "input_text" else ""
            parts.insert(0, text_part(f"Error: {first}" if first else "Error"))
        self.items.bring(read_carrying_id(use_id)[0], parts)

    def _add_assistant(self, blocks: Sequence[Block], field: str) -> None:
        text = ""  # of several blocks in a row: citations have cut it up
        for block in blocks:
            kind = block.get("type")
            if kind == "text":
                text += text_field(block, "text", field)
                continue
            if kind == "compaction":
                text += "".join(part["text"] for part in shown(block, field, self._losses))
                continue
            if kind in ("tool_use", "thinking") and text:
                self.items.answer(text)
                text = ""
            if kind == "tool_use":
                self._add_call(block, field)
            elif kind == "thinking":
                item = self._thought(block, field)
                if item is not None:
                    self.items.think(item)
            elif kind not in _UNSAID:
                drop(block, self._losses)
        if text:
            self.items.answer(text)

    def _add_call(self, block: Block, field: str) -> None:
        arguments = json.dumps(read_arguments(block.get("input")), ensure_ascii=False, separators=(",", ":"))
        call_id = read_carrying_id(text_field(block, "id", field))[0]
        self.items.call(call_id, self._names.told(text_field(block, "name", field)), arguments)

    def _thought(self, block: Block, field: str) -> Item | None:
        sealed = unseal("openai.responses", block.get("signature"))
        if sealed is not None and sealed.get("type") == "reasoning":
            return sealed
        text = text_field(block, "thinking", field)
        return reasoning_item("", (), (text,)) if text and self._quirks.echo_reasoning else None


def _shown(block: Block, field: str, losses: Losses) -> Iterator[Part]:
    """The parts that show a block: as in openai.chat, but for what only this dialect can fetch."""
    source = block.get("source")
    kind = block.get("type"), source.get("type") if isinstance(source, dict) else None
    if kind == ("document", "url"):
        assert isinstance(source, dict)
        citations = block.get("citations")
        if isinstance(citations, dict) and citations.get("enabled"):
            losses.add("documents.citations")
        if isinstance(block.get("context"), str) and block["context"]:
            yield text_part(block["context"])
        yield {"type": "input_file", "file_url": text_field(source, "url", f"{field}.source")}
    elif kind == ("image", "file"):
        assert isinstance(source, dict)
        yield {"type": "input_image", "detail": "auto", "file_id": text_field(source, "file_id", f"{field}.source")}
    else:
        for part in shown(block, field, losses):
            told = input_part(part, losses)
            if told is not None:
                yield told
