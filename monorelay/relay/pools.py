"""The key pools of all providers, from one generation to the next: made of what the plan says, and remembered over a restart.

``upstream`` knows keys and limits as plain values; here they are made of a provider's file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial

from monorelay.config.limits import LimitsSpec
from monorelay.plan.plan import Plan, Provider
from monorelay.upstream.key_limits import Limits, limits_of
from monorelay.upstream.keypool import Fact, Key, KeyPool, KeyRecord, PoolRules
from monorelay.upstream.shared_usage import Seat, Share
from monorelay.upstream.waits import WaitRules

Tell = Callable[[object], None]


class Pools:
    """By the provider's name.

    Mutable: the pools (``adopt``) and what they know (attempts). A pool of a provider that a plan dropped stays: calls of older
    generations may still settle their keys in it. ``tell`` is given (provider, fact) for the other workers.
    """

    def __init__(self, tell: Tell | None = None, seat: Seat | None = None) -> None:
        self._pools: dict[str, KeyPool] = {}
        self._wait_rules: dict[str, WaitRules] = {}
        self._tell = tell
        self._seat = seat

    def __repr__(self) -> str:
        return f"<Pools of {', '.join(self._pools) or 'nobody'}>"

    def __getitem__(self, provider: str) -> KeyPool:
        return self._pools[provider]

    def __iter__(self) -> Iterator[str]:
        return iter(self._pools)

    def adopt(self, plan: Plan) -> None:
        routing = plan.config.routing
        for name, provider in plan.providers.items():
            keys = tuple(
                Key(key.fingerprint, key.label, key.weight, key.enabled, key.expires_at, _limits(key.limits))
                for key in provider.keys
            )
            scope = provider.spec.rate_limits.scope
            rules = PoolRules(routing.strategy, provider.spec.rate_limit_cooldown, scope, routing.slow_start)
            pool = self._pools.get(name)
            if pool is None:
                pool = self._pools[name] = KeyPool(keys, rules, self._usage_of(name))
                if self._tell is not None:
                    pool.tell = partial(_pass_on, self._tell, name)
            else:
                pool.adopt(keys, rules)
            self._wait_rules[name] = wait_rules(provider)

    def wait_rules(self, provider: Provider) -> WaitRules:
        return self._wait_rules[provider.name]

    def _usage_of(self, provider: str) -> Callable[[str], Share | None] | None:
        """Where several workers use the same keys: this one's part in it."""
        seat = self._seat
        return None if seat is None else lambda fingerprint: seat.share(provider, fingerprint)

    # ------------------------------------------------------------------ other workers, and other runs

    def hear(self, provider: str, fact: Fact) -> None:
        pool = self._pools.get(provider)
        if pool is not None:
            pool.hear(fact)

    def look(self, now: float) -> None:
        """Takes note of what other workers used of the same keys."""
        if self._seat is not None:
            for pool in self._pools.values():
                pool.look(now)

    def changes(self) -> Mapping[str, int]:
        """A number for each pool that grows with whatever a snapshot would tell."""
        return {name: pool.changes for name, pool in self._pools.items()}

    def snapshot(self, provider: str, now: float, wall: float) -> tuple[KeyRecord, ...]:
        return self._pools[provider].snapshot(now, wall)

    def restore(self, records: Mapping[str, tuple[KeyRecord, ...]], now: float, wall: float) -> None:
        """What an earlier run of the relay knew of its keys."""
        for name, known in records.items():
            if name in self._pools:
                self._pools[name].restore(known, now, wall)


def wait_rules(provider: Provider) -> WaitRules:
    """How this provider says how long to wait, as plain values."""
    spec = provider.spec.rate_limits
    return WaitRules(
        wait=tuple((rule.header, rule.format) for rule in spec.wait),
        body=spec.body,
        remaining=tuple((rule.remaining, rule.reset, rule.format) for rule in spec.remaining),
    )


def _limits(spec: LimitsSpec) -> Limits:
    return limits_of(spec.rps, spec.rpm, spec.tpm, spec.concurrency, spec.quota, spec.windows)


def _pass_on(tell: Tell, provider: str, fact: Fact) -> None:
    tell((provider, fact))
