"""What an attempt's outcome means: for its key, and for the request.

A pure table that can be read aloud:

    429              the key is cooling           → the next key; with none left, no_keys
    401, 402, 403    the key is refused           → it rests for long; the next key; with none left, upstream_error
                     (a 403 that blames the content is the caller's own fault: words.py tells)
    other 4xx        the caller's own fault       → the upstream's answer goes to the client; the key is fine
    ignored ones     what the provider file says nobody is to see → the next key; with none left, upstream_error
    5xx, redirects   the upstream's fault         → upstream_error; says nothing about the key
    no whole answer  the network's or upstream's  → upstream_error; says nothing about the key
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class KeyEffect(Enum):
    NONE = "none"
    FINE = "fine"
    COOL = "cool"
    REST = "rest"


class Next(Enum):
    KEY = "the next key of the same target"
    RELAY = "the upstream's refusal goes to the client"
    TARGET = "upstream_error, unless another target is left"


@dataclass(frozen=True, slots=True)
class Verdict:
    key: KeyEffect
    next: Next


_BY_STATUS = {
    401: Verdict(KeyEffect.REST, Next.KEY),
    402: Verdict(KeyEffect.REST, Next.KEY),
    403: Verdict(KeyEffect.REST, Next.KEY),
    429: Verdict(KeyEffect.COOL, Next.KEY),
}
_CALLERS_FAULT = Verdict(KeyEffect.FINE, Next.RELAY)
_UPSTREAMS_FAULT = Verdict(KeyEffect.NONE, Next.TARGET)
_IGNORED = Verdict(KeyEffect.NONE, Next.KEY)


def judge(status: int | None, ignored: bool = False) -> Verdict:
    """``status`` of an answer that was not a success; None when no whole answer came. ``ignored``: the provider file says so."""
    if status is None:
        return _UPSTREAMS_FAULT
    if ignored:
        return _IGNORED
    verdict = _BY_STATUS.get(status)
    if verdict is not None:
        return verdict
    return _CALLERS_FAULT if 400 <= status < 500 else _UPSTREAMS_FAULT
