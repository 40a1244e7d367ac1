"""What the two sides of the fork are given: the master its setup, a worker its assignment."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from monorelay.clock import Clock
from monorelay.daemon.channel import Channel
from monorelay.daemon.control import Control
from monorelay.daemon.listen import Listening
from monorelay.daemon.notify import Notifier
from monorelay.daemon.reading import Read
from monorelay.plan.outcome import ReloadOutcome
from monorelay.upstream.shared_usage import SharedUsage

ACK_LIMIT = 10.0  # seconds in which a worker takes over a configuration, before it is replaced


@dataclass(frozen=True, slots=True)
class Assignment:
    """All that a worker is told when it is born.

    ``facts``: what the other workers told each other and still holds, pickled, in the order in which the master heard it.
    ``usage``: memory in which workers see what the others use of each key, and ``seat`` this one's place in it; None where there is
    one worker.
    """

    channel: Channel
    listening: Listening
    config: bytes = field(repr=False)  # pickled
    generation: int
    outcome: ReloadOutcome
    state_dir: Path
    workers: int
    seat: int = 0
    facts: tuple[bytes, ...] = field(default=(), repr=False)
    usage: SharedUsage | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Setup:
    """What does not change while the master lives.

    ``config_dir``: where the operator's files are, for people. ``overridden``: startup settings that the command line decided.
    ``lifeline``: a descriptor that is read only to notice its end, which is a reason to stop: whatever holds the other end is gone.
    ``usage``: handed to each worker as it is.
    """

    read: Read
    listening: Listening
    state_dir: Path
    workers: int
    notifier: Notifier
    clock: Clock
    work: Callable[[Assignment], int]
    announce: Callable[[str], None]
    control: Control
    config_dir: str | None = None
    overridden: frozenset[str] = frozenset()
    lifeline: int | None = None
    ack_limit: float = ACK_LIMIT
    usage: SharedUsage | None = None
