"""The keys of one target, as a call meets them: lent, settled by what the attempt said, and the sentence when none is left."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from monorelay.errors import NO_KEYS, RelayError
from monorelay.plan.resolution import Target
from monorelay.relay.outcome import Outcome, Refused, RefusedInStream
from monorelay.relay.resources import Resources
from monorelay.relay.verdict import KeyEffect
from monorelay.upstream.keypool import KeyPool, Loan
from monorelay.upstream.waits import cooldown_seconds

log = logging.getLogger("monorelay.relay")

_DOING = (("cooling", "cooling down"), ("resting", "resting"), ("limited", "at a limit"), ("expired", "expired"))


def choose_key(target: Target, pool: KeyPool, tried: list[str], preferred: str | None, resources: Resources) -> Loan | None:
    """A usable key of this call's own generation, whatever a reload since then has brought or taken away."""
    own = target.provider.keys
    now = resources.clock.monotonic()
    wall = resources.clock.now()
    while (loan := pool.choose(now, resources.draw, tried=tried, prefer=preferred, model=target.model, wall=wall)) is not None:
        tried.append(loan.key.fingerprint)
        if any(loan.key.fingerprint == known.fingerprint for known in own):
            return loan
        pool.release(loan, now, sent=False)
    for known in own:
        if known.enabled and known.fingerprint not in tried:
            lent = pool.lend(known.fingerprint, now, model=target.model)
            if lent is not None:
                tried.append(known.fingerprint)
                return lent
    return None


def settle_key(effect: KeyEffect, outcome: Outcome, loan: Loan, target: Target, pool: KeyPool, resources: Resources) -> None:
    """What the attempt said of its key. Every chosen key is settled exactly once."""
    now = resources.clock.monotonic()
    name, key = target.provider.name, loan.key
    status, headers = told(outcome)
    match effect:
        case KeyEffect.FINE:
            pool.succeed(loan, now)
        case KeyEffect.COOL:
            seconds = cooldown_seconds(headers, b"", resources.clock.now(), target.provider.spec.rate_limit_cooldown)
            pool.cool(loan, now + seconds)
            resources.tally.cooled(name, key.label)
            log.info("provider=%s key=%s is cooling for %.1f s after a 429", name, key.label, seconds)
        case KeyEffect.REST:
            until = pool.rest(loan, now)
            log.warning(
                "provider=%s key=%s was refused with %s: it rests for %.0f s; replace it or check its account",
                name,
                key.label,
                status,
                until - now,
            )
        case KeyEffect.NONE:
            pool.release(loan, now)


def told(outcome: Outcome) -> tuple[int | None, Mapping[str, str]]:
    """The status that an upstream refused with, whichever way, and its header fields; None when no whole answer came."""
    match outcome:
        case Refused(status=status, headers=headers):
            return status, dict(headers)
        case RefusedInStream(error=error, headers=headers):
            return error.status, dict(headers)
    return None, {}


def no_keys(target: Target, pool: KeyPool, resources: Resources) -> RelayError:
    """The sentence that says why no key is usable, and when the next one will be."""
    name = target.provider.name
    now, wall = resources.clock.monotonic(), resources.clock.now()
    states = pool.states(now, target.model, wall=wall)
    soonest = pool.next_free(now, target.model, wall=wall)
    kinds = [state.reason for state in states if state.reason != "disabled"]
    if not states:
        why = "none is configured"
    elif not kinds:
        why = "all are disabled" if len(states) > 1 else "the only one is disabled"
    else:
        doing = " or ".join(words for reason, words in _DOING if reason in kinds) or "cooling down"
        why = f"all {len(kinds)} are {doing}" if len(kinds) > 1 else f"the only one is {doing}"
        if soonest is not None:
            why += f"; the next is free in {max(1, round(soonest))} s"
    text = f"[{name}] No available keys for provider '{name}': {why}"
    return RelayError(NO_KEYS, text, retry_after=soonest, curable=soonest is not None)


def upload_spent(target: Target, pool: KeyPool, resources: Resources) -> RelayError:
    """A 429 came when part of a streamed upload had gone up: it is not kept, so it cannot be sent again with another key."""
    text = (
        f"[{target.provider.name}] The upload had begun when its key was rate-limited, and it cannot be sent twice; send it again."
    )
    return RelayError(NO_KEYS, text, retry_after=pool.next_free(resources.clock.monotonic(), target.model) or 1.0)
