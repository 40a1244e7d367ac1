"""Where a call goes: by the objects it refers to, by its model's name, or by the order of the providers.

A remembered id decides the provider before the model does, and prefers the key that made the object; a contradicting
``@provider`` is 400. Without one, ``?provider=`` or ``x-monorelay-provider`` chooses, else the provider of the client's token,
else priority order. ``auto`` looks at the request; a conversation prefers where it was answered last.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote

from monorelay.dialects.conversation import conversation_of
from monorelay.dialects.signatures import holds_signatures
from monorelay.plan.resolution import Resolution
from monorelay.plan.resolving import LevelWanted
from monorelay.relay.affinity import CACHE_KEY, Pin, session_of
from monorelay.relay.call import Asked, Call
from monorelay.relay.complexity import Score, score_of
from monorelay.relay.resources import Resources
from monorelay.store.objects import Owner


@dataclass(slots=True, eq=False)
class Aim:
    """Nothing changes in it. ``key`` is the fingerprint to prefer, or None. ``session`` names the conversation, "" where nobody
    asks for its name; ``pin`` is where it was answered last.
    """

    resolution: Resolution
    key: str | None
    session: str = ""
    pin: Pin | None = None
    score: Score | None = None


async def take_aim(call: Call, asked: Asked, resources: Resources) -> Aim:
    """Raises RelayError where nothing serves the call."""
    catalogue = resources.catalogue(call.plan)
    owner = await _owner(call, asked, resources) if call.parameters or call.route.spec.refers else None
    pinned = owner.provider if owner is not None else None
    if pinned is None and ("provider" in call.query or "x-monorelay-provider" in call.fields):
        named = _named_provider(call)
        pinned = catalogue.provider_named(named) if named else None
    score: Score | None = None
    if asked.model:
        try:
            resolution = catalogue.resolve(call.route, asked.model, pinned)
        except LevelWanted:
            score = look_at(call, asked)
            resolution = catalogue.resolve(call.route, asked.model, pinned, score.level)
    else:
        if pinned is None and call.client is not None and call.client.provider in call.route.lanes:
            pinned = call.client.provider
        resolution = catalogue.without_model(call.route, pinned)
    key = owner.key if owner is not None else None
    session = _session(call, asked, resolution)
    if not session:
        return Aim(resolution, key, score=score)
    pin = resources.affinity.pin(session, resources.clock.monotonic())
    if pin is not None and not _keeps_place(call, asked):
        pin = None
    return Aim(resolution, key or (pin.key if pin is not None else None), session, pin, score)


def look_at(call: Call, asked: Asked) -> Score:
    """How complex the request looks, by the rules of its generation."""
    spec = call.plan.config.routing.complexity
    assert spec is not None, "only a plan with complexity asks for it"
    return score_of(conversation_of(call.route.spec.needs or "", asked.json), spec)


def _session(call: Call, asked: Asked, resolution: Resolution) -> str:
    """The conversation's name, where somebody will use it: the operator, a provider, or several targets to choose from."""
    if not asked.json:
        return ""
    spec = call.plan.config.routing.affinity
    wanted = (
        spec.enabled
        or CACHE_KEY in asked.json
        or not resolution.is_plain
        or resolution.legs[0].targets[0].provider.spec.session_header is not None
    )
    return session_of(call, asked, spec) if wanted else ""


def _keeps_place(call: Call, asked: Asked) -> bool:
    """Whether this call stays where its conversation was: by configuration, because the client names the cache that it is in, or
    because only the signer takes its thinking back.
    """
    return call.plan.config.routing.affinity.enabled or CACHE_KEY in asked.json or holds_signatures(asked.raw)


def _named_provider(call: Call) -> str | None:
    for name, value in parse_qsl(call.query, keep_blank_values=True):
        if name == "provider":
            return value
    return call.fields.get("x-monorelay-provider")


async def _owner(call: Call, asked: Asked, resources: Resources) -> Owner | None:
    """The provider and key that made the first remembered object among those this call names."""
    for object_id in _ids(call, asked):
        owner = resources.objects.recall(object_id)
        if owner is None:
            owner = await resources.objects.look_up(object_id)
        if owner is not None and owner.provider in call.route.lanes:
            return owner
    return None


def _ids(call: Call, asked: Asked) -> Iterator[str]:
    for part in call.parameters.values():
        yield unquote(part)
    for name in call.route.spec.refers:
        value = asked.json.get(name)
        if isinstance(value, str) and value:
            yield value
