"""What became of a reload: made by the master, told to every worker, shown by /health."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ReloadOutcome:
    """``generation`` is the one in force after the attempt; ``at`` is wall-clock time. Attempt 0 is the start itself.

    ``unchanged``: everything was read and found to be what is served already. ``pending``: sentences about settings that changed
    on disk and take effect at the next restart.
    """

    attempt: int
    ok: bool
    generation: int
    at: float
    problems: tuple[str, ...] = ()
    unchanged: bool = False
    pending: tuple[str, ...] = ()
