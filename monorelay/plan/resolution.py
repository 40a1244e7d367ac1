"""What a model's name was resolved to: targets, in legs, with the steps that led there.

A leg is one model: the targets that may serve it, and the strategy that orders them when there are several. A resolution is a
line of legs; most have one leg with one target. A cascade, or the fallbacks of a model, are further legs.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from monorelay.errors import RelayError
from monorelay.plan.plan import Lane, Provider, Timeouts
from monorelay.plan.steps import Step


@dataclass(frozen=True, slots=True)
class Target:
    """One provider and the model's name as it will be sent there ("" for a request without a model).

    ``asked`` is the name by which it was chosen, before overrides: rules about models look at that one.
    """

    provider: Provider
    lane: Lane
    model: str
    asked: str
    timeouts: Timeouts

    def __repr__(self) -> str:
        return f"<Target {self.provider.name}/{self.model or '-'}>"


@dataclass(frozen=True, slots=True)
class Leg:
    """One model on the way. ``refusal`` stands for targets where the name leads nowhere: a cascade passes over such a leg."""

    model: str
    targets: tuple[Target, ...]
    strategy: str = "priority"
    refusal: RelayError | None = None


@dataclass(frozen=True, slots=True)
class Resolution:
    """``legs`` in order. The two other lines are taken instead, once, when a target says that the request is too long for it, or
    that its content is refused. ``cascade`` is the name under which several legs were written; "" where nobody wrote any.
    """

    legs: tuple[Leg, ...]
    steps: tuple[Step, ...]
    context_length: tuple[Leg, ...] = ()
    content_filter: tuple[Leg, ...] = ()
    cascade: str = ""
    is_plain: bool = field(init=False)  # one target, and nowhere else to go

    def __post_init__(self) -> None:
        only = len(self.legs) == 1 and len(self.legs[0].targets) == 1
        object.__setattr__(self, "is_plain", only and not (self.context_length or self.content_filter))

    @property
    def targets(self) -> tuple[Target, ...]:
        """All of ``legs``, in the order in which they were written."""
        return tuple(target for leg in self.legs for target in leg.targets)
