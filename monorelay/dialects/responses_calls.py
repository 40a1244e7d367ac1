"""Calls of tools as items of openai.responses, both ways: a function's call, or what the client's own kind of tool is told by.

| kind of tool | its call | what a function's arguments hold of it |
| --- | --- | --- |
| function | function_call | ``arguments``, as they are |
| custom | custom_tool_call | ``input``, as the one string of an object |
| local_shell | local_shell_call | ``action`` |
| shell | shell_call | ``action`` |
| apply_patch | apply_patch_call | ``operation`` |
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from monorelay.dialects.envelopes import as_json
from monorelay.dialects.responses_tools import Kind, OfferedTools, Own
from monorelay.dialects.string_argument import unwrap, wrap
from monorelay.dialects.tool_input import read_arguments

Item = dict[str, Any]

# Kind of tool → the prefix of its items' ids.
PREFIXES: Mapping[Kind, str] = {"function": "fc_", "custom": "ctc_", "local_shell": "lsh_", "shell": "sh_", "apply_patch": "apc_"}

# Item of a call → the items that may hold its result.
RESULTS = frozenset(
    {"function_call_output", "custom_tool_call_output", "local_shell_call_output", "shell_call_output", "apply_patch_call_output"}
)
CALLS = frozenset({"function_call", "custom_tool_call", "local_shell_call", "shell_call", "apply_patch_call"})


def call_item(own: Own, item_id: str, call_id: str, arguments: str, status: str) -> Item:
    """The item that tells of a call; with ``arguments`` = "" one that has just begun."""
    item: Item = {"id": item_id, "type": "function_call", "status": status, "call_id": call_id}
    if own.kind == "function":
        item |= {"name": own.name, "arguments": arguments}
    elif own.kind == "custom":
        item |= {"type": "custom_tool_call", "name": own.name, "input": unwrap(read_arguments(arguments)) if arguments else ""}
    else:
        held = read_arguments(arguments)
        if own.kind == "local_shell":
            item |= {"type": "local_shell_call", "action": _exec(held)}
        elif own.kind == "shell":
            item |= {"type": "shell_call", "action": _shell(held)}
        else:
            item |= {"type": "apply_patch_call", "operation": _operation(held)}
            item["status"] = "in_progress" if status == "in_progress" else "completed"
    if own.namespace is not None:
        item["namespace"] = own.namespace
    return item


def told_call(item: Mapping[str, Any], tools: OfferedTools) -> tuple[str, str]:
    """The name and the arguments, as an upstream's function has them, of a call in the history."""
    kind = item["type"]
    if kind in ("function_call", "custom_tool_call"):
        name, namespace = item.get("name"), item.get("namespace")
        told = tools.told(name if isinstance(name, str) else "", namespace if isinstance(namespace, str) and namespace else None)
        if kind == "custom_tool_call":
            text = item.get("input")
            return told, as_json(wrap(text if isinstance(text, str) else "")).decode()
        arguments = item.get("arguments")
        if isinstance(arguments, str):
            return told, arguments if arguments.strip() else "{}"
        return told, as_json(arguments or {}).decode()
    held = item.get("operation" if kind == "apply_patch_call" else "action")
    held = held if isinstance(held, dict) else {}
    kept = {name: value for name, value in held.items() if value is not None and (kind != "local_shell_call" or name != "type")}
    return tools.told(kind.removesuffix("_call")), as_json(kept).decode()


def _exec(held: Mapping[str, Any]) -> dict[str, Any]:
    env = held.get("env")
    action = {"type": "exec", "command": _strings(held.get("command")), "env": env if isinstance(env, dict) else {}}
    return action | {name: held[name] for name in ("timeout_ms", "user", "working_directory") if held.get(name) is not None}


def _shell(held: Mapping[str, Any]) -> dict[str, Any]:
    commands = _strings(held.get("commands", held.get("command")))
    return {"commands": commands, "timeout_ms": held.get("timeout_ms"), "max_output_length": held.get("max_output_length")}


def _operation(held: Mapping[str, Any]) -> dict[str, Any]:
    kind = held.get("type", "update_file")
    operation = {"type": kind, "path": held.get("path", "")}
    return operation if kind == "delete_file" else {**operation, "diff": held.get("diff", "")}


def _strings(value: object) -> list[str]:
    """Models write a single command without its list."""
    return [str(each) for each in value] if isinstance(value, list) else [] if value is None else [str(value)]
