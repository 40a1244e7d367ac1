"""The messages of openai.chat as instructions and items of the input.

| message | becomes |
| --- | --- |
| system, developer, at the beginning, in text | instructions |
| the same, later | a message of the same role |
| user | a message of the user |
| assistant | reasoning, then its text, then its calls |
| tool, function | the result of a call, in text or in parts |

A conversation of instructions only stays one of messages: the upstream wants some input. A refusal becomes text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from monorelay.dialects.interface import Untranslatable
from monorelay.dialects.loss import Losses
from monorelay.dialects.openai_chat_to_openai_responses.thoughts import items_of
from monorelay.dialects.quirks import Quirks
from monorelay.dialects.responses_input import BETWEEN, InputItems, Part, input_part, text_part

_LEGACY_ID = "function_call"


class Turns:
    """Mutable: ``instructions`` and ``items`` grow by ``add_all``."""

    __slots__ = ("_losses", "_quirks", "instructions", "items")

    def __init__(self, quirks: Quirks, losses: Losses) -> None:
        self.instructions = ""
        self.items = InputItems()
        self._quirks = quirks
        self._losses = losses

    def __repr__(self) -> str:
        return f"<Turns {self.items!r}>"

    def add_all(self, messages: object) -> None:
        """The whole conversation. Raises Untranslatable."""
        if not isinstance(messages, list) or not all(isinstance(message, dict) for message in messages):
            raise Untranslatable("messages", "`messages` must be a list of objects.")
        leading = self._leading(messages)
        self.instructions = BETWEEN.join(leading)
        for message in messages[len(leading) :]:
            self._add(message)
        if not self.items.items:
            raise Untranslatable("messages", "There is nothing to send: no message holds anything.")

    def _leading(self, messages: Sequence[Mapping[str, Any]]) -> list[str]:
        """The texts of the first messages, as long as they are instructions and nothing but text."""
        found: list[str] = []
        for message in messages:
            text = _plain(message.get("content"))
            if message.get("role") not in ("system", "developer") or not text or message.get("name"):
                break
            found.append(text)
        return [] if len(found) == len(messages) else found

    def _add(self, message: Mapping[str, Any]) -> None:
        role, content = message.get("role"), message.get("content")
        if role in ("system", "developer", "user"):
            parts = content if isinstance(content, str) else self._parts(content)
            if parts or isinstance(content, str):
                self.items.say(self._role(role), parts)
        elif role == "assistant":
            self._add_assistant(message)
        elif role in ("tool", "function"):
            given = message.get("tool_call_id", _LEGACY_ID)
            self.items.bring(str(given), content if isinstance(content, str) else self._parts(content))
        else:
            raise Untranslatable("messages.role", f"A message cannot have the role {role!r}.")
        if message.get("name") and role not in ("tool", "function"):  # the call says what was called
            self._losses.add("messages.name")

    def _role(self, role: str) -> str:
        usual = self._quirks.system_role == "system" or role == "user"
        return role if usual else self._quirks.system_role

    def _add_assistant(self, message: Mapping[str, Any]) -> None:
        for item in items_of(message, self._quirks, self._losses):
            self.items.think(item)
        if message.get("audio"):
            self._losses.add("messages.audio")
        content, refusal = message.get("content"), message.get("refusal")
        text = content if isinstance(content, str) else self._text(content)
        text += refusal if isinstance(refusal, str) else ""
        if text:
            self.items.answer(text)
        calls = message.get("tool_calls")
        for call in calls if isinstance(calls, list) else ():
            self._add_call(call if isinstance(call, dict) else {})
        legacy = message.get("function_call")
        if isinstance(legacy, dict):
            self._add_call({"id": _LEGACY_ID, "function": legacy})

    def _add_call(self, call: Mapping[str, Any]) -> None:
        function, custom, given = call.get("function"), call.get("custom"), call.get("id")
        given = given if isinstance(given, str) else ""
        if isinstance(custom, dict):
            self.items.call_custom(given, _word(custom, "name"), _word(custom, "input"))
        elif isinstance(function, dict):
            self.items.call(given, _word(function, "name"), _word(function, "arguments") or "{}")
        else:
            raise Untranslatable("messages.tool_calls", "A tool call must hold a function or a custom tool's input.")

    def _parts(self, content: object) -> list[Part]:
        """Raises Untranslatable."""
        found: list[Part] = []
        for part in content if isinstance(content, list) else () if content is None else (content,):
            if isinstance(part, str):
                found += [text_part(part)] if part else []
                continue
            if not isinstance(part, dict):
                raise Untranslatable("messages.content", "A content part must be an object.")
            told = input_part(part, self._losses)
            if told is not None:
                found.append(told)
        return found

    def _text(self, content: object) -> str:
        """Of the assistant, who can only speak."""
        found = ""
        for part in self._parts(content):
            if part["type"] == "input_text":
                found += part["text"]
            else:
                self._losses.add(f"messages.content.{part['type']}", "an assistant's turn holds text only")
        return found


def _plain(content: object) -> str:
    """Content that is nothing but text, as text; "" where it is not."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    texts = [part["text"] for part in content if isinstance(part, dict) and part.keys() == {"type", "text"}]
    is_plain = len(texts) == len(content) and all(isinstance(text, str) for text in texts)
    return BETWEEN.join(texts) if is_plain else ""


def _word(holder: Mapping[str, Any], name: str) -> str:
    value = holder.get(name)
    return value if isinstance(value, str) else ""
