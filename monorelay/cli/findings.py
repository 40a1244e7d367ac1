"""What `monorelay doctor` says of one thing: a sentence, how bad it is, and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Grade = Literal["ok", "warning", "problem"]


@dataclass(frozen=True, slots=True)
class Finding:
    """``advice`` is empty where there is nothing to do."""

    subject: str
    grade: Grade
    text: str
    advice: str = ""


def ok(subject: str, text: str) -> Finding:
    return Finding(subject, "ok", text)


def warning(subject: str, text: str, advice: str = "") -> Finding:
    return Finding(subject, "warning", text, advice)


def problem(subject: str, text: str, advice: str = "") -> Finding:
    return Finding(subject, "problem", text, advice)
