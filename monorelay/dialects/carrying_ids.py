"""Ids of tool calls that carry more than an id.

Some upstreams hang a signature on a call, in ``extra_content``, and refuse the next turn without it. The id is the only thing of a
call that every client returns untouched, so what hangs on the call travels in it.
"""

from __future__ import annotations

import json

from monorelay.dialects.call_ids import own_id, plain_id

_CARRIES = "\x00"  # between an id and what it carries
_MARKED = "b64-"  # how plain_id begins what it wrote


def carrying_id(call_id: str, extra: object) -> str:
    """The id for the client: itself, unless it has something to carry, or looks as if it had.

    >>> carrying_id("f:0", None), read_carrying_id(carrying_id("f:0", {"a": 1}))
    ('f:0', ('f:0', {'a': 1}))
    """
    if extra:
        return plain_id(call_id + _CARRIES + json.dumps(extra, ensure_ascii=False, separators=(",", ":")))
    return plain_id(call_id) if call_id.startswith(_MARKED) else call_id


def read_carrying_id(given: str) -> tuple[str, object]:
    """The upstream's id, and what it carried."""
    call_id, _, carried = own_id(given).partition(_CARRIES)
    try:
        return call_id, json.loads(carried) if carried else None
    except (ValueError, RecursionError):
        return call_id, None  # somebody else's id
