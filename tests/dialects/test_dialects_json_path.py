"""Numbers at a path in a JSON answer."""

from __future__ import annotations

import pytest

from monorelay.dialects.json_path import balance_in, value_at

FOUND = [
    (b'{"balance": 7.5}', "balance", None, 7.5),
    (b'{"data": {"total_credits": 20, "total_usage": 12.35}}', "data.total_credits", "data.total_usage", 7.65),
    (b'{"balance_infos": [{"total_balance": "110.00"}]}', "balance_infos[0].total_balance", None, 110.0),
    (b'[{"a": [1, [2, 3]]}]', "[0].a[1][0]", None, 2.0),
    (b'{"a b": {"c-d": " -1.5e2 "}}', "a b.c-d", None, -150.0),
    (b'{"left": 0}', "left", None, 0.0),
]


@pytest.mark.parametrize(("body", "path", "minus", "balance"), FOUND)
def test_a_balance_is_a_number_at_a_path(body: bytes, path: str, minus: str | None, balance: float) -> None:
    """Or text that is a number, less what was used, where the answer tells that apart."""
    assert balance_in(body, path, minus) == balance


MISSING = [
    (b"<html>", "a", "the answer is not JSON"),
    (b"[" * 100_000, "a", "the answer is not JSON"),
    (b"{}", "a", "no number at 'a'"),
    (b'{"a": null}', "a", "no number at 'a'"),
    (b'{"a": true}', "a", "no number at 'a'"),
    (b'{"a": "many"}', "a", "no number at 'a'"),
    (b'{"a": "nan"}', "a", "no number at 'a'"),
    (b'{"a": NaN}', "a", "too large"),
    (b'{"a": 1e999}', "a", "too large"),
    (b'{"a": 1%s}' % (b"0" * 400), "a", "too large"),
    (b'{"a": [1]}', "a[1]", r"no number at 'a\[1\]'"),
    (b'{"a": [1]}', "a.b", "no number at 'a.b'"),
    (b'{"a": {"b": 1}}', "a[0]", r"no number at 'a\[0\]'"),
    (b'"text"', "[0]", r"no number at '\[0\]'"),
    (b"{}", "a[x]", "is not a path"),
    (b"{}", "a..b", "is not a path"),
]


@pytest.mark.parametrize(("body", "path", "text"), MISSING)
def test_what_is_no_number_is_said(body: bytes, path: str, text: str) -> None:
    """In a sentence that names the path; nothing else is raised."""
    with pytest.raises(ValueError, match=text):
        balance_in(body, path)


def test_what_is_used_must_be_there_too() -> None:
    """A balance without its usage would be too high."""
    with pytest.raises(ValueError, match="no number at 'used'"):
        balance_in(b'{"total": 5}', "total", "used")


def test_any_value_can_be_looked_up() -> None:
    """None is what is not there."""
    value = {"a": [{"b": {"c": []}}]}
    assert [value_at(value, path) for path in ("a[0].b", "a[0].b.c", "a[1]", "")] == [{"c": []}, [], None, value]
