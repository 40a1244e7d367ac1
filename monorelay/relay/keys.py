"""The keys of one target, as a call meets them: lent, settled by what the attempt said, and the sentence when none is left."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from monorelay.errors import NO_KEYS, RelayError
from monorelay.plan.resolution import Target
from monorelay.relay.outcome import Outcome, Refused, RefusedInStream
from monorelay.relay.resources import Resources
from monorelay.relay.verdict import KeyEffect
from monorelay.upstream.cooldown import cooldown_seconds
from monorelay.upstream.keypool import Key, KeyPool

log = logging.getLogger("monorelay.relay")


def choose_key(target: Target, pool: KeyPool, tried: list[str], preferred: str | None, resources: Resources) -> Key | None:
    """A usable key of this call's own generation, whatever a reload since then has brought or taken away."""
    own = target.provider.keys
    now = resources.clock.monotonic()
    while (key := pool.choose(now, resources.draw, tried, preferred)) is not None:
        tried.append(key.fingerprint)
        if any(key.fingerprint == known.fingerprint for known in own):
            return key
        pool.release(key.fingerprint)
    for known in own:
        if known.enabled and known.fingerprint not in tried and pool.lend(known.fingerprint, now):
            tried.append(known.fingerprint)
            return Key(known.fingerprint, known.label, known.weight, known.enabled)
    return None


def settle_key(effect: KeyEffect, outcome: Outcome, key: Key, target: Target, pool: KeyPool, resources: Resources) -> None:
    """What the attempt said of its key. Every chosen key is settled exactly once."""
    now = resources.clock.monotonic()
    name = target.provider.name
    status, headers = told(outcome)
    match effect:
        case KeyEffect.FINE:
            pool.succeed(key.fingerprint, now)
        case KeyEffect.COOL:
            seconds = cooldown_seconds(headers, resources.clock.now(), target.provider.spec.rate_limit_cooldown)
            pool.cool(key.fingerprint, now + seconds)
            resources.tally.cooled(name, key.label)
            log.info("provider=%s key=%s is cooling for %.1f s after a 429", name, key.label, seconds)
        case KeyEffect.REST:
            until = pool.rest(key.fingerprint, now)
            log.warning(
                "provider=%s key=%s was refused with %s: it rests for %.0f s; replace it or check its account",
                name,
                key.label,
                status,
                until - now,
            )
        case KeyEffect.NONE:
            pool.release(key.fingerprint)


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
    states = pool.states(resources.clock.monotonic())
    soonest = pool.next_free(resources.clock.monotonic())
    if not states:
        why = "none is configured"
    elif soonest is None:
        why = "all are disabled" if len(states) > 1 else "the only one is disabled"
    else:
        kinds = {state.reason for state in states if state.reason != "disabled"}
        doing = "cooling down" if kinds == {"cooling"} else "resting" if kinds == {"resting"} else "cooling down or resting"
        count = sum(state.reason != "disabled" for state in states)
        why = f"all {count} are {doing}" if count > 1 else f"the only one is {doing}"
        why += f"; the next is free in {max(1, round(soonest))} s"
    text = f"[{name}] No available keys for provider '{name}': {why}"
    return RelayError(NO_KEYS, text, retry_after=soonest, curable=soonest is not None)


def upload_spent(target: Target, pool: KeyPool, resources: Resources) -> RelayError:
    """A 429 came when part of a streamed upload had gone up: it is not kept, so it cannot be sent again with another key."""
    text = (
        f"[{target.provider.name}] The upload had begun when its key was rate-limited, and it cannot be sent twice; send it again."
    )
    return RelayError(NO_KEYS, text, retry_after=pool.next_free(resources.clock.monotonic()) or 1.0)
