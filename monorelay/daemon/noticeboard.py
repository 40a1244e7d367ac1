"""What workers told each other and still holds, so that a worker born later hears it too."""

from __future__ import annotations

from monorelay.daemon.channel import Fact

MOST = 1_000


class Noticeboard:
    """At most ``most`` facts, each until it is over; where there are more, those that end soonest go first.

    >>> board = Noticeboard(); board.put(Fact(until=60.0, body=b"..."), now=0.0); board.read(now=1.0)
    (b'...',)
    """

    # Mutable: the facts, in the order in which they came; put() adds one and takes away what is over.

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._facts: list[Fact] = []

    def __len__(self) -> int:
        return len(self._facts)

    def put(self, fact: Fact, now: float) -> None:
        if fact.until <= now:
            return
        self._facts.append(fact)
        if len(self._facts) > self._most:
            self._facts = [known for known in self._facts if known.until > now]
        if len(self._facts) > self._most:
            self._facts.remove(min(self._facts, key=lambda known: known.until))

    def read(self, now: float) -> tuple[bytes, ...]:
        return tuple(fact.body for fact in self._facts if fact.until > now)
