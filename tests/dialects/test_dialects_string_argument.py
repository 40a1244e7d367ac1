"""Free text inside a JSON argument: unwrapped while it streams, the same however it is cut, and never lost."""

from __future__ import annotations

import json

import pytest

from monorelay.dialects.string_argument import StringArgument, unwrap, wrap

TEXTS = [
    "",
    "plain",
    'a "quoted" word',
    "line\nend\ttab",
    "back\\slash",
    "ü 漢 😀",
    "\u2028\x00",
    "\ud83d alone",
    "} ] ,",
    "\\u00e9",
    "\\ud83d",
    "\\\\ud83d",
]


def said(pieces: list[str]) -> list[str]:
    argument = StringArgument()
    return [*(argument.feed(piece) for piece in pieces), argument.finish()]


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("ascii_only", [True, False])
@pytest.mark.parametrize("wide", [True, False])
def test_round_trip_however_cut(text: str, ascii_only: bool, wide: bool) -> None:
    """Wrapped, written as JSON, cut anywhere, unwrapped: the same text."""
    told = json.dumps(wrap(text), ensure_ascii=ascii_only, separators=None if wide else (",", ":"))
    assert "".join(said([told])) == "".join(said(list(told))) == unwrap(json.loads(told)) == text
    for cut in range(len(told)):
        assert "".join(said([told[:cut], told[cut:]])) == text


def test_pieces_come_as_soon_as_they_are_known() -> None:
    """Only half an escape waits."""
    assert said(['{"input": "ab', "c\\", "nd\\ud8", "3d", '\\ude00"}']) == ["ab", "c", "\nd", "", "😀", ""]


@pytest.mark.parametrize(
    ("told", "text"),
    [
        ('{"command": "ls"}', '{"command":"ls"}'),
        ('{"input": 7}', '{"input":7}'),
        ('"bare"', "bare"),
        ("ls -l", "ls -l"),
        ("", ""),
        ('{"input": "a\\.b\\d+"}', "a\\.b\\d+"),
        ('{"input": "\\uZZZZ"}', "\\uZZZZ"),
        ('{"input": "a"}trailing', "a"),
        ('{"inp', '{"inp'),
    ],
)
def test_what_has_another_shape_is_not_lost(told: str, text: str) -> None:
    """It comes out as the JSON or the text that it is; escapes that JSON does not know stay as they were written."""
    assert "".join(said([told])) == "".join(said(list(told))) == text
