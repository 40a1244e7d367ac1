"""One call under way: what the line hands from step to step, so that each step takes one thing."""

from __future__ import annotations

from dataclasses import dataclass

from monorelay.relay.aim import Aim
from monorelay.relay.call import Asked, Body, Call, Reply
from monorelay.relay.resources import Resources
from monorelay.relay.trail import Trail


# Frozen by convention, as Aim is: a dataclass that enforces it takes a microsecond more to make, at every request.
@dataclass(slots=True, eq=False)
class Errand:
    """``asked`` is what the body says; ``trail`` grows with each attempt."""

    call: Call
    asked: Asked
    body: Body
    reply: Reply
    aim: Aim
    trail: Trail
    resources: Resources
