"""A thinking block of anthropic.messages inside ``encrypted_content``, which a client of openai.responses returns untouched.

The whole block travels, because its signature covers every letter of it: a client may do with the summary what it likes. A mark
tells such a content from one that another vendor encrypted, which is of no use to anybody else.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from typing import Any

from monorelay.dialects.envelopes import as_json

_MARK = "anthropic.messages:"


def seal(block: Mapping[str, Any]) -> str:
    """A thinking or redacted_thinking block as text.

    >>> unseal(seal({"type": "thinking", "thinking": "so", "signature": "c2ln"}))
    {'type': 'thinking', 'thinking': 'so', 'signature': 'c2ln'}
    """
    return _MARK + urlsafe_b64encode(as_json(block)).decode("ascii")


def unseal(encrypted: object) -> dict[str, Any] | None:
    """The block; None where the content is somebody else's."""
    if not isinstance(encrypted, str) or not encrypted.startswith(_MARK):
        return None
    try:
        block = json.loads(urlsafe_b64decode(encrypted.removeprefix(_MARK)))
    except (ValueError, RecursionError):
        return None
    return block if isinstance(block, dict) else None
