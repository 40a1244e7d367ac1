"""Why a request would go where: every step with its rule, every target with its keys, and what would be sent. Nothing is sent.

``monorelay explain`` prints it; a client with the relay's own access key gets it as JSON for a request with the header
``x-monorelay-explain: true``. Credentials are never part of it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Protocol

from monorelay.errors import NOT_ADMIN, RelayError
from monorelay.plan.catalogue import Catalogue
from monorelay.plan.resolution import Leg, Target
from monorelay.plan.steps import Step
from monorelay.relay.aim import Aim, take_aim
from monorelay.relay.call import Asked, Body, Call, Reply, read_body
from monorelay.relay.refusal import JSON
from monorelay.relay.resources import Resources
from monorelay.relay.sending import begin_translation, upstream_request
from monorelay.upstream.keypool import KeyState

HEADER = "x-monorelay-explain"
LONGEST_BODY = 64 * 1024  # characters of a body that are shown


class View(Protocol):
    """What is known of keys and targets at this moment; ``now`` is seconds since the epoch."""

    @property
    def now(self) -> float: ...
    def states(self, provider: str, model: str) -> tuple[KeyState, ...]: ...
    def is_open(self, target: Target) -> bool: ...


def explains(call: Call) -> bool:
    """Whether the client wants to be told instead of served."""
    return HEADER in call.fields and call.fields[HEADER].strip().lower() in ("true", "1", "yes")


async def give_explanation(call: Call, body: Body, reply: Reply, resources: Resources) -> int:
    """Answers with the explanation. Raises RelayError: 403 without the access key, 400 for a body that cannot be read."""
    if call.client is not None or (call.route.spec.access == "public" and not call.plan.admission.open):
        raise RelayError(NOT_ADMIN, f"{HEADER} tells about keys and rules: it is answered to the relay's own access key only.")
    if not isinstance(body, bytes):
        body = b""
    asked = read_body(call, body)
    try:
        told = explanation(call, asked, await take_aim(call, asked, resources), _Now(resources))
    except RelayError as error:
        told = refusal(call, asked, resources.catalogue(call.plan), error)
    ids = [("x-request-id", call.id), ("x-monorelay-request-id", call.id)]
    reply.whole(200, [JSON, *ids], json.dumps(told, ensure_ascii=False, indent=1).encode())
    return 200


class _Now:
    """This worker's own view."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources

    @property
    def now(self) -> float:
        return self._resources.clock.now()

    def states(self, provider: str, model: str) -> tuple[KeyState, ...]:
        clock = self._resources.clock
        return self._resources.pool(provider).states(clock.monotonic(), model, wall=clock.now())

    def is_open(self, target: Target) -> bool:
        return self._resources.circuits.is_open(target, self._resources.clock.monotonic())


def explanation(call: Call, asked: Asked, aim: Aim, view: View, *, with_body: bool = True) -> dict[str, Any]:
    """All that can be told of a call before it is made, as plain values. Without a body only what does not depend on it."""
    resolution = aim.resolution
    told: dict[str, Any] = {
        "route": call.route.spec.name,
        "model": asked.model,
        "steps": [step_value(step) for step in resolution.steps],
    }
    if aim.score is not None:
        told["complexity"] = {
            "value": round(aim.score.value, 3),
            "level": aim.score.level,
            "parts": [{"part": name, "value": round(value, 3), "reason": reason} for name, value, reason in aim.score.parts],
        }
    if resolution.cascade:
        told["cascade"] = resolution.cascade
    if aim.pin is not None:
        told["affinity"] = {"provider": aim.pin.provider, "model": aim.pin.model}
    lines = {"legs": resolution.legs, "context_length": resolution.context_length, "content_filter": resolution.content_filter}
    for name, legs in lines.items():
        if legs or name == "legs":
            told[name] = [_leg(leg, call, asked, aim, view, with_body) for leg in legs]
    return told


def refusal(call: Call, asked: Asked, catalogue: Catalogue, error: RelayError) -> dict[str, Any]:
    """What a client would be refused with, and the rules that lead there: that is when somebody asks."""
    return {
        "route": call.route.spec.name,
        "model": asked.model,
        "steps": [step_value(step) for step in catalogue.way(call.route, asked.model)],
        "refusal": {"status": error.status, "type": error.body.type, "message": error.body.message},
    }


def step_value(step: Step) -> dict[str, Any]:
    return {"rule": step.rule, "text": step.text, "origin": str(step.origin) if step.origin is not None else None}


def _leg(leg: Leg, call: Call, asked: Asked, aim: Aim, view: View, with_body: bool) -> dict[str, Any]:
    told: dict[str, Any] = {"model": leg.model}
    if len(leg.targets) > 1:
        told["strategy"] = leg.strategy
    if leg.refusal is not None:
        told["refusal"] = {"type": leg.refusal.body.type, "message": leg.refusal.body.message}
    told["targets"] = [_target(target, call, asked, aim, view, with_body) for target in leg.targets]
    return told


def _target(target: Target, call: Call, asked: Asked, aim: Aim, view: View, with_body: bool) -> dict[str, Any]:
    lane = target.lane
    told: dict[str, Any] = {
        "provider": target.provider.name,
        "model": target.model,
        "capability": lane.translator.upstream,
        "native": lane.translator.native,
        "circuit": "open" if view.is_open(target) else "closed",
        "timeouts": {name: getattr(target.timeouts, name) for name in ("connect", "first_byte", "idle", "total")},
        "needs_key": target.provider.spec.auth is not None,
        "keys": [key_value(state) for state in view.states(target.provider.name, target.model)],
    }
    if lane.local is not None:
        return {**told, "answered_by": "the relay itself"}
    changes = call.plan.payload.changes(call.route.spec, call.route.spec.needs or "", target.asked, asked.json)
    told["body_changes"] = [step_value(step) for step in changes.steps]
    try:
        body: bytes = asked.raw
        if with_body:
            translation, lost = begin_translation(call, asked, target, view.now, _no_id)
            body = translation.request
            told["lost"] = list(lost)
        request = upstream_request(call, target, _first_key(target), body, aim.session)
    except RelayError as error:
        return {**told, "refusal": {"type": error.body.type, "message": error.body.message}}
    scrub = target.provider.scrubber.clean
    told["request"] = {
        "method": request.method,
        "url": scrub(lane.url.shown(request.url).encode()).decode(),
        "headers": [scrub(line.encode()).decode() for line in masked(request.headers, lane.request.secret_names)],
    }
    if with_body and isinstance(request.body, bytes):
        told["request"]["body"] = scrub(request.body).decode("utf-8", "replace")[:LONGEST_BODY]
    return told


def _no_id(prefix: str) -> str:
    """Ids are made for what is sent; what is only shown has none of its own."""
    return f"{prefix}example"


def _first_key(target: Target) -> str:
    """Whose headers are shown: the first one that may be used at all."""
    enabled = [key for key in target.provider.keys if key.enabled] or list(target.provider.keys)
    return enabled[0].fingerprint


def masked(headers: Iterable[str], secret_names: frozenset[str]) -> list[str]:
    """Header lines without the values of those that hold a secret."""
    shown = []
    for line in headers:
        name, colon, _ = line.partition(":")
        shown.append(f"{name}: (hidden)" if colon and name.lower() in secret_names else line)
    return shown


def key_value(state: KeyState) -> dict[str, Any]:
    told: dict[str, Any] = {"label": state.label, "usable": state.usable, "in_flight": state.in_flight}
    if state.reason:
        told["reason"] = state.reason
    if state.seconds:
        told["free_in"] = round(state.seconds, 1)
    return told
