"""Content of a message as openai.chat takes it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Part = dict[str, Any]

BETWEEN = "\n\n"  # what keeps texts apart that were told apart


def text_part(text: str) -> Part:
    return {"type": "text", "text": text}


def as_content(parts: Sequence[Part]) -> str | list[Part]:
    """Plain text where it is nothing else: every server takes that, and some take nothing else."""
    if all(part["type"] == "text" for part in parts):
        return BETWEEN.join(part["text"] for part in parts)
    return list(parts)
