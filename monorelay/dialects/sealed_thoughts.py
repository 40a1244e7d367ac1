"""A thought of an upstream's inside ``encrypted_content``, which clients of openai.responses return untouched.

It travels whole: a signature covers every letter, and clients do with a summary what they like; some return no reasoning that has
nothing encrypted. A mark names the dialect that takes it back, so that nobody is given what another vendor encrypted.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from typing import Any

from monorelay.dialects.envelopes import as_json


def seal(dialect: str, thought: Mapping[str, Any]) -> str:
    """A thought, as ``dialect`` has it, as text.

    >>> unseal("anthropic.messages", seal("anthropic.messages", {"type": "redacted_thinking", "data": "x"}))
    {'type': 'redacted_thinking', 'data': 'x'}
    """
    return f"{dialect}:{urlsafe_b64encode(as_json(thought)).decode('ascii')}"


def unseal(dialect: str, encrypted: object) -> dict[str, Any] | None:
    """The thought; None where the content is somebody else's."""
    if not isinstance(encrypted, str) or not encrypted.startswith(f"{dialect}:"):
        return None
    try:
        thought = json.loads(urlsafe_b64decode(encrypted.removeprefix(f"{dialect}:")))
    except (ValueError, RecursionError):
        return None
    return thought if isinstance(thought, dict) else None
