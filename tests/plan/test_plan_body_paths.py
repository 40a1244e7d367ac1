"""Injecting, overriding and removing by a path: what is there is respected, no list is made up, and nothing is changed in place."""

from __future__ import annotations

import copy
from typing import Any

import pytest

pytest.importorskip("hypothesis")

from hypothesis import given
from hypothesis import strategies as some

from monorelay.plan.body_paths import Edit, inject, override, path_of, remove

ITEMS: dict[str, Any] = {"tools": [{"name": "a"}, {"name": "b", "strict": False}, 7]}

INJECTED = [
    ({}, "a", {"a": 1}),
    ({"a": 2}, "a", {"a": 2}),
    ({"a": None}, "a", {"a": None}),
    ({}, "a.b.c", {"a": {"b": {"c": 1}}}),
    ({"a": {"b": {"d": 0}}}, "a.b.c", {"a": {"b": {"d": 0, "c": 1}}}),
    ({"a": {"b": {"c": 0}}}, "a.b.c", {"a": {"b": {"c": 0}}}),
    ({"a": 5}, "a.b", {"a": 5}),
    ({"a": None}, "a.b", {"a": None}),
    ({"a": [{}, {}]}, "a.1.b", {"a": [{}, {"b": 1}]}),
    ({"a": [{}, {}]}, "a.-2.b", {"a": [{"b": 1}, {}]}),
    ({"a": [{}]}, "a.1.b", {"a": [{}]}),
    ({"a": [{}]}, "a.1", {"a": [{}]}),
    ({"a": [{}]}, "a.b", {"a": [{}]}),
    ({}, "a.0.b", {}),
    ({}, "a.*.b", {}),
    ({"a": {}}, "a.7", {"a": {"7": 1}}),
    (ITEMS, "tools.*.strict", {"tools": [{"name": "a", "strict": 1}, {"name": "b", "strict": False}, 7]}),
    ({"a": {"x": {}, "y": {"b": 0}}}, "a.*.b", {"a": {"x": {"b": 1}, "y": {"b": 0}}}),
    ({"a": 1}, "*", {"a": 1}),
]
OVERRIDDEN = [
    ({}, "a", {"a": 1}),
    ({"a": 2}, "a", {"a": 1}),
    ({"a": True}, "a", {"a": 1}),
    ({"a": {"b": 2}}, "a", {"a": 1}),
    ({"a": 5}, "a.b", {"a": {"b": 1}}),
    ({"a": None}, "a.b.c", {"a": {"b": {"c": 1}}}),
    ({}, "a.b.c", {"a": {"b": {"c": 1}}}),
    ({"a": {"b": 0, "d": 0}}, "a.b", {"a": {"b": 1, "d": 0}}),
    ({"a": [1, 2]}, "a.-1", {"a": [1, 1]}),
    ({"a": [0]}, "a.1", {"a": [0]}),
    ({"a": [0]}, "a.b", {"a": [0]}),
    ({"a": 5}, "a.*.b", {"a": 5}),
    ({"a": 5}, "a.0", {"a": 5}),
    (ITEMS, "tools.*.strict", {"tools": [{"name": "a", "strict": 1}, {"name": "b", "strict": 1}, {"strict": 1}]}),
    ({"a": {"x": 0, "y": 0}}, "a.*", {"a": {"x": 1, "y": 1}}),
]
REMOVED = [
    ({"a": 1, "b": 2}, "a", {"b": 2}),
    ({"b": 2}, "a", {"b": 2}),
    ({"a": {"b": 1, "c": 2}}, "a.b", {"a": {"c": 2}}),
    ({"a": {"b": 1}}, "a.b.c", {"a": {"b": 1}}),
    ({"a": [1, 2, 3]}, "a.1", {"a": [1, 3]}),
    ({"a": [1, 2, 3]}, "a.-1", {"a": [1, 2]}),
    ({"a": [1]}, "a.1", {"a": [1]}),
    ({"a": [1]}, "a.b", {"a": [1]}),
    ({"a": 5}, "a.*", {"a": 5}),
    ({"a": [1]}, "a.*", {"a": []}),
    ({"a": {"x": 1}}, "a.*", {"a": {}}),
    (ITEMS, "tools.*.strict", {"tools": [{"name": "a"}, {"name": "b"}, 7]}),
]
CASES = [(edit, *case) for edit, cases in ((inject, INJECTED), (override, OVERRIDDEN), (remove, REMOVED)) for case in cases]


@pytest.mark.parametrize(("edit", "body", "path", "after"), CASES)
def test_edits(edit: Edit, body: dict[str, Any], path: str, after: dict[str, Any]) -> None:
    """What stood there stays as it was; where nothing changes, the very same comes back."""
    before = copy.deepcopy(body)
    found = edit(body, path_of(path), 1)
    assert repr(found) == repr(after)
    assert body == before
    assert (found is body) is (repr(after) == repr(before))


NAMES = some.sampled_from(["a", "b", "0", "-1", "*", "", "-", "99999999999"])
VALUES = some.recursive(
    some.none() | some.integers(0, 2) | some.text(max_size=2),
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(some.sampled_from(["a", "b", "0", ""]), inner, max_size=3),
    max_leaves=8,
)


@given(
    some.sampled_from([inject, override, remove]),
    some.dictionaries(some.sampled_from(["a", "b"]), VALUES, max_size=2),
    some.lists(NAMES, min_size=1, max_size=4),
)
def test_any_path(edit: Edit, body: dict[str, Any], names: list[str]) -> None:
    """Whatever the path and the body: no fault, the body is never changed in place, and a second time changes nothing more."""
    before = copy.deepcopy(body)
    path = path_of(".".join(names))
    after = edit(body, path, {"x": 1})
    assert body == before
    assert isinstance(after, dict)
    if edit is not remove:  # the next element is another one each time
        assert edit(after, path, {"x": 1}) == after
