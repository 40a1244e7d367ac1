"""Shared fragments of the specs: places, secrets, header and query rules, time-outs, sizes, globs."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Path = tuple[str | int, ...]
Layer = Literal["vendor", "operator", "runtime"]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value was written; line and column count from 1, 0 = built in."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


class Secret:
    """An opaque credential: its text form is a fingerprint, whatever prints it.

    Not a str, on purpose: a str subclass leaks through f-strings, join and json. ``reveal()`` is called in
    ``plan/templates.py`` and nowhere else (a test holds that).
    """

    __slots__ = ("_value", "fingerprint")

    def __init__(self, value: str) -> None:
        self._value = value
        self.fingerprint = hashlib.sha256(b"monorelay:" + value.encode()).hexdigest()[:12]

    def reveal(self) -> str:
        return self._value

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self.fingerprint)

    def __repr__(self) -> str:
        return f"<secret {self.fingerprint}>"

    def __reduce__(self) -> tuple[type[Secret], tuple[str]]:
        return Secret, (self._value,)  # only over the master's own socketpair


Text = str | Secret  # a header value: a Jinja2 template, or a literal that came (in part) from a reference


@dataclass(frozen=True, slots=True)
class HeaderRules:
    """One header program, applied in the order of its fields. Names are lower case; forward, remove and only take globs.

    ``remove`` and ``only`` pair a header name (glob) with None (the whole header) or with globs of tokens of a list-valued header
    such as anthropic-beta. ``only`` with None entries keeps just those headers; with tokens it filters that header's tokens.
    """

    forward: tuple[str, ...] = ()
    rename: tuple[tuple[str, str], ...] = ()
    default: tuple[tuple[str, Text], ...] = ()
    set: tuple[tuple[str, Text], ...] = ()
    remove: tuple[tuple[str, tuple[str, ...] | None], ...] = ()
    only: tuple[tuple[str, tuple[str, ...] | None], ...] = ()


@dataclass(frozen=True, slots=True)
class HeaderPair:
    request: HeaderRules = HeaderRules()
    response: HeaderRules = HeaderRules()


@dataclass(frozen=True, slots=True)
class QueryRules:
    """``set`` replaces a parameter (values are plain text, or what a reference gave), ``remove`` drops it; the rest goes up byte
    for byte."""

    set: tuple[tuple[str, Text], ...] = ()
    remove: tuple[str, ...] = ()


# The time-outs somebody wrote, by name (connect, first_byte, idle, total), in seconds; None = switched off, absent = not said.
TimeoutRules = Mapping[str, float | None]


@dataclass(frozen=True, slots=True)
class Auth:
    """How the upstream wants its key: ``bearer`` is Auth("authorization", "Bearer "), ``x-api-key`` Auth("x-api-key", "")."""

    header: str
    prefix: str = ""


@dataclass(frozen=True, slots=True)
class Origins:
    """The place of every value of one spec, by path; a path that was never written answers with its nearest parent."""

    root: Origin
    places: Mapping[Path, Origin] = field(default_factory=dict)

    def of(self, *path: str | int) -> Origin:
        while path:
            if path in self.places:
                return self.places[path]
            path = path[:-1]
        return self.root
