"""One attempt: one exchange with one target and one key, and what it said about itself afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from monorelay.dialects.envelopes import as_json
from monorelay.dialects.interface import Hints, Translation, Untranslatable
from monorelay.dialects.tool_text import without_tools
from monorelay.errors import INVALID_REQUEST, RelayError
from monorelay.plan.headers import header_safe
from monorelay.plan.resolution import Target
from monorelay.relay.call import Asked, Body, Call, Reply
from monorelay.relay.deliver import Delivering, Delivery
from monorelay.relay.outcome import Answered, Broke, Headers, Left, Outcome, Refused, RefusedInStream
from monorelay.relay.resources import Resources
from monorelay.upstream.interface import UpstreamRequest
from monorelay.upstream.keypool import Key
from monorelay.upstream.upload import Upload

LISTED, LONGEST_LIST = 100, 2000  # words and characters of a list in a header
LONGEST_NAME = 200  # characters of a model's name in a header: clients refuse longer lines than their own limits


@dataclass(slots=True)
class Trail:
    """Every attempt of one call, for headers and the log.

    Mutable: ``tries`` grows by one at each attempt, ``key`` is the last one's label, the rest is the answering
    one's.
    """

    tries: list[str] = field(default_factory=list)
    target: Target | None = None
    key: Key | None = None
    upstream_status: int | None = None
    usage: object = None
    lost: tuple[str, ...] = ()
    head_at: float = 0.0
    opened_at: float = 0.0

    def add(self, target: Target, key: Key, said: str) -> None:
        self.tries.append(f"{target.provider.name}/{key.label} {said}")

    def headers(self) -> list[tuple[str, str]]:
        """What every answer tells about the way it took."""
        told: list[tuple[str, str]] = []
        if self.target is not None:
            told.append(("x-monorelay-provider", self.target.provider.name))
            if self.target.model:
                told.append(("x-monorelay-model", header_safe(self.target.model[:LONGEST_NAME])))
            told.append(("x-monorelay-attempts", str(len(self.tries))))
            if len(self.tries) > 1:
                told.append(("x-monorelay-trail", _listed(self.tries)))
        if self.lost:
            told.append(("x-monorelay-lossy", _listed(self.lost)))
        if self.upstream_status is not None:
            told.append(("x-monorelay-upstream-status", str(self.upstream_status)))
        return told


def _listed(words: Sequence[str]) -> str:
    """With commas, as far as a header line should go: a provider may have hundreds of keys, a body thousands of fields to lose."""
    told = ""
    for number, word in enumerate(words):
        longer = f"{told}, {header_safe(word)}" if told else header_safe(word)
        if number == LISTED or len(longer) > LONGEST_LIST:
            return f"{told or longer[:LONGEST_LIST]}, and {len(words) - number} more"
        told = longer
    return told


def begin_translation(call: Call, asked: Asked, target: Target, trail: Trail, resources: Resources) -> Translation:
    """The request in the target's dialect, its losses noted. Raises RelayError (400) where it cannot be said there."""
    lane = target.lane
    body, raw = asked.json, asked.raw
    lost: tuple[str, ...] = ()
    if call.plan.toolless is not None and body and call.plan.toolless.fullmatch(target.model):
        body, lost = without_tools(lane.translator.client, body)
        raw = as_json({**body, "model": target.model}) if lost else raw
    if not lost and target.model and target.model != asked.model:
        raw = asked.named(target.model)
    hints = Hints(target.model, int(resources.clock.now()), resources.new_id, lane.quirks_of(target.model), lane.strict)
    try:
        if lost and lane.strict:
            raise Untranslatable(lost[0], f"the model takes no '{lost[0]}', and nothing may be lost on this way (strict)")
        translation = lane.translator.begin(body, raw, hints)
    except Untranslatable as error:
        text = f"[{target.provider.name}] The request cannot be sent to this provider: {error}"
        raise RelayError(INVALID_REQUEST, text, param=error.field) from error
    trail.lost = (*lost, *translation.lost)
    return translation


async def attempt(
    call: Call, target: Target, key: Key, translation: Translation, body: Body, reply: Reply, trail: Trail, resources: Resources
) -> Outcome:
    """Runs one exchange to its end. After ``Answered`` the client has its answer; after ``Left`` it is gone."""
    spec = call.route.spec
    lane = target.lane
    trail.target, trail.key, trail.upstream_status = target, key, None
    delivery = Delivery(
        Delivering(
            reply=reply,
            translation=translation,
            commit=_committer(call, target, key, trail),
            where=f"[{target.provider.name}]",
            checked=spec.body in ("json", "multipart"),
            native=lane.translator.native,
            keepalive=spec.keepalive,
            capability=spec.needs or "",
        ),
        resources.loop,
    )
    reply.on_gone, reply.on_resume = delivery.leave, delivery.resume
    if reply.gone:
        return Left()
    values = {"model": header_safe(target.model), "request_id": call.id, "client": call.client.name if call.client else ""}
    if call.parameters:
        values.update({name: header_safe(value) for name, value in call.parameters.items()})
    headers = lane.request.lines(call.fields, key.fingerprint, values)
    if body or isinstance(body, Upload):
        headers = _with_content_type(headers, call, spec.body)
    request = UpstreamRequest(
        method=call.method,
        url=lane.url.render(call.parameters, call.query, target.model),
        headers=headers,
        body=body if isinstance(body, Upload) or body else None,
        timeouts=lane.timeouts,
    )
    delivery.exchange = resources.engine.start(request, delivery)
    try:
        outcome = await delivery.outcome
    except asyncio.CancelledError:
        delivery.leave()
        raise
    finally:
        reply.on_gone = reply.on_resume = None
    trail.upstream_status = delivery.status or None
    trail.usage = delivery.usage
    trail.head_at, trail.opened_at = delivery.head_at, delivery.opened_at
    if not isinstance(outcome, Answered) and not reply.begun:  # the commit has noted it otherwise
        trail.add(target, key, said(outcome))
    return outcome


def _with_content_type(headers: tuple[str, ...], call: Call, body: str) -> tuple[str, ...]:
    """The body keeps the type that the client gave it: without one, libcurl would call it a web form."""
    if any(line[:13].lower() == "content-type:" for line in headers):
        return headers
    kind = call.fields.get("content-type") or ("application/json" if body == "json" else "application/octet-stream")
    return (*headers, f"content-type: {kind}")


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
            return f"200, then {error.status}"
        case Broke(failure=failure):
            return failure.phase
        case Left():
            return "left"
