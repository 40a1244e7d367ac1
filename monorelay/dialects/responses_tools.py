"""Tools of openai.responses, told to an upstream whose only tools are functions, and found again when it calls one.

| tool | becomes |
| --- | --- |
| function | itself |
| custom | a function with one string argument; its grammar stands in the description |
| namespace | its functions and custom tools, each as ``namespace__name`` |
| local_shell, shell on the client's machine, apply_patch | a function with the fields of that tool's call |
| any other | dropped, reported: it is run by the vendor, or its models were trained on it |

The same name is told in every turn, so a tool that is only met in the history has the one it had when it was offered.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Literal

from monorelay.dialects.interface import Untranslatable
from monorelay.dialects.loss import Losses, plain_word
from monorelay.dialects.string_argument import ARGUMENT, SCHEMA
from monorelay.dialects.tool_names import LIMIT, ToolNames

Kind = Literal["function", "custom", "local_shell", "shell", "apply_patch"]

_BETWEEN = "__"
_DIGEST = 8
_STRINGS = {"type": "array", "items": {"type": "string"}}
_MILLISECONDS = {"type": "integer", "description": "After how many milliseconds to give up."}

# Tools that have a name by their type alone, and that the client runs: what their calls hold.
_OWN_KINDS: Mapping[str, Mapping[str, Any]] = {
    "local_shell": {
        "description": "Runs one command on the user's machine and returns what it prints.",
        "parameters": {
            "type": "object",
            "properties": {
                "command": {**_STRINGS, "description": "The program and its arguments."},
                "env": {"type": "object", "additionalProperties": {"type": "string"}},
                "timeout_ms": _MILLISECONDS,
                "user": {"type": "string"},
                "working_directory": {"type": "string"},
            },
            "required": ["command"],
        },
    },
    "shell": {
        "description": "Runs shell commands on the user's machine, one after the other, and returns what each prints.",
        "parameters": {
            "type": "object",
            "properties": {
                "commands": {**_STRINGS, "description": "The commands, each as one line of shell."},
                "timeout_ms": _MILLISECONDS,
                "max_output_length": {"type": "integer", "description": "How many characters of output are wanted at most."},
            },
            "required": ["commands"],
        },
    },
    "apply_patch": {
        "description": "Creates, updates or deletes one file of the user's workspace.",
        "parameters": {
            "type": "object",
            "properties": {
                "type": {"type": "string", "enum": ["create_file", "update_file", "delete_file"]},
                "path": {"type": "string", "description": "The file, relative to the workspace."},
                "diff": {
                    "type": "string",
                    "description": "What changes: lines that begin with a space are context, with - removed, with + added; @@ and a"
                    " line of the file say where a section is. A new file has + lines only. Not for delete_file.",
                },
            },
            "required": ["type", "path"],
        },
    },
}


@dataclass(frozen=True, slots=True)
class Own:
    """What the client calls a tool, and how it wants to hear of its calls."""

    kind: Kind
    name: str
    namespace: str | None = None


class OfferedTools:
    """Mutable: grows by ``add`` while one request is read; afterwards ``told`` and ``own`` translate names.

    ``functions`` is what the upstream is offered, by the told name; a tool offered again replaces itself.

    >>> tools = OfferedTools()
    >>> tools.add([{"type": "namespace", "name": "a", "tools": [{"type": "function", "name": "b"}]}], losses)
    >>> tools.told("b", "a"), tools.own("a__b")
    ('a__b', Own(kind='function', name='b', namespace='a'))
    """

    __slots__ = ("_names", "_own", "_told", "functions")

    def __init__(self) -> None:
        self.functions: dict[str, dict[str, Any]] = {}
        self._names = ToolNames()
        self._own: dict[str, Own] = {}
        self._told: dict[tuple[str | None, str], str] = {}

    def add(self, tools: object, losses: Losses) -> None:
        """A list of tools. Raises Untranslatable where it is none."""
        for tool in _objects(tools):
            if tool.get("type") == "namespace":
                self._add_namespace(tool, losses)
            else:
                self._add(tool, None, losses)

    def told(self, name: str, namespace: str | None = None) -> str:
        """The name that the upstream knows a tool by."""
        told = self._told.get((namespace, name))
        return self._names.told(_flat(name, namespace)) if told is None else told

    def own(self, told: str) -> Own:
        """The tool that the upstream called. Models forget the namespace now and then: a name that only one tool has is found."""
        own = self._own.get(told)
        if own is None:
            alike = [each for each in self._own.values() if each.name == told]
            own = alike[0] if len(alike) == 1 else Own("function", told)
        return own

    def _add_namespace(self, space: Mapping[str, Any], losses: Losses) -> None:
        name, said = space.get("name"), space.get("description")
        for tool in _objects(space.get("tools")):
            # What the namespace is for is said once, before its first tool.
            if isinstance(said, str) and said and isinstance(name, str):
                tool = {**tool, "description": "\n\n".join(each for each in (said, tool.get("description")) if each)}
                said = None
            self._add(tool, name if isinstance(name, str) and name else None, losses)

    def _add(self, tool: Mapping[str, Any], namespace: str | None, losses: Losses) -> None:
        kind = tool.get("type")
        if kind == "function":
            self._offer(Own("function", _name(tool), namespace), _function(tool))
        elif kind == "custom":
            self._offer(Own("custom", _name(tool), namespace), _custom(tool, losses))
        elif kind in ("local_shell", "apply_patch") or (kind == "shell" and _is_local(tool)):
            self._offer(Own(kind, kind), _OWN_KINDS[kind])
        else:
            losses.add(f"tools.{plain_word(kind)}", "it is run by the vendor, or only its models know it")

    def _offer(self, own: Own, function: Mapping[str, Any]) -> None:
        told = self._told.get((own.namespace, own.name))
        if told is None:
            told = self._names.told(_flat(own.name, own.namespace))
            if told in self._own:  # another tool has it
                digest = sha256(f"{own.namespace}\0{own.name}".encode("utf-8", "surrogatepass")).hexdigest()[:_DIGEST]
                told = f"{told[: LIMIT - _DIGEST - 1]}_{digest}"
            self._told[own.namespace, own.name] = told
        self._own[told] = own
        self.functions[told] = {"type": "function", "function": {"name": told, **function}}


def _objects(value: object) -> Iterable[Mapping[str, Any]]:
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise Untranslatable("tools", "`tools` must be a list of objects.")
    return value


def _name(tool: Mapping[str, Any]) -> str:
    """Also where a client wrote it as chat/completions wants it."""
    for holder in (tool, tool.get("function"), tool.get("custom")):
        if isinstance(holder, dict) and isinstance(holder.get("name"), str) and holder["name"]:
            return str(holder["name"])
    raise Untranslatable("tools", "A tool in `tools` has no name.")


def _function(tool: Mapping[str, Any]) -> dict[str, Any]:
    holder = tool["function"] if isinstance(tool.get("function"), dict) else tool
    found: dict[str, Any] = {}
    if isinstance(holder.get("description"), str) and holder["description"]:
        found["description"] = holder["description"]
    schema = holder.get("parameters")
    schema = schema if isinstance(schema, dict) else {}
    found["parameters"] = schema if "type" in schema and "properties" in schema else {"type": "object", "properties": {}, **schema}
    if holder.get("strict") is True:
        found["strict"] = True
    return found


def _custom(tool: Mapping[str, Any], losses: Losses) -> dict[str, Any]:
    holder = tool["custom"] if isinstance(tool.get("custom"), dict) else tool
    said = [holder["description"]] if isinstance(holder.get("description"), str) and holder["description"] else []
    form = holder.get("format")
    if isinstance(form, dict) and form.get("type") == "grammar":
        losses.add("tools.custom.format", "a grammar is only described to the model, not enforced")
        said.append(f"`{ARGUMENT}` must follow this {form.get('syntax', '')} grammar:\n{form.get('definition', '')}")
    return {"description": "\n\n".join(said), "parameters": SCHEMA} if said else {"parameters": SCHEMA}


def _is_local(tool: Mapping[str, Any]) -> bool:
    environment = tool.get("environment")
    return not isinstance(environment, dict) or environment.get("type") == "local"


def _flat(name: str, namespace: str | None) -> str:
    if namespace is None:
        return name
    return f"{namespace}{name}" if namespace.endswith(_BETWEEN) else f"{namespace}{_BETWEEN}{name}"
