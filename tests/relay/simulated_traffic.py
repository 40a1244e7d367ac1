"""What a simulated day is made of: the configuration of its generations, the troubles, and what clients ask for, when."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import Any

from plan_specs import config, keys, provider
from simulated_upstream import DAY, Trouble
from simulated_waits import WAIT_HEADERS

from monorelay.config.affinity import AffinitySpec
from monorelay.config.balancing import BalancingSpec
from monorelay.config.cascades import CascadeSpec
from monorelay.config.circuit import CircuitSpec
from monorelay.config.config import Config
from monorelay.config.limits import LimitsSpec
from monorelay.config.prices import PriceSpec
from monorelay.config.rate_limits import RateLimitsSpec, RemainingSpec, WaitSpec
from monorelay.config.retry import RetrySpec
from monorelay.upstream.key_limits import limits_of

BALANCES = ("priority", "weighted", "least-busy", "latency", "cheapest")
STRATEGIES = ("round-robin", "random", "weighted", "least-busy")
RESTART = 0.55  # of the day
SHARE = 0.2  # of the retry budget
RETRYING = RetrySpec(max_retries=2, backoff=0.5, backoff_max=6.0)
RETRIES = {"alpha": 2, "beta": 0, "gamma": 1}

# ------------------------------------------------------------------ what is configured


@dataclass(frozen=True)
class Rules:
    """What a seed has drawn."""

    strategy: str
    balance: str
    hold: float
    slow_start: float
    affinity: bool
    scopes: dict[str, str]

    @staticmethod
    def drawn(chance: random.Random) -> Rules:
        scopes = {name: chance.choice(("key", "key+model")) for name in ("alpha", "beta")}
        scopes["gamma"] = chance.choice(("key", "account"))
        holds, starts = chance.choice((0.0, 0.5, 3.0, 10.0)), chance.choice((0.0, 10.0))
        return Rules(chance.choice(STRATEGIES), chance.choice(BALANCES), holds, starts, chance.random() < 0.5, scopes)


TRUE = {
    "alpha": limits_of(rps=2, rpm=8, concurrency=3),
    "beta": limits_of(rpm=10, tpm=2000, quota=None),
    "gamma": limits_of(rps=3, windows=((18_000.0, 320), (DAY, 700))),
}
OWN = {
    "alpha": LimitsSpec(rps=2, rpm=8, concurrency=3),
    "beta": LimitsSpec(tpm=2000, quota=1500),  # what its upstream allows in a minute is not known
    "gamma": LimitsSpec(windows=((18_000.0, 300), (DAY, 700)), concurrency=4),
}
KEYS = {"alpha": 8, "beta": 7, "gamma": 5}


def configured(rules: Rules, step: int) -> Config:
    """The configuration of one of the day's generations: limits change, a key is switched off, another one is taken away."""
    limits = dict(OWN)
    if step % 2:
        limits["alpha"] = replace(OWN["alpha"], rpm=5)
    if step % 3 == 1:
        limits["gamma"] = replace(OWN["gamma"], concurrency=None)
    providers = []
    for place, (name, count) in enumerate(KEYS.items()):
        labels = [f"{name}-{number}" for number in range(count)]
        found = []
        for number, key in enumerate(keys(*labels)):
            gone = name == "beta" and number == 2 and step % 3 == 2
            off = name == "alpha" and number == 3 and step % 2 == 1
            expires = 1_700_000_000.0 + 0.8 * DAY if name == "gamma" and number == 4 else None
            if not gone:
                found.append(replace(key, limits=limits[name], weight=1 + number % 3, enabled=not off, expires_at=expires))
        waits = tuple(WaitSpec(header, format) for header, format in WAIT_HEADERS)  # type: ignore[arg-type]
        remaining = tuple(RemainingSpec(f"x-left-{what}", f"x-reset-{what}", "duration") for what in ("requests", "tokens"))
        providers.append(
            provider(
                name,
                keys=tuple(found),
                include=("m", f"m-{name}", "x-*", "big", "long"),
                priority=place,
                weight=3 - place,
                rate_limit_cooldown=20.0 + place,
                prices=(("*", PriceSpec(3.0 - place, 5.0)),),
                retry=replace(RETRYING, max_retries=RETRIES[name]),
                rate_limits=RateLimitsSpec(rules.scopes[name], remaining, waits, ("try again in {wait}",)),  # type: ignore[arg-type]
            )
        )
    return config(
        *providers,
        strategy=rules.strategy,
        balancing=(BalancingSpec("m", rules.balance), BalancingSpec("x-*", "weighted", ("beta", "gamma"))),  # type: ignore[arg-type]
        cascades=(
            CascadeSpec("smart", ("m-alpha", "m", "m-gamma")),
            CascadeSpec("large", ("big@alpha", "big@gamma"), context_length=("long@beta", "long@gamma")),
        ),
        fallbacks=(CascadeSpec("m-beta", ("m-gamma", "m-alpha")),),
        hold=rules.hold,
        slow_start=rules.slow_start,
        affinity=AffinitySpec(enabled=rules.affinity, ttl=600.0),
        circuit=CircuitSpec(5, 30.0),
        retry_budget=SHARE,
    )


# ------------------------------------------------------------------ what is drawn


def troubles_of(chance: random.Random, begin: float, length: float) -> list[Trouble]:
    """Outages of whole providers, slow phases, storms of 429, and single keys that are refused; none in the last two hours."""
    found = []
    last = begin + length - min(7200.0, length / 6)

    def add(kind: str, shortest: float, longest: float, *, some_keys: bool = False, share: float = 1.0) -> None:
        name = chance.choice(tuple(KEYS))
        starts = chance.uniform(begin + 60, last - 60)
        labels = None
        if some_keys:
            labels = frozenset(f"{name}-{number}" for number in chance.sample(range(KEYS[name]), chance.randint(1, 3)))
        found.append(Trouble(starts, min(last, starts + chance.uniform(shortest, longest)), kind, name, labels, share))

    for kind in ("refused", "unreachable", "503", "hang", "cut"):
        add(kind, 60, 1200)
        add(kind, 300, 3600, share=0.3)
    for _ in range(3):
        add("slow", 300, 3600)
        add("storm", 60, 900)
        add("storm", 300, 3600, share=0.5)
        add("storm", 300, 3600, some_keys=True)
        add("revoked", 600, 7200, some_keys=True)
    # What a restart must remember, and a rush of retries.
    middle = begin + length * RESTART
    for name in KEYS:
        found.append(Trouble(middle - 240, middle, "revoked", name, frozenset({f"{name}-0"})))
        found.append(Trouble(middle - 90, middle, "storm", name, frozenset({f"{name}-1", f"{name}-2"})))
    found.append(Trouble(*rush_of(begin, length), "503", "gamma", None, 0.5))
    return found


def rush_of(begin: float, length: float) -> tuple[float, float]:
    return begin + length * 0.01, begin + length * 0.01 + 40.0


def arrivals(chance: random.Random, begin: float, length: float, count: int) -> list[float]:
    """Poisson, busier by day, with bursts."""
    found: list[float] = []
    bursts = [(chance.uniform(begin, begin + length * 0.9), chance.uniform(30, 300)) for _ in range(12)]
    calm = 0.8 * count / length
    extra = 0.2 * count / sum(duration for _, duration in bursts)
    highest = 1.5 * calm + extra * 3
    now = begin
    while now < begin + length:
        now += chance.expovariate(highest)
        by_day = 0.5 + abs(((now - begin) / length * 2) % 2 - 1)
        rate = calm * by_day + sum(extra for starts, duration in bursts if starts <= now < starts + duration)
        if chance.random() * highest < rate:
            found.append(now)
    starts, ends = rush_of(begin, length)
    rush = (chance.uniform(starts, ends) for _ in range(400))
    return sorted([*(at for at in found if not starts <= at < ends), *rush])


def asked_for(number: int, chance: random.Random, is_rush: bool) -> dict[str, Any]:
    model = chance.choices(
        ("m", "smart", "m-beta", "large", "m-alpha@alpha", f"x-{number}", f"x-{number % 20}"), (50, 22, 12, 5, 5, 2, 4)
    )[0]
    if is_rush:
        model = "m-gamma@gamma"
    body: dict[str, Any] = {"model": model, "user": str(number), "max_tokens": chance.randint(20, 600)}
    body["messages"] = [{"role": "user", "content": f"{number % 300} " + "word " * chance.randint(1, 200)}]
    if chance.random() < 0.4:
        body["stream"] = True
    if model == "large" and chance.random() < 0.5:
        body["too_long"] = True
    if chance.random() < 0.01:
        body["wrong"] = True
    return body
