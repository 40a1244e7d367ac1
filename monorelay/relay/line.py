"""The straight line of one request.

    read the body → find the targets → for each target: for each usable key: attempt → verdict → until one answers

Three promises, each with a test of that name: the body is parsed once; nothing is retried after the commit; an abandoned
exchange is always closed. Each time that it comes to a target, a request makes at most one attempt per key, and anew after each
retry, of which there are as many as were configured; it moves on only where ``verdict.py`` says so. Which target is next is
``course.py``'s business.
"""

from __future__ import annotations

import logging

from monorelay.dialects.interface import Translation
from monorelay.dialects.local import LOCAL
from monorelay.errors import PROXY, RelayError
from monorelay.plan.resolution import Target
from monorelay.relay.aim import take_aim
from monorelay.relay.attempt import attempt
from monorelay.relay.call import Body, Call, Reply, read_body
from monorelay.relay.course import Course, wait_for_client
from monorelay.relay.errand import Errand
from monorelay.relay.explain import explains, give_explanation
from monorelay.relay.keys import choose_key, effect_of, no_keys, settle_key, told, upload_spent
from monorelay.relay.local import answer_locally
from monorelay.relay.outcome import Answered, Left, Outcome, Refused, RefusedInStream
from monorelay.relay.refusal import refuse, relay_refusal, upstream_error
from monorelay.relay.remembering import remember
from monorelay.relay.resources import Resources
from monorelay.relay.sending import begin_translation
from monorelay.relay.trail import Trail
from monorelay.relay.verdict import KeyEffect, Next, judge
from monorelay.relay.words import is_ignored, judged_status, kind_of
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
        trail.error = error.body.type
        refuse(call, reply, error, trail)
    except Exception:
        status = PROXY.status
        trail.error = PROXY.type
        log.exception("call=%s generation=%d a fault in the relay", call.id, call.plan.generation)
        refuse(call, reply, RelayError(PROXY, f"A fault in the relay; its log has the details under request id {call.id}."), trail)
    finally:
        resources.record(call, trail, status)


async def _carry(call: Call, body: Body, reply: Reply, trail: Trail, resources: Resources) -> int:
    if explains(call):
        trail.is_explained = True
        return await give_explanation(call, body, reply, resources)
    asked = read_body(call, b"" if isinstance(body, Upload) else body)
    local = LOCAL.get(call.route.spec.needs or "")
    try:
        aim = await take_aim(call, asked, resources)
    except RelayError:
        if local is None:
            raise
        return answer_locally(call, asked, local, reply, trail)
    errand = Errand(call, asked, body, reply, aim, trail, resources)
    course = Course(aim.resolution, aim.pin, trail, resources, call.plan.config.routing.hold)
    while (target := course.next()) is not None or await course.holds(errand):
        if target is None:
            continue
        if target.lane.local is not None:
            return answer_locally(call, asked, target.lane.local, reply, trail)
        if local is not None and resources.lacks(target):
            return answer_locally(call, asked, local, reply, trail)
        try:
            translation, trail.lost = begin_translation(call, asked, target, resources.clock.now(), resources.new_id)
        except RelayError as error:
            course.failed(target, error)
            continue
        outcome = await _try_keys(errand, target, translation, may_turn=course.may_turn)
        match outcome:
            case Answered():
                remember(errand, target, outcome)
                return outcome.status
            case Left():
                return 499
            case Refused(status=404 | 405 | 501) if local is not None:
                if kind_of(target, outcome) != "model_not_found":  # else one client's misspelt name would speak for all
                    resources.note_lack(target)
                return answer_locally(call, asked, local, reply, trail)
            case Refused() | RefusedInStream():
                kind = "" if aim.resolution.is_plain else kind_of(target, outcome)
                if kind and course.turns(kind, target, upstream_error(target, outcome)):
                    trail.explain(kind)
                    continue
                return relay_refusal(call, reply, target, translation, outcome, trail)
            case RelayError():
                course.failed(target, outcome)
    if reply.gone:
        return 499
    raise course.failure()


async def _try_keys(
    errand: Errand, target: Target, translation: Translation, *, may_turn: bool
) -> Answered | Left | Refused | RefusedInStream | RelayError:
    """One target, key by key. A RelayError is returned, not raised: another target may still do better."""
    reply, trail, resources = errand.reply, errand.trail, errand.resources
    body = errand.body if isinstance(errand.body, Upload) else translation.request
    pool = resources.pool(target.provider.name)
    tried: list[str] = []
    retries = 0
    last: RelayError | None = None
    if not trail.tries:
        trail.target = target  # else the last one that was asked stays: its key and its status are told beside it
    if target.provider.retry.max_retries:
        resources.budget.asked(resources.clock.monotonic())
    while True:
        if isinstance(body, Upload) and body.taken:
            return last or upload_spent(target, pool, resources)
        loan = choose_key(errand, target, pool, tried)
        if loan is None:
            return last or no_keys(errand, target, pool)
        outcome: Outcome | None = None
        try:
            outcome = await attempt(errand, target, loan.key, translation, body, may_turn=may_turn)
        finally:
            if outcome is None:
                pool.release(loan, resources.clock.monotonic())
        if isinstance(outcome, Answered | Left):
            settle_key(effect_of(outcome, target), outcome, loan, errand, target, pool)
            return outcome
        verdict = judge(judged_status(target, outcome, told(outcome)[0]), is_ignored(target, outcome))
        settle_key(verdict.key, outcome, loan, errand, target, pool)
        last = upstream_error(target, outcome)
        if verdict.next is Next.KEY:
            if verdict.key is KeyEffect.COOL:
                last = None  # with no key left, the answer is no_keys: when to come again is what the client needs
            continue
        pause = resources.pause_before_retry(target, outcome, retries)
        if pause is None or isinstance(body, Upload):
            return outcome if verdict.next is Next.RELAY and isinstance(outcome, Refused | RefusedInStream) else last
        retries += 1
        await wait_for_client(reply, pause)
        if reply.gone:
            return Left()
        tried.clear()
