"""A problem is a sentence with a place; a configuration is refused with all of them at once."""

from __future__ import annotations

import difflib
import os
import pwd
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """``providers.d/openai.yml:9:1: rate_limit_cooldwon: unknown field, did you mean rate_limit_cooldown?``

    ``line`` and ``column`` count from 1; 0 where there is no place. ``path`` is dotted; "" for a whole file.
    """

    file: str
    line: int
    column: int
    path: str
    message: str
    severity: Literal["error", "warning"] = "error"

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        return ": ".join(part for part in (place, self.path, self.message) if part)


class ConfigError(Exception):
    """The configuration is refused. ``problems`` holds all of them, sorted by place."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems

    def __reduce__(self) -> tuple[type[ConfigError], tuple[tuple[Problem, ...]]]:
        return ConfigError, (self.problems,)


def dotted(path: Iterable[str | int]) -> str:
    """A path as people read it. Only for display: ``openai.chat`` is one key with a dot in it."""
    return ".".join(map(_shown, path))


def _shown(part: str | int) -> str:
    text = str(part)
    if not text.isprintable():
        text = text.encode("unicode_escape").decode()
    return text if len(text) <= 80 else text[:77] + "..."


def near_miss(word: object, known: Iterable[str]) -> str | None:
    """The known word that was probably meant, if any: case, ``-`` and ``_`` weigh nothing."""
    text = str(word)
    if len(text) > 80:
        return None
    by_shape = {one.lower().replace("_", "-"): one for one in known}
    found = difflib.get_close_matches(text.lower().replace("_", "-"), by_shape, n=1, cutoff=0.65)
    return by_shape[found[0]] if found else None


def did_you_mean(word: object, known: Iterable[str]) -> str:
    """``, did you mean weighted?``, or nothing: the tail of a sentence about an unknown word."""
    found = near_miss(word, known)
    return f", did you mean {found}?" if found else ""


def reason_of(error: OSError) -> str:
    """Why a file cannot be read; where it is a matter of rights, whose: the relay is another user than who reads its log."""
    whose = f" (for the user {name_of_user()})" if isinstance(error, PermissionError) else ""
    return f"{error.strerror}{whose}"


def name_of_user() -> str:
    """Whose rights count now."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())
