"""A simulated day of the relay: three providers with twenty keys, cascades, balancing, outages, storms of 429, reloads, a restart.

    report = simulate(seed=1)
    assert not report.faults, report

The relay is the real one from ``carry`` on; the upstreams (``simulated_upstream.py``), what they are asked
(``simulated_traffic.py``) and the time (``simulated_time.py``) are models. Everything is drawn from the seed: the day is the same
at each run. Held against the upstreams' own log:

    at each request    the key is neither cooling nor resting, by what its upstream has said; no configured limit is exceeded, in
                       any window; the key is one of the call's own generation; the call has not asked it before, but to retry,
                       after it was held, or in its last look; retries stay within their budget
    at each failure    no target had a key that could be used then, or within ``hold``, unless the target itself had failed
    at the end         nothing is in flight, every loan is settled, all circuits are closed, what is remembered is bounded

    python tests/relay/simulated_day.py 1 2 3           # more seeds; exits with 1 where one finds a fault
    python tests/relay/simulated_day.py --workers 3 1   # several workers that tell each other
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    here = Path(__file__).resolve().parent
    sys.path[:0] = [str(here), str(here.parent / "plan"), str(here.parent.parent)]

from relay_stage import WrittenReply
from simulated_account import Account, Attempt
from simulated_time import VirtualClock, run_virtually
from simulated_traffic import KEYS, RESTART, RETRIES, SHARE, TRUE, Rules, arrivals, asked_for, configured, rush_of, troubles_of
from simulated_upstream import DAY, SimulatedUpstreams

from monorelay.plan.compile import compile_plan
from monorelay.plan.plan import Plan
from monorelay.plan.resolution import Target
from monorelay.relay.backoff import ALWAYS, Budget
from monorelay.relay.call import Call
from monorelay.relay.line import carry
from monorelay.relay.pools import Pools
from monorelay.relay.resources import Resources
from monorelay.store.database import Database
from monorelay.store.objects import ObjectMemory
from monorelay.upstream.key_limits import limits_of
from monorelay.upstream.keypool import Fact
from monorelay.upstream.shared_usage import SharedUsage

HEARD = 0.1  # seconds until all workers agree on a cooldown
LOOKING = 1.0  # seconds between two looks at what other workers used
SAME_TURN = 1e-9  # of a second: what is heard and what is sent at one moment
ROUNDING = 1e-3  # of a second: the precision of what upstreams say
FAILURES = ("no_keys", "upstream_error", "cascade_error")


@dataclass
class Report:
    """What came of a day. ``faults`` are sentences; none is what is wanted."""

    seed: int
    faults: list[str] = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)
    calls: int = 0
    attempts: Counter[str] = field(default_factory=Counter)
    retries: int = 0
    cpu: float = 0.0
    rules: str = ""

    def __str__(self) -> str:
        told = ", ".join(f"{name} {count}" for name, count in sorted(self.statuses.items()))
        went = ", ".join(f"{name} {count}" for name, count in sorted(self.attempts.items()))
        head = f"seed {self.seed} ({self.rules}): {self.calls} calls ({told}); {self.attempts.total()} attempts ({went}), "
        head += f"{self.retries} retries; {self.cpu:.1f} s of CPU; {len(self.faults)} faults"
        return "\n  ".join([head, *self.faults[:20]])


# ------------------------------------------------------------------ the day


class LoggedBudget(Budget):
    """Keeps a log of what was asked and of what was allowed."""

    __slots__ = ("asks",)

    def __init__(self) -> None:
        super().__init__()
        self.asks: list[float] = []

    def asked(self, now: float) -> None:
        self.asks.append(now)
        super().asked(now)


@dataclass
class Going:
    """One call under way."""

    number: int
    plan: Plan
    body: dict[str, Any]
    expected: int
    worker: int
    began: float
    reply: WrittenReply
    attempts: list[Attempt] = field(default_factory=list)


class Day:
    """Mutable: the workers' resources (a restart makes new ones), the plan, the calls under way, and the report."""

    def __init__(self, seed: int, *, workers: int = 1, length: float = DAY, count: int = 20_000) -> None:
        self.chance = random.Random(seed)
        self.rules = Rules.drawn(self.chance)
        self.report = Report(
            seed, rules=", ".join(f"{name}={getattr(self.rules, name)}" for name in ("strategy", "balance", "hold"))
        )
        self.clock = VirtualClock()
        self.length, self.workers = length, workers
        self.begin = self.clock.monotonic()
        self.late = 1 / 128 + 1e-4  # the share of a window for which room comes back too late
        self.going: dict[int, Going] = {}
        self.retried: list[tuple[float, int]] = []  # when it was allowed, and by whom
        accounts = {}
        for name, count_of_keys in KEYS.items():
            for number in range(count_of_keys):
                account = Account(name, f"{name}-{number}", self.rules.scopes[name], TRUE[name])
                accounts[name, account.label] = account
        self.upstreams = SimulatedUpstreams(
            accounts,
            troubles_of(self.chance, self.begin, length),
            self.clock,
            self.chance,
            {name: 20.0 + place for place, name in enumerate(KEYS)},
            self.check,
            workers,
        )
        self.arrivals = arrivals(self.chance, self.begin, length, count)
        self.step = 0
        self.usage = SharedUsage(workers) if workers > 1 else None

    def fault(self, text: str) -> None:
        self.report.faults.append(f"{(self.clock.monotonic() - self.begin):.3f}: {text}")

    # -- how it goes

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        self.make_workers()
        restart_at = self.begin + self.length * RESTART
        rush = rush_of(self.begin, self.length)
        reloads = sorted(self.begin + self.chance.uniform(0, self.length) for _ in range(6))
        under_way: set[asyncio.Task[None]] = set()
        looking = asyncio.ensure_future(self.look()) if self.workers > 1 else None
        for number, at in enumerate(self.arrivals):
            if reloads and at > reloads[0]:
                reloads.pop(0)
                self.reload()
            if restart_at and at > restart_at:
                restart_at = 0.0
                if under_way:
                    await asyncio.wait(under_way)
                if self.workers == 1:
                    self.restart()
            await asyncio.sleep(at - loop.time())
            task = asyncio.ensure_future(self.call(number, asked_for(number, self.chance, rush[0] <= at < rush[1])))
            under_way.add(task)
            task.add_done_callback(under_way.discard)
            task.add_done_callback(self.ended)
        if under_way:
            await asyncio.wait(under_way)
        await self.finish()
        if looking is not None:
            looking.cancel()

    def ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            self.fault(f"the simulation itself: {task.exception()!r}")

    def make_workers(self) -> None:
        loop = asyncio.get_running_loop()
        database = Database(Path("/nonexistent/monorelay.db"))
        self.resources = []
        for worker in range(self.workers):
            pools = None
            if self.usage is not None:
                pools = Pools(lambda said, worker=worker: self.pass_on(worker, said), self.usage.sit(worker))
            one = Resources(self.upstreams, ObjectMemory(database, self.clock), self.clock, loop, self.chance.random, pools)
            one.budget = LoggedBudget()
            self.resources.append(one)
        self.adopt()

    def adopt(self) -> None:
        self.plan = compile_plan(configured(self.rules, self.step), self.step + 1)
        for one in self.resources:
            one.adopt(self.plan)
        for account in self.upstreams.accounts.values():
            account.enabled = False
        for name, found in self.plan.providers.items():
            for key in found.keys:
                account = self.upstreams.accounts[name, key.label]
                spec = key.limits
                account.enabled = key.enabled
                account.limits = limits_of(spec.rps, spec.rpm, spec.tpm, spec.concurrency, spec.quota, spec.windows)
                if key.expires_at is not None:
                    account.expires = key.expires_at - self.clock.now() + self.clock.monotonic()

    def reload(self) -> None:
        self.step += 1
        self.adopt()

    def restart(self) -> None:
        """What the keys are known for goes through JSON to the next run."""
        now, wall = self.clock.monotonic(), self.clock.now()
        pools = self.resources[0].pools
        told = json.loads(json.dumps({name: pools.snapshot(name, now, wall) for name in pools}))
        self.make_workers()
        self.resources[0].pools.restore(told, now, wall)
        self.late += 1 / 128 + 1e-3

    def pass_on(self, worker: int, said: object) -> None:
        """A fact reaches the other workers within a moment."""
        assert isinstance(said, tuple) and isinstance(said[1], Fact)
        for other, one in enumerate(self.resources):
            if other != worker:
                asyncio.get_running_loop().call_later(self.chance.uniform(0.001, HEARD - 0.01), one.pools.hear, *said)

    async def look(self) -> None:
        while True:
            await asyncio.sleep(LOOKING)
            for one in self.resources:
                for name in one.pools:
                    one.pool(name).look(self.clock.monotonic())

    async def call(self, number: int, body: dict[str, Any], resources: Resources | None = None) -> None:
        resources = resources or self.chance.choice(self.resources)
        worker = self.resources.index(resources)
        raw = json.dumps(body).encode()
        expected = len(raw) // 4 + min(body["max_tokens"], 4096)
        now = self.clock.monotonic()
        going = self.going[number] = Going(number, self.plan, body, expected, worker, now, WrittenReply())
        self.upstreams.expected[number] = expected, worker
        route = self.plan.routes[0]
        call = Call(str(number), self.plan, route, "POST", {}, "", {}, None, route.family, now)
        task = asyncio.ensure_future(carry(call, raw, going.reply, resources))
        if self.chance.random() < 0.01:
            asyncio.get_running_loop().call_later(
                self.chance.uniform(0.0, 3.0), lambda: None if task.done() else going.reply.leave()
            )
        await task
        self.finished(going, resources)
        del self.going[number], self.upstreams.expected[number]

    # -- what is held against it

    def check(self, attempt: Attempt, account: Account) -> None:
        """Called by the upstream with each request, before it is counted."""
        now, going = attempt.began, self.going[attempt.call]
        who = f"call {attempt.call} asks {attempt.label} for {attempt.model}"
        for model in ("", attempt.model):
            heard, until, by = account.cooling.get(model, (0.0, 0.0, 0))
            known = heard if by == attempt.worker else heard + HEARD
            if known + SAME_TURN < now < until - ROUNDING:
                self.fault(f"{who}, which cools for {until - now:.3f} s more, as was heard {now - heard:.3f} s ago")
        heard, until, by = account.resting
        if (heard if by == attempt.worker else heard + HEARD) + SAME_TURN < now < until - ROUNDING:
            self.fault(f"{who}, which rests for {until - now:.1f} s more")
        elif account.refusals and account.in_flight and self.workers == 1:
            self.fault(f"{who}, which is on probation and in use")
        exceeded = account.over(now, attempt.expected if account.limits.tokens else 0)
        if exceeded:
            self.fault(f"{who}, which is at its limit ({exceeded})")
        own = [key.enabled for key in going.plan.providers[attempt.provider].keys if key.label == attempt.label]
        if not own or not (own[0] or account.enabled) or now >= account.expires:  # a reload may have switched it on meanwhile
            self.fault(f"{who}, which is no key of this call, or has expired")
        self.check_retries(attempt, going, who)
        going.attempts.append(attempt)

    def check_retries(self, attempt: Attempt, going: Going, who: str) -> None:
        earlier = [one for one in going.attempts if (one.provider, one.model) == (attempt.provider, attempt.model)]
        faults = [one for one in earlier if one.is_fault]
        if earlier and earlier[-1].is_fault and going.attempts[-1] is earlier[-1]:
            self.report.retries += 1
            allowed = earlier[-1].ended or 0.0
            self.retried.append((allowed, attempt.worker))
            asks = self.resources[attempt.worker].budget.asks  # type: ignore[attr-defined]
            # They are counted in pieces of a second: nine are counted exactly. The pause stands between allowing and sending.
            lately = sum(allowed - 9 < at <= allowed and by == attempt.worker for at, by in self.retried[-200:])
            asked = sum(allowed - 11 < at <= allowed for at in asks[-2000:])
            if lately > max(ALWAYS, SHARE * asked + 1):
                self.fault(f"{who}: retry {lately} in nine seconds, in which {asked} were asked")
        is_again = self.rules.hold and any(not one.is_fault for one in earlier)  # each time that a call was held it may retry anew
        if len(faults) > RETRIES[attempt.provider] and not is_again:
            self.fault(f"{who}: attempt {len(earlier) + 1} with this target, after {len(faults)} faults")
        same = [one for one in earlier if one.label == attempt.label]
        if len(same) > len(faults) + 1 and not self.rules.hold:  # one more: the last look at what became free meanwhile
            self.fault(f"{who} for the {len(same) + 1}. time, after {len(faults)} faults")

    def finished(self, going: Going, resources: Resources) -> None:
        report, reply = self.report, going.reply
        report.calls += 1
        report.attempts.update(attempt.said or "open" for attempt in going.attempts)
        if any(attempt.ended is None for attempt in going.attempts):
            self.fault(f"call {going.number} is over, and an exchange of it is open")
        if reply.gone:
            report.statuses["left"] += 1
            return
        kind = ""
        if reply.status >= 400:
            kind = str(reply.error.get("type"))
        report.statuses[f"{reply.status} {kind}".strip()] += 1
        if kind in FAILURES:
            self.check_failure(going, resources, kind)
        elif reply.status not in (200, 422) and not (going.body.get("too_long") and reply.status == 400):
            self.fault(f"call {going.number} got {reply.status} {kind}: {reply.body[:200]!r}")

    def check_failure(self, going: Going, resources: Resources, kind: str) -> None:
        now = self.clock.monotonic()
        resolution = resources.catalogue(going.plan).resolve(going.plan.routes[0], going.body["model"])
        turned = any(attempt.said == "400" for attempt in going.attempts)
        legs = resolution.context_length if turned else resolution.legs
        patience = self.rules.hold - self.held(going, now)
        for target in (target for leg in legs for target in leg.targets):
            own = [one for one in going.attempts if (one.provider, one.model) == (target.provider.name, target.model)]
            if own and own[-1].is_fault:
                continue
            asked = {one.label for one in own} if not self.rules.hold else set()  # a call asks a key once
            self.check_target(going, target, now, patience, kind, asked)

    def held(self, going: Going, now: float) -> float:
        """How long the call has waited for keys: whatever it did not wait for an answer, or before a retry."""
        waited, since = 0.0, going.began
        last: Attempt | None = None
        for attempt in going.attempts:
            is_retry = last is not None and last.is_fault and (last.provider, last.model) == (attempt.provider, attempt.model)
            waited += 0.0 if is_retry else attempt.began - since
            since, last = attempt.ended or now, attempt
        return waited + now - since

    def check_target(self, going: Going, target: Target, now: float, patience: float, kind: str, asked: Collection[str]) -> None:
        for key in target.provider.keys:
            if key.label in asked:
                continue
            account = self.upstreams.accounts[target.provider.name, key.label]
            expected = going.expected if account.limits.tokens else 0
            unheard = LOOKING + 0.01 if self.workers > 1 else 0.0
            wait = account.free_within(now, max(0.0, patience - 0.05), target.model, expected, self.late, unheard)
            if key.enabled and wait is not None:
                text = f"call {going.number} for {going.body['model']} failed ({kind}), and {account.label} is free in {wait:.3f} s"
                went = ", ".join(f"{one.label} {one.said} at {one.began - going.began:.2f}" for one in going.attempts)
                self.fault(f"{text} of {patience:.3f}; it began {now - going.began:.2f} s ago and went: {went or 'nowhere'}")
                return

    # -- the end

    async def finish(self) -> None:
        """Hours later each target that failed last is asked once more, by each worker: everybody is well, and knows it."""
        await asyncio.sleep(2 * 3600.0)
        number = 10_000_000
        for resources in self.resources:
            for name, _, model in sorted(resources.circuits._failing):
                number += 1
                await self.call(
                    number, {"model": f"{model}@{name}", "user": str(number), "max_tokens": 10, "messages": []}, resources
                )
            now = self.clock.monotonic()
            failing = [place for place in resources.circuits._failing if resources.pool(place[0]).available(now)]
            if failing:
                self.fault(f"circuits are open: {failing}")
            for name in KEYS:
                pool = resources.pool(name)
                if pool.busy(now) or any(state.in_flight for state in pool.states(now)):
                    self.fault(f"{name} is busy with {pool.busy(now)} at the end")
                for standing in pool._known.values():
                    if any(strain.in_flight for strain in (standing.strain, *standing.models.values())):
                        self.fault(f"a model of {standing} is in flight at the end")
            self.check_sizes(resources)

    def check_sizes(self, resources: Resources) -> None:
        sizes = {
            "attempts kept": (len(resources.recent._kept), 200),
            "failing targets": (len(resources.circuits._failing), 100),
            "pieces of the budget": (len(resources.budget._pieces), 11),
            "held": (resources.holding.count, 0),
            "paces": (len(resources.pace._seconds), 4096),
            "pins": (len(resources.affinity._pins), 20_000),
        }
        for name in KEYS:
            for standing in resources.pool(name)._known.values():
                sizes[f"models of {standing}"] = (len(standing.models), 256)
                meter = standing.meter
                for window, _ in (*meter._windows, *meter._tokens) if meter is not None else ():
                    sizes[f"{window} of {standing}"] = (len(window._buckets), 129)
            sizes[f"keys of {name}"] = (len(resources.pool(name)._known), KEYS[name])
        for what, (size, most) in sizes.items():
            if size > most:
                self.fault(f"{size} {what} at the end")


def simulate(seed: int, **more: Any) -> Report:
    began = time.process_time()
    day = Day(seed, **more)
    run_virtually(day.run, day.clock)
    day.report.cpu = time.process_time() - began
    return day.report


def main(arguments: list[str]) -> int:
    workers = 1
    if arguments[:1] == ["--workers"]:
        workers, arguments = int(arguments[1]), arguments[2:]
    worst = 0
    for seed in map(int, arguments or ["1"]):
        report = simulate(seed, workers=workers)
        print(report, flush=True)
        worst = max(worst, len(report.faults))
    return 1 if worst else 0


if __name__ == "__main__":
    import logging

    logging.getLogger("monorelay").setLevel(logging.CRITICAL)
    sys.exit(main(sys.argv[1:]))
