"""Any JSON object, written in any style: its model is spliced, and not a byte besides."""

from __future__ import annotations

import json
from typing import Any

import pytest

pytest.importorskip("hypothesis")

from hypothesis import given
from hypothesis import strategies as some

from monorelay.errors import RelayError
from monorelay.plan.body_paths import inject, override, remove
from monorelay.relay.body import JsonBody, parse

TEXT = some.text(max_size=8)  # without lone surrogates: those only occur as escapes
VALUE = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(TEXT | some.just("model"), inner, max_size=3),
    max_leaves=8,
)
BLANK = some.sampled_from(["", " ", "\n", "\t", "\r\n", "  "])
KEY = TEXT | some.sampled_from(["model", "mod", "stream"])


@some.composite
def pieces(draw: some.DrawFn) -> list[tuple[str, str, str]]:
    """Members as (text before the value, the value, text after it), in the writer's own style."""
    members = draw(some.lists(some.tuples(KEY, VALUE), max_size=5))
    ascii_only = draw(some.booleans())
    found = []
    for number, (key, value) in enumerate(members):
        before = draw(BLANK) + ("," if number else "{") + draw(BLANK) + json.dumps(key, ensure_ascii=ascii_only) + draw(BLANK) + ":"
        indent = draw(some.sampled_from([None, 1]))
        found.append((before + draw(BLANK), json.dumps(value, ensure_ascii=ascii_only, indent=indent), key))
    return found or [("{" + draw(BLANK), "", "")]


@given(pieces(), BLANK, some.text(min_size=1, max_size=8))
def test_spliced_and_nothing_else(members: list[tuple[str, str, str]], blank: str, name: str) -> None:
    """Every top-level model has the new name; whatever stood around it stands there still."""
    raw = ("".join(before + value for before, value, _ in members) + blank + "}" + blank).encode()
    body = parse(raw)
    assert body.fields == json.loads(raw)
    spliced = body.with_model(name)
    wanted = (
        "".join(before + (json.dumps(name) if key == "model" else value) for before, value, key in members) + blank + "}" + blank
    )
    already = json.loads(raw).get("model") == name and sum(key == "model" for _, _, key in members) == 1
    assert spliced == (raw if already else wanted.encode())
    if "model" in json.loads(raw):
        assert json.loads(spliced) == {**json.loads(raw), "model": name}


SET = some.dictionaries(KEY, VALUE, max_size=3)


@given(some.data(), pieces(), BLANK, SET, some.none() | some.just("named"), some.booleans())
def test_set_and_removed(
    data: some.DataObject,
    members: list[tuple[str, str, str]],
    blank: str,
    fields: dict[str, Any],
    model: str | None,
    marked: bool,
) -> None:
    """The result is what the same would make of a dict, in the order in which it stood; and who was not named keeps every byte."""
    mark = "\ufeff" if marked else ""
    raw = (mark + "".join(before + value for before, value, _ in members) + blank + "}" + blank).encode()
    body = parse(raw)
    removed = data.draw(some.sets(some.sampled_from([*body.fields, *fields, "nobody"]), max_size=3))
    wanted = {name: value for name, value in body.fields.items() if name not in removed or name in fields}
    if model is not None and "model" in body.fields:
        wanted["model"] = model
    wanted.update(fields)
    result = body.with_fields(fields, removed, model)
    told = parse(result)
    assert told.fields == wanted
    assert list(told.fields) == [name for name in body.fields if name in wanted] + [n for n in fields if n not in body.fields]

    def untouched(one: JsonBody) -> list[tuple[str, str]]:
        text = one.raw.decode()
        changed = {*fields, "model"} if model else set(fields)
        return [(name, text[start:end]) for name, start, end in one.spans if name not in changed]

    assert result.startswith(mark.encode()) and result.endswith(("}" + blank).encode())
    assert untouched(told) == [each for each in untouched(body) if each[0] not in removed]
    assert body.raw == raw


STEP = some.sampled_from(["0", "1", "-1", "*", "a", "model", "b"])
EDIT = some.tuples(some.sampled_from([inject, override, remove]), some.lists(STEP, min_size=1, max_size=3).map(tuple), VALUE)
NESTED = some.recursive(
    VALUE,
    lambda inner: some.lists(inner, max_size=4) | some.dictionaries(some.sampled_from(["a", "b", "model"]), inner, max_size=3),
    max_leaves=12,
)


@given(NESTED, some.lists(EDIT, max_size=4), some.sampled_from([None, 1]), some.booleans())
def test_any_edit_inside(value: Any, edits: list[Any], indent: int | None, ascii_only: bool) -> None:
    """What goes up says what the edits say, and what they left alone is written as it was."""
    body = parse(json.dumps({"model": "m", "f": value}, indent=indent, ensure_ascii=ascii_only).encode())
    after: Any = body.fields
    for edit, path, given_value in edits:
        after = edit(after, ("f", *path), given_value)
    result = parse(body.with_fields({"f": after["f"]} if "f" in after else {}, () if "f" in after else ("f",)))
    assert result.fields == after and json.loads(result.raw) == after
    if after.get("f") is body.fields["f"]:
        assert result.raw == body.raw


@given(some.binary(max_size=40) | some.text(some.sampled_from('{}[]",:\\ umodel1e-.tnu\x00\ufeff'), max_size=40).map(str.encode))
def test_any_bytes_are_an_object_or_refused(raw: bytes) -> None:
    """What json.loads takes for an object is one here, but for the liberties it takes; all else is a RelayError."""
    found: Any
    try:
        found = json.loads(raw.decode().removeprefix("\ufeff"), parse_constant=lambda name: 1 / 0)
    except (ValueError, ZeroDivisionError):
        found = None
    if isinstance(found, dict):
        assert parse(raw).fields == found
    else:
        with pytest.raises(RelayError):
            parse(raw)
