"""Tools as text, for models that cannot take them: a request of one dialect becomes a request of the same dialect without tools.

    tools, tool_choice                 a passage of the instructions that describes them
    a call in the history              words of the assistant: which tool, which arguments
    a result in the history            words of the user; images in it stay images
    parallel_tool_calls and the like   nothing

The model is told that it cannot call a tool and is to say in words what it would call: nothing turns its words back into a call.
Nothing is changed in place, and what has not the shape of its reference stays as it is, for the upstream to judge.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

JSON = Mapping[str, Any]

_INTRODUCTION = (
    "These tools belong to this conversation, but you cannot call them here. Where one is needed, say in words which one you would"
    " call and with which arguments."
)
_MUST = "You are asked to use one of them now: say which one, and give its arguments as JSON."
_MUST_NAMED = "You are asked to use the tool {} now: give its arguments as JSON."


def without_tools(capability: str, body: JSON) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The same request without tools, and what that lost: the names of its fields. A request without any comes back equal.

    >>> without_tools("openai.chat", {"messages": [], "tools": [{"type": "function", "function": {"name": "f"}}]})[1]
    ('tools',)
    """
    change = _CHANGES.get(capability)
    if change is None:
        return dict(body), ()
    lost: dict[str, None] = {}
    return change(body, lost), tuple(lost)


# ---------------------------------------------------------------------------------------------------- openai.chat


def _chat(body: JSON, lost: dict[str, None]) -> dict[str, Any]:
    changed = _without(body, ("tools", "tool_choice", "parallel_tool_calls", "functions", "function_call"))
    tools = [*_objects(body.get("tools")), *({"function": each} for each in _objects(body.get("functions")))]
    passage = _passage([_chat_tool(tool) for tool in tools], body.get("tool_choice", body.get("function_call")), lost)
    messages = body.get("messages")
    if isinstance(messages, list):
        changed["messages"] = _instruct_chat(list(_chat_turns(messages, lost)), passage)
    return changed


def _chat_tool(tool: JSON) -> str:
    function = _object(tool.get("function")) or _object(tool.get("custom"))
    return _described(function.get("name") or tool.get("type"), function.get("description"), function.get("parameters"))


def _chat_turns(messages: list[Any], lost: dict[str, None]) -> Iterator[Any]:
    names: dict[object, str] = {}
    results: list[dict[str, Any]] = []
    for message in messages:
        role = message.get("role") if isinstance(message, dict) else None
        if role in ("tool", "function"):
            lost["messages.tool"] = None
            name = names.get(message.get("tool_call_id")) or message.get("name")
            results += _told_result(name, message.get("content"), "text")
            continue
        if results:
            if role == "user":
                message = {**message, "content": [*results, *_parts(message.get("content"), "text")]}
            else:
                yield {"role": "user", "content": _plain(results)}
            results = []
        if role == "assistant" and (message.get("tool_calls") or message.get("function_call")):
            lost["messages.tool_calls"] = None
            message = _chat_call(message, names)
        yield message
    if results:
        yield {"role": "user", "content": _plain(results)}


def _chat_call(message: JSON, names: dict[object, str]) -> dict[str, Any]:
    called = []
    for call in (*_objects(message.get("tool_calls")), {"function": message.get("function_call")}):
        function = _object(call.get("function")) or _object(call.get("custom"))
        if function:
            names[call.get("id")] = str(function.get("name"))
            called.append(_told_call(function.get("name"), function.get("arguments", function.get("input"))))
    parts = [*_parts(message.get("content"), "text"), *({"type": "text", "text": text} for text in called)]
    return {**_without(message, ("tool_calls", "function_call")), "content": _plain(parts)}


def _instruct_chat(messages: list[Any], passage: str) -> list[Any]:
    """Into the first system message where there is one: many models take but one."""
    if not passage:
        return messages
    first = messages[0] if messages else None
    if isinstance(first, dict) and first.get("role") in ("system", "developer"):
        return [
            {**first, "content": _plain([*_parts(first.get("content"), "text"), {"type": "text", "text": passage}])},
            *messages[1:],
        ]
    return [{"role": "system", "content": passage}, *messages]


# ---------------------------------------------------------------------------------------------------- anthropic.messages


def _messages(body: JSON, lost: dict[str, None]) -> dict[str, Any]:
    changed = _without(body, ("tools", "tool_choice"))
    tools = [
        _described(tool.get("name") or tool.get("type"), tool.get("description"), tool.get("input_schema"))
        for tool in _objects(body.get("tools"))
    ]
    passage = _passage(tools, body.get("tool_choice"), lost)
    if passage:
        changed["system"] = _plain([*_parts(body.get("system"), "text"), {"type": "text", "text": passage}])
    messages = body.get("messages")
    if isinstance(messages, list):
        names: dict[object, str] = {}
        turns = [_messages_turn(message, names, lost) for message in messages]
        changed["messages"] = [turn for turn in turns if not isinstance(turn, dict) or turn.get("content") != []]
    return changed


def _messages_turn(message: Any, names: dict[object, str], lost: dict[str, None]) -> Any:
    content = message.get("content") if isinstance(message, dict) else None
    if not isinstance(content, list):
        return message
    blocks: list[Any] = []
    for block in content:
        kind = block.get("type") if isinstance(block, dict) else None
        if kind in ("tool_addition", "tool_removal"):
            lost[f"messages.{kind}"] = None
            continue
        if not isinstance(kind, str) or not kind.endswith(("tool_use", "tool_result")):
            blocks.append(block)
            continue
        lost[f"messages.{kind}"] = None
        if kind.endswith("tool_use"):
            names[block.get("id")] = str(block.get("name"))
            # Texts in a row read as one, which citations have cut up.
            between = "\n\n" if blocks and _object(blocks[-1]).get("type") == "text" else ""
            blocks.append({"type": "text", "text": between + _told_call(block.get("name"), block.get("input"))})
        else:
            blocks += _told_result(names.get(block.get("tool_use_id")), block.get("content"), "text", bool(block.get("is_error")))
    return {**message, "content": blocks}


# ---------------------------------------------------------------------------------------------------- openai.responses


def _responses(body: JSON, lost: dict[str, None]) -> dict[str, Any]:
    changed = _without(body, ("tools", "tool_choice", "parallel_tool_calls", "max_tool_calls"))
    items = body.get("input")
    told = items if isinstance(items, list) else []
    tools = [*_objects(body.get("tools"))]
    for item in _objects(told):
        if item.get("type") == "additional_tools":
            tools += _objects(item.get("tools"))
    passage = _passage(list(_responses_tools(tools, "")), body.get("tool_choice"), lost)
    if passage:
        instructions = body.get("instructions")
        changed["instructions"] = f"{instructions}\n\n{passage}" if isinstance(instructions, str) and instructions else passage
    if isinstance(items, list):
        changed["input"] = list(_responses_items(items, lost))
    return changed


def _responses_tools(tools: Iterable[JSON], prefix: str) -> Iterator[str]:
    for tool in tools:
        if tool.get("type") == "namespace":
            yield from _responses_tools(_objects(tool.get("tools")), f"{prefix}{tool.get('name')}__")
        else:
            yield _described(f"{prefix}{tool.get('name') or tool.get('type')}", tool.get("description"), tool.get("parameters"))


# What of an item is not what was called for.
_BOOKKEEPING = frozenset({"type", "id", "call_id", "status", "name", "namespace", "encrypted_content", "server_label"})


def _responses_items(items: list[Any], lost: dict[str, None]) -> Iterator[Any]:
    names: dict[object, str] = {}
    thoughts: list[Any] = []  # reasoning belongs to the item behind it, and is refused without it
    for item in items:
        kind = item.get("type") if isinstance(item, dict) else None
        if kind == "reasoning":
            thoughts.append(item)
            continue
        if kind in ("additional_tools", "mcp_list_tools"):
            continue
        if not isinstance(kind, str) or not kind.endswith(("_call", "_call_output")):
            yield from thoughts
            yield item
            thoughts = []
            continue
        lost[f"input.{kind}"] = None
        if thoughts:
            lost["input.reasoning"] = None
            thoughts = []
        if kind.endswith("_call"):
            name = names[item.get("call_id") or item.get("id")] = str(item.get("name") or kind.removesuffix("_call"))
            yield {"role": "assistant", "content": _told_call(name, _called(item))}
            if item.get("output") is not None:  # of a tool that the vendor ran
                yield {"role": "assistant", "content": _plain(_told_result(name, item["output"], "output_text"))}
        else:
            name = names.get(item.get("call_id"), kind.removesuffix("_call_output"))
            yield {"role": "user", "content": _plain(_told_result(name, item.get("output"), "input_text"))}
    yield from thoughts


def _called(item: JSON) -> object:
    for field in ("arguments", "input"):
        if field in item:
            return item[field]
    return {field: value for field, value in item.items() if field not in _BOOKKEEPING and field != "output"}


# ---------------------------------------------------------------------------------------------------- words


def _passage(tools: list[str], choice: object, lost: dict[str, None]) -> str:
    """What the instructions say of the tools; "" where there are none."""
    if not tools:
        return ""
    lost["tools"] = None
    sentences = [_INTRODUCTION, *tools]
    if choice not in (None, "auto", "none") and not (isinstance(choice, dict) and choice.get("type") in ("auto", "none")):
        lost["tool_choice"] = None
        named = _chosen(choice)
        if named or not _is_a_selection(choice):
            sentences.append(_MUST_NAMED.format(named) if named else _MUST)
    return "\n\n".join(sentences)


def _chosen(choice: object) -> str | None:
    found = _object(choice)
    inner = _object(found.get("function")) or _object(found.get("custom")) or found
    name = inner.get("name")
    return name if isinstance(name, str) else None


def _is_a_selection(choice: object) -> bool:
    """Some of the tools to choose from freely."""
    found = _object(choice)
    return (_object(found.get("allowed_tools")) or found).get("mode") == "auto"


def _described(name: object, description: object, schema: object) -> str:
    text = f"Tool {name}"
    if isinstance(description, str) and description:
        text += f": {description}"
    return f"{text}\nIts arguments, as a JSON schema: {_dumped(schema)}" if isinstance(schema, dict) else text


def _told_call(name: object, arguments: object) -> str:
    told = arguments if isinstance(arguments, str) else _dumped(arguments)
    return f"[I called the tool {name} with: {told}]"


def _told_result(name: object, content: object, text_type: str, is_error: bool = False) -> list[dict[str, Any]]:
    """Parts: one text, and behind it what is no text."""
    parts = _parts(content, text_type)
    texts = [str(part["text"]) for part in parts if isinstance(part.get("text"), str)]
    others = [part for part in parts if not isinstance(part.get("text"), str)]
    shown = [part for part in others if part.get("type") in _SHOWN]
    texts += [_dumped(part) for part in others if part.get("type") not in _SHOWN]
    word = "Error" if is_error else "Result"
    return [{"type": text_type, "text": f"[{word} of the tool {name or 'called before'}]\n" + "\n".join(texts)}, *shown]


_SHOWN = frozenset({"image", "document", "search_result", "image_url", "file", "input_image", "input_file"})


# ---------------------------------------------------------------------------------------------------- shapes


def _without(body: JSON, fields: tuple[str, ...]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name not in fields}


def _object(value: object) -> JSON:
    return value if isinstance(value, dict) else {}


def _objects(value: object) -> list[JSON]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _parts(content: object, text_type: str) -> list[dict[str, Any]]:
    """Content in its long form; what is neither text nor a list, as the JSON that it is."""
    if content is None or content == "":
        return []
    if isinstance(content, list):
        return [each if isinstance(each, dict) else {"type": text_type, "text": str(each)} for each in content]
    return [{"type": text_type, "text": content if isinstance(content, str) else _dumped(content)}]


def _plain(parts: list[dict[str, Any]]) -> str | list[dict[str, Any]]:
    """One text where it is nothing else and carries nothing else; what is cached up to a part stays in parts."""
    if all(part.keys() == {"type", "text"} for part in parts):
        return "\n\n".join(str(part["text"]) for part in parts)
    return parts


def _dumped(value: object) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    except RecursionError:
        return "(nested too deeply to be told)"


_CHANGES: Mapping[str, Callable[[JSON, dict[str, None]], dict[str, Any]]] = {
    "openai.chat": _chat,
    "anthropic.messages": _messages,
    "openai.responses": _responses,
}
