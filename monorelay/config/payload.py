"""``global_params`` and ``payload_transformation``: what the operator puts into bodies. Schema, spec and one-line help."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class PayloadRule:
    """``models`` and ``routes`` are globs, none = all. ``inject`` adds what is not there, ``override`` sets, ``remove`` drops.

    Values are plain JSON. ``index`` is the rule's place in the list as it was written, counted from 0.
    """

    models: tuple[str, ...] = ()
    routes: tuple[str, ...] = ()
    inject: tuple[tuple[str, Any], ...] = ()
    override: tuple[tuple[str, Any], ...] = ()
    remove: tuple[str, ...] = ()
    index: int = 0
