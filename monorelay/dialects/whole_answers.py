"""What can be told of a whole answer without reading it as its dialect does: is it one at all, or an error that says 200?

Some aggregators answer 200 before they have asked anybody, and then with ``{"error": …}``; a base_url that leads to somebody's web
site answers 200 with a page. The look costs a regular expression on the first bytes of the body; only what looks like an error is
parsed.
"""

from __future__ import annotations

import json
import re

from monorelay.dialects.interface import StreamError
from monorelay.dialects.sse import Event
from monorelay.dialects.stream_errors import find_error

# Whatever else these say, a success of them is JSON (or a stream), and never nothing.
_IN_JSON = frozenset(
    {
        "openai.chat",
        "openai.completions",
        "openai.responses",
        "openai.embeddings",
        "openai.moderations",
        "openai.images.generations",
        "openai.images.edits",
        "openai.images.variations",
        "anthropic.messages",
        "anthropic.count_tokens",
        "rerank",
    }
)
_BEGINS = re.compile(rb'\s*\{\s*(?:"type"\s*:\s*"error"\s*,\s*)?"error"\s*:\s*[{"]')
_ANSWERS = frozenset({"id", "choices", "output", "content", "data", "results"})  # an object that failed may name its error, too
_LONGEST = 64 * 1024


def is_in_json(capability: str) -> bool:
    return capability in _IN_JSON


def is_json(body: bytes) -> bool:
    """For answers of which nothing else says where they end."""
    try:
        json.loads(body)
    except (ValueError, RecursionError):
        return False
    return True


def error_inside(body: bytes) -> StreamError | None:
    """The error that this whole answer is, or None.

    >>> error_inside(b'{"error": {"message": "slow down", "code": 429}}').status
    429
    """
    if _BEGINS.match(body) is None or len(body) > _LONGEST:
        return None
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return None if _ANSWERS & fields.keys() else find_error(Event("", b"", b""), fields)
