"""A fingerprint of a whole configuration: it changes when anything that is served would change, and never with a comment."""

from __future__ import annotations

import hashlib
import json
from dataclasses import fields, is_dataclass
from typing import Any

from monorelay.config.fields import Secret

# Where a value was written, in which layer, and how it is tested changes nothing that is served.
_LEFT_OUT = {"layer", "origins", "tests"}


def digest_of(*specs: object) -> str:
    """SHA-256 over the specs, secrets by their fingerprints, places left out."""
    canonical = json.dumps(specs, default=_plain, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, Secret):
        return {"secret": value.fingerprint}
    if is_dataclass(value):
        return {one.name: getattr(value, one.name) for one in fields(value) if one.name not in _LEFT_OUT}
    raise TypeError(f"a spec holds a {type(value).__name__}, which has no canonical form")
