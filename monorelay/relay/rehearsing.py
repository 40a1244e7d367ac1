"""Where an attempt's exchange begins: with the provider's upstream, or with a fault that its file asks to rehearse.

Nothing of it is paid for by a provider without faults but one look at its spec.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from monorelay.config.faults import FaultSpec
from monorelay.plan.plan import Provider
from monorelay.relay.resources import Resources
from monorelay.upstream.interface import Exchange, Receiver, UpstreamRequest
from monorelay.upstream.rehearsal import Fault, choose_fault

log = logging.getLogger("monorelay.rehearsal")


def start_exchange(resources: Resources, provider: Provider, label: str, request: UpstreamRequest, receiver: Receiver) -> Exchange:
    """``label`` is the key's: faults may be meant for some keys only."""
    if not provider.spec.faults:
        return resources.engine.start(request, receiver)
    fault = choose_fault(staged(provider.spec.faults), label, resources.draw())
    if fault is None:
        return resources.engine.start(request, receiver)
    log.info("provider=%s key=%s rehearsal: %s", provider.name, label, fault.kind)
    return resources.rehearsing.start_with(request, receiver, fault)


def staged(specs: Sequence[FaultSpec]) -> tuple[Fault, ...]:
    """What the operator wrote, in the words of the island that plays it."""
    return tuple(
        Fault(spec.kind, spec.share, spec.status, spec.retry_after, spec.seconds, spec.after_events, spec.keys) for spec in specs
    )
