"""Arguments of tool calls: what they are as an object, and where the object ends in a stream of pieces."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from monorelay.dialects.tool_input import INVALID, ObjectEnd, read_arguments
from monorelay.dialects.tool_names import LIMIT, ToolNames


@pytest.mark.parametrize(
    "arguments, found",
    [
        ('{"a": 1}', {"a": 1}),
        (' {"a": 1}\n', {"a": 1}),
        ("", {}),
        ("  ", {}),
        (None, {}),
        ("null", {}),
        ({"a": 1}, {"a": 1}),
        ('{"a": "line\nline"}', {"a": "line\nline"}),
        ('{"a": 1}{"a": 1}', {"a": 1}),
        ('{"a": 1}}', {"a": 1}),
        ('{}{"a": 1}', {"a": 1}),
        ("{}}", {}),
        ("{}" * 50_000, {}),
        ('"{\\"a\\": 1}"', {"a": 1}),
        ('{"a": NaN}', {"a": None}),
        ("[1]", {INVALID: "[1]"}),
        ("7", {INVALID: "7"}),
        ('"text"', {INVALID: '"text"'}),
        ('{"a": ', {INVALID: '{"a": '}),
        ("a=1", {INVALID: "a=1"}),
        (7, {INVALID: "7"}),
        ([1], {INVALID: "[1]"}),
        ("[" * 100_000, {INVALID: "[" * 100_000}),
    ],
)
def test_arguments(arguments: Any, found: dict[str, Any]) -> None:
    """An object, whatever a model wrote; and of what is none, nothing is lost."""
    assert read_arguments(arguments) == found


OBJECTS = [
    "{}",
    '{"a":{"b":[{"c":"}"},[]]},"d":"{[\\"]}"}',
    json.dumps({"path": "C:\\temp\\", "quote": '"', "both": '\\"', "text": "line\nline " * 50, "ü": "☃"}),
    '{"a":"\\\\"}',
    '{ "a" : "\\u007d" , "b" : "" }',
]


@pytest.mark.parametrize("text", OBJECTS)
def test_the_end_of_an_object(text: str) -> None:
    """It is found at its last brace, however the pieces were cut, and what follows is not part of it."""
    draw = random.Random(1)
    for _ in range(200):
        end, at = ObjectEnd(), 0
        rest = text + ' more {"x":1}'
        while not end.reached:
            size = draw.choice((1, 1, 2, 3, 7, 1000))
            belongs = end.feed(rest[at : at + size])
            at += belongs
            assert end.reached or belongs == min(size, len(rest))
        assert at == len(text)


@pytest.mark.parametrize("text", ["", "{", '{"a":"}', '{"a":[1', '{"a":"\\', '{"a":"\\"}'])
def test_an_open_object(text: str) -> None:
    """What is cut has no end."""
    end = ObjectEnd()
    assert end.feed(text) == len(text)
    assert not end.reached


def test_names() -> None:
    """Short plain names pass; the others are cut to 64, the same every time, each to its own, and come back."""
    names = ToolNames()
    long = [f"mcp__some-server-with-a-long-name__{'x' * 40}_{number}" for number in range(3)]
    for name in ("f", "a-b_C9", "x" * LIMIT):
        assert names.told(name) == name == names.own(name)
    told = [names.told(name) for name in (*long, "with.dot", "with space", "")]
    assert len(set(told)) == len(told)
    assert all(len(name) <= LIMIT and name.replace("_", "").replace("-", "").isalnum() for name in told)
    assert [names.own(name) for name in told] == [*long, "with.dot", "with space", ""]
    assert [ToolNames().told(name) for name in long] == told[:3]
    assert names.own("unheard-of") == "unheard-of"
