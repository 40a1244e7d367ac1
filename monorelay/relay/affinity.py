"""Which conversation a call belongs to, and where that conversation was answered last.

Providers keep prompts in caches, per key and machine: a conversation that stays where it is costs a fraction. And what a model has
signed (its thinking) only the provider that signed it takes back. The pin is soft: a target that is not usable is passed over, and
the conversation moves.

A conversation is named by the client (a session header, ``prompt_cache_key``), or recognised by its beginning: the system prompt
and the first user turn, which every later turn repeats.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass

from monorelay.config.affinity import AffinitySpec
from monorelay.dialects.conversation import first_words
from monorelay.plan.resolution import Target
from monorelay.relay.call import Asked, Call

MOST = 20_000  # conversations remembered
CACHE_KEY = "prompt_cache_key"  # the body's own word for the cache that a conversation is in


@dataclass(frozen=True, slots=True)
class Pin:
    """``key`` is a fingerprint; ``until`` is monotonic."""

    provider: str
    model: str
    key: str
    until: float


class Affinity:
    """One per worker.

    Mutable: ``_pins`` by conversation, the one that was answered last at the end.
    """

    __slots__ = ("_pins",)

    def __init__(self) -> None:
        self._pins: OrderedDict[str, Pin] = OrderedDict()

    def __repr__(self) -> str:
        return f"<Affinity of {len(self._pins)} conversations>"

    def pin(self, session: str, now: float) -> Pin | None:
        pin = self._pins.get(session)
        if pin is not None and pin.until <= now:
            del self._pins[session]
            return None
        return pin

    def keep(self, session: str, target: Target, key: str, until: float) -> None:
        self._pins.pop(session, None)
        self._pins[session] = Pin(target.provider.name, target.model, key, until)
        if len(self._pins) > MOST:
            self._pins.popitem(last=False)


def session_of(call: Call, asked: Asked, spec: AffinitySpec) -> str:
    """The conversation's name, as a digest that tells nothing of it; "" where there is none. Different clients share none."""
    own = next((value for name in spec.headers if (value := call.fields.get(name))), None)
    if own is None:
        key = asked.json.get(CACHE_KEY)
        own = key if isinstance(key, str) and key else None
    said = ("name", own) if own is not None else ("", "")
    if own is None and spec.content:
        said = first_words(call.route.spec.needs or "", asked.json)
    if not any(said):
        return ""
    client = call.client.name if call.client is not None else ""
    return hashlib.blake2b("\0".join((client, asked.model, *said)).encode("utf-8", "replace"), digest_size=16).hexdigest()
