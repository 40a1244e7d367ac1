"""Names of tools where a name may be long, told to an upstream that takes 64 letters, digits, ``_`` and ``-``.

Agents put the name of a server before the name of its tool, and pass 64 easily. Such a name is cut and ends in a digest of the
whole, so that it is the same in every turn and two long names stay two.
"""

from __future__ import annotations

import re
from hashlib import sha256

LIMIT = 64
_TAKEN = re.compile(r"[A-Za-z0-9_-]{1,64}")
_FOREIGN = re.compile(r"[^A-Za-z0-9_-]")
_DIGEST = 8


class ToolNames:
    """Mutable: grows by ``told`` while one request is translated; ``own`` is the way back.

    >>> names = ToolNames()
    >>> names.told("weather"), names.told("a.b"), names.own("a_b_2e7336dc")
    ('weather', 'a_b_2e7336dc', 'a.b')
    """

    __slots__ = ("_own",)

    def __init__(self) -> None:
        self._own: dict[str, str] = {}

    def told(self, name: str) -> str:
        """The name that the upstream is given."""
        if _TAKEN.fullmatch(name):
            return name
        digest = sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGEST]
        short = f"{_FOREIGN.sub('_', name)[: LIMIT - _DIGEST - 1]}_{digest}"
        self._own[short] = name
        return short

    def own(self, name: str) -> str:
        """The name that the client gave; one that no client gave stays."""
        return self._own.get(name, name)
