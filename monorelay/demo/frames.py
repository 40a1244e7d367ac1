"""Frames of a server-sent stream: bytes, and whether they carry content (text, thinking, a tool call)."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Frame:
    raw: bytes
    content: bool = False


DONE = Frame(b"data: [DONE]\n\n")


def data_frame(payload: Any, *, content: bool = False) -> Frame:
    """``data: {…}``, as chat and completions send it."""
    return Frame(b"data: " + json.dumps(payload, ensure_ascii=False).encode("utf-8", "replace") + b"\n\n", content)


def event_frame(event: str, payload: Any, *, content: bool = False) -> Frame:
    """``event: name`` and ``data: {…}``, as messages, responses, runs and images send it."""
    return Frame(b"event: " + event.encode() + b"\n" + data_frame(payload).raw, content)


def words(text: str) -> list[str]:
    """The text in pieces of one word, each with the space after it; put together they are the text."""
    return re.findall(r"\s*\S+\s*", text) or ([text] if text else [])


def pieces(text: str, size: int = 12) -> list[str]:
    """The text in pieces of so many characters: how arguments of tool calls arrive."""
    return [text[start : start + size] for start in range(0, len(text), size)]
