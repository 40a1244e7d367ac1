"""JSON that is written in YAML: parameters of a request, bodies of a test. Read as it stands, but for its text.

A ``${reference}`` is refused there: what it gives may be a secret, and a body is no place for one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from monorelay.config.reading import Node
from monorelay.config.schema import FAULTY, Rules, field

_DECIDED = {
    "model": "is not a parameter: aliases, cascades and model_overrides decide which model is asked",
    "stream": "is not a parameter: the client decides how its answer comes",
    "*": "must not begin with *: the model and stream would be among what it means",
}


def parameter(value: Any) -> str:
    """A field of a request's body; dots lead into it. ``metadata.user`` is the field ``user`` of ``metadata``."""
    if not re.fullmatch(r"[^\s.]+(\.[^\s.]+)*", str(value)) or len(str(value)) > 200:
        raise ValueError("is not the name of a field, nor several joined by dots, such as metadata.user")
    if str(value).partition(".")[0] in _DECIDED:
        raise ValueError(_DECIDED[str(value).partition(".")[0]])
    return str(value)


def parameters_field(meaning: str) -> Rules:
    return field("dict", meaning, shown="field → JSON", keysrules=field("string", reads=parameter))


def read_parameters(node: Node) -> tuple[tuple[str, Any], ...]:
    """In the order in which they were written; of a name that is inside of another, too."""
    if not isinstance(node.value, dict):
        return ()
    names = list(node.value)
    for name, outer in _inside(names):
        node[name].wrong(f"is a part of {outer}, which is set here, too: say it there")
    return tuple((name, read_json(node[name])) for name in names if node.value[name] is not FAULTY)


def _inside(names: list[str]) -> Iterator[tuple[str, str]]:
    known = set(names)
    for name in names:
        parts = name.split(".")
        outer = next((head for length in range(1, len(parts)) if (head := ".".join(parts[:length])) in known), None)
        if outer is not None:
            yield name, outer


def read_json(node: Node) -> Any:
    """The value as JSON has it: numbers, booleans and null are YAML's own. In text, ``$$`` is a dollar, as anywhere."""
    value = node.value
    if isinstance(value, dict):
        return {name: read_json(Node(item, (*node.path, name), node.reading)) for name, item in value.items()}
    if isinstance(value, list):
        return [read_json(Node(item, (*node.path, index), node.reading)) for index, item in enumerate(value)]
    if not isinstance(value, str):
        return value
    if "${" in value.replace("$$", ""):
        node.wrong("must not hold a ${reference}: a secret would end up in a body; $$ is a dollar")
        return value
    resolved = node.resolve()
    return resolved.text if resolved is not None else value
