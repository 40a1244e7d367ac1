"""The straight line of one request.

    read the body → find the targets → for each target: for each usable key: attempt → verdict → until one answers

Three promises, each with a test of that name: the body is parsed once; nothing is retried after the commit; an abandoned
exchange is always closed. One request makes at most one attempt per key of a target, and moves on only where ``verdict.py``
says so.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

from monorelay.dialects.interface import Translation
from monorelay.dialects.local import LOCAL
from monorelay.errors import NO_KEYS, PROXY, RelayError
from monorelay.plan.catalogue import Target
from monorelay.relay.aim import Aim, remember, take_aim
from monorelay.relay.attempt import Trail, attempt, begin_translation
from monorelay.relay.call import Body, Call, Reply, read_body
from monorelay.relay.deliver import Answered, Left, Outcome, Refused, RefusedInStream
from monorelay.relay.local import answer_locally
from monorelay.relay.refusal import refuse, relay_refusal, upstream_error
from monorelay.relay.resources import Resources
from monorelay.relay.verdict import KeyEffect, Next, Verdict, judge
from monorelay.upstream.cooldown import cooldown_seconds
from monorelay.upstream.keypool import Key, KeyPool
from monorelay.upstream.upload import Upload

log = logging.getLogger("monorelay.relay")


async def carry(call: Call, body: Body, reply: Reply, resources: Resources) -> None:
    """Answers one call, whatever happens. Never raises, but for cancellation."""
    trail = Trail()
    status = 499  # what the log says of a client that left
    try:
        status = await _carry(call, body, reply, trail, resources)
    except RelayError as error:
        status = error.status
        refuse(call, reply, error, trail)
    except Exception:
        status = PROXY.status
        log.exception("call=%s generation=%d a fault in the relay", call.id, call.plan.generation)
        refuse(call, reply, RelayError(PROXY, f"A fault in the relay; its log has the details under request id {call.id}."), trail)
    finally:
        resources.record(call, trail, status)


async def _carry(call: Call, body: Body, reply: Reply, trail: Trail, resources: Resources) -> int:
    asked = read_body(call, b"" if isinstance(body, Upload) else body)
    local = LOCAL.get(call.route.spec.needs or "")
    try:
        aim = await take_aim(call, asked, resources)
    except RelayError:
        if local is None:
            raise
        return answer_locally(call, asked, local, reply, trail)
    error: RelayError | None = None
    for target in aim.targets:
        if target.lane.local is not None:
            return answer_locally(call, asked, target.lane.local, reply, trail)
        translation = begin_translation(call, asked, target, trail, resources)
        up = body if isinstance(body, Upload) else translation.request
        outcome = await _try_keys(call, target, aim, translation, up, reply, trail, resources)
        match outcome:
            case Answered():
                remember(call, target, trail.key, outcome, resources)
                return outcome.status
            case Left():
                return 499
            case Refused(status=404 | 405 | 501) if local is not None:
                return answer_locally(call, asked, local, reply, trail)
            case Refused() | RefusedInStream():
                return relay_refusal(call, reply, target, translation, outcome, trail)
            case RelayError():
                error = outcome
    assert error is not None, "an aim has at least one target"
    raise error


async def _try_keys(
    call: Call,
    target: Target,
    aim: Aim,
    translation: Translation,
    body: Body,
    reply: Reply,
    trail: Trail,
    resources: Resources,
) -> Answered | Left | Refused | RefusedInStream | RelayError:
    """One target, key by key. A RelayError is returned, not raised: another target may still do better."""
    pool = resources.pool(target.provider.name)
    tried: list[str] = []
    last: RelayError | None = None
    trail.target = target
    while True:
        if isinstance(body, Upload) and body.taken:
            return last or upload_spent(target, pool, resources)
        key = _choose(target, pool, tried, aim.key, resources)
        if key is None:
            return last or no_keys(target, pool, resources)
        outcome: Outcome | None = None
        try:
            outcome = await attempt(call, target, key, translation, body, reply, trail, resources)
        finally:
            if outcome is None:
                pool.release(key.fingerprint)
        status, headers = _refusal_of(outcome)
        if isinstance(outcome, Answered):
            pool.succeed(key.fingerprint, resources.clock.monotonic())
            return outcome
        if isinstance(outcome, Left):
            pool.release(key.fingerprint)
            return outcome
        verdict = judge(status)
        _settle_key(verdict, pool, key, target, headers, status, resources)
        if verdict.next is Next.RELAY:
            assert isinstance(outcome, Refused | RefusedInStream)
            return outcome
        last = upstream_error(target, outcome)
        if verdict.next is Next.TARGET:
            return last
        if verdict.key is KeyEffect.COOL:
            last = None  # with no key left, the answer is no_keys: when to come again is what the client needs


def _choose(target: Target, pool: KeyPool, tried: list[str], preferred: str | None, resources: Resources) -> Key | None:
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


def _refusal_of(outcome: Outcome) -> tuple[int | None, Mapping[str, str]]:
    match outcome:
        case Refused(status=status, headers=headers):
            return status, dict(headers)
        case RefusedInStream(error=error, headers=headers):
            return error.status, dict(headers)
    return None, {}


def _settle_key(
    verdict: Verdict, pool: KeyPool, key: Key, target: Target, headers: Mapping[str, str], status: int | None, resources: Resources
) -> None:
    now = resources.clock.monotonic()
    name = target.provider.name
    match verdict.key:
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
