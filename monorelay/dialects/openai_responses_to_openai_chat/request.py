"""The request: every field of openai.responses that has a counterpart, in the order of its reference.

| openai.responses | openai.chat |
| --- | --- |
| model | the name the relay chose |
| instructions, input | messages (``turns.py``, ``parts.py``) |
| max_output_tokens | the provider's field for it |
| parallel_tool_calls | the same, where there are tools |
| reasoning.effort | reasoning_effort, or thinking, as the provider takes it |
| safety_identifier, user | user |
| service_tier | the same, but for the usual ones |
| stream | stream, and stream_options.include_usage unless the provider refuses it |
| temperature, top_p | the same |
| text.format, text.verbosity | response_format, verbosity |
| tool_choice auto, none, required | the same |
| tool_choice: a tool; allowed_tools | the function by its told name; these tools alone |
| tools, and those that the input brings | functions (``responses_tools.py``) |
| top_logprobs, include: message.output_text.logprobs | top_logprobs, logprobs |
| fields of openai.chat that this dialect lacks (stop, seed, …) | the same: clients put them in for compatible servers |
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from monorelay.dialects.envelopes import as_json
from monorelay.dialects.interface import Hints, Untranslatable
from monorelay.dialects.loss import Losses
from monorelay.dialects.openai_responses_to_openai_chat.fields import REFUSED, UNSAID
from monorelay.dialects.openai_responses_to_openai_chat.parts import parts_of
from monorelay.dialects.openai_responses_to_openai_chat.turns import Item, Turns, kind_of
from monorelay.dialects.quirks import Quirks
from monorelay.dialects.responses_object import shell
from monorelay.dialects.responses_tools import OfferedTools

_SAID = frozenset(
    {
        *("model", "instructions", "input", "max_output_tokens", "parallel_tool_calls", "reasoning", "safety_identifier", "user"),
        *("service_tier", "stream", "temperature", "top_p", "text", "tool_choice", "tools", "top_logprobs", "truncation", "store"),
    }
)
# Fields of openai.chat that this dialect lacks, and that clients put in all the same.
CHATS_OWN = ("stop", "seed", "presence_penalty", "frequency_penalty", "logit_bias", "top_k", "min_p", "repetition_penalty")
_LOGPROBS = "message.output_text.logprobs"
_USUAL_TIERS = frozenset({"auto", "default"})
_WORDS = frozenset({"auto", "none", "required"})
# What a dropped field of the upstream's was called by the client; without an entry it keeps its name, or was never the client's.
_CLIENTS_NAMES = {
    "max_tokens": "max_output_tokens",
    "max_completion_tokens": "max_output_tokens",
    "reasoning_effort": "reasoning.effort",
    "thinking": "reasoning.effort",
    "response_format": "text.format",
    "verbosity": "text.verbosity",
    "logprobs": "top_logprobs",
}
_OURS = frozenset({"stream_options"})


@dataclass(frozen=True, slots=True)
class Asked:
    """What the way back must know of the request. ``repeated`` is what the response says of it."""

    repeated: Mapping[str, Any]
    tools: OfferedTools
    hints: Hints


@dataclass(frozen=True, slots=True)
class Read:
    """A request read once: its items, all its tools, and the settings that hold at the end of the conversation."""

    items: Sequence[Item]
    tools: OfferedTools
    reasoning: Mapping[str, Any]
    text: Mapping[str, Any]


def read(body: Mapping[str, Any], losses: Losses) -> Read:
    """Raises Untranslatable."""
    for name, value in body.items():
        if name in REFUSED and value:
            raise Untranslatable(name, REFUSED[name])
        if name not in _SAID and name not in UNSAID and name not in CHATS_OWN and name not in REFUSED and value is not None:
            losses.add(name)
    if body.get("store") is True:
        losses.add("store")
    if body.get("truncation") not in (None, "disabled"):
        losses.add("truncation")
    items = _items(body.get("input"))
    tools = OfferedTools()
    tools.add(body.get("tools"), losses)
    reasoning, text = dict(_mapping(body.get("reasoning"))), dict(_mapping(body.get("text")))
    for item in items:
        kind = kind_of(item)
        if kind in ("additional_tools", "tool_search_output"):
            tools.add(item.get("tools"), losses)
        elif kind == "configuration_update":
            reasoning |= _mapping(item.get("reasoning"))
            text |= _mapping(item.get("text"))
    if reasoning.get("mode") not in (None, "standard"):
        losses.add("reasoning.mode")
    return Read(items, tools, reasoning, text)


def translate(body: Mapping[str, Any], hints: Hints, losses: Losses) -> tuple[dict[str, Any], Asked]:
    """The upstream's body, and what to remember. Raises Untranslatable."""
    quirks = hints.quirks
    found = read(body, losses)
    turns = Turns(found.items, quirks, found.tools, losses)
    chat: dict[str, Any] = {"model": hints.model, "messages": turns.messages}
    _put_format(chat, found.text, turns, quirks, losses)
    tell(turns, body, found.items)
    if body.get("max_output_tokens") is not None:
        chat[quirks.max_tokens_field] = body["max_output_tokens"]
    put_tools(chat, body, found.tools, losses)
    _put_effort(chat, found.reasoning, quirks, losses)
    put_plain(chat, body)
    if body.get("stream"):
        chat["stream"] = True
        if quirks.include_usage == "ask":
            chat["stream_options"] = {"include_usage": True}
    chat |= {name: body[name] for name in CHATS_OWN if body.get(name) is not None}
    for name in quirks.drop:
        if chat.pop(name, None) is not None and name not in _OURS:
            losses.add(_CLIENTS_NAMES.get(name, name), f"this provider rejects `{name}` (`quirks.drop`)")
    return chat, Asked(shell(body), found.tools, hints)


def tell(turns: Turns, body: Mapping[str, Any], items: Sequence[Item]) -> None:
    """All that is said. Raises Untranslatable."""
    instructions = body.get("instructions")
    if instructions is not None:
        if not isinstance(instructions, str):
            raise Untranslatable("instructions", "`instructions` must be text.")
        turns.instruct(parts_of(instructions))
    for item in items:
        turns.add(item)
    turns.close()


def put_plain(chat: dict[str, Any], body: Mapping[str, Any]) -> None:
    """What has the same name, or nearly, and the same meaning."""
    user = body.get("safety_identifier") or body.get("user")
    if isinstance(user, str) and user:
        chat["user"] = user
    tier = body.get("service_tier")
    if isinstance(tier, str) and tier not in _USUAL_TIERS:
        chat["service_tier"] = tier
    for name in ("temperature", "top_p"):
        if body.get(name) is not None:
            chat[name] = body[name]
    include = body.get("include")
    top = body.get("top_logprobs")
    if top or (isinstance(include, list) and _LOGPROBS in include):
        chat["logprobs"] = True
        if top:
            chat["top_logprobs"] = top


def put_tools(chat: dict[str, Any], body: Mapping[str, Any], tools: OfferedTools, losses: Losses) -> None:
    """Sets ``tools``, ``tool_choice`` and ``parallel_tool_calls``. Raises Untranslatable."""
    offered = tools.functions
    choice: object = body.get("tool_choice")
    if isinstance(choice, dict) and choice.get("type") == "allowed_tools":
        inner = choice["allowed_tools"] if isinstance(choice.get("allowed_tools"), dict) else choice
        allowed = {_told(each, tools) for each in _list(inner.get("tools"))}
        offered = {told: function for told, function in offered.items() if told in allowed}
        choice = inner.get("mode", "auto")
    elif isinstance(choice, dict):
        told = _told(choice, tools)
        if told not in offered:
            losses.add("tool_choice")
        choice = {"type": "function", "function": {"name": told}} if told in offered else None
    if choice is not None and not isinstance(choice, dict) and (not isinstance(choice, str) or choice not in _WORDS):
        raise Untranslatable("tool_choice", "`tool_choice` must be auto, none, required, or name a tool.")
    if not offered:
        if choice == "required":
            losses.add("tool_choice")
        return
    chat["tools"] = list(offered.values())
    if choice is not None:
        chat["tool_choice"] = choice
    if body.get("parallel_tool_calls") is not None:
        chat["parallel_tool_calls"] = body["parallel_tool_calls"]


def _told(choice: Mapping[str, Any], tools: OfferedTools) -> str:
    """The name a chosen tool is told by; where its kind is its name, that."""
    for holder in (choice, choice.get("function"), choice.get("custom")):
        if isinstance(holder, dict) and isinstance(holder.get("name"), str):
            namespace = choice.get("namespace")
            return tools.told(holder["name"], namespace if isinstance(namespace, str) and namespace else None)
    return tools.told(str(choice.get("type")))


def _items(value: object) -> Sequence[Item]:
    if isinstance(value, str):
        return ({"type": "message", "role": "user", "content": value},)
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise Untranslatable("input", "`input` must be text or a list of items.")
    return value


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> Sequence[Mapping[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else ()


def _put_effort(chat: dict[str, Any], reasoning: Mapping[str, Any], quirks: Quirks, losses: Losses) -> None:
    effort = reasoning.get("effort")
    if effort is None:
        return
    if quirks.reasoning == "effort":
        chat["reasoning_effort"] = effort
        return
    if quirks.reasoning == "thinking":
        chat["thinking"] = {"type": "disabled" if effort == "none" else "enabled"}
    if effort != "none":
        losses.add("reasoning.effort")


def _put_format(chat: dict[str, Any], text: Mapping[str, Any], turns: Turns, quirks: Quirks, losses: Losses) -> None:
    if text.get("verbosity") is not None:
        chat["verbosity"] = text["verbosity"]
    wanted = response_format(text)
    if wanted is None:
        return
    if wanted["type"] == "json_schema" and not quirks.json_schema:
        losses.add("text.format")
        schema = as_json(wanted["json_schema"].get("schema")).decode()
        words = f"Answer with one JSON object and nothing else. It must fit this JSON schema:\n{schema}"
        turns.instruct(parts_of(words))
        wanted = {"type": "json_object"}
    chat["response_format"] = wanted


def response_format(text: Mapping[str, Any]) -> dict[str, Any] | None:
    """``text.format`` as openai.chat writes it; None for plain text. Raises Untranslatable."""
    wanted = text.get("format")
    if wanted is None:
        return None
    kind = _mapping(wanted).get("type")
    if kind == "text":
        return None
    if kind == "json_object":
        return {"type": "json_object"}
    if kind != "json_schema":
        raise Untranslatable("text.format", f"`text.format.type` is {kind!r}; it must be text, json_object or json_schema.")
    inner = _mapping(wanted.get("json_schema")) or wanted
    schema = {name: inner[name] for name in ("name", "description", "schema", "strict") if inner.get(name) is not None}
    return {"type": "json_schema", "json_schema": {"name": "answer", **schema}}
