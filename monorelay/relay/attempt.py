"""One attempt: one exchange with one target and one key, and what it said about itself afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

from monorelay.dialects.filtered_streams import is_filtered_stream
from monorelay.dialects.interface import StreamError, Translation
from monorelay.dialects.refusal_kinds import is_filtered
from monorelay.dialects.unrolled_answers import is_unrollable, unrolled
from monorelay.plan.resolution import Target
from monorelay.relay.call import Body, Call
from monorelay.relay.deliver import Delivery
from monorelay.relay.delivering import Delivering
from monorelay.relay.errand import Errand
from monorelay.relay.outcome import Answered, Broke, Headers, Left, Outcome, Refused, RefusedInStream
from monorelay.relay.rehearsing import start_exchange
from monorelay.relay.sending import upstream_request
from monorelay.relay.trail import Trail
from monorelay.upstream.keypool import Key


async def attempt(
    errand: Errand, target: Target, key: Key, translation: Translation, body: Body, *, may_turn: bool = False
) -> Outcome:
    """Runs one exchange to its end. After ``Answered`` the client has its answer; after ``Left`` it is gone.

    ``may_turn``: where the content is filtered somebody else is asked, and an answer that says no more than that is a refusal.
    """
    call, reply, trail, resources = errand.call, errand.reply, errand.trail, errand.resources
    spec = call.route.spec
    trail.target, trail.key, trail.upstream_status = target, key, None
    delivery = Delivery(
        Delivering(
            reply=reply,
            translation=translation,
            commit=_committer(call, target, key, trail),
            where=f"[{target.provider.name}]",
            checked=spec.body in ("json", "multipart"),
            native=target.lane.translator.native,
            keepalive=spec.keepalive,
            stream=errand.asked.stream,
            capability=spec.needs or "",
            upstream=target.lane.translator.upstream,
            unrolls=_unroller(spec.needs or "", errand) if errand.asked.stream else None,
            refuses=partial(is_filtered, target.lane.translator.upstream) if may_turn else None,
            refuses_stream=partial(is_filtered_stream, target.lane.translator.upstream) if may_turn else None,
        ),
        resources.loop,
    )
    reply.on_gone, reply.on_resume = delivery.leave, delivery.resume
    if reply.gone:
        return Left()
    request = upstream_request(call, target, key.fingerprint, body, errand.aim.session)
    resources.recent.note(call.id, target, key, request)
    began = resources.loop.time()
    delivery.exchange = start_exchange(resources, target.provider, key.label, request, delivery)
    try:
        outcome = await delivery.outcome
    except asyncio.CancelledError:
        delivery.leave()
        raise
    finally:
        reply.on_gone = reply.on_resume = None
    trail.upstream_status, trail.upstream_headers = delivery.status or None, delivery.headers
    trail.usage = delivery.usage
    trail.head_at, trail.opened_at = delivery.head_at, delivery.opened_at
    if call.plan.compares_pace and delivery.head_at:
        resources.pace.observe(target, delivery.head_at - began)
    if isinstance(outcome, Answered) and outcome.broken:
        trail.broken = "cut" if outcome.error is None else f"error-{outcome.error.status}"
    if not isinstance(outcome, Answered) and not reply.begun:  # the commit has noted it otherwise
        trail.add(target, key, said(outcome))
    return outcome


def _unroller(capability: str, errand: Errand) -> Callable[[bytes], bytes | StreamError | None] | None:
    return partial(unrolled, capability, errand.asked.json) if is_unrollable(capability) else None


def _committer(call: Call, target: Target, key: Key, trail: Trail) -> Callable[[int, Headers], list[tuple[str, str]]]:
    def headers_at_commit(status: int, headers: Headers) -> list[tuple[str, str]]:
        trail.add(target, key, str(status))
        trail.upstream_status = status
        out = target.lane.response.pairs(headers)
        if not target.lane.translator.native:
            out = _described_anew(out)
        if not any(name == "x-request-id" for name, _ in out):
            out.append(("x-request-id", call.id))
        out.append(("x-monorelay-request-id", call.id))
        out += trail.headers()
        return out

    return headers_at_commit


def _described_anew(headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """A translated body is another body: its own type, no encoding."""
    kind = next((value for name, value in headers if name == "content-type"), "")
    own = "text/event-stream" if kind.lower().startswith("text/event-stream") else "application/json"
    return [("content-type", own), *(pair for pair in headers if not pair[0].startswith("content-"))]


def said(outcome: Outcome) -> str:
    """One word of an outcome, for the trail."""
    match outcome:
        case Answered(status=status) | Refused(status=status):
            return str(status)
        case RefusedInStream(error=error):
            return f"200 then {error.status}"
        case Broke(failure=failure):
            return failure.phase
        case Left():
            return "left"
