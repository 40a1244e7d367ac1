"""The trail of one call: every attempt and every target that was passed over, for the answer's headers and the log."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from monorelay.plan.headers import header_safe
from monorelay.plan.resolution import Target
from monorelay.upstream.keypool import Key

LISTED, LONGEST_LIST = 100, 2000  # words and characters of a list in a header
LONGEST_NAME = 200  # characters of a model's name in a header: clients refuse longer lines than their own limits


@dataclass(slots=True)
class Trail:
    """Mutable: ``tries`` grows by one at each attempt, ``story`` at each attempt and each target passed over; ``key`` is the last
    one's, the rest is the answering one's.
    """

    tries: list[str] = field(default_factory=list)
    story: list[str] = field(default_factory=list)
    target: Target | None = None
    key: Key | None = None
    upstream_status: int | None = None
    upstream_headers: Sequence[tuple[str, str]] = ()
    usage: object = None
    lost: tuple[str, ...] = ()
    head_at: float = 0.0
    opened_at: float = 0.0
    error: str = ""  # the type of the refusal that was our own to word, from the error table
    broken: str = ""  # how an answer ended that was committed and not completed; never the upstream's own words
    is_explained: bool = False  # nothing was asked: the client wanted to be told what would be

    def add(self, target: Target, key: Key, said: str) -> None:
        told = f"{target.provider.name}/{key.label} {said}"
        self.tries.append(told)
        self.story.append(told)

    def pass_over(self, place: str, why: str) -> None:
        """No attempt was made there, or not now: ``place`` is a provider, or a name that leads to nobody.

        Where one was made just before, what it said is the reason.
        """
        if not (self.story and self.story[-1].startswith(f"{place}/")):
            self.story.append(f"{place} {why}")

    def explain(self, why: str) -> None:
        """What the last attempt's refusal was about, where that decided what came next."""
        if self.tries:
            place = len(self.story) - 1 - self.story[::-1].index(self.tries[-1])  # others may have been passed over since
            self.story[place] += f" {why}"

    def headers(self) -> list[tuple[str, str]]:
        """What every answer tells about the way it took."""
        told: list[tuple[str, str]] = []
        if self.target is not None:
            told.append(("x-monorelay-provider", self.target.provider.name))
            if self.target.model:
                told.append(("x-monorelay-model", header_safe(self.target.model[:LONGEST_NAME])))
        if self.target is not None or self.story:
            told.append(("x-monorelay-attempts", str(len(self.tries))))
        if len(self.story) > 1:
            told.append(("x-monorelay-trail", listed(self.story)))
        if self.lost:
            told.append(("x-monorelay-lossy", listed(self.lost)))
        if self.upstream_status is not None:
            told.append(("x-monorelay-upstream-status", str(self.upstream_status)))
        return told


def listed(words: Sequence[str]) -> str:
    """With commas, as far as a header line should go: a provider may have hundreds of keys, a body thousands of fields to lose."""
    told = ""
    for number, word in enumerate(words):
        longer = f"{told}, {header_safe(word)}" if told else header_safe(word)
        if number == LISTED or len(longer) > LONGEST_LIST:
            return f"{told or longer[:LONGEST_LIST]}, and {len(words) - number} more"
        told = longer
    return told
