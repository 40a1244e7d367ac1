"""The keys of one target, as a call meets them: lent, settled by what the attempt said, and the sentence when none is left."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from math import ceil

from monorelay.dialects.interface import Usage
from monorelay.errors import NO_KEYS, RelayError
from monorelay.plan.resolution import Target
from monorelay.relay.errand import Errand
from monorelay.relay.outcome import Answered, Broke, Left, Outcome, Refused, RefusedInStream
from monorelay.relay.resources import Resources
from monorelay.relay.verdict import KeyEffect, judge
from monorelay.relay.words import judged_status
from monorelay.upstream.interface import Phase
from monorelay.upstream.keypool import KeyPool, KeyState, Loan
from monorelay.upstream.waits import cooldown_seconds, spent

log = logging.getLogger("monorelay.relay")

UNSENT: tuple[Phase, ...] = ("connect", "tls")  # where a request ends that no upstream has seen
BYTES_OF_A_TOKEN = 4  # of a request, when its tokens are guessed for a limit
MOST_EXPECTED = 4096  # tokens that an answer is expected to have at most, whatever its request allows


def choose_key(errand: Errand, target: Target, pool: KeyPool, tried: list[str]) -> Loan | None:
    """A usable key of this call's own generation, whatever a reload since then has brought or taken away."""
    resources = errand.resources
    now = resources.clock.monotonic()
    tokens = expected_tokens(errand, target)
    wall = resources.clock.now()
    while (
        loan := pool.choose(now, resources.draw, tried=tried, prefer=errand.aim.key, model=target.model, tokens=tokens, wall=wall)
    ) is not None:
        tried.append(loan.key.fingerprint)
        if loan.key.fingerprint in target.provider.fingerprints:
            return loan
        pool.release(loan, now, sent=False)
    for known in target.provider.keys:
        if known.enabled and known.fingerprint not in tried:
            lent = pool.lend(known.fingerprint, now, model=target.model, tokens=tokens)
            if lent is not None:
                tried.append(known.fingerprint)
                return lent
    return None


def expected_tokens(errand: Errand, target: Target) -> int:
    """What a limit of tokens is charged until the upstream tells the true number; 0 where no key of the target has such a limit."""
    if not target.provider.counts_tokens:
        return 0
    body = errand.asked.json
    limits = (body.get(name) for name in ("max_completion_tokens", "max_output_tokens", "max_tokens"))
    allowed = next((limit for limit in limits if isinstance(limit, int) and limit > 0), 0)
    return len(errand.asked.raw) // BYTES_OF_A_TOKEN + min(allowed, MOST_EXPECTED)


def effect_of(outcome: Answered | Left, target: Target) -> KeyEffect:
    """What is learned of the key where the client has its answer: an error that ends a stream counts, also after the commit."""
    if isinstance(outcome, Left):
        return KeyEffect.NONE
    error = outcome.error
    return KeyEffect.FINE if error is None else judge(judged_status(target, RefusedInStream(error, ()), error.status)).key


def settle_key(effect: KeyEffect, outcome: Outcome, loan: Loan, errand: Errand, target: Target, pool: KeyPool) -> None:
    """What the attempt said of its key, and of the target. Every loan is settled exactly once."""
    resources = errand.resources
    now = resources.clock.monotonic()
    if effect is KeyEffect.FINE and isinstance(outcome, Answered) and _is_plain(outcome, errand, target):
        pool.succeed(loan, now)  # as nearly every call ends
        if resources.holding.count:
            resources.holding.came_back(target.provider.name)
        return
    name, key = target.provider.name, loan.key
    status, headers = told(outcome) if effect is not KeyEffect.FINE else (None, {})
    match effect:
        case KeyEffect.FINE:
            pool.succeed(loan, now, _tokens(outcome, errand.trail.usage) if target.provider.counts_tokens else None)
        case KeyEffect.COOL:
            body = outcome.body if isinstance(outcome, Refused) else b""
            usual = target.provider.spec.rate_limit_cooldown
            headers = headers or dict(errand.trail.upstream_headers)
            seconds = cooldown_seconds(headers, body, resources.clock.now(), usual, resources.wait_rules(target.provider))
            seconds = max(seconds, pool.least_cooldown(loan))
            pool.cool(loan, now + seconds)
            resources.tally.cooled(name, key.label)
            log.info("provider=%s key=%s is cooling for %.1f s after a 429", name, key.label, seconds)
        case KeyEffect.REST:
            until = pool.rest(loan, now)
            resources.on_refused_key(name, key.fingerprint, status)
            log.warning(
                "provider=%s key=%s was refused with %s: it rests for %.0f s; replace it or check its account",
                name,
                key.label,
                status,
                until - now,
            )
        case KeyEffect.NONE:
            pool.release(loan, now, sent=not (isinstance(outcome, Broke) and outcome.failure.phase in UNSENT))
    if resources.holding.count:
        resources.holding.came_back(name)
    if target.provider.telling:
        _steer(errand.trail.upstream_headers, loan, target, pool, resources, now)
    if not (isinstance(outcome, Answered) and resources.circuits.all_closed and not outcome.broken):
        _judge_target(outcome, status, target, resources, now)


def _is_plain(outcome: Answered, errand: Errand, target: Target) -> bool:
    """Whether this success tells nothing but that the key is fine."""
    if outcome.broken or target.provider.counts_tokens or not errand.resources.circuits.all_closed:
        return False
    telling = target.provider.telling
    if telling:
        for name, _ in errand.trail.upstream_headers:  # a loop, for it runs at every answer, and most tell nothing
            if name in telling:
                return False
    return True


def _steer(headers: Sequence[tuple[str, str]], loan: Loan, target: Target, pool: KeyPool, resources: Resources, now: float) -> None:
    """An answer that says that nothing is left of this key's limits puts the others before it until then."""
    seconds = spent(dict(headers), resources.clock.now(), resources.wait_rules(target.provider))
    if seconds is not None:
        pool.steer(loan.key.fingerprint, now + seconds, loan.model)


def _judge_target(outcome: Outcome, status: int | None, target: Target, resources: Resources, now: float) -> None:
    """Its circuit: no whole answer, a broken one, and 5xx are the upstream's own faults."""
    match outcome:
        case Answered(broken=broken, error=error):
            is_faulty = bool(broken) and not (error is not None and 400 <= error.status < 500)
        case Refused() | RefusedInStream():
            is_faulty = status is not None and not 400 <= status < 500
        case Broke():
            is_faulty = True
        case _:
            return
    if is_faulty:
        resources.circuits.failed(target, now)
    else:
        resources.circuits.worked(target)


def _tokens(outcome: Outcome, usage: object) -> int | None:
    """All that the upstream counted; None where it told nothing. What it refused it did not count."""
    if isinstance(outcome, Refused):
        return 0
    if not isinstance(usage, Usage):
        return None
    counted = [count for count in (usage.input, usage.cache_read, usage.cache_write, usage.output) if count is not None]
    return sum(counted) if counted else None


def told(outcome: Outcome) -> tuple[int | None, Mapping[str, str]]:
    """The status that an upstream refused with, whichever way, and its header fields; None when no whole answer came."""
    match outcome:
        case Answered(error=error) if error is not None:
            return error.status, {}
        case Refused(status=status, headers=headers):
            return status, dict(headers)
        case RefusedInStream(error=error, headers=headers):
            return error.status, dict(headers)
    return None, {}


# ---------------------------------------------------------------------------------------------------- none is left

_DOING = {"cooling": "cooling down", "resting": "resting", "limited": "at their limits", "no credit": "out of credit"}


def no_keys(errand: Errand, target: Target, pool: KeyPool) -> RelayError:
    """The sentence that says why no key is usable for this call, and when the next one will be."""
    name = target.provider.name
    now = errand.resources.clock.monotonic()
    tokens = expected_tokens(errand, target)
    states = pool.states(now, target.model, tokens, wall=errand.resources.clock.now())
    soonest = pool.next_free(now, target.model, tokens)
    able = [state for state in states if state.reason not in ("disabled", "expired")]
    able = [state for state in able if state.reason != "no credit"] or able  # those that time will help
    if not states:
        why = "none is configured"
    elif not able:
        doing = " or ".join(sorted({state.reason for state in states}, reverse=True))  # "expired or disabled"
        why = f"all {len(states)} are {doing}" if len(states) > 1 else f"the only one is {doing}"
    else:
        doing = _doing(able)
        why = f"all {len(able)} are {doing}" if len(able) > 1 else f"the only one is {doing.replace('their', 'its')}"
        if soonest is not None:
            why += f"; the next is free in {max(1, ceil(soonest))} s"
    text = f"[{name}] No available keys for provider '{name}': {why}"
    return RelayError(NO_KEYS, text, retry_after=soonest, curable=soonest is not None)


def _doing(states: Sequence[KeyState]) -> str:
    reasons = {state.reason for state in states}
    said = [doing for reason, doing in _DOING.items() if reason in reasons] or list(_DOING.values())[:3]
    *others, last = said
    return f"{', '.join(others)} or {last}" if others else last


def upload_spent(target: Target, pool: KeyPool, resources: Resources) -> RelayError:
    """A 429 came when part of a streamed upload had gone up: it is not kept, so it cannot be sent again with another key."""
    text = (
        f"[{target.provider.name}] The upload had begun when its key was rate-limited, and it cannot be sent twice; send it again."
    )
    return RelayError(NO_KEYS, text, retry_after=pool.next_free(resources.clock.monotonic()) or 1.0)
