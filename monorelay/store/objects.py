"""Which provider and key made an object (a file, a batch, a stored response): memory first, disk behind it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Owner:
    """``key`` is the fingerprint of the key that made the object."""

    provider: str
    key: str
