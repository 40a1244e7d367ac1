"""``retry`` and ``ignore``: which failures are tried again, and which are never shown. Schema, spec and one-line help."""

from __future__ import annotations

from dataclasses import dataclass

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
