"""Where a call goes: by the objects it refers to, by its model's name, or by the order of the providers.

A remembered id decides the provider before the model does, and prefers the key that made the object; a contradicting
``@provider`` is 400. Without one, ``?provider=`` or ``x-monorelay-provider`` chooses, else the provider of the client's token,
else priority order.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote

from monorelay.plan.resolution import Target
from monorelay.relay.call import Asked, Call
from monorelay.relay.outcome import Answered
from monorelay.relay.resources import Resources
from monorelay.store.objects import Owner
from monorelay.upstream.keypool import Key


@dataclass(frozen=True, slots=True)
class Aim:
    """``key`` is the fingerprint to prefer, or None."""

    targets: tuple[Target, ...]
    key: str | None


async def take_aim(call: Call, asked: Asked, resources: Resources) -> Aim:
    """Raises RelayError where nothing serves the call."""
    catalogue = resources.catalogue(call.plan)
    owner = await _owner(call, asked, resources) if call.parameters or call.route.spec.refers else None
    pinned = owner.provider if owner is not None else None
    if pinned is None and ("provider" in call.query or "x-monorelay-provider" in call.fields):
        named = _named_provider(call)
        pinned = catalogue.provider_named(named) if named else None
    if asked.model:
        resolution = catalogue.resolve(call.route, asked.model, pinned)
    else:
        if pinned is None and call.client is not None and call.client.provider in call.route.lanes:
            pinned = call.client.provider
        resolution = catalogue.without_model(call.route, pinned)
    return Aim(resolution.targets, owner.key if owner is not None else None)


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


def remember(call: Call, target: Target, key: Key | None, answered: Answered, resources: Resources) -> None:
    """Keeps who made the objects of this answer, so that later calls about them find their way back."""
    if call.method == "DELETE":
        for value in call.parameters.values():
            resources.objects.forget(unquote(value))
    elif key is not None:
        for object_id in answered.made:
            # What a client only looks at may be content that somebody wrote: it never moves an object that is known already.
            if call.method == "POST" or resources.objects.recall(object_id) is None:
                resources.objects.remember(object_id, Owner(target.provider.name, key.fingerprint))
