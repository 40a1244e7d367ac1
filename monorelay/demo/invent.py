"""Values that satisfy a JSON schema: arguments for tool calls, and structured answers.

Strings are invented by the property's name. They are harmless on purpose: an agent may really run the command or read the file
that the demo asks for.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

_DEEPEST = 8

_BY_FORMAT = {
    "date": "2026-01-31",
    "date-time": "2026-01-31T12:00:00Z",
    "time": "12:00:00Z",
    "duration": "PT1H",
    "email": "demo@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}

_BY_NAME = {
    "city": "Paris",
    "location": "Paris",
    "country": "France",
    "name": "Ada",
    "email": "demo@example.com",
    "url": "https://example.com/",
    "command": "echo hello from the demo",
    "cmd": "echo hello from the demo",
    "path": "demo.txt",
    "file_path": "/tmp/demo.txt",
    "language": "English",
    "unit": "celsius",
}


def invent(schema: Any, say: str = "demo", name: str = "") -> Any:
    """A value for the schema. Strings that nothing else decides are ``say``."""
    return _value(schema, schema, say, name, 0)


def _value(schema: Any, root: Any, say: str, name: str, depth: int) -> Any:
    if not isinstance(schema, Mapping):
        return say
    schema = _resolved(schema, root)
    for told in ("const", "default"):
        if told in schema:
            return schema[told]
    for choices in ("enum", "examples"):
        if isinstance(schema.get(choices), list) and schema[choices]:
            return schema[choices][0]
    for alternatives in ("anyOf", "oneOf"):
        if isinstance(schema.get(alternatives), list) and schema[alternatives]:
            return _value(schema[alternatives][0], root, say, name, depth + 1)
    kind = _kind(schema)
    if kind == "object":
        return _object(schema, root, say, depth)
    if kind == "array":
        return _array(schema, root, say, name, depth)
    if kind in ("integer", "number"):
        return _number(schema, kind)
    return {"boolean": True, "null": None}.get(kind, _string(schema, say, name))


def _resolved(schema: Mapping[str, Any], root: Any) -> Mapping[str, Any]:
    """Follows a local $ref, and lays the parts of allOf over each other."""
    for _ in range(_DEEPEST):
        reference = schema.get("$ref")
        if not isinstance(reference, str):
            break
        target = root
        for step in reference.lstrip("#/").split("/") if reference != "#" else ():
            target = target.get(step, {}) if isinstance(target, Mapping) else {}
        schema = target if isinstance(target, Mapping) else {}
    if isinstance(schema.get("allOf"), list):
        merged: dict[str, Any] = {key: value for key, value in schema.items() if key != "allOf"}
        for part in schema["allOf"]:
            part = _resolved(part, root) if isinstance(part, Mapping) else {}
            properties = {**merged.get("properties", {}), **part.get("properties", {})}
            required = [*merged.get("required", ()), *part.get("required", ())]
            merged = {**part, **merged, "properties": properties, "required": required}
        return merged
    return schema


def _kind(schema: Mapping[str, Any]) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((one for one in kind if one != "null"), "null")
    if isinstance(kind, str):
        return kind
    if schema.get("properties"):
        return "object"
    return "array" if "items" in schema else "string"


def _object(schema: Mapping[str, Any], root: Any, say: str, depth: int) -> dict[str, Any]:
    """What is required, or everything when nothing is; deep inside only what is required, so that recursion ends."""
    properties = schema.get("properties")
    properties = properties if isinstance(properties, Mapping) else {}
    required = schema.get("required") or (properties if depth < 2 else ())
    if depth > _DEEPEST:
        return {}
    return {name: _value(properties.get(name, {}), root, say, name, depth + 1) for name in required}


def _array(schema: Mapping[str, Any], root: Any, say: str, name: str, depth: int) -> list[Any]:
    least = max(int(schema.get("minItems", 1)), 0)
    if depth > _DEEPEST:
        least = 0
    return [_value(schema.get("items", {}), root, say, name.removesuffix("s"), depth + 1) for _ in range(min(least, 100))]


def _number(schema: Mapping[str, Any], kind: str) -> int | float:
    if "minimum" in schema:
        least = schema["minimum"]
    elif "exclusiveMinimum" in schema:
        least = math.floor(schema["exclusiveMinimum"]) + 1
    else:
        least = min(1, schema.get("maximum", 1))
    return math.ceil(least) if kind == "integer" else float(least)


def _string(schema: Mapping[str, Any], say: str, name: str) -> str:
    text = _BY_FORMAT.get(str(schema.get("format")), _BY_NAME.get(name.lower(), say))
    if isinstance(schema.get("minLength"), int):
        text = text.ljust(schema["minLength"], ".")
    return text[: schema["maxLength"]] if isinstance(schema.get("maxLength"), int) else text
