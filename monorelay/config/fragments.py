"""What providers, offers and routes have in common: time-outs, query rules, auth. Schema, one-line help and reader of each.

Header programs, the largest of them, have ``headers.py``.
"""

from __future__ import annotations

from typing import Any, Literal

from monorelay.config.fields import Auth, Path, QueryRules, Secret, Text, TimeoutRules
from monorelay.config.headers import header_name, header_text
from monorelay.config.problems import did_you_mean
from monorelay.config.reading import Node, Place
from monorelay.config.scalars import filled, limit, text
from monorelay.config.schema import Rules, Schema, field, holds_reference

# ---------------------------------------------------------------------------------------------------- time-outs

_NUMBER_OR_TEXT = ["number", "string"]


def _limit(meaning: str, default: str) -> Rules:
    return field(_NUMBER_OR_TEXT, meaning, reads=limit, nullable=True, default=default, shown="duration or null")


TIMEOUTS: Schema = {
    "connect": _limit("DNS, TCP and TLS together.", "10"),
    "first_byte": _limit("From the request sent to the answer's first byte.", "120"),
    "idle": _limit("Between two pieces of the answer.", "120"),
    "total": _limit("The whole exchange; `null` = off, here as in the others.", "off"),
}


def timeout_fields() -> Schema:
    """The two fields by which a drop-in speaks of time."""
    return {
        "timeout": field(_NUMBER_OR_TEXT, "Short for `first_byte` and `idle`; `timeouts` wins.", reads=limit, shown="duration"),
        "timeouts": field("dict", "Limits in seconds, each by itself; see *Time-outs*.", schema=TIMEOUTS),
    }


def unfold_timeout(mapping: dict[str, Any], places: dict[Path, Place], at: Path) -> None:
    """Write ``timeout`` as the two entries of ``timeouts`` it stands for, before anything is merged."""
    if "timeout" not in mapping:
        return
    value = mapping.pop("timeout")
    place = places.pop((*at, "timeout"), None)
    rules = mapping.setdefault("timeouts", {})
    if not isinstance(rules, dict):
        return
    for name in ("first_byte", "idle"):
        if name not in rules:
            rules[name] = value
            if place is not None:
                places[(*at, "timeouts", name)] = place
                places.setdefault((*at, "timeouts"), place)


def read_timeouts(node: Node) -> TimeoutRules | None:
    """What was written, and nothing else: ``plan`` lays provider, offer and route upon each other."""
    rules: dict[str, float | None] = {}
    for name, entry in node.entries():
        if entry.value is None:
            rules[name] = None
        elif (seconds := entry.read(limit, None)) is not None:
            rules[name] = seconds
    return rules or None


# ---------------------------------------------------------------------------------------------------- query

QUERY: Schema = {
    "set": field(
        "dict",
        "Parameters that are added, or replaced.",
        shown="name → text",
        keysrules=field("string", reads=filled),
        valuesrules=field("string", nullable=True),
    ),
    "remove": field("list", "Parameters that do not go up.", shown="list of names", texts=field("string", reads=filled)),
}


def read_query(node: Node) -> QueryRules:
    values = ((name, _value(entry)) for name, entry in node["set"].entries())
    removed = (entry.read(filled, None) for entry in node["remove"].items())
    return QueryRules(
        set=tuple((name, value) for name, value in values if value is not None),
        remove=tuple(name for name in removed if name is not None),
    )


def _value(node: Node) -> Text | None:
    """What a reference gave may be a credential, as in a header."""
    value = node.read(text, None)
    return Secret(value) if value and holds_reference(node.value) else value


# ---------------------------------------------------------------------------------------------------- auth

_FORMS = {"bearer": Auth("authorization", "Bearer "), "x-api-key": Auth("x-api-key"), "none": None}


def _form(value: Any) -> Any:
    if isinstance(value, str) and value not in _FORMS:
        raise ValueError("must be one of bearer, x-api-key, none, {header: NAME}" + did_you_mean(value, _FORMS))
    return value


def auth_field(meaning: str, default: str) -> Rules:
    return field(
        ["string", "dict"],
        meaning,
        reads=_form,
        default=default,
        shown="bearer, x-api-key, none, or {header, prefix}",
        schema={
            "header": field("string", "The header that carries the key.", reads=header_name),
            "prefix": field(
                "string", "What stands before the key in it, its space included.", reads=header_text, default="nothing"
            ),
        },
    )


def read_auth(node: Node, default: Auth | None) -> Auth | Literal["none"] | None:
    """``default`` where nothing was written; ``"none"`` where the key is to be sent nowhere."""
    if isinstance(node.value, dict):
        if node["header"].value is None:
            node.missing("header")
        header = node["header"].read(header_name, None)
        return Auth(header, node["prefix"].read(header_text, "")) if header is not None else default
    form = node.read(_form, None)
    if form is None:
        return default
    return _FORMS[form] or "none"
