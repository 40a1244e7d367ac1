"""The schemas themselves: Cerberus accepts them, each field has its help, and faults come out as our sentences."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from monorelay.config.checker import Checker, checker_of, faults
from monorelay.config.headers import HEADERS
from monorelay.config.provider import INLINE, PROVIDER
from monorelay.config.route import ROUTE, ROUTES
from monorelay.config.schema import FAULTY, Rules, Schema, field
from monorelay.config.settings import SETTINGS

SCHEMAS = {"provider": PROVIDER, "inline": INLINE, "route": ROUTE, "routes": ROUTES, "settings": SETTINGS, "headers": HEADERS}


@pytest.mark.parametrize("name", SCHEMAS)
def test_cerberus_accepts_the_schema(name: str) -> None:
    """At run time this check is left out, since it takes longer than reading the shipped files."""
    Checker(SCHEMAS[name])


def fields_of(schema: Schema, prefix: str = "") -> Iterator[tuple[str, Rules]]:
    for name, rules in schema.items():
        yield prefix + name, rules
        inner: Any = rules.get("schema", {})
        nested = [inner] if rules["type"] == "dict" else [inner.get("schema")] if isinstance(inner, dict) else []
        nested.append(rules.get("valuesrules", {}).get("schema"))
        for one in nested:
            if isinstance(one, dict) and "type" not in one:
                yield from fields_of(one, f"{prefix}{name}.")


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_field_has_a_help_of_one_line(name: str) -> None:
    """Schema and reference are one."""
    found = dict(fields_of(SCHEMAS[name]))
    assert len(found) >= 10
    bad = [path for path, rules in found.items() if not rules["meta"]["help"] or "\n" in rules["meta"]["help"]]
    assert bad == []


SMALL: Schema = {
    "number": field("integer"),
    "flag": field("boolean"),
    "texts": field("list", texts=field("string", reads=lambda text: int(text))),
    "either": field(["list", "dict"], texts=field("string"), valuesrules=field("list", nullable=True, texts=field("string"))),
    "inner": field("dict", schema={"text": field("string"), "number": field(["number", "string"], nullable=True)}),
    "many": field("list", schema=field(["dict", "string"], schema={"text": field("string")})),
}
FAULTS: list[tuple[dict[str, Any], dict[tuple[str | int, ...], str]]] = [
    ({}, {}),
    ({"number": 5, "flag": True, "texts": ["5"], "either": {"a": None}, "inner": {"number": None}, "many": ["x", {}]}, {}),
    ({"number": "${N}", "flag": "${F}", "inner": {"text": "${T}", "number": "${N}"}, "texts": ["${X}"]}, {}),
    ({"numbre": 5}, {("numbre",): "unknown field, did you mean number?"}),
    ({"zzz": 5}, {("zzz",): "unknown field"}),
    ({"number": "5"}, {("number",): "must be a whole number"}),
    ({"number": True}, {("number",): "must be a whole number"}),
    ({"number": None}, {("number",): "has no value"}),
    ({"flag": "no"}, {("flag",): "must be a boolean: write true or false, without quotes"}),
    ({"flag": 1}, {("flag",): "must be true or false"}),
    ({"inner": "${X}"}, {("inner",): "must be a mapping (lines of `key: value`)"}),
    ({"inner": {"txet": 1}}, {("inner", "txet"): "unknown field, did you mean text?"}),
    ({"inner": {"text": 1.5}}, {("inner", "text"): "must be text: put it in quotes"}),
    ({"texts": ["5", 5, None]}, {("texts", 1): "must be text: put it in quotes", ("texts", 2): "has no value"}),
    ({"texts": "5"}, {("texts",): "must be a list"}),
    ({"either": [5]}, {("either", 0): "must be text: put it in quotes"}),
    ({"either": {"a": [5], "b": "x"}}, {("either", "a", 0): "must be text: put it in quotes", ("either", "b"): "must be a list"}),
    ({"either": 5}, {("either",): "must be a list or a mapping (lines of `key: value`)"}),
    ({"many": [5]}, {("many", 0): "must be a mapping (lines of `key: value`) or text: put it in quotes"}),
    ({"many": [{"text": 5, "x": 1}]}, {("many", 0, "text"): "must be text: put it in quotes", ("many", 0, "x"): "unknown field"}),
]


@pytest.mark.parametrize(("document", "expected"), FAULTS)
def test_faults(document: dict[str, Any], expected: dict[tuple[str | int, ...], str]) -> None:
    """Each once, by path; what Cerberus says is never shown."""
    assert dict(faults(checker_of(SMALL), document)) == expected
    for path in expected:
        found: Any = document
        for part in path:
            found = found[part]
        assert found is FAULTY


def test_a_reading_functions_sentence_is_the_fault() -> None:
    """What a ValueError says stands in the problem."""
    found = dict(faults(checker_of(SMALL), {"texts": ["5", "x"]}))
    assert found == {("texts", 1): "invalid literal for int() with base 10: 'x'"}


def test_what_was_meant_is_not_missing() -> None:
    """A misspelt field marks the one that was meant, unless that one is there, too."""
    document: dict[str, Any] = {"numbre": 1}
    assert len(list(faults(checker_of(SMALL), document))) == 1
    assert document == {"numbre": FAULTY, "number": FAULTY}
    document = {"numbre": 1, "number": 2}
    assert len(list(faults(checker_of(SMALL), document))) == 1
    assert document == {"numbre": FAULTY, "number": 2}


def test_a_file_of_nothing_but_faults_is_told_in_time() -> None:
    """After a hundred faults of one mapping nobody reads on, and sorting them all would take minutes."""
    assert len(list(faults(checker_of(SMALL), {f"field-{n}": n for n in range(20_000)}))) == 100
