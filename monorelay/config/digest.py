"""A fingerprint of a whole configuration: it changes when anything that is served would change, and never with a comment."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from monorelay.config.fields import Origins, Secret

# Where a value was written, and in which layer, changes nothing that is served.
_LEFT_OUT = {"layer"}


def digest_of(*specs: object) -> str:
    """SHA-256 over the specs, secrets by their fingerprints, places left out."""
    canonical = json.dumps([_plain(spec) for spec in specs], sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, Secret):
        return {"secret": value.fingerprint}
    if is_dataclass(value):
        inside = ((one.name, getattr(value, one.name)) for one in fields(value))
        return {name: _plain(item) for name, item in inside if name not in _LEFT_OUT and not isinstance(item, Origins)}
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, str | int | float | bool):
        return value
    raise TypeError(f"a spec holds a {type(value).__name__}, which has no canonical form")
