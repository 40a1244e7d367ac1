"""Circuits: a target that keeps failing is passed over for a while, so that its time-outs are not paid at every request.

One circuit per provider, capability and model: what an optional endpoint does says nothing about the others. Failures in a row open
it; when its time is over one call goes through as a probe, and its outcome closes the circuit or opens it again. The last resort of
a call is never passed over: an open circuit is a reason to ask somebody else first, not to ask nobody.

Only the upstream's own faults count: no answer, a broken one, 5xx. What it says of keys and requests proves that it is there.
"""

from __future__ import annotations

import logging
from collections import OrderedDict

from monorelay.config.circuit import CircuitSpec
from monorelay.plan.resolution import Target

log = logging.getLogger("monorelay.relay")

MOST = 4096  # targets that failed lately; models' names come from clients

Place = tuple[str, str, str]  # provider, capability, model


class _Circuit:
    """Mutable: ``failures`` in a row, and until when the target is passed over."""

    __slots__ = ("failures", "until")

    def __init__(self) -> None:
        self.failures = 0
        self.until = 0.0


class Circuits:
    """One per worker.

    Mutable: ``_failing``, the targets whose last attempt failed, the longest failing first. Of all others nothing is kept.
    """

    __slots__ = ("_failing", "_spec")

    def __init__(self, spec: CircuitSpec) -> None:
        self._spec = spec
        self._failing: OrderedDict[Place, _Circuit] = OrderedDict()

    def __repr__(self) -> str:
        return f"<Circuits of {len(self._failing)} failing targets>"

    @property
    def all_closed(self) -> bool:
        """Nobody failed lately: there is nothing to learn from a success."""
        return not self._failing

    def adopt(self, spec: CircuitSpec) -> None:
        self._spec = spec

    def lets(self, target: Target, now: float) -> bool:
        """Whether the target may be asked before others; of a circuit whose time is over this is the one probe."""
        if not self._failing:
            return True
        circuit = self._failing.get(_place(target))
        if circuit is None or not 0 < self._spec.failures <= circuit.failures:
            return True
        if circuit.until > now:
            return False
        circuit.until = now + self._spec.open  # until the probe has told something, it is the only one
        return True

    def is_open(self, target: Target, now: float) -> bool:
        """The same for people, without counting as a probe."""
        circuit = self._failing.get(_place(target))
        return circuit is not None and 0 < self._spec.failures <= circuit.failures and circuit.until > now

    def count_open(self, now: float) -> int:
        """How many targets are passed over now."""
        return sum(0 < self._spec.failures <= one.failures and one.until > now for one in self._failing.values())

    def worked(self, target: Target) -> None:
        if self._failing:
            circuit = self._failing.pop(_place(target), None)
            if circuit is not None and 0 < self._spec.failures <= circuit.failures:
                log.info("provider=%s model=%r is back: its circuit closes", target.provider.name, target.model)

    def failed(self, target: Target, now: float) -> None:
        if not self._spec.failures:
            return
        place = _place(target)
        circuit = self._failing.get(place)
        if circuit is None:
            circuit = self._failing[place] = _Circuit()
            if len(self._failing) > MOST:
                self._failing.popitem(last=False)
        circuit.failures += 1
        if circuit.failures >= self._spec.failures:
            circuit.until = now + self._spec.open
            if circuit.failures == self._spec.failures:
                log.info(
                    "provider=%s model=%r failed %d times in a row: others are asked first for %g s",
                    target.provider.name,
                    target.model,
                    circuit.failures,
                    self._spec.open,
                )


def _place(target: Target) -> Place:
    return target.provider.name, target.lane.translator.upstream, target.model
