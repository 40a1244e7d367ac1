"""``rate_limits`` of a provider: where its answers say what is left, and how long a 429 lasts. Schema, spec and one-line help."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from monorelay.config.headers import plain_name
from monorelay.config.reading import Node
from monorelay.config.scalars import choice
from monorelay.config.schema import Rules, Schema, field

Format = Literal["seconds", "milliseconds", "duration", "rfc3339", "epoch", "epoch_ms", "http_date", "auto"]
Scope = Literal["key", "key+model", "account"]


@dataclass(frozen=True, slots=True)
class RemainingSpec:
    """Two headers of any answer: what is left, and when it is filled up again. Names are lower case."""

    remaining: str
    reset: str
    format: Format


@dataclass(frozen=True, slots=True)
class WaitSpec:
    """A header of a 429 that says how long to wait. The name is lower case."""

    header: str
    format: Format


@dataclass(frozen=True, slots=True)
class RateLimitsSpec:
    """``scope``: what a 429 rests. ``body``: texts with ``{wait}`` in the place of a duration."""

    scope: Scope = "key"
    remaining: tuple[RemainingSpec, ...] = ()
    wait: tuple[WaitSpec, ...] = ()
    body: tuple[str, ...] = ()


_FORMAT: Callable[[Any], Format] = choice(
    "seconds", "milliseconds", "duration", "rfc3339", "epoch", "epoch_ms", "http_date", "auto"
)
_SCOPE: Callable[[Any], Scope] = choice("key", "key+model", "account")


def _format_field() -> Rules:
    return field(
        "string",
        "How the time is written: seconds, milliseconds, duration (`6m0s`), rfc3339, epoch, epoch_ms, http_date, or any of them.",
        reads=_FORMAT,
        default="auto",
        shown="a format, or auto",
    )


def body_pattern(value: Any) -> str:
    """Text around the one place where a duration stands."""
    if str(value).count("{wait}") != 1:
        raise ValueError("must hold {wait} once: it stands for the duration, as in `try again in {wait}`")
    if not str(value).replace("{wait}", "").strip():
        raise ValueError("must have some words around {wait}: any number would be taken for a duration")
    return str(value)


REMAINING: Schema = {
    "remaining": field("string", "The header that says how many are left.", reads=plain_name, default="required"),
    "reset": field("string", "The header that says when they are filled up again.", reads=plain_name, default="required"),
    "format": _format_field(),
}
WAIT: Schema = {
    "header": field("string", "The header that says how long.", reads=plain_name, default="required"),
    "format": _format_field(),
}
RATE_LIMITS: Schema = {
    "cooldown_scope": field(
        "string",
        "What a 429 rests: the key, the key for that model only, or all keys, where they share one limit.",
        reads=_SCOPE,
        default="key",
        shown="key, key+model, account",
    ),
    "remaining": field(
        "list",
        "Headers of any answer that say what is left: at nothing, other keys go first.",
        shown="list of {remaining, reset, format}",
        schema=field("dict", schema=REMAINING),
    ),
    "wait": field(
        "list",
        "Headers of a 429 that say how long; asked before `retry-after-ms` and `retry-after`.",
        shown="list of {header, format}",
        schema=field("dict", schema=WAIT),
    ),
    "body": field(
        "list",
        "The same in the text of its body: words with `{wait}` where the duration stands.",
        shown="list of texts",
        texts=field("string", reads=body_pattern),
    ),
}


def read_rate_limits(node: Node) -> RateLimitsSpec:
    patterns = (entry.read(body_pattern, None) for entry in node["body"].items())
    return RateLimitsSpec(
        scope=node["cooldown_scope"].read(_SCOPE, "key"),
        remaining=tuple(spec for entry in node["remaining"].items() if (spec := _read_remaining(entry)) is not None),
        wait=tuple(wait for entry in node["wait"].items() if (wait := _read_wait(entry)) is not None),
        body=tuple(pattern for pattern in patterns if pattern is not None),
    )


def _read_remaining(node: Node) -> RemainingSpec | None:
    for name in ("remaining", "reset"):
        if node[name].value is None:
            node.missing(name)
    remaining, reset = (node[name].read(plain_name, None) for name in ("remaining", "reset"))
    if remaining is None or reset is None:
        return None
    return RemainingSpec(remaining, reset, node["format"].read(_FORMAT, "auto"))


def _read_wait(node: Node) -> WaitSpec | None:
    if node["header"].value is None:
        node.missing("header")
    header = node["header"].read(plain_name, None)
    return WaitSpec(header, node["format"].read(_FORMAT, "auto")) if header is not None else None
