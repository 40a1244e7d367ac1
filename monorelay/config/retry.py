"""``retry`` and ``ignore``: which failures are tried again, and which are never shown. Schema, spec and one-line help."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from monorelay.config.reading import Node
from monorelay.config.scalars import choice, duration, filled, flag, number, whole
from monorelay.config.schema import Schema, field

T = TypeVar("T")

PHASES = ("connect", "tls", "send", "first_byte", "idle", "body")


@dataclass(frozen=True, slots=True)
class RetrySpec:
    """Further attempts with the same target. ``on_error`` are phases in which an exchange failed; ``backoff`` is in seconds."""

    max_retries: int = 0
    on_status: tuple[int, ...] = (500, 502, 503, 504, 529)
    on_error: tuple[str, ...] = PHASES
    backoff: float = 0.5
    backoff_max: float = 8.0


@dataclass(frozen=True, slots=True)
class IgnoreSpec:
    """Refusals that no client gets to see. ``errors`` are globs of an error's type, code or message."""

    status: tuple[int, ...] = ()
    errors: tuple[str, ...] = ()


_MAX_RETRIES = whole(0, 10)
_PHASE = choice(*PHASES)
_REFUSAL = whole(400, 599)


def retried_status(value: Any) -> int:
    status = _REFUSAL(value)
    if status < 500 and status not in (408, 409, 425, 429):
        raise ValueError(f"{status} is the caller's fault, and would be again: of 4xx, only 408, 409 and 425 can be tried again")
    return status


RETRY: Schema = {
    "enabled": field("boolean", "`true` = 2 retries where `max_retries` is not said.", reads=flag, default="false"),
    "max_retries": field("integer", "Further attempts with the same target.", reads=_MAX_RETRIES, default="0"),
    "retry_on_status": field(
        "list",
        "Answers that are tried again. A 429 is none of them: the next key is asked at once.",
        shown="list of statuses",
        default="500, 502, 503, 504, 529",
        schema=field("integer", reads=retried_status),
    ),
    "retry_on_error": field(
        "list",
        "Failures that are tried again, by the phase in which they happen.",
        shown="list of connect, tls, send, first_byte, idle, body",
        default="all",
        texts=field("string", reads=_PHASE),
    ),
    "backoff": field(
        ["number", "string"],
        "The first wait is a random part of this, each further one of twice as much …",
        reads=duration,
        default="500ms",
        shown="duration",
    ),
    "backoff_max": field(
        ["number", "string"],
        "… up to this; what the provider says itself goes first.",
        reads=duration,
        default="8s",
        shown="duration",
    ),
}
DEFAULT_RETRY: Schema = {
    **RETRY,
    "budget": field(
        "number", "Retries never exceed this share of the recent requests.", reads=number(0, 1), default="0.2", shown="0 … 1"
    ),
}
IGNORE: Schema = {
    "status": field("list", "These statuses.", shown="list of statuses", schema=field("integer", reads=_REFUSAL)),
    "errors": field("list", "Errors of this type, code or message.", shown="list of globs", texts=field("string", reads=filled)),
}


def read_retry(node: Node, usual: RetrySpec) -> RetrySpec:
    """What is not said is as ``usual`` has it."""
    retries = node["max_retries"].read(_MAX_RETRIES, None)
    enabled = node["enabled"].read(flag, None)
    if retries is None:
        retries = usual.max_retries or (2 if enabled else 0)
    for entry in node["retry_on_status"].items():
        if entry.value == 429:
            entry.wrong("has no effect: after a 429 the next key is asked at once, and this one rests", "warning")
    backoff = node["backoff"].read(duration, usual.backoff)
    longest = node["backoff_max"].read(duration, max(usual.backoff_max, backoff))
    if longest < backoff:
        node["backoff_max"].wrong("must not be less than backoff")
    return RetrySpec(
        max_retries=0 if enabled is False else retries,
        on_status=_read_list(node["retry_on_status"], retried_status, usual.on_status),
        on_error=_read_list(node["retry_on_error"], _PHASE, usual.on_error),
        backoff=backoff,
        backoff_max=longest,
    )


def read_ignore(node: Node) -> IgnoreSpec:
    return IgnoreSpec(_read_list(node["status"], _REFUSAL, ()), _read_list(node["errors"], filled, ()))


def _read_list(node: Node, reads: Callable[[Any], T], usual: tuple[T, ...]) -> tuple[T, ...]:
    if not isinstance(node.value, list):
        return usual
    values = (entry.read(reads, None) for entry in node.items())
    return tuple(value for value in values if value is not None)
