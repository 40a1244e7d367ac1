"""What one key may be used for, and how much of that is used. Pure: time is an argument.

Everything is reserved when the key is chosen: one request in each window, the tokens that the caller expects, one of the requests
at a time, one of the quota. At the end the tokens are settled with their true number: what was reserved too much is taken back
where it was reserved, what was too little is added when it is known. A request that never went out gives everything back.

A request that expects more tokens than a window allows goes when that window is empty: it could never go otherwise.

Where several workers use one key, a ``Share`` (shared_usage.py) tells what the others did.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from monorelay.upstream.shared_usage import Share
from monorelay.upstream.sliding_window import SlidingWindow

PROBE_WAIT = 1.0  # what is said where the wait depends on when a request in flight ends
LONG = 3600.0  # seconds of a window; a request that does not go out is given back long before
NAMES = {60.0: "rpm", 18_000.0: "5h", 86_400.0: "1d", 604_800.0: "7d"}


@dataclass(frozen=True, slots=True)
class Limits:
    """``windows`` and ``tokens`` are pairs of (seconds, how many in any such time), each number above 0."""

    windows: tuple[tuple[float, int], ...] = ()
    tokens: tuple[tuple[float, int], ...] = ()
    concurrency: int | None = None
    quota: int | None = None


NO_LIMITS = Limits()
Kept = Iterable[tuple[float, Iterable[tuple[float, float]]]]  # length of a window, its buckets as SlidingWindow.kept tells them


def limits_of(
    rps: float | None = None,
    rpm: int | None = None,
    tpm: int | None = None,
    concurrency: int | None = None,
    quota: int | None = None,
    windows: Iterable[tuple[float, int]] = (),
) -> Limits:
    """As operators write them; None or 0 is no limit. 2.7 per second are 2 in any second, 0.5 are one in any two seconds."""
    found = []
    if rps:
        found.append((1.0, math.floor(rps)) if rps >= 1 else (1 / rps, 1))
    if rpm:
        found.append((60.0, rpm))
    found += [(span, limit) for span, limit in windows if limit]
    return Limits(tuple(found), ((60.0, tpm),) if tpm else (), concurrency or None, quota or None)


class Meter:
    """How much of its limits one key has used.

    Mutable: the limits (by ``adopt``; a window of the same length keeps what it counts), the windows and ``used`` (by the three
    settlements, and by ``_hear`` what other workers did), and ``_news``.
    """

    __slots__ = ("limits", "used", "_windows", "_tokens", "_share", "_news")

    def __init__(self, share: Share | None = None) -> None:
        self.limits = NO_LIMITS
        self.used = 0  # requests, ever: of the quota
        self._windows: list[tuple[SlidingWindow, int]] = []
        self._tokens: list[tuple[SlidingWindow, int]] = []
        self._share = share
        self._news = False  # whether others did something that nobody has looked at

    def __repr__(self) -> str:
        return f"<Meter {self.used} used {[window for window, _ in (*self._windows, *self._tokens)]}>"

    def adopt(self, limits: Limits) -> None:
        self.limits = limits
        self._windows = _adopted(self._windows, limits.windows)
        self._tokens = _adopted(self._tokens, limits.tokens)

    # -- asking

    def admits(self, now: float, tokens: int, in_flight: int) -> bool:
        """Whether one more request fits; ``in_flight`` is this worker's."""
        limits = self.limits
        promised = 0  # tokens, by other workers' requests in flight
        if self._share is not None:
            self._hear(now)
            in_flight += self._share.in_flight
            promised = self._share.reserved
        if limits.concurrency is not None and in_flight >= limits.concurrency:
            return False
        if limits.quota is not None and self.used >= limits.quota:
            return False
        for window, limit in self._windows:
            if window.live(now) >= limit:
                return False
        for window, limit in self._tokens:
            if window.live(now) + promised + min(max(tokens, 1), limit) > limit:
                return False
        return True

    def free_at(self, now: float, tokens: int, in_flight: int) -> tuple[float, str]:
        """The first moment when one more request fits, and the name of the limit that holds it longest; (now, "") when it fits
        now. The moment is infinite where the quota is used up."""
        limits = self.limits
        promised = 0
        if self._share is not None:
            self._hear(now)
            in_flight += self._share.in_flight
            promised = self._share.reserved
        if limits.quota is not None and self.used >= limits.quota:
            return math.inf, "quota"
        held = (now, "")
        if limits.concurrency is not None and in_flight >= limits.concurrency:
            held = (now + PROBE_WAIT, "concurrency")
        for window, limit in self._windows:
            held = max(held, (window.free_at(now, 1, limit), _name(window.span)), key=_moment)
        for window, limit in self._tokens:
            amount = min(max(tokens, 1), limit)
            at = window.free_at(now, amount, limit)
            if at <= now and window.live(now) + promised + amount > limit:
                at = now + PROBE_WAIT
            held = max(held, (at, "tpm" if window.span == 60.0 else f"tokens in {window.span:g}s"), key=_moment)
        return (now, "") if held[0] <= now else held

    # -- using

    @property
    def in_flight_elsewhere(self) -> int:
        """Requests of other workers, as of the last look."""
        return 0 if self._share is None else self._share.in_flight

    def reserve(self, now: float, tokens: int) -> None:
        self.used += 1
        for window, _ in self._windows:
            window.add(now, 1)
        if tokens:
            for window, _ in self._tokens:
                window.add(now, tokens)
        if self._share is not None:
            self._share.reserve(now, tokens)

    def settle(self, at: float, reserved: int, spent: int, now: float) -> None:
        """A request that was reserved at ``at`` has spent so many tokens, as is known now."""
        for window, _ in self._tokens:
            if spent < reserved:
                window.take_back(at, reserved - spent)
            elif spent > reserved:
                window.add(now, spent - reserved)
        if self._share is not None:
            self._share.settle(now, reserved, spent)

    def give_back(self, at: float, reserved: int) -> None:
        """A request that was reserved at ``at`` never went out."""
        self.used = max(0, self.used - 1)
        for window, _ in self._windows:
            window.take_back(at, 1)
        for window, _ in self._tokens:
            window.take_back(at, reserved)
        if self._share is not None:
            self._share.give_back(reserved)

    def look(self, now: float) -> bool:
        """Takes note of what other workers did, at the time they did it if it is called often; whether they did anything since the
        last look.
        """
        if self._share is None:
            return False
        self._hear(now)
        news, self._news = self._news, False
        return news

    def _hear(self, now: float) -> None:
        share = self._share
        assert share is not None
        for requests, requested_at, tokens, spent_at, given in share.growth():
            self._news = True
            self.used = max(0, self.used + requests - given)
            for window, _ in self._windows:
                if requests > 0:
                    window.add(requested_at, requests)
                # Which moment it belongs to is not told. Where it surely still counts, the oldest goes in its place: what is left
                # counts too long, never too short. A short window is whole again soon.
                if given > 0 and window.span >= LONG:
                    window.take_oldest(now, given)
            if tokens > 0:
                for window, _ in self._tokens:
                    window.add(spent_at, tokens)

    # -- over a restart

    def kept(self, now: float) -> dict[str, list[tuple[float, list[tuple[float, float]]]]]:
        """The windows as ``restore`` takes them, by kind."""
        return {
            "windows": [(window.span, window.kept(now)) for window, _ in self._windows],
            "tokens": [(window.span, window.kept(now)) for window, _ in self._tokens],
        }

    def restore(self, used: int, windows: Kept, tokens: Kept, now: float) -> None:
        """Adds what ``kept`` told before to what was used since."""
        self.used += used
        for known, told in ((self._windows, windows), (self._tokens, tokens)):
            own = {window.span: window for window, _ in known}
            for span, buckets in told:
                if span in own:
                    own[span].restore(buckets, now)


def _adopted(windows: list[tuple[SlidingWindow, int]], limits: tuple[tuple[float, int], ...]) -> list[tuple[SlidingWindow, int]]:
    """Of two limits of the same length the lower one holds."""
    known = {window.span: window for window, _ in windows}
    lowest: dict[float, int] = {}
    for span, limit in limits:
        lowest[span] = min(limit, lowest.get(span, limit))
    return [(known.get(span) or SlidingWindow(span), limit) for span, limit in lowest.items()]


def _name(span: float) -> str:
    return NAMES.get(span) or ("rps" if span < 60.0 else f"{span:g}s")


def _moment(held: tuple[float, str]) -> float:
    return held[0]
