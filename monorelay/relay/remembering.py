"""What is kept of an answered call: who made the objects that it names, and where its conversation was answered."""

from __future__ import annotations

from urllib.parse import unquote

from monorelay.plan.resolution import Target
from monorelay.relay.errand import Errand
from monorelay.relay.outcome import Answered
from monorelay.store.objects import Owner


def remember(errand: Errand, target: Target, answered: Answered) -> None:
    """Keeps who made the objects of this answer, so that later calls about them find their way back; and where its conversation was
    answered.
    """
    call, resources, key = errand.call, errand.resources, errand.trail.key
    if call.method == "DELETE":
        for value in call.parameters.values():
            resources.objects.forget(unquote(value))
    elif key is not None:
        for object_id in answered.made:
            # What a client only looks at may be content that somebody wrote: it never moves an object that is known already.
            if call.method == "POST" or resources.objects.recall(object_id) is None:
                resources.objects.remember(object_id, Owner(target.provider.name, key.fingerprint))
        if errand.aim.session:
            until = resources.clock.monotonic() + call.plan.config.routing.affinity.ttl
            resources.affinity.keep(errand.aim.session, target, key.fingerprint, until)
