"""Settings of an openai.responses request, made of those that openai.chat has: tools, the choice among them, formats, limits.

The two dialects say nearly the same; what chat wraps once more, this one keeps flat. What a request says because the relay keeps
nothing (``store: false``), and what it must ask for so that thoughts can be carried back, stands here too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from monorelay.dialects.envelopes import as_json
from monorelay.dialects.interface import Untranslatable
from monorelay.dialects.loss import Losses
from monorelay.dialects.quirks import Quirks
from monorelay.dialects.responses_input import BETWEEN

Tool = dict[str, Any]

SMALLEST_LIMIT = 16  # below it the upstream refuses the request
ENCRYPTED = "reasoning.encrypted_content"
LOGPROBS = "message.output_text.logprobs"

_WORDS = frozenset({"auto", "none", "required"})
_OF_A_FORMAT = ("name", "description", "schema", "strict")
_JSON_ONLY = "Answer with one JSON object and nothing else."


def put_limit(out: dict[str, Any], limit: object, field: str, losses: Losses) -> None:
    """``max_output_tokens``. Clients that only look whether a model answers ask for one token."""
    if limit is None:
        return
    if type(limit) is int and limit < SMALLEST_LIMIT:
        losses.add(field, f"the upstream takes no limit below {SMALLEST_LIMIT} tokens")
        limit = SMALLEST_LIMIT
    out["max_output_tokens"] = limit


def put_effort(out: dict[str, Any], effort: object, *, shows_thoughts: bool = True, carries_thoughts: bool = True) -> None:
    """``reasoning``, and that thoughts come encrypted. Neither is said unasked: models that do not think refuse both."""
    is_on = effort is not None and effort != "none"
    if effort is not None:
        out["reasoning"] = {"effort": effort, "summary": "auto"} if is_on and shows_thoughts else {"effort": effort}
    if is_on and carries_thoughts:
        include(out, ENCRYPTED)


def include(out: dict[str, Any], what: str) -> None:
    """Asks for more than the usual answer tells."""
    out["include"] = [*out.get("include", ()), what]


# ------------------------------------------------------------------ tools


def function_tool(function: Mapping[str, Any]) -> Tool:
    """A function, flat. Its schema is not enforced unless the client wants that: here, unlike in chat, it would be by default."""
    found: Tool = {"type": "function", "name": function["name"]}
    if isinstance(function.get("description"), str) and function["description"]:
        found["description"] = function["description"]
    schema = function.get("parameters")
    found["parameters"] = schema if isinstance(schema, dict) and schema else {"type": "object", "properties": {}}
    found["strict"] = function.get("strict") is True
    return found


def tool_of(tool: Mapping[str, Any]) -> Tool:
    """One tool of openai.chat; one of this dialect's own stays. Raises Untranslatable."""
    kind = tool.get("type", "function")
    if kind == "function":
        return function_tool({**_inner(tool, "function"), "name": name_of(tool)})
    if kind == "custom" and isinstance(tool.get("custom"), dict):
        custom: Tool = {"type": "custom", "name": name_of(tool)}
        inner = tool["custom"]
        if isinstance(inner.get("description"), str) and inner["description"]:
            custom["description"] = inner["description"]
        form = inner.get("format")
        if isinstance(form, dict):
            grammar = form.get("grammar")
            custom["format"] = {"type": form.get("type"), **grammar} if isinstance(grammar, dict) else form
        return custom
    return dict(tool)


def name_of(tool: Mapping[str, Any]) -> str:
    """The name of a tool as a client writes it: inside ``function`` or ``custom``, or beside ``type``. Raises Untranslatable."""
    for holder in (tool.get("function"), tool.get("custom"), tool):
        if isinstance(holder, dict) and isinstance(holder.get("name"), str) and holder["name"]:
            return str(holder["name"])
    raise Untranslatable("tools", "Every tool must have a name.")


def _inner(tool: Mapping[str, Any], field: str) -> Mapping[str, Any]:
    inner = tool.get(field)
    return inner if isinstance(inner, dict) else tool


def choice_of(choice: object) -> str | dict[str, Any]:
    """``tool_choice`` of openai.chat. Raises Untranslatable."""
    if isinstance(choice, str) and choice in _WORDS:
        return choice
    if not isinstance(choice, dict):
        raise Untranslatable("tool_choice", "`tool_choice` must be auto, none, required, or name a tool.")
    kind = choice.get("type", "function")
    if kind in ("function", "custom"):
        return {"type": kind, "name": name_of(choice)}
    if kind == "allowed_tools":
        inner = _inner(choice, "allowed_tools")
        tools = inner.get("tools")
        return {
            "type": kind,
            "mode": "required" if inner.get("mode") == "required" else "auto",
            "tools": [_named(tool) for tool in tools if isinstance(tool, dict)] if isinstance(tools, list) else [],
        }
    return dict(choice)


def _named(tool: Mapping[str, Any]) -> dict[str, Any]:
    kind = tool.get("type", "function")
    return {"type": kind, "name": name_of(tool)} if kind in ("function", "custom") else dict(tool)


def web_search(near: object) -> Tool:
    """The search that the upstream does itself, for somebody who is ``near``."""
    tool: Tool = {"type": "web_search"}
    if isinstance(near, dict):
        tool["user_location"] = {"type": "approximate", **{name: value for name, value in near.items() if name != "type"}}
    return tool


# ------------------------------------------------------------------ the form of the answer


def text_format(wanted: object) -> dict[str, Any] | None:
    """``text.format`` for a ``response_format`` of openai.chat; None for plain text. Raises Untranslatable."""
    if wanted is None:
        return None
    kind = wanted.get("type") if isinstance(wanted, dict) else None
    if not isinstance(wanted, dict) or kind not in ("text", "json_object", "json_schema"):
        raise Untranslatable("response_format", "`response_format.type` must be text, json_object or json_schema.")
    if kind != "json_schema":
        return None if kind == "text" else {"type": kind}
    inner = _inner(wanted, "json_schema")
    form = {"type": kind, "name": "answer", **{name: inner[name] for name in _OF_A_FORMAT if inner.get(name) is not None}}
    if not isinstance(form.get("schema"), dict):
        raise Untranslatable("response_format", "A `response_format` of the type json_schema must hold a schema.")
    return form


def put_format(out: dict[str, Any], form: dict[str, Any] | None, field: str, quirks: Quirks, losses: Losses) -> None:
    """``text.format``. A provider that cannot be held to a schema is told it in words, behind the instructions.

    A request for any JSON object is refused unless the input speaks of JSON, and instructions do not count: they move there.
    """
    if form is None:
        return
    if form["type"] == "json_schema" and not quirks.json_schema:
        losses.add(field)
        words = f"{_JSON_ONLY} It must fit this JSON schema:\n{as_json(form['schema']).decode()}"
        out["instructions"] = BETWEEN.join(each for each in (out.get("instructions"), words) if each)
        form = {"type": "json_object"}
    if form["type"] == "json_object" and "instructions" in out:
        out["input"] = [{"type": "message", "role": quirks.system_role, "content": out.pop("instructions")}, *out["input"]]
    out["text"] = {**out.get("text", {}), "format": form}


def drop(out: dict[str, Any], quirks: Quirks, names: Mapping[str, str], losses: Losses) -> None:
    """Takes away what this provider rejects, also inside of a field (``reasoning.summary``).

    ``names``: the upstream's field → what the client called it; one that is not there is not the client's.
    """
    for field in quirks.drop:
        *path, last = field.split(".")
        holder: Any = out
        for each in path:
            holder = holder.get(each) if isinstance(holder, dict) else None
        if isinstance(holder, dict) and holder.pop(last, None) is not None and field in names:
            losses.add(names[field], f"this provider rejects `{field}` (`quirks.drop`)")
