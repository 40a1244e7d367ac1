"""Usage, in every family's spelling, found at the end of whatever there is."""

from __future__ import annotations

from typing import Any

import pytest

from monorelay.dialects.interface import Usage
from monorelay.dialects.usage import find_usage, merge_usage, read_usage


@pytest.mark.parametrize(
    ("found", "usage"),
    [
        ({"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}, Usage(input=9, output=2)),
        ({"prompt_tokens": 9, "total_tokens": 9}, Usage(input=9)),
        (
            {
                "prompt_tokens": 20,
                "completion_tokens": 5,
                "prompt_tokens_details": {"cached_tokens": 8, "cache_write_tokens": 2},
                "completion_tokens_details": {"reasoning_tokens": 3},
            },
            Usage(input=10, cache_read=8, cache_write=2, output=5, reasoning=3),
        ),
        ({"prompt_tokens": 20, "prompt_cache_hit_tokens": 15, "prompt_cache_miss_tokens": 5}, Usage(input=5, cache_read=15)),
        ({"prompt_tokens": 20, "cached_tokens": 4}, Usage(input=16, cache_read=4)),
        ({"prompt_tokens": 20, "prompt_tokens_details": None, "completion_tokens": 0}, Usage(input=20, output=0)),
        (
            {"prompt_tokens": 20, "cache_read_input_tokens": 5, "prompt_tokens_details": {"cached_tokens": 5}},
            Usage(input=15, cache_read=5),
        ),
        (
            {
                "input_tokens": 30,
                "input_tokens_details": {"cached_tokens": 10},
                "output_tokens": 8,
                "output_tokens_details": {"reasoning_tokens": 2},
            },
            Usage(input=20, cache_read=10, output=8, reasoning=2),
        ),
        (
            {"input_tokens": 3, "cache_creation_input_tokens": 100, "cache_read_input_tokens": 200, "output_tokens": 7},
            Usage(input=3, cache_read=200, cache_write=100, output=7),
        ),
        ({"input_tokens": 3, "cache_read_input_tokens": None, "output_tokens": 7}, Usage(input=3, output=7)),
        ({"output_tokens": 7, "output_tokens_details": {"thinking_tokens": 4}}, Usage(output=7, reasoning=4)),
        ({"prompt_tokens": 2, "prompt_tokens_details": {"cached_tokens": 5}}, Usage(input=0, cache_read=5)),
        ({"type": "duration", "seconds": 4}, None),
        ({"prompt_tokens": "9", "completion_tokens": -1, "input_tokens": True, "output_tokens": 1.5}, None),
        ({}, None),
    ],
)
def test_read(found: dict[str, Any], usage: Usage | None) -> None:
    """Cached tokens are counted once, and what nobody told is unknown, not zero."""
    assert read_usage(found) == usage


WHOLE = b'{"usage":{"input_tokens":1,"output_tokens":2}}'


@pytest.mark.parametrize(
    ("body", "usage"),
    [
        (WHOLE, Usage(input=1, output=2)),
        (b'the end of something: "x":1},' + WHOLE[1:], Usage(input=1, output=2)),
        (b'{"usage" :\n { "input_tokens" : 1 } , "system_fingerprint": null}', Usage(input=1)),
        (b'{"choices":[{"text":"\\"usage\\":{\\"input_tokens\\":9}"}],"usage":{"input_tokens":1}}', Usage(input=1)),
        (b'{"usage":{"input_tokens":1},"text":"\\"usage\\":{\\"input_tokens\\":9}"}', Usage(input=1)),
        (b'{"usage":{"input_tokens":1},"tools":[{"properties":{"usage":{"type":"string"}}}],"type":"usage"}', Usage(input=1)),
        (b'{"usage":{"input_tokens":1},"metadata":{"usage":"mine"}}', Usage(input=1)),
        ('{"text":"Grüße","usage":{"input_tokens":1},"note":"ü"}'.encode(), Usage(input=1)),
        (b'data: {"usage":{"input_tokens":1}}\n\ndata: {"usage":{"input_tokens":2}}\n\ndata: [DONE]\n\n', Usage(input=2)),
        (b'{"usage":null}', None),
        (b'{"usage":{"input_tokens":' + b"9" * 4000 + b',"output_tokens":2}}', Usage(output=2)),  # no figure
        (b'{"usage":{"input_tokens":1', None),
        (b'{"usage":{"a":' + b"[" * 10_000, None),
        (b"no usage", None),
        (b"", None),
    ],
)
def test_find(body: bytes, usage: Usage | None) -> None:
    """The last one that holds figures, wherever the bytes begin, and never one quoted in a text."""
    assert find_usage(body) == usage


@pytest.mark.parametrize(
    ("earlier", "later", "both"),
    [
        (None, None, None),
        (None, Usage(input=1), Usage(input=1)),
        (Usage(input=1), None, Usage(input=1)),
        (Usage(input=1, output=1), Usage(output=9), Usage(input=1, output=9)),
        (Usage(input=5, cache_read=3, output=1), Usage(input=0, cache_read=0, output=9), Usage(input=5, cache_read=3, output=9)),
        (Usage(), Usage(output=0), Usage(output=0)),
    ],
)
def test_merge(earlier: Usage | None, later: Usage | None, both: Usage | None) -> None:
    """The later figure counts, but a zero takes nothing back."""
    assert merge_usage(earlier, later) == both
