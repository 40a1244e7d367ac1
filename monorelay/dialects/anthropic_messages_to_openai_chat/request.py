"""The request: every field of anthropic.messages that has a counterpart, in the order of its reference.

| anthropic.messages | openai.chat |
| --- | --- |
| model | the name the relay chose |
| max_tokens | the provider's field for it |
| system, messages | messages (``turns.py``) |
| tools, tool_choice | tools, tool_choice, parallel_tool_calls (``tools.py``) |
| stream | stream, and stream_options.include_usage unless the provider refuses it |
| stop_sequences | stop, the first four |
| temperature, top_p | the same |
| thinking, output_config.effort | reasoning_effort, or thinking, as the provider takes it (``thinking.py``) |
| output_config.format | response_format |
| metadata.user_id | user, or its digest where it is longer than 64 characters |
| mcp_servers, thread, compaction | untranslatable |
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from monorelay.dialects.anthropic_messages_to_openai_chat.fields import DROPPED, UNSAID
from monorelay.dialects.anthropic_messages_to_openai_chat.parts import blocks_of
from monorelay.dialects.anthropic_messages_to_openai_chat.thinking import put_thinking
from monorelay.dialects.anthropic_messages_to_openai_chat.tools import is_closed, put_tools
from monorelay.dialects.anthropic_messages_to_openai_chat.turns import Conversation, current_turn, is_cleared
from monorelay.dialects.interface import Hints, Untranslatable
from monorelay.dialects.loss import Losses
from monorelay.dialects.quirks import Quirks
from monorelay.dialects.tool_names import ToolNames

_SAID = frozenset(
    {
        *("model", "max_tokens", "system", "messages", "tools", "tool_choice", "stream", "stop_sequences", "temperature", "top_p"),
        *("thinking", "output_config", "output_format", "metadata"),
    }
)
_UNTRANSLATABLE = {
    "mcp_servers": "`mcp_servers` asks the provider to call MCP servers, which no openai.chat provider does.",
    "thread": "`thread` continues a conversation that Anthropic keeps; openai.chat wants all of it in `messages`.",
    "compaction": "`compaction` asks for a signed summary, which only Anthropic can sign.",
}
_STOPS = 4
_LONGEST_USER = 64
# What a dropped field of the upstream's was called by the client; without an entry the client did not ask for it.
_CLIENTS_NAMES = {
    "max_tokens": "max_tokens",
    "max_completion_tokens": "max_tokens",
    "tools": "tools",
    "tool_choice": "tool_choice",
    "parallel_tool_calls": "tool_choice.disable_parallel_tool_use",
    "stop": "stop_sequences",
    "temperature": "temperature",
    "top_p": "top_p",
    "reasoning_effort": "thinking",
    "thinking": "thinking",
    "response_format": "output_config.format",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """The translated request, and what the way back must know of the client's."""

    chat: Mapping[str, Any]
    names: ToolNames
    stops: tuple[str, ...]
    hides_thinking: bool


def translate(body: Mapping[str, Any], hints: Hints, losses: Losses) -> Asked:
    """Raises Untranslatable."""
    quirks = hints.quirks
    _judge_fields(body, losses)
    names = ToolNames()
    chat: dict[str, Any] = {"model": hints.model, "messages": []}
    conversation = _conversation(body, quirks, names, losses)
    if body.get("max_tokens") is not None:
        chat[quirks.max_tokens_field] = body["max_tokens"]
    put_tools(body, names, losses, chat)
    if body.get("stream"):
        chat["stream"] = True
        if quirks.include_usage == "ask":
            chat["stream_options"] = {"include_usage": True}
    stops = _stops(body)
    if stops:
        chat["stop"] = list(stops[:_STOPS])
        if len(stops) > _STOPS:
            losses.add("stop_sequences")
    for name in ("temperature", "top_p"):
        if body.get(name) is not None:
            chat[name] = body[name]
    hides_thinking = put_thinking(body, quirks, losses, chat)
    _put_format(body, quirks, conversation, losses, chat)
    user = _mapping(body, "metadata").get("user_id")
    if isinstance(user, str) and user:
        chat["user"] = user if len(user) <= _LONGEST_USER else sha256(user.encode("utf-8", "surrogatepass")).hexdigest()
    chat["messages"] = conversation.messages
    for name in quirks.drop:
        if chat.pop(name, None) is not None and name in _CLIENTS_NAMES:
            losses.add(_CLIENTS_NAMES[name], f"this provider rejects `{name}` (`quirks.drop`)")
    return Asked(chat, names, stops, hides_thinking)


def _judge_fields(body: Mapping[str, Any], losses: Losses) -> None:
    for name, value in body.items():
        if value is None or value == [] or name in _SAID or name in UNSAID:
            continue
        if name in _UNTRANSLATABLE:
            raise Untranslatable(name, _UNTRANSLATABLE[name])
        losses.add(name, DROPPED.get(name, "nobody here knows this field"))


def _conversation(body: Mapping[str, Any], quirks: Quirks, names: ToolNames, losses: Losses) -> Conversation:
    conversation = Conversation(quirks, names, losses)
    conversation.add_system(blocks_of(body.get("system"), "system"), "system")
    if not isinstance(body.get("messages"), list):
        raise Untranslatable("messages", "`messages` must be a list of messages.")
    messages = blocks_of(body["messages"], "messages")
    turn = current_turn(messages)
    for at, message in enumerate(messages):
        if not is_cleared(message, is_current=at > turn):
            conversation.add(message, f"messages.{at}")
    return conversation


def _mapping(body: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = body.get(name)
    return value if isinstance(value, dict) else {}


def _stops(body: Mapping[str, Any]) -> tuple[str, ...]:
    stops = body.get("stop_sequences")
    return tuple(stop for stop in stops if isinstance(stop, str) and stop) if isinstance(stops, list) else ()


def _put_format(body: Mapping[str, Any], quirks: Quirks, conversation: Conversation, losses: Losses, chat: dict[str, Any]) -> None:
    """``output_format`` is what the first version of structured output called it."""
    wanted = _mapping(body, "output_config").get("format") or body.get("output_format")
    if not isinstance(wanted, dict):
        return
    schema = wanted.get("schema")
    if wanted.get("type") != "json_schema" or not isinstance(schema, dict):
        raise Untranslatable("output_config.format", "`output_config.format` must be a json_schema with a schema.")
    is_strict = is_closed(schema)
    if not is_strict or not quirks.json_schema:
        losses.add("output_config.format")
    if quirks.json_schema:
        named = {"name": "answer", "schema": schema, "strict": is_strict}
        chat["response_format"] = {"type": "json_schema", "json_schema": named}
        return
    chat["response_format"] = {"type": "json_object"}
    words = f"Answer with one JSON object and nothing else. It must fit this JSON schema:\n{json.dumps(schema, ensure_ascii=False)}"
    conversation.instruct(words)
