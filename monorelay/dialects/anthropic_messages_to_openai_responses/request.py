"""The request: every field of anthropic.messages that has a counterpart, in the order of its reference.

| anthropic.messages | openai.responses |
| --- | --- |
| model | the name the relay chose |
| max_tokens | max_output_tokens, 16 at least |
| system, messages | instructions, input (``turns.py``) |
| tools, tool_choice | tools, tool_choice, parallel_tool_calls |
| web_search_… | the upstream's own search, max_tool_calls |
| stream | the same |
| temperature, top_p | the same; a temperature of 1 beside thinking says nothing, and models that think refuse it |
| thinking, output_config.effort | reasoning.effort; with thinking its summary, and an encrypted form that can be sent back |
| output_config.format | text.format |
| metadata.user_id | user, or its digest where it is longer than 64 characters |
| – | store: false |
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

from monorelay.dialects.anthropic_messages_to_openai_chat.parts import blocks_of
from monorelay.dialects.anthropic_messages_to_openai_chat.thinking import put_thinking
from monorelay.dialects.anthropic_messages_to_openai_chat.tools import is_closed, put_tools
from monorelay.dialects.anthropic_messages_to_openai_responses.fields import DROPPED, REFUSED, UNSAID
from monorelay.dialects.anthropic_messages_to_openai_responses.turns import Turns
from monorelay.dialects.interface import Hints, Untranslatable
from monorelay.dialects.loss import Losses
from monorelay.dialects.quirks import Quirks
from monorelay.dialects.responses_request import choice_of, drop, put_effort, put_format, put_limit, tool_of, web_search
from monorelay.dialects.tool_names import ToolNames

_SAID = frozenset(
    {
        *("model", "max_tokens", "system", "messages", "tools", "tool_choice", "stream", "stop_sequences", "temperature", "top_p"),
        *("thinking", "output_config", "output_format", "metadata"),
    }
)
_LONGEST_USER = 64
# What a dropped field of the upstream's was called by the client; without an entry the client did not ask for it.
_CLIENTS_NAMES = {
    "max_output_tokens": "max_tokens",
    "tools": "tools",
    "tool_choice": "tool_choice",
    "parallel_tool_calls": "tool_choice.disable_parallel_tool_use",
    "temperature": "temperature",
    "top_p": "top_p",
    "reasoning": "thinking",
    "reasoning.effort": "thinking",
    "text": "output_config.format",
    "text.format": "output_config.format",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """What the way back must know of the request. ``shows_thoughts``: the client wants to read them; ``carries_thoughts``: it
    returns them.
    """

    hints: Hints
    names: ToolNames
    shows_thoughts: bool
    carries_thoughts: bool


def translate(body: Mapping[str, Any], hints: Hints, losses: Losses) -> tuple[dict[str, Any], Asked]:
    """The upstream's body, and what to remember. Raises Untranslatable."""
    quirks = hints.quirks
    _judge_fields(body, losses)
    names = ToolNames()
    turns = Turns(quirks, names, losses)
    out: dict[str, Any] = {"model": hints.model, "store": False}
    instructions = turns.instructions(body.get("system"))
    if instructions:
        out["instructions"] = instructions
    turns.add_all(body.get("messages"))
    out["input"] = turns.items.items
    put_limit(out, body.get("max_tokens"), "max_tokens", losses)
    _put_tools(out, body, names, losses)
    if body.get("stream"):
        out["stream"] = True
    if body.get("stop_sequences"):
        losses.add("stop_sequences")
    asked = _put_thinking(out, body, names, hints, losses)
    for name in ("temperature", "top_p"):
        if body.get(name) is not None and not (name == "temperature" and body[name] == 1 and "reasoning" in out):
            out[name] = body[name]
    _put_format(out, body, quirks, losses)
    user = _mapping(body, "metadata").get("user_id")
    if isinstance(user, str) and user:
        out["user"] = user if len(user) <= _LONGEST_USER else sha256(user.encode("utf-8", "surrogatepass")).hexdigest()
    drop(out, quirks, _CLIENTS_NAMES, losses)
    return out, asked


def _judge_fields(body: Mapping[str, Any], losses: Losses) -> None:
    for name, value in body.items():
        if value is None or value == [] or name in _SAID or name in UNSAID:
            continue
        if name in REFUSED:
            raise Untranslatable(name, REFUSED[name])
        losses.add(name, DROPPED.get(name, "nobody here knows this field"))


def _mapping(body: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = body.get(name)
    return value if isinstance(value, dict) else {}


def _put_tools(out: dict[str, Any], body: Mapping[str, Any], names: ToolNames, losses: Losses) -> None:
    """As on the way to openai.chat, but that the upstream can search by itself."""
    tools = list(blocks_of(body.get("tools"), "tools"))
    searches = [tool for tool in tools if str(tool.get("type")).startswith("web_search_")]
    others = [tool for tool in tools if tool not in searches] if searches else tools
    choice = _mapping(body, "tool_choice")
    must_search = choice.get("type") == "tool" and any(tool.get("name") == choice.get("name") for tool in searches)
    chat: dict[str, Any] = {}
    is_plain = not must_search and (bool(others) or not searches)
    put_tools({**body, "tools": others, "tool_choice": body.get("tool_choice") if is_plain else None}, names, losses, chat)
    found = [tool_of(tool) for tool in chat.get("tools", ())]
    for search in searches:
        found.append(_search(out, search, losses))
    if not found:
        return
    out["tools"] = found
    if must_search:
        only = {"type": "allowed_tools", "mode": "required", "tools": [{"type": "web_search"}]}
        out["tool_choice"] = only if len(found) > 1 else "required"
    elif not is_plain and choice:
        out["tool_choice"] = {"any": "required", "none": "none"}.get(str(choice.get("type")), "auto")
    if "tool_choice" in chat:
        out["tool_choice"] = choice_of(chat["tool_choice"])
    if choice.get("disable_parallel_tool_use"):
        out["parallel_tool_calls"] = False


def _search(out: dict[str, Any], tool: Mapping[str, Any], losses: Losses) -> dict[str, Any]:
    found = web_search(tool.get("user_location"))
    if tool.get("allowed_domains"):
        found["filters"] = {"allowed_domains": tool["allowed_domains"]}
    if tool.get("blocked_domains"):
        losses.add("tools.web_search.blocked_domains")
    if tool.get("max_uses") is not None:
        out["max_tool_calls"] = tool["max_uses"]
    return found


def _put_thinking(out: dict[str, Any], body: Mapping[str, Any], names: ToolNames, hints: Hints, losses: Losses) -> Asked:
    """Raises Untranslatable."""
    quirks = hints.quirks if hints.quirks.reasoning == "none" else replace(hints.quirks, reasoning="effort")
    chat: dict[str, Any] = {}
    hides = put_thinking(body, quirks, losses, chat)
    kind = _mapping(body, "thinking").get("type")
    is_asked = kind not in (None, "disabled") or (kind is None and quirks.echo_reasoning)
    put_effort(out, chat.get("reasoning_effort"), shows_thoughts=is_asked and not hides, carries_thoughts=is_asked)
    return Asked(hints, names, shows_thoughts=is_asked and not hides, carries_thoughts=is_asked)


def _put_format(out: dict[str, Any], body: Mapping[str, Any], quirks: Quirks, losses: Losses) -> None:
    """``output_format`` is what the first version of structured output called it."""
    wanted = _mapping(body, "output_config").get("format") or body.get("output_format")
    if not isinstance(wanted, dict):
        return
    schema = wanted.get("schema")
    if wanted.get("type") != "json_schema" or not isinstance(schema, dict):
        raise Untranslatable("output_config.format", "`output_config.format` must be a json_schema with a schema.")
    is_strict = is_closed(schema)
    if not is_strict:
        losses.add("output_config.format")
    form = {"type": "json_schema", "name": "answer", "schema": schema, "strict": is_strict}
    put_format(out, form, "output_config.format", quirks, losses)
