"""A route drop-in: schema, spec and one-line help of each field."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from monorelay.config.fields import HeaderPair, Origins, QueryRules, TimeoutRules


@dataclass(frozen=True, slots=True)
class ReplySpec:
    """A fixed answer: status, headers, and the error (type, message) of the envelope."""

    status: int
    headers: tuple[tuple[str, str], ...]
    error_type: str
    error_message: str


@dataclass(frozen=True, slots=True)
class RouteSpec:
    """A client-facing path and methods, plus exactly one of ``needs``, ``answer``, ``reply``.

    ``path`` and ``upstream`` hold ``{name}`` (one segment) and ``{name...}`` (the rest). ``max_body`` is in bytes,
    ``keepalive`` in seconds (0 = off).
    """

    name: str
    path: str
    methods: tuple[str, ...]
    origins: Origins
    needs: str | None = None
    answer: str | None = None
    reply: ReplySpec | None = None
    upstream: str = ""
    access: Literal["required", "public"] = "required"
    body: Literal["json", "multipart", "stream", "none"] = "none"
    model: Literal["required", "optional", "none"] = "none"
    refers: tuple[str, ...] = ()
    max_body: int = 64 * 1024 * 1024
    query: QueryRules = QueryRules()
    timeouts: TimeoutRules | None = None
    keepalive: float = 15.0
    headers: HeaderPair = HeaderPair()
