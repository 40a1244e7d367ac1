"""What is true of one key: the limits that its upstream holds it to, and what the relay may know of it, from an exact log."""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass, field

from monorelay.upstream.key_limits import LONG, Limits
from monorelay.upstream.key_standing import FIRST_PATIENCE, FIRST_REST, LONGEST_REST
from monorelay.upstream.waits import SHORTEST

SLACK = 1e-6  # of a second: deadlines are sums of floating point numbers
LONGEST_ANSWER = 125.0  # a time-out is one, too


@dataclass(eq=False)
class Attempt:
    """One request as the upstream saw it. ``spent`` is what the relay may count: the expected tokens until it knows better."""

    call: int
    worker: int
    provider: str
    label: str
    model: str
    began: float
    expected: int
    spent: int
    ended: float | None = None
    said: str = ""  # status, or the phase of a failure, or "aborted"

    @property
    def is_fault(self) -> bool:
        """The upstream's own: neither an answer nor a word about the key or the request."""
        return self.said in ("connect", "first_byte", "idle", "body") or self.said.startswith("5")


@dataclass
class Account:
    """A key at its upstream: the true limits, and the truth about what the relay knows of it.

    ``limits`` are those that the relay was configured with, ``true`` those that the upstream holds it to.
    """

    provider: str
    label: str
    scope: str
    true: Limits
    limits: Limits = Limits()
    enabled: bool = True
    expires: float = math.inf
    accepted: list[float] = field(default_factory=list)
    sent: list[float] = field(default_factory=list)
    unsent: list[float] = field(default_factory=list)  # for which no connection was made
    recent: list[Attempt] = field(default_factory=list)
    in_flight: set[Attempt] = field(default_factory=set, repr=False)
    cooling: dict[str, tuple[float, float, int]] = field(default_factory=dict)  # by model: heard at, until, by which worker
    surely_free: dict[str, float] = field(default_factory=dict)  # by model: the same deadline, as late as the relay may take it
    resting: tuple[float, float, int] = (0.0, 0.0, 0)
    refusals: int = 0
    strikes: dict[str, int] = field(default_factory=dict)  # 429 in a row, by model

    def wait_of_the_upstream(self, now: float, tokens: int) -> float:
        """Seconds until its true limits let such a request in; 0.0 is now."""
        wait = 0.0
        for span, limit in self.true.windows:
            over = len(self.accepted) - bisect_right(self.accepted, now - span + SLACK) - limit
            if over >= 0:
                wait = max(wait, self.accepted[-limit] + span - now)
        if self.true.concurrency is not None and len(self.in_flight) >= self.true.concurrency:
            wait = max(wait, 0.5)
        for span, limit in self.true.tokens:
            used = [attempt for attempt in self.recent if attempt.began > now - span + SLACK]
            if sum(attempt.spent for attempt in used) + tokens > limit and used:
                wait = max(wait, used[0].began + span - now)
        return wait

    # -- what the relay may know

    def strike(self, attempt: Attempt, model: str) -> float:
        """How long the relay lets a key cool at least: one that is refused again and again is not believed that it will be soon."""
        if attempt.began >= self.cooling.get(model, (0.0, 0.0, 0))[0]:
            self.strikes[model] = self.strikes.get(model, 0) + 1
        strikes = self.strikes.get(model, 0)
        return FIRST_PATIENCE * 2.0 ** min(strikes - 2, 30) if strikes > 1 else SHORTEST

    def cool(self, model: str, heard: float, until: float, worker: int, late: float, least: float) -> None:
        """``late``: a wait counts from when it was heard, and what says a moment says it in whole seconds."""
        if until > self.cooling.get(model, (0.0, 0.0, 0))[1]:
            self.cooling[model] = (heard, until, worker)
        self.surely_free[model] = max(self.surely_free.get(model, 0.0), until + late, heard + least)

    def refuse(self, attempt: Attempt, now: float) -> None:
        attempt.spent = 0
        if now >= self.resting[1]:
            self.resting = (now, now + min(LONGEST_REST, FIRST_REST * 2.0**self.refusals), attempt.worker)
            self.refusals += 1

    def accept(self, attempt: Attempt) -> None:
        for model in ("", attempt.model):
            if attempt.began >= self.cooling.get(model, (0.0, 0.0, 0))[0]:
                self.strikes[model] = 0
        if attempt.began >= self.resting[1]:
            self.refusals = 0

    def over(self, now: float, tokens: int, late: float = 0.0, unheard: float = 0.0) -> str:
        """Which configured limit one more request would exceed; "" is none. ``late`` is the share of a window for which room may
        come back too late, ``unheard`` how many seconds more where others have used it."""
        limits = self.limits
        if limits.concurrency is not None and len(self.in_flight) >= limits.concurrency:
            return "concurrency"
        if limits.quota is not None and len(self.sent) >= limits.quota:
            return "quota"
        for span, limit in limits.windows:
            since = now - span * (1 + late) - unheard + SLACK
            used = len(self.sent) - bisect_right(self.sent, since)
            if unheard and span < LONG:  # what one worker gave back counts for the others in short windows
                used += len(self.unsent) - bisect_right(self.unsent, since)
            if used >= limit:
                return f"{limit} in {span:g} s"
        for span, limit in limits.tokens:
            spent_late = unheard + LONGEST_ANSWER if unheard else 0.0  # others' tokens count from when they were spent
            used = sum(attempt.spent for attempt in self.recent if attempt.began > now - span * (1 + late) - spent_late + SLACK)
            if used + min(max(tokens, 1), limit) > limit:
                return f"{limit} tokens in {span:g} s"
        return ""

    def out_of_use(self, now: float, model: str) -> float:
        """Until when at most; infinite where nobody can know."""
        if not self.enabled or now >= self.expires:
            return math.inf
        if self.refusals and self.in_flight:
            return math.inf
        return max(self.resting[1] if self.refusals else 0.0, *(self.surely_free.get(name, 0.0) for name in ("", model)))

    def free_within(self, now: float, patience: float, model: str, tokens: int, late: float, unheard: float) -> float | None:
        """In how many seconds it can surely be used, if nothing else is sent; None where that is too late, or nobody knows."""
        at = max(now, self.out_of_use(now, model))
        while at <= now + patience:
            if not self.over(at, tokens, late, unheard):
                return at - now
            at += 0.05
        return None

    def forget(self, now: float) -> None:
        while self.recent and self.recent[0].began < now - 300 and self.recent[0].ended is not None:
            self.recent.pop(0)
