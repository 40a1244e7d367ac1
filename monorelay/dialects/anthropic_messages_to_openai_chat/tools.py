"""Tools and the choice among them.

| anthropic.messages | openai.chat |
| --- | --- |
| tools: custom | functions; name (64 characters at most), description with the examples, input_schema as parameters, strict |
| tools of any other type | dropped, reported |
| messages: tool_addition, tool_removal | the tools as they stand at the end of the conversation |
| tool_choice auto, any, none | auto, required, none |
| tool_choice tool | the function by its name |
| disable_parallel_tool_use | parallel_tool_calls: false |
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from monorelay.dialects.anthropic_messages_to_openai_chat.fields import DROPPED
from monorelay.dialects.anthropic_messages_to_openai_chat.parts import blocks_of
from monorelay.dialects.anthropic_messages_to_openai_chat.turns import TOOL_CHANGES
from monorelay.dialects.interface import Untranslatable
from monorelay.dialects.loss import Losses, plain_word
from monorelay.dialects.tool_names import ToolNames

_CHOICES = {"auto": "auto", "any": "required", "none": "none"}


def put_tools(body: Mapping[str, Any], names: ToolNames, losses: Losses, chat: dict[str, Any]) -> None:
    """Sets ``tools``, ``tool_choice`` and ``parallel_tool_calls``. Raises Untranslatable."""
    tools = {tool["name"]: _function(tool, names, losses) for tool in _offered(body, losses)}
    if tools:
        chat["tools"] = list(tools.values())
    choice = body.get("tool_choice")
    if choice is None:
        return
    if not isinstance(choice, dict):
        raise Untranslatable("tool_choice", "`tool_choice` must be an object.")
    if not tools:
        if choice.get("type") in ("any", "tool"):
            losses.add("tool_choice")
        return
    if choice.get("type") == "tool":
        if choice.get("name") in tools:
            chat["tool_choice"] = {"type": "function", "function": {"name": names.told(choice["name"])}}
        else:
            losses.add("tool_choice")
    elif choice.get("type") in _CHOICES:
        chat["tool_choice"] = _CHOICES[choice["type"]]
    else:
        raise Untranslatable("tool_choice", f"`tool_choice.type` is {choice.get('type')!r}; it must be auto, any, tool or none.")
    if choice.get("disable_parallel_tool_use"):
        chat["parallel_tool_calls"] = False


def _offered(body: Mapping[str, Any], losses: Losses) -> Iterator[Mapping[str, Any]]:
    """The client's own tools that stand at the end of the conversation."""
    tools = blocks_of(body.get("tools"), "tools")
    changes = list(_changes(body.get("messages")))
    removed: set[str] = set()
    for change in changes:
        tool = change.get("tool")
        if not isinstance(tool, dict):
            raise Untranslatable("messages", "A change of tools in `messages` names no tool.")
        definition = tool.get("definition")
        name = definition.get("name") if isinstance(definition, dict) else tool.get("name")
        if not isinstance(name, str):
            losses.add(f"tools.{plain_word(tool.get('type'))}", DROPPED["tools.<type>"])
        elif change["type"] == "tool_removal":
            removed.add(name)
        else:
            removed.discard(name)
            if isinstance(definition, dict):
                tools = [*tools, definition]
    for tool in tools:
        if tool.get("type") not in (None, "custom"):
            losses.add(f"tools.{plain_word(tool['type'])}", DROPPED["tools.<type>"])
        elif not isinstance(tool.get("name"), str):
            raise Untranslatable("tools", "A tool in `tools` has no name.")
        elif tool["name"] not in removed:
            yield tool


def _changes(messages: object) -> Iterator[Mapping[str, Any]]:
    for message in messages if isinstance(messages, list) else ():
        content = message.get("content")
        if message.get("role") == "system" and isinstance(content, list):
            yield from (block for block in content if isinstance(block, dict) and block.get("type") in TOOL_CHANGES)


def _function(tool: Mapping[str, Any], names: ToolNames, losses: Losses) -> dict[str, Any]:
    function: dict[str, Any] = {"name": names.told(tool["name"])}
    description = tool.get("description")
    examples = tool.get("input_examples")
    if isinstance(examples, list) and examples:
        lines = [json.dumps(example, ensure_ascii=False) for example in examples]
        description = "\n".join([f"{description}\n" if description else "", "Examples of its input:", *lines]).lstrip()
    if isinstance(description, str) and description:
        function["description"] = description
    function["parameters"] = parameters(tool.get("input_schema"))
    if tool.get("strict") is True:
        if is_closed(function["parameters"]):
            function["strict"] = True
        else:
            losses.add("tools.strict")
    return {"type": "function", "function": function}


def parameters(schema: object) -> Mapping[str, Any]:
    """An input schema as OpenAI takes it: an object that names its properties, even where there are none. ``$schema`` tells a model
    nothing, and some upstreams refuse it.
    """
    found = schema if isinstance(schema, dict) else {}
    if "properties" in found and "type" in found and "$schema" not in found:
        return found
    whole = {"type": "object", "properties": {}, **found}
    whole.pop("$schema", None)
    return whole


def is_closed(schema: object) -> bool:
    """Whether every object in it forbids other properties and requires its own, which OpenAI's strict form wants."""
    if isinstance(schema, dict):
        properties = schema.get("properties")
        if isinstance(properties, dict):
            if schema.get("additionalProperties") is not False or set(properties) != set(_names(schema.get("required"))):
                return False
        elif schema.get("type") == "object":
            return False
        return all(is_closed(value) for value in schema.values())
    return not isinstance(schema, list) or all(is_closed(each) for each in schema)


def _names(required: object) -> Sequence[str]:
    return [each for each in required if isinstance(each, str)] if isinstance(required, list) else ()
