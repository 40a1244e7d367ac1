"""Model lists, written in both families' shapes and read from whatever upstreams send."""

from __future__ import annotations

import json
from typing import Any

import pytest

from monorelay.dialects.model_lists import (
    MOST_ENTRIES,
    ModelEntry,
    ModelPage,
    anthropic_model,
    anthropic_model_list,
    openai_model,
    openai_model_list,
    read_model_list,
)

ENTRIES = [ModelEntry(f"m{number}", 1_700_000_000 + number, None, "p") for number in range(45)]


def test_openai_shape() -> None:
    """id, object, created, owned_by; any text is escaped."""
    entry = ModelEntry('a/"ü"\n', 1_700_000_000, "Shown", "own\\er")
    shown = {"id": 'a/"ü"\n', "object": "model", "created": 1_700_000_000, "owned_by": "own\\er"}
    assert json.loads(openai_model(entry)) == shown
    assert json.loads(openai_model_list([entry, entry])) == {"object": "list", "data": [shown, shown]}
    assert json.loads(openai_model_list([])) == {"object": "list", "data": []}


def test_anthropic_shape() -> None:
    """type, id, display_name (the id where none is known), created_at in RFC 3339 (the epoch where none is known)."""
    assert json.loads(anthropic_model(ModelEntry("a", 1_764_000_000, 'Sh"own'))) == {
        "type": "model",
        "id": "a",
        "display_name": 'Sh"own',
        "created_at": "2025-11-24T16:00:00Z",
    }
    assert json.loads(anthropic_model(ModelEntry("a"))) == {
        "type": "model",
        "id": "a",
        "display_name": "a",
        "created_at": "1970-01-01T00:00:00Z",
    }


@pytest.mark.parametrize(
    ("parameters", "ids", "has_more"),
    [
        ({}, range(20), True),
        ({"limit": "45"}, range(45), False),
        ({"limit": "1000"}, range(45), False),
        ({"limit": "1"}, range(1), True),
        ({"after_id": "m19"}, range(20, 40), True),
        ({"after_id": "m24"}, range(25, 45), False),
        ({"after_id": "m39"}, range(40, 45), False),
        ({"after_id": "m44"}, range(0), False),
        ({"before_id": "m20"}, range(20), False),
        ({"before_id": "m30"}, range(10, 30), True),
        ({"before_id": "m5", "limit": "3"}, range(2, 5), True),
        ({"before_id": "m0"}, range(0), False),
        ({"after_id": "", "before_id": ""}, range(20), True),
    ],
)
def test_pages(parameters: dict[str, str], ids: range, has_more: bool) -> None:
    """A page is right after, or right before, its cursor, in the list's order; has_more looks in the direction that was asked."""
    page = json.loads(anthropic_model_list(ENTRIES, **parameters))
    wanted = [f"m{number}" for number in ids]
    assert [model["id"] for model in page["data"]] == wanted
    assert page["has_more"] is has_more
    assert page["first_id"] == (wanted[0] if wanted else None)
    assert page["last_id"] == (wanted[-1] if wanted else None)


@pytest.mark.parametrize(
    "parameters",
    [
        {"limit": "0"},
        {"limit": "1001"},
        {"limit": "-1"},
        {"limit": "x"},
        {"limit": ""},
        {"limit": "1.0"},
        {"limit": "٣"},
        {"limit": "9" * 5_000},
        {"after_id": "nobody"},
        {"before_id": "nobody"},
        {"after_id": "m1", "before_id": "m3"},
    ],
)
def test_bad_pages(parameters: dict[str, str]) -> None:
    """A limit or a cursor that means nothing is refused with a sentence that names it."""
    with pytest.raises(ValueError, match=next(iter(parameters))):
        anthropic_model_list(ENTRIES, **parameters)


@pytest.mark.parametrize(
    ("listed", "entries", "next_after"),
    [
        (
            {"object": "list", "data": [{"id": "a", "object": "model", "created": 5, "owned_by": "o"}]},
            [ModelEntry("a", 5, None, "o")],
            None,
        ),
        (
            {
                "data": [{"type": "model", "id": "c", "display_name": "C", "created_at": "2025-11-24T16:00:00Z"}],
                "has_more": True,
                "first_id": "c",
                "last_id": "c",
            },
            [ModelEntry("c", 1_764_000_000, "C")],
            "c",
        ),
        ({"data": [{"id": "c"}], "has_more": False, "last_id": "c"}, [ModelEntry("c")], None),
        ([{"id": "a"}, {"id": "b", "name": "B"}], [ModelEntry("a"), ModelEntry("b", 0, "B")], None),
        ({"models": [{"name": "llama:8b", "model": "llama:8b"}]}, [ModelEntry("llama:8b")], None),
        ({"models": ["a", "b"]}, [ModelEntry("a"), ModelEntry("b")], None),
        ({"data": []}, [], None),
        ([], [], None),
        ({"data": [{"id": "a"}, {"id": "a", "created": 9}, {"id": "b"}]}, [ModelEntry("a"), ModelEntry("b")], None),
        ({"data": [{"id": "a"}, None, 3, {}, {"id": ""}, {"id": "x\ny"}, {"id": "z" * 600}, {"id": 5}]}, [ModelEntry("a")], None),
        ({"data": [{"id": "a", "created": "x"}, {"id": "b", "created": 1e300}]}, [ModelEntry("a"), ModelEntry("b")], None),
        (
            {"data": [{"id": "a", "created": 1.7e9}, {"id": "b", "created": -4}]},
            [ModelEntry("a", 1_700_000_000), ModelEntry("b")],
            None,
        ),
        ({"data": [{"id": "a", "created_at": "2025-11-24"}]}, [ModelEntry("a", 1_763_942_400)], None),
        ({"data": [{"id": "größe", "owned_by": None, "display_name": 4}]}, [ModelEntry("größe")], None),
    ],
)
def test_read(listed: Any, entries: list[ModelEntry], next_after: str | None) -> None:
    """Every shape met in the wild; what names no model is passed over, of equal ids the first stays."""
    assert read_model_list(json.dumps(listed).encode()) == ModelPage(tuple(entries), next_after)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b'{"error":{"message":"no"}}',
        b'{"data":{"a":1}}',
        b'{"data":[1,2]}',
        b'"text"',
        b"null",
        b"\xff",
        b"[" * 100_000,
        json.dumps([{"id": str(number)} for number in range(MOST_ENTRIES + 1)]).encode(),
    ],
    ids=range(10),
)
def test_read_garbage(body: bytes) -> None:
    """What is no list, names nothing or is beyond reason is refused, so that the last good list stays."""
    with pytest.raises(ValueError, match="the model list"):
        read_model_list(body)


def test_not_a_number_is_no_time() -> None:
    """JSON that holds NaN or infinity for a time gives a model without one."""
    assert read_model_list(b'[{"id":"a","created":NaN},{"id":"b","created":Infinity}]').entries == (
        ModelEntry("a"),
        ModelEntry("b"),
    )
