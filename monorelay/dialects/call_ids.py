"""Ids of tool calls in a dialect that takes letters, digits, ``_`` and ``-`` only.

Some servers call a call ``functions.weather:0``. Such an id is written in base64url behind a mark and can be read back; every other
one passes as it is, but for one that begins with the mark itself.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode

_PLAIN = re.compile(r"[A-Za-z0-9_-]+")
_MARK = "b64-"


def plain_id(call_id: str) -> str:
    """The id as such a dialect takes it.

    >>> plain_id("call_1"), plain_id("f:0")
    ('call_1', 'b64-Zjow')
    """
    if _PLAIN.fullmatch(call_id) and not call_id.startswith(_MARK):
        return call_id
    return _MARK + urlsafe_b64encode(call_id.encode("utf-8", "surrogatepass")).decode("ascii").rstrip("=")


def own_id(call_id: str) -> str:
    """The id that ``plain_id`` was given."""
    if not call_id.startswith(_MARK):
        return call_id
    coded = call_id.removeprefix(_MARK)
    try:
        return urlsafe_b64decode(coded + "=" * (-len(coded) % 4)).decode("utf-8", "surrogatepass")
    except ValueError:
        return call_id  # somebody else's id that happens to begin alike
