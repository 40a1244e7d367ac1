"""Retries with the same target: whether, and after how long.

Off unless configured. Full jitter over an exponential ceiling, never before the upstream's own Retry-After, and within a budget:
retries may be no more than a share of what was asked lately, so that an outage is not multiplied. A few are always allowed, or a
quiet relay would never retry. https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping

from monorelay.config.retry import RetrySpec
from monorelay.relay.outcome import Broke, Outcome, Refused, RefusedInStream
from monorelay.upstream.waits import cooldown_seconds

WINDOW = 10.0  # seconds that count as lately
ALWAYS = 20  # retries in a window whatever the share: a fifth of a hundred requests
PIECES = 10  # a window is counted in so many


class Budget:
    """How many retries there may be.

    Mutable: ``_pieces``, of the last seconds: (beginning, requests, retries); changed by both methods.
    """

    __slots__ = ("_pieces",)

    def __init__(self) -> None:
        self._pieces: deque[list[float]] = deque()

    def __repr__(self) -> str:
        requests, retries = (sum(piece[place] for piece in self._pieces) for place in (1, 2))
        return f"<Budget {retries:g} retries of {requests:g} requests>"

    def asked(self, now: float) -> None:
        """Another first attempt."""
        self._piece(now)[1] += 1

    def allows(self, share: float, now: float) -> bool:
        """Whether one more retry is within the budget; if so it is taken."""
        piece = self._piece(now)
        requests = sum(one[1] for one in self._pieces)
        retries = sum(one[2] for one in self._pieces)
        if retries >= max(ALWAYS, share * requests) or not share:
            return False
        piece[2] += 1
        return True

    def _piece(self, now: float) -> list[float]:
        pieces = self._pieces
        while pieces and pieces[0][0] <= now - WINDOW:
            pieces.popleft()
        if not pieces or pieces[-1][0] <= now - WINDOW / PIECES:
            pieces.append([now, 0, 0])
        return pieces[-1]


def pause_before_retry(outcome: Outcome, spec: RetrySpec, done: int, draw: Callable[[], float], now: float) -> float | None:
    """Seconds to wait before the next attempt with this target, or None for no retry. ``done`` retries were made before.

    ``now`` is the wall clock. An upstream that asks for more patience than ``backoff_max`` is not waited for.
    """
    if done >= spec.max_retries:
        return None
    headers: Mapping[str, str] = {}
    match outcome:
        case Broke(failure=failure):
            if failure.phase not in spec.on_error:
                return None
        case Refused(status=status, headers=fields):
            if status not in spec.on_status:
                return None
            headers = dict(fields)
        case RefusedInStream(error=error, headers=fields):
            if error.status not in spec.on_status:
                return None
            headers = dict(fields)
        case _:
            return None
    least = cooldown_seconds(headers, b"", now, 0.0)
    if least > spec.backoff_max:
        return None
    return max(least, draw() * min(spec.backoff_max, spec.backoff * 2.0**done))
