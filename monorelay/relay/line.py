"""The straight line of one request.

    read the body → find the targets → for each target: for each usable key: attempt → verdict → until one answers

Three promises, each with a test of that name: the body is parsed once; nothing is retried after the commit; an abandoned
exchange is always closed. One request makes at most one attempt per key of a target, and moves on only where ``verdict.py``
says so.
"""

from __future__ import annotations

import logging

from monorelay.dialects.interface import Translation
from monorelay.dialects.local import LOCAL
from monorelay.errors import PROXY, RelayError
from monorelay.plan.resolution import Target
from monorelay.relay.aim import Aim, remember, take_aim
from monorelay.relay.attempt import Trail, attempt, begin_translation
from monorelay.relay.call import Body, Call, Reply, read_body
from monorelay.relay.keys import choose_key, no_keys, settle_key, told, upload_spent
from monorelay.relay.local import answer_locally
from monorelay.relay.outcome import Answered, Left, Outcome, Refused, RefusedInStream
from monorelay.relay.refusal import refuse, relay_refusal, upstream_error
from monorelay.relay.resources import Resources
from monorelay.relay.verdict import KeyEffect, Next, judge
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
        loan = choose_key(target, pool, tried, aim.key, resources)
        if loan is None:
            return last or no_keys(target, pool, resources)
        outcome: Outcome | None = None
        try:
            outcome = await attempt(call, target, loan.key, translation, body, reply, trail, resources)
        finally:
            if outcome is None:
                pool.release(loan, resources.clock.monotonic())
        if isinstance(outcome, Answered):
            settle_key(KeyEffect.FINE, outcome, loan, target, pool, resources)
            return outcome
        if isinstance(outcome, Left):
            settle_key(KeyEffect.NONE, outcome, loan, target, pool, resources)
            return outcome
        verdict = judge(told(outcome)[0])
        settle_key(verdict.key, outcome, loan, target, pool, resources)
        if verdict.next is Next.RELAY:
            assert isinstance(outcome, Refused | RefusedInStream)
            return outcome
        last = upstream_error(target, outcome)
        if verdict.next is Next.TARGET:
            return last
        if verdict.key is KeyEffect.COOL:
            last = None  # with no key left, the answer is no_keys: when to come again is what the client needs
