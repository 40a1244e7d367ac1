"""Tools of openai.chat, and the choice among them, as anthropic.messages has them.

| tool | becomes |
| --- | --- |
| function | a tool: parameters → input_schema, strict where the schema can be held to |
| custom | a tool with one string argument, turned back on the way out; its grammar goes into the description |
| web_search_options | the upstream's own web search |
| functions, function_call | tools, one at a time; the answer is a function_call again |
| a tool of the upstream's own dialect | itself |

| tool_choice | becomes |
| --- | --- |
| auto, none, required | auto, none, any |
| a named function or custom tool | tool |
| allowed_tools | those tools alone, with auto or any |

Structured output that the upstream does not offer natively is asked for as one more tool, whose input is the answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from monorelay.dialects.interface import Untranslatable
from monorelay.dialects.loss import Losses
from monorelay.dialects.openai_chat_to_anthropic_messages.parts import cache_control
from monorelay.dialects.output_schema import closed_schema
from monorelay.dialects.string_argument import SCHEMA

Tool = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Tools:
    """What is sent, and what the way back must know: which names are custom tools, and whether the client speaks of functions."""

    tools: tuple[Tool, ...] = ()
    choice: Tool | None = None
    custom: frozenset[str] = frozenset()
    legacy: bool = False


def translate_tools(body: Mapping[str, Any], losses: Losses, *, strict_tools: bool) -> Tools:
    """Of a whole request. ``strict_tools``: whether the upstream can hold a model to a schema."""
    tools = [_translate_tool(tool, losses, strict_tools) for tool in _list(body, "tools")]
    functions = _list(body, "functions")
    tools += [_function(each, each, losses, strict_tools) for each in functions]
    if isinstance(body.get("web_search_options"), dict):
        tools.append(_web_search(body["web_search_options"], losses))
    choice, tools = _translate_choice(body, tools, losses)
    if body.get("parallel_tool_calls") is False or functions:
        choice = choice or {"type": "auto"}
        if choice["type"] != "none":
            choice["disable_parallel_tool_use"] = True
    if not tools:
        if choice is not None and choice["type"] in ("any", "tool"):
            losses.add("tool_choice", "there is no tool to choose")
        choice = None
    custom = frozenset(_name(tool) for tool in _list(body, "tools") if tool.get("type") == "custom")
    return Tools(tuple(tools), choice, custom, bool(functions))


def answer_tool(name: str, schema: object, tools: Tools) -> tuple[Tools, str]:
    """The tools with one more, whose input is the structured answer; and the name it got."""
    taken = {tool.get("name") for tool in tools.tools}
    while name in taken:
        name += "_"
    tool = {"name": name, "description": "Give the final answer by calling this tool.", "input_schema": schema}
    own: Tool | None = tools.choice
    if own is not None and own["type"] in ("any", "tool"):
        choice = own  # the client insists on one of its own tools: the answer comes a turn later
    elif tools.tools and (own is None or own["type"] == "auto"):
        choice = {"type": "any"}
    else:
        choice = {"type": "tool", "name": name}
    if own is not None and own.get("disable_parallel_tool_use"):
        choice = {**choice, "disable_parallel_tool_use": True}
    return Tools((*tools.tools, tool), choice, tools.custom, tools.legacy), name


def _list(body: Mapping[str, Any], field: str) -> list[dict[str, Any]]:
    found = body.get(field)
    if found is None:
        return []
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise Untranslatable(field, f"`{field}` must be a list of objects.")
    return found


def _name(tool: Mapping[str, Any]) -> str:
    """The name of a tool as a client writes it: inside ``function`` or ``custom``, or beside ``type``."""
    for holder in (tool.get("function"), tool.get("custom"), tool):
        if isinstance(holder, dict) and isinstance(holder.get("name"), str) and holder["name"]:
            return str(holder["name"])
    raise Untranslatable("tools", "Every tool must have a name.")


def _translate_tool(tool: dict[str, Any], losses: Losses, strict_tools: bool) -> Tool:
    kind = tool.get("type", "function")
    if kind == "function":
        function = tool.get("function")
        return _function(function if isinstance(function, dict) else tool, tool, losses, strict_tools)
    if kind == "custom" and isinstance(tool.get("custom"), dict):
        return _custom(tool["custom"], tool, losses)
    _name(tool)
    return tool


def _function(function: Mapping[str, Any], holder: Mapping[str, Any], losses: Losses, strict_tools: bool) -> Tool:
    translated: Tool = {"name": _name(function)}
    if isinstance(function.get("description"), str) and function["description"]:
        translated["description"] = function["description"]
    schema = function.get("parameters")
    schema = schema if isinstance(schema, dict) else {}
    if "type" not in schema:
        schema = {"type": "object", **({} if schema else {"properties": {}}), **schema}
    if function.get("strict") is True:
        closed = closed_schema(schema) if strict_tools else None
        if closed is None:
            losses.add("tools.function.strict")
        else:
            schema = closed
            translated["strict"] = True
    translated["input_schema"] = schema
    return _marked(translated, function, holder)


def _custom(custom: Mapping[str, Any], holder: Mapping[str, Any], losses: Losses) -> Tool:
    described = [custom["description"]] if isinstance(custom.get("description"), str) else []
    form = custom.get("format")
    if isinstance(form, dict) and form.get("type") == "grammar":
        losses.add("tools.custom.format")
        grammar = form["grammar"] if isinstance(form.get("grammar"), dict) else form
        described.append(f"The input must follow this {grammar.get('syntax', '')} grammar:\n{grammar.get('definition', '')}")
    translated: Tool = {"name": _name(custom)}
    if described:
        translated["description"] = "\n\n".join(described)
    translated["input_schema"] = dict(SCHEMA)
    return _marked(translated, custom, holder)


def _marked(translated: Tool, inner: Mapping[str, Any], holder: Mapping[str, Any]) -> Tool:
    mark = cache_control(holder) or cache_control(inner)
    return translated if mark is None else {**translated, "cache_control": mark}


def _web_search(options: Mapping[str, Any], losses: Losses) -> Tool:
    search: Tool = {"type": "web_search_20250305", "name": "web_search"}
    if "search_context_size" in options:
        losses.add("web_search_options.search_context_size")
    where = options.get("user_location")
    near = where.get("approximate") if isinstance(where, dict) else None
    if isinstance(near, dict):
        search["user_location"] = {"type": "approximate", **near}
    return search


def _translate_choice(body: Mapping[str, Any], tools: list[Tool], losses: Losses) -> tuple[Tool | None, list[Tool]]:
    choice = body.get("tool_choice")
    if choice is None:
        choice = body.get("function_call")
    if choice is None:
        return None, tools
    if isinstance(choice, str):
        word = _CHOICES.get(choice)
        if word is None:
            raise Untranslatable("tool_choice", "`tool_choice` must be auto, none, required, or name a tool.")
        return {"type": word}, tools
    if not isinstance(choice, dict):
        raise Untranslatable("tool_choice", "`tool_choice` must be auto, none, required, or name a tool.")
    if choice.get("type") == "allowed_tools":
        return _allowed(choice, tools)
    if choice.get("type") in ("auto", "any", "none"):  # in the upstream's own words
        return {"type": choice["type"]}, tools
    return {"type": "tool", "name": _name(choice)}, tools


_CHOICES = {"auto": "auto", "none": "none", "required": "any", "any": "any"}


def _allowed(choice: Mapping[str, Any], tools: list[Tool]) -> tuple[Tool, list[Tool]]:
    inner = choice.get("allowed_tools")
    allowed = inner if isinstance(inner, dict) else choice
    names = {_name(tool) for tool in _list(allowed, "tools")}
    kept = [tool for tool in tools if tool.get("name") in names]
    return {"type": "any" if allowed.get("mode") == "required" else "auto"}, kept
