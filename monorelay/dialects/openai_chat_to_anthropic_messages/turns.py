"""The messages of openai.chat as system blocks and alternating turns.

| message | becomes |
| --- | --- |
| system, developer, at the beginning | blocks of ``system`` |
| the same, later | a user's text; or a system message where it stood, where the provider takes one |
| user | a user turn; neighbours are merged |
| assistant | an assistant turn: thinking first, then text, then tool_use |
| tool, function | tool_result, at the beginning of the next user turn, where the upstream demands it |

The upstream refuses some things that OpenAI takes, so: text without a visible character is left out; a conversation that the
assistant opens gets a user's turn before it; one of instructions only makes them the user's turn; a last assistant turn does
not end in white space; and an id of a tool call that comes again gets a number.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from monorelay.dialects.call_ids import plain_id
from monorelay.dialects.interface import Untranslatable
from monorelay.dialects.loss import Losses
from monorelay.dialects.openai_chat_to_anthropic_messages.parts import Block, cache_control, text_block, translate_content
from monorelay.dialects.quirks import Quirks
from monorelay.dialects.string_argument import wrap
from monorelay.dialects.tool_input import INVALID, read_arguments

OPENING = "(The conversation begins with the assistant.)"
_THINKING = ("thinking", "redacted_thinking")
_LEGACY_ID = "function_call"


class Turns:
    """Mutable: everything grows message by message, and ``finish`` puts the last touches to it.

    ``called`` holds the names of the tools that the conversation has used.
    """

    __slots__ = ("_ids", "_losses", "_quirks", "_results", "called", "system", "turns")

    def __init__(self, losses: Losses, quirks: Quirks) -> None:
        self.system: list[Block] = []
        self.turns: list[dict[str, Any]] = []
        self.called: dict[str, None] = {}
        self._losses = losses
        self._quirks = quirks
        self._ids: dict[str, tuple[str, int]] = {}  # the client's id → the one it has upstream, and how often it was given
        self._results = 0  # tool_result blocks at the beginning of the last turn

    def __repr__(self) -> str:
        return f"<Turns {len(self.turns)}>"

    def add(self, message: object) -> None:
        """One message. Raises Untranslatable."""
        if not isinstance(message, dict):
            raise Untranslatable("messages", "Every message must be an object.")
        role = message.get("role")
        if role in ("system", "developer"):
            self._add_instructions(message)
        elif role == "user":
            self._extend("user", self._content_of(message))
        elif role == "assistant":
            self._extend("assistant", self._marked(self._assistant(message), message))
        elif role in ("tool", "function"):
            self._add_result(message)
        else:
            raise Untranslatable("messages.role", f"A message cannot have the role {role!r}.")
        if "name" in message and role != "function":
            self._losses.add("messages.name")

    def finish(self) -> list[dict[str, Any]]:
        """The turns as they are sent. Raises Untranslatable when nothing is left to send."""
        if not self.turns and self.system:
            self._extend("user", self.system)
            self.system = []
        if not self.turns:
            raise Untranslatable("messages", "There is nothing to send: no message holds any text.")
        if self.turns[0]["role"] != "user":
            self.turns.insert(0, {"role": "user", "content": [text_block(OPENING)]})
        self._trim_last()
        for turn in self.turns:
            content = turn["content"]
            if len(content) == 1 and content[0].keys() == {"type", "text"}:
                turn["content"] = content[0]["text"]
        return self.turns

    def awaits_thinking(self) -> bool:
        """Whether the assistant is amid its tool calls without the thinking that came before them: then a budget is refused."""
        for turn in reversed(self.turns):
            if turn["role"] == "assistant":
                return bool(turn["content"][0]["type"] not in _THINKING)
            if turn["content"][0]["type"] != "tool_result":
                return False
        return False

    # ------------------------------------------------------------------ messages

    def _content_of(self, message: Mapping[str, Any]) -> list[Block]:
        return self._marked(translate_content(message.get("content"), self._losses), message)

    def _marked(self, blocks: list[Block], message: Mapping[str, Any]) -> list[Block]:
        """A mark on the whole message is one on its last block."""
        mark = cache_control(message)
        if mark is not None and blocks and blocks[-1]["type"] not in _THINKING:
            blocks[-1] = {**blocks[-1], "cache_control": mark}
        return blocks

    def _add_instructions(self, message: Mapping[str, Any]) -> None:
        blocks = self._content_of(message)
        if not self.turns:
            self.system += blocks
        elif self._quirks.late_system == "system" and not self._is_calling():
            self._extend("system", blocks)
        else:
            self._extend("user", blocks)

    def _is_calling(self) -> bool:
        """The last turn called tools, and nothing may stand between it and their results."""
        last = self.turns[-1]
        return bool(last["role"] == "assistant" and last["content"][-1]["type"] == "tool_use")

    def _assistant(self, message: Mapping[str, Any]) -> list[Block]:
        said = translate_content(message.get("content"), self._losses)
        refusal = message.get("refusal")
        if isinstance(refusal, str):
            said += translate_content(refusal, self._losses)
        if message.get("audio") is not None:
            self._losses.add("messages.audio")
        thought = [block for block in said if block["type"] in _THINKING] or self._thinking(message)
        said = [block for block in said if block["type"] not in _THINKING]
        calls = message.get("tool_calls")
        for call in calls if isinstance(calls, list) else ():
            if not isinstance(call, dict):
                raise Untranslatable("messages.tool_calls", "Every tool call must be an object.")
            said.append(self._call(call))
        legacy = message.get("function_call")
        if isinstance(legacy, dict):
            said.append(self._call({"id": _LEGACY_ID, "function": legacy}))
        return [*thought, *said] if said or thought else []

    def _thinking(self, message: Mapping[str, Any]) -> list[Block]:
        carried = message.get("thinking_blocks")
        blocks = [block for each in carried if (block := _signed(each)) is not None] if isinstance(carried, list) else []
        bare = message.get("reasoning_content") or message.get("reasoning")
        if blocks or not isinstance(bare, str):
            return blocks
        if self._quirks.echo_reasoning:
            return [{"type": "thinking", "thinking": bare, "signature": ""}]
        self._losses.add("messages.reasoning_content")
        return []

    def _call(self, call: Mapping[str, Any]) -> Block:
        function, custom = call.get("function"), call.get("custom")
        if isinstance(custom, dict):
            name, given = custom.get("name"), wrap(str(custom.get("input", "")))
        elif isinstance(function, dict):
            name, given = function.get("name"), self._arguments(function.get("arguments"))
        else:
            raise Untranslatable("messages.tool_calls", "A tool call must hold a function or a custom tool's input.")
        name = name if isinstance(name, str) else ""
        self.called[name] = None
        return {"type": "tool_use", "id": self._new_id(call.get("id")), "name": name, "input": given}

    def _arguments(self, text: object) -> dict[str, Any]:
        """Parsed. What is no JSON object, as when a call was cut, comes wrapped: else the conversation could never go on."""
        parsed = read_arguments(text)
        if parsed.keys() == {INVALID}:
            self._losses.add("messages.tool_calls.function.arguments")
        return parsed

    def _add_result(self, message: Mapping[str, Any]) -> None:
        block: Block = {"type": "tool_result", "tool_use_id": self._id(message.get("tool_call_id", _LEGACY_ID))}
        content = message.get("content")
        if isinstance(content, str):
            if content:
                block["content"] = content
        else:
            blocks = translate_content(content, self._losses)
            if blocks:
                block["content"] = blocks
        if message.get("is_error") is True:
            block["is_error"] = True
        self._extend("user", self._marked([block], message))

    # ------------------------------------------------------------------ turns and ids

    def _extend(self, role: str, blocks: list[Block]) -> None:
        if not blocks:
            return
        if not self.turns or self.turns[-1]["role"] != role:
            self.turns.append({"role": role, "content": []})
            self._results = 0
        content = self.turns[-1]["content"]
        if role == "user" and any(block["type"] == "tool_result" for block in blocks):
            results = [block for block in blocks if block["type"] == "tool_result"]
            content[self._results : self._results] = results
            self._results += len(results)
            content += [block for block in blocks if block["type"] != "tool_result"]
        else:
            content += blocks

    def _new_id(self, given: object) -> str:
        """The id of a call: the client's, fit for the upstream, and numbered when the client used it before."""
        own = str(given) if given is not None else ""
        _, times = self._ids.get(own, ("", 0))
        fit = plain_id(own or "call") if times == 0 else f"{plain_id(own or 'call')}-{times + 1}"
        self._ids[own] = fit, times + 1
        return fit

    def _id(self, given: object) -> str:
        """The id of a result: that of the last call of this name."""
        own = str(given) if given is not None else ""
        return self._ids[own][0] if own in self._ids else plain_id(own or "call")

    def _trim_last(self) -> None:
        last = self.turns[-1]
        if last["role"] == "assistant" and last["content"][-1]["type"] == "text":
            block = last["content"][-1]
            last["content"][-1] = {**block, "text": block["text"].rstrip()}


def _signed(block: object) -> Block | None:
    """A thinking block as the upstream made it, without what a stream's accumulation added; None when it is no such block."""
    if not isinstance(block, dict):
        return None
    if block.get("type") == "redacted_thinking" and isinstance(block.get("data"), str):
        return {"type": "redacted_thinking", "data": block["data"]}
    if block.get("type") == "thinking" and isinstance(block.get("signature"), str) and block["signature"]:
        return {"type": "thinking", "thinking": block.get("thinking") or "", "signature": block["signature"]}
    return None
