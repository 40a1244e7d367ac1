"""The request body, field by field, in the order of the reference; what is dropped, and why, comes first.

References: https://platform.openai.com/docs/api-reference/chat/create and
https://platform.openai.com/docs/api-reference/responses/create
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from monorelay.dialects.effort import effort_for
from monorelay.dialects.envelopes import as_json
from monorelay.dialects.interface import Hints, Untranslatable
from monorelay.dialects.loss import Losses
from monorelay.dialects.openai_chat_to_openai_responses.turns import Turns
from monorelay.dialects.responses_request import (
    ENCRYPTED,
    LOGPROBS,
    choice_of,
    drop,
    function_tool,
    include,
    put_effort,
    put_format,
    put_limit,
    text_format,
    tool_of,
    web_search,
)

# What a client loses, and is told of. A neutral value (null, false, 0, an empty list) loses nothing and is not reported.
DROPPED: Mapping[str, str] = MappingProxyType(
    {
        "audio": "the upstream answers in text only",
        "modalities": "the upstream answers in text only",
        "frequency_penalty": "the upstream has no such setting",
        "presence_penalty": "the upstream has no such setting",
        "logit_bias": "the upstream has no such setting",
        "max_tokens": "the upstream takes no limit below 16 tokens",
        "moderation": "its verdict has another form in the upstream's dialect",
        "seed": "the upstream cannot repeat an answer",
        "stop": "the upstream knows no stop sequences",
        "store": "the relay keeps no conversation, and asks the upstream to keep none",
        "reasoning_effort": "this provider cannot be told how hard to think (`quirks.reasoning`)",
        "response_format": "this provider cannot be held to a schema; it is asked for it in words (`quirks.json_schema`)",
        "tool_choice": "there is no tool to choose",
        "messages.name": "turns have no names",
        "messages.audio": "an earlier spoken answer cannot be referred to",
        "messages.content.<type>": "a part that the upstream's dialect does not have",
        "messages.reasoning_content": "a thought goes back as its maker encrypted it, in reasoning_details, or not at all",
    }
)
# What only hints at how to serve the same answer. Nothing is lost, so nothing is reported.
_IGNORED = frozenset({"prediction", "stream_options", "cache_control"})
# The same name and the same meaning in both; or a setting of the upstream's own that clients put beside chat's.
_SAME = (
    *("temperature", "top_p", "user", "safety_identifier", "metadata", "service_tier"),
    *("prompt_cache_key", "prompt_cache_options", "prompt_cache_retention", "truncation", "max_tool_calls"),
)
_TRANSLATED = frozenset(
    "model messages max_completion_tokens max_tokens n stop store stream tools tool_choice functions function_call"
    " parallel_tool_calls web_search_options reasoning_effort reasoning response_format verbosity logprobs top_logprobs".split()
)
# What a dropped field of the upstream's was called by the client.
_CLIENTS_NAMES = {
    **{name: name for name in (*_SAME, "tools", "tool_choice", "parallel_tool_calls", "top_logprobs")},
    "max_output_tokens": "max_tokens",
    "reasoning": "reasoning_effort",
    "reasoning.effort": "reasoning_effort",
    "text": "response_format",
    "text.format": "response_format",
    "text.verbosity": "verbosity",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """What the way back must know of the request. ``legacy``: the client speaks of functions."""

    hints: Hints
    include_usage: bool
    logprobs: bool
    legacy: bool


def translate_request(body: Mapping[str, Any], hints: Hints) -> tuple[bytes, tuple[str, ...], Asked]:
    """The upstream's body, the names of what was lost, and what to remember. Raises Untranslatable."""
    losses = Losses(hints.strict, DROPPED)
    if body.get("n") not in (None, 1):
        raise Untranslatable("n", "Only one choice can be asked for in openai.responses: send n = 1, or the request several times.")
    try:
        request = as_json(_translate(body, hints, losses))
    except RecursionError:
        raise Untranslatable("messages", "The request is nested too deeply.") from None
    options = _mapping(body.get("stream_options"))
    asked = Asked(
        hints,
        include_usage=options.get("include_usage") is True,
        logprobs=_wants_logprobs(body),
        legacy=bool(body.get("functions")),
    )
    return request, losses.names, asked


def _translate(body: Mapping[str, Any], hints: Hints, losses: Losses) -> dict[str, Any]:
    quirks = hints.quirks
    turns = Turns(quirks, losses)
    turns.add_all(body.get("messages"))
    out: dict[str, Any] = {"model": hints.model, "store": False}
    if turns.instructions:
        out["instructions"] = turns.instructions
    out["input"] = turns.items.items
    limit = body.get("max_completion_tokens")
    put_limit(out, body.get("max_tokens") if limit is None else limit, "max_tokens", losses)
    _put_tools(out, body, losses)
    _put_reasoning(out, body, hints, losses)
    if body.get("verbosity") is not None:
        out["text"] = {"verbosity": body["verbosity"]}
    put_format(out, text_format(body.get("response_format")), "response_format", quirks, losses)
    if _wants_logprobs(body):
        include(out, LOGPROBS)
        if body.get("top_logprobs"):
            out["top_logprobs"] = body["top_logprobs"]
    out |= {name: body[name] for name in _SAME if body.get(name) is not None}
    if body.get("stream"):
        out["stream"] = True
    drop(out, quirks, _CLIENTS_NAMES, losses)
    _report(body, losses)
    return out


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _objects(body: Mapping[str, Any], field: str) -> list[dict[str, Any]]:
    found = body.get(field)
    if found is None:
        return []
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise Untranslatable(field, f"`{field}` must be a list of objects.")
    return found


def _wants_logprobs(body: Mapping[str, Any]) -> bool:
    return bool(body.get("logprobs") or body.get("top_logprobs"))


def _put_tools(out: dict[str, Any], body: Mapping[str, Any], losses: Losses) -> None:
    functions = _objects(body, "functions")
    tools = [tool_of(tool) for tool in _objects(body, "tools")]
    tools += [function_tool(_function(each)) for each in functions]
    search = body.get("web_search_options")
    if isinstance(search, dict):
        tools.append(_search(search))
    choice = body.get("function_call") if body.get("tool_choice") is None else body["tool_choice"]
    told = None if choice is None else choice_of(choice)
    if not tools:
        if told is not None and told not in ("auto", "none"):
            losses.add("tool_choice")
        return
    out["tools"] = tools
    if told is not None:
        out["tool_choice"] = told
    if functions:
        out["parallel_tool_calls"] = False
    elif body.get("parallel_tool_calls") is not None:
        out["parallel_tool_calls"] = body["parallel_tool_calls"]


def _function(function: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(function.get("name"), str) or not function["name"]:
        raise Untranslatable("functions", "Every function in `functions` must have a name.")
    return function


def _search(options: Mapping[str, Any]) -> dict[str, Any]:
    tool = web_search(_mapping(options.get("user_location")).get("approximate"))
    if options.get("search_context_size") is not None:
        tool["search_context_size"] = options["search_context_size"]
    return tool


def _put_reasoning(out: dict[str, Any], body: Mapping[str, Any], hints: Hints, losses: Losses) -> None:
    """``reasoning`` is how some clients ask for the same, with more to say."""
    own = _mapping(body.get("reasoning"))
    effort = body.get("reasoning_effort") or own.get("effort")
    if effort is None and type(own.get("max_tokens")) is int:
        effort = effort_for(own["max_tokens"])
    if hints.quirks.reasoning == "none":
        if effort is not None and effort != "none":
            losses.add("reasoning_effort")
        return
    put_effort(out, effort)
    told = {name: own[name] for name in ("summary", "mode", "context") if own.get(name) is not None}
    if told and effort != "none":
        out["reasoning"] = {**out.get("reasoning", {}), **told}
        if effort is None:
            include(out, ENCRYPTED)


def _report(body: Mapping[str, Any], losses: Losses) -> None:
    """Every field that nobody above has read, unless it says nothing."""
    if body.get("stop"):
        losses.add("stop")
    if body.get("store") is True:
        losses.add("store")
    for field, value in body.items():
        if field in _TRANSLATED or field in _IGNORED or field in _SAME or not value:
            continue
        if field == "modalities" and value == ["text"]:
            continue
        losses.add(field)
