"""A JSON schema as constrained decoding on anthropic.messages takes it: closed objects, no recursion, few keywords.

What a grammar cannot hold back but a reader can obey (a minimum, a pattern) moves into the description. A schema that would mean
something else when it is closed (a free mapping, a tree) has no such form: the caller then asks in another way.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

_FORMATS = frozenset({"date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"})
_TYPES = frozenset({"object", "array", "string", "integer", "number", "boolean", "null"})
_KEPT = frozenset({"type", "enum", "const", "default", "title", "description", "required", "$ref"})
_SCHEMAS = frozenset({"$defs", "definitions", "properties"})  # mappings of names to schemas
_UNIONS = {"anyOf": "anyOf", "oneOf": "anyOf", "allOf": "allOf"}
_SILENT = frozenset({"$schema", "$id", "$comment", "examples", "additionalProperties", "strict"})


class _Open(Exception):
    """The schema allows what a closed form cannot."""


def closed_schema(schema: object) -> dict[str, Any] | None:
    """The same schema in that form, or None where there is none. A schema that already fits comes back equal.

    >>> closed_schema({"type": "object", "properties": {"n": {"type": "integer", "minimum": 1}}})
    {'type': 'object', 'properties': {'n': {'type': 'integer', 'description': '(minimum: 1)'}}, 'additionalProperties': False}
    """
    try:
        found = _close(schema)
    except (_Open, RecursionError):
        return None
    return None if _is_recursive(found) else found


def _close(schema: object) -> dict[str, Any]:
    if not isinstance(schema, dict):
        raise _Open
    found: dict[str, Any] = {}
    said: list[str] = []
    for key, value in schema.items():
        if key in _KEPT:
            found[key] = value
        elif key in _SCHEMAS and isinstance(value, dict):
            found[key] = {name: _close(each) for name, each in value.items()}
        elif key in _UNIONS and isinstance(value, list) and value:
            found[_UNIONS[key]] = [_close(each) for each in value]
        elif key == "items":
            found[key] = _close(value)
        elif key == "format" and isinstance(value, str) and value in _FORMATS:
            found[key] = value
        elif key == "minItems" and value in (0, 1):
            found[key] = value
        elif key in ("patternProperties", "not", "if", "prefixItems", "dependentSchemas"):
            raise _Open
        elif key not in _SILENT:
            said.append(f"{key}: {json.dumps(value, ensure_ascii=False)}")
    _check(schema, found)
    if "object" in _types(schema):
        found["additionalProperties"] = False
    if said:
        description = found.get("description")
        found["description"] = f"{description} ({', '.join(said)})" if isinstance(description, str) else f"({', '.join(said)})"
    return found


def _check(schema: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    """Raises _Open where the schema holds a mapping with free keys, or just any value."""
    types = _types(schema)
    if not types <= _TYPES:
        raise _Open
    if "object" in types:
        closed = schema.get("additionalProperties")
        if closed not in (None, False) or (closed is None and not found.get("properties")):
            raise _Open
    choices = schema.get("enum")
    if isinstance(choices, list) and any(isinstance(each, dict | list) for each in choices):
        raise _Open
    if not types and not found.keys() & {"enum", "const", "$ref", "anyOf", "allOf"}:
        raise _Open


def _types(schema: Mapping[str, Any]) -> set[str]:
    kind = schema.get("type")
    return (
        {each for each in kind if isinstance(each, str)} if isinstance(kind, list) else {kind} if isinstance(kind, str) else set()
    )


def _is_recursive(schema: Mapping[str, Any]) -> bool:
    """Whether a definition refers to itself, however far around; a reference to anything but a definition counts as well."""
    ways: dict[str, set[str]] = {}
    for table in ("$defs", "definitions"):
        for name, each in (schema.get(table) or {}).items():
            ways[f"#/{table}/{name}"] = set(_references(each))
    if not set(_references(schema)) <= ways.keys():
        return True
    while ways:  # take away what refers to nothing that is left; a circle never gets there
        done = [name for name, targets in ways.items() if not targets & ways.keys()]
        if not done:
            return True
        for name in done:
            del ways[name]
    return False


def _references(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for key, each in value.items():
            if key == "$ref" and isinstance(each, str):
                yield each
            else:
                yield from _references(each)
    elif isinstance(value, list):
        for each in value:
            yield from _references(each)
