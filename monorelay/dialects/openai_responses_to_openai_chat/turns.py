"""The items of a request as the messages of openai.chat.

| item | becomes |
| --- | --- |
| message: system, developer | a message of the provider's system role, in place; at the beginning one, with `instructions` |
| message: user | a user message: plain text, or parts |
| message: assistant | the content of an assistant's turn |
| function_call, custom_tool_call, local_shell_call, shell_call, apply_patch_call | a tool call of the same turn |
| their outputs | tool messages right behind the turn that called; what is no text in them follows in a user's message |
| reasoning | reasoning_content of its turn where the provider wants it back, else nothing |
| additional_tools, tool_search_output | the tools of the request (``request.py``) |
| configuration_update | the reasoning and text settings of the request (``request.py``) |
| item_reference to reasoning | dropped, reported: what was thought can be missed, what was said cannot |
| any other item_reference, compaction | untranslatable |
| items of tools that the vendor runs | dropped, reported |
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from monorelay.dialects.carrying_ids import read_carrying_id
from monorelay.dialects.chat_content import BETWEEN, Part, as_content, text_part
from monorelay.dialects.envelopes import as_json
from monorelay.dialects.interface import Untranslatable
from monorelay.dialects.loss import Losses, plain_word
from monorelay.dialects.openai_responses_to_openai_chat.fields import DROPPED, REFUSED_ITEMS
from monorelay.dialects.openai_responses_to_openai_chat.parts import parts_of, shown, text_of
from monorelay.dialects.quirks import Quirks
from monorelay.dialects.responses_calls import CALLS, RESULTS, told_call
from monorelay.dialects.responses_tools import OfferedTools
from monorelay.dialects.sealed_thoughts import unseal

Message = dict[str, Any]
Item = Mapping[str, Any]

_SYSTEM = ("system", "developer")
_THOUGHTS = "rs_"  # what the ids of reasoning items begin with, ours and the vendor's
# Items that ``request.py`` has read, and one that tells of nothing but a search among tools that are all offered anyway.
_READ_ELSEWHERE = frozenset({"additional_tools", "tool_search_output", "tool_search_call", "configuration_update"})


@dataclass(slots=True)
class Segment:
    """Mutable: what the assistant said, called and thought since its turn began, or since it thought anew."""

    texts: list[str] = field(default_factory=list)
    calls: list[Message] = field(default_factory=list)
    thoughts: list[Any] = field(default_factory=list)


def kind_of(item: Item) -> str:
    """An item's type, also where the reference lets a client leave it out."""
    kind = item.get("type")
    if isinstance(kind, str):
        return kind
    return "message" if "role" in item else "item_reference" if "id" in item else "unknown"


def call_id_of(item: Item) -> str:
    """What a call and its result are matched by; an old form of the shell's result has it as its id."""
    for name in ("call_id", "id"):
        if isinstance(item.get(name), str) and item[name]:
            return str(item[name])
    return ""


class Turns:
    """The messages so far.

    Mutable: ``messages`` grows; ``_run`` is the assistant's turn while it is open, ``_results`` holds what its calls brought.
    """

    __slots__ = ("_called", "_losses", "_quirks", "_results", "_run", "_tools", "messages")

    def __init__(self, items: Iterable[Item], quirks: Quirks, tools: OfferedTools, losses: Losses) -> None:
        self.messages: list[Message] = []
        self._quirks = quirks
        self._tools = tools
        self._losses = losses
        self._run: list[Segment] = []
        self._called: dict[str, str] = {}  # every name of a call → its call_id
        self._results: dict[str, deque[Item]] = {}
        for item in items:
            if kind_of(item) in CALLS:
                self._called[call_id_of(item)] = call_id_of(item)
                self._called.setdefault(str(item.get("id")), call_id_of(item))
        for item in items:
            if kind_of(item) in RESULTS:
                call_id = self._called.get(call_id_of(item))
                if call_id is not None:
                    self._results.setdefault(call_id, deque()).append(item)

    def add(self, item: Item) -> None:
        """One item of the input. Raises Untranslatable."""
        kind = kind_of(item)
        if kind == "message":
            self._add_message(item)
        elif kind in CALLS:
            self._segment().calls.append(self._call(item))
        elif kind in RESULTS:
            self.close()
            if call_id_of(item) not in self._called:
                self._add_stray(item)
        elif kind == "reasoning":
            self._think(item)
        elif kind == "item_reference" and str(item.get("id")).startswith(_THOUGHTS):
            self._losses.add("input.item_reference", "it refers to reasoning, which nobody kept")
        elif kind in REFUSED_ITEMS:
            raise Untranslatable(f"input.{kind}", REFUSED_ITEMS[kind])
        elif kind not in _READ_ELSEWHERE:
            self._losses.add(f"input.{plain_word(kind)}", DROPPED["input.<type>"])

    def instruct(self, parts: Sequence[Item]) -> None:
        """Instructions; those at the beginning become one message, which is all that many servers take."""
        text = BETWEEN.join(each for each in (self._text(part) for part in parts) if each)
        if not text:
            return
        role = self._quirks.system_role
        if len(self.messages) == 1 and self.messages[0]["role"] == role in _SYSTEM:
            self.messages[0]["content"] += BETWEEN + text
        else:
            self.messages.append({"role": role, "content": text})

    def close(self) -> None:
        """The assistant's turn, if one is open, is over: its calls and, right behind them, what they brought."""
        run, self._run = self._run, []
        calls = [call for segment in run for call in segment.calls]
        self._put_run(run)
        brought: list[Part] = []
        for call in calls:
            results = self._results.get(call["given_id"])
            if results:
                brought += self._put_result(call["id"], results.popleft())
            del call["given_id"]
        if brought:
            self.messages.append({"role": "user", "content": brought})

    # ------------------------------------------------------------------ what the other dialect may say in another way

    def _put_user(self, parts: Sequence[Item]) -> None:
        said = list(shown(parts, self._losses))
        if said:
            self.messages.append({"role": "user", "content": as_content(said)})

    def _put_run(self, run: Sequence[Segment]) -> None:
        texts = [text for segment in run for text in segment.texts]
        calls = [call for segment in run for call in segment.calls]
        if not texts and not calls:
            return
        message: Message = {"role": "assistant", "content": BETWEEN.join(texts) or None}
        if calls:
            message["tool_calls"] = calls
        thoughts = [thought for segment in run for thought in segment.thoughts]
        if self._quirks.echo_reasoning and (thoughts or calls):
            # Where reasoning is to come back, a turn with calls is refused without the field, even if nothing was thought.
            message["reasoning_content"] = BETWEEN.join(thoughts)
        self.messages.append(message)

    def _put_result(self, call_id: str, item: Item) -> list[Part]:
        """Adds a tool message. Returns what only a user's message can show of the result."""
        parts = list(shown(result_of(item), self._losses))
        others = [part for part in parts if part["type"] != "text"]
        text = BETWEEN.join(part["text"] for part in parts if part["type"] == "text")
        if others and not text:
            text = "The result follows in the next message."
        self.messages.append({"role": "tool", "tool_call_id": call_id, "content": text})
        return [text_part(f"From the result of the tool call {call_id}:"), *others] if others else []

    def _think(self, item: Item) -> None:
        sealed = unseal("openai.chat", item.get("encrypted_content")) or {}
        thought = sealed.get("reasoning_content")
        if not isinstance(thought, str):
            thought = thought_of(item)
        if thought:
            self._segment().thoughts.append(thought)

    def _identify(self, given: str) -> Message:
        """The id of a call as its upstream gave it."""
        call_id, extra = read_carrying_id(given)
        return {"id": call_id, "extra_content": extra} if extra is not None else {"id": call_id}

    # ------------------------------------------------------------------ items

    def _segment(self) -> Segment:
        if not self._run:
            self._run.append(Segment())
        return self._run[-1]

    def _add_message(self, item: Item) -> None:
        role, parts = item.get("role"), parts_of(item.get("content"))
        if role == "assistant":
            text = "".join(self._text(part) for part in parts)
            if text:
                self._segment().texts.append(text)
            return
        self.close()
        if role in _SYSTEM:
            self.instruct(parts)
        elif role == "user":
            self._put_user(parts)
        else:
            raise Untranslatable("input", f"A message in `input` cannot have the role {role!r}.")

    def _text(self, part: Item) -> str:
        """A part of who can only speak; anything else is left out, and reported."""
        text = text_of(part)
        if text is None:
            self._losses.add(f"input.{plain_word(part.get('type'))}", DROPPED["input.<type>"])
        return text or ""

    def _call(self, item: Item) -> Message:
        given = call_id_of(item)
        name, arguments = told_call(item, self._tools)
        function = {"name": name, "arguments": arguments}
        return {**self._identify(given), "type": "function", "function": function, "given_id": given}

    def _add_stray(self, item: Item) -> None:
        """A result of no call: a tool message that answers none would be refused."""
        self._put_user([{"type": "input_text", "text": f"Result of the tool call {call_id_of(item)}:"}, *result_of(item)])


def result_of(item: Item) -> Sequence[Item]:
    """What a call brought, as parts. Raises Untranslatable."""
    output = item.get("output")
    if isinstance(output, str):
        return parts_of(output)
    if isinstance(output, list) and all(isinstance(part, dict) and isinstance(part.get("type"), str) for part in output):
        return output
    if output is None:  # a patch may just have been applied
        output = item.get("status")
        return parts_of(output if isinstance(output, str) else "")
    return parts_of(as_json(output).decode("utf-8"))


def thought_of(item: Item) -> str:
    """The readable text of a reasoning item: itself, or else its summary. Raises Untranslatable."""
    for name in ("content", "summary"):
        texts = [text for part in parts_of(item.get(name)) if (text := text_of(part))]
        if texts:
            return BETWEEN.join(texts)
    return ""
