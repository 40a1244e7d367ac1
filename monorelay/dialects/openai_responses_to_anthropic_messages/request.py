"""The request: its items become the messages of openai.chat, with parts and thoughts as they were, and those become turns.

| openai.responses | anthropic.messages |
| --- | --- |
| instructions, leading system and developer messages | system |
| later ones | a user's text, or a system message where the provider takes one |
| message, calls and their outputs | text, images, documents; tool_use, tool_result |
| reasoning whose encrypted_content holds a thinking block | that block, untouched, where it stood |
| any other reasoning | unsigned thinking where the provider wants it (`quirks.echo_reasoning`), else nothing |
| max_output_tokens | max_tokens, else what the provider's file says |
| temperature, top_p | the same, clamped |
| tools, tool_choice, parallel_tool_calls | tools, tool_choice |
| reasoning.effort | thinking, as the provider takes it |
| text.format | the native format, else a tool whose input is the answer, else an instruction |
| safety_identifier, user | metadata.user_id |
| prompt_cache_key | cache_control on the instructions and on the last message, unless the client set its own marks |

How items and tools are read, and what cannot be translated at all, is the same as towards openai.chat
(``openai_responses_to_openai_chat/``); how messages, tools and settings are told from there stands in
``openai_chat_to_anthropic_messages/``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from monorelay.dialects.chat_content import BETWEEN
from monorelay.dialects.interface import Hints, Untranslatable
from monorelay.dialects.loss import Losses
from monorelay.dialects.openai_chat_to_anthropic_messages.request import Asked as ChatAsked
from monorelay.dialects.openai_chat_to_anthropic_messages.request import translate_request
from monorelay.dialects.openai_responses_to_anthropic_messages.fields import DROPPED, clients_name
from monorelay.dialects.openai_responses_to_openai_chat.request import (
    CHATS_OWN,
    Asked,
    put_plain,
    put_tools,
    read,
    response_format,
    tell,
)
from monorelay.dialects.openai_responses_to_openai_chat.turns import Item, Message, Segment, Turns, result_of, thought_of
from monorelay.dialects.responses_object import shell
from monorelay.dialects.sealed_thoughts import unseal

_CACHED: Mapping[str, str] = {"type": "ephemeral"}
_SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class AskedMessages(Asked):
    """``answer_tool`` is the tool whose input is the structured answer, if there is one."""

    answer_tool: str | None


class RichTurns(Turns):
    """Messages for ``openai_chat_to_anthropic_messages``, which takes this dialect's parts as they are, and thoughts in place."""

    __slots__ = ()

    def instruct(self, parts: Sequence[Item]) -> None:
        self.messages.append({"role": _SYSTEM, "content": list(parts)})

    def mark_cache(self) -> None:
        """Where a prefix ends that the next request begins with as well."""
        leading = [message for message in self.messages if message["role"] == _SYSTEM]
        for message in (*leading[-1:], *self.messages[-1:]):
            message["cache_control"] = _CACHED

    def _put_user(self, parts: Sequence[Item]) -> None:
        self.messages.append({"role": "user", "content": list(parts)})

    def _put_run(self, run: Sequence[Segment]) -> None:
        for segment in run:
            if not segment.texts and not segment.calls:
                continue  # a thought that came to nothing
            message: Message = {"role": "assistant", "content": [{"type": "output_text", "text": text} for text in segment.texts]}
            if segment.calls:
                message["tool_calls"] = segment.calls
            blocks = [thought for thought in segment.thoughts if isinstance(thought, dict)]
            texts = [thought for thought in segment.thoughts if isinstance(thought, str)]
            if blocks:
                message["thinking_blocks"] = blocks
            elif texts:
                message["reasoning_content"] = BETWEEN.join(texts)
            self.messages.append(message)

    def _put_result(self, call_id: str, item: Item) -> list[Any]:
        output = item.get("output")
        message: Message = {"role": "tool", "tool_call_id": call_id}
        message["content"] = output if isinstance(output, str) else list(result_of(item))
        if item.get("status") == "failed":
            message["is_error"] = True
        self.messages.append(message)
        return []

    def _think(self, item: Item) -> None:
        block = unseal("anthropic.messages", item.get("encrypted_content"))
        thought: Any = block
        if block is None or (block.get("type") == "thinking" and not block.get("signature")):
            thought = thought_of(item) if self._quirks.echo_reasoning else None
        if not thought:
            return
        if self._run and (self._run[-1].texts or self._run[-1].calls):
            self._run.append(Segment())  # it came after them, and stays there
        self._segment().thoughts.append(thought)

    def _identify(self, given: str) -> Message:
        return {"id": given}


def translate(body: Mapping[str, Any], raw: bytes, hints: Hints, losses: Losses) -> tuple[bytes, AskedMessages]:
    """The upstream's body, and what to remember. Raises Untranslatable."""
    found = read(body, losses)
    turns = RichTurns(found.items, hints.quirks, found.tools, losses)
    tell(turns, body, found.items)
    if body.get("prompt_cache_key") and not body.get("prompt_cache_options") and b'"prompt_cache_breakpoint"' not in raw:
        turns.mark_cache()
    chat: dict[str, Any] = {"messages": turns.messages}
    put_tools(chat, body, found.tools, losses)
    put_plain(chat, body)
    chat |= {
        "max_completion_tokens": body.get("max_output_tokens"),
        "reasoning_effort": found.reasoning.get("effort"),
        "response_format": response_format(found.text),
        "verbosity": found.text.get("verbosity"),
        "stream": body.get("stream"),
        **{name: body[name] for name in CHATS_OWN if name in body},
    }
    request, asked = _translate_chat(chat, hints, losses)
    return request, AskedMessages(shell(body), found.tools, hints, asked.answer_tool)


def _translate_chat(chat: Mapping[str, Any], hints: Hints, losses: Losses) -> tuple[bytes, ChatAsked]:
    """Losses and refusals under the client's names."""
    try:
        request, lost, asked = translate_request(chat, replace(hints, strict=False))
    except Untranslatable as error:
        name = clients_name(error.field)
        raise Untranslatable(name, str(error).replace(f"`{error.field}`", f"`{name}`")) from error
    for field in lost:
        name = clients_name(field)
        losses.add(name, DROPPED.get(name, ""))
    return request, asked
