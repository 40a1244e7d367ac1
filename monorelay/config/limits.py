"""``limits`` of a provider and of its keys: how much a key may be used. Schema, spec and one-line help of each field."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from monorelay.config.fields import Path
from monorelay.config.reading import Node, Place
from monorelay.config.scalars import number, whole
from monorelay.config.schema import Rules, Schema, field


@dataclass(frozen=True, slots=True)
class LimitsSpec:
    """What one key may do; None = as much as it likes. ``windows``: seconds and requests of those that are set, shortest first."""

    rps: float | None = None
    rpm: int | None = None
    tpm: int | None = None
    concurrency: int | None = None
    quota: int | None = None
    windows: tuple[tuple[float, int], ...] = ()


_WINDOWS = {"5h": 5 * 3600.0, "1d": 24 * 3600.0, "7d": 7 * 24 * 3600.0}
_COUNT = whole(0, 10**15)
_RATE = number(0, 10**9)


def _count(meaning: str) -> Rules:
    return field("integer", meaning, reads=_COUNT, nullable=True, default="none", shown="whole number, 0 or null")


def _rate(meaning: str) -> Rules:
    return field("number", meaning, reads=_RATE, nullable=True, default="none", shown="number, 0 or null")


LIMITS: Schema = {
    "rps": _rate("Requests in a second; `0.5` is one every two seconds."),
    "rpm": _count("Requests in any minute."),
    "tpm": _count("Tokens in any minute, in and out."),
    "concurrency": _count("Requests at the same time."),
    "quota": _count("Requests altogether; then it is used up."),
    "5h": _count("Requests in any five hours."),
    "1d": _count("Requests in any day."),
    "7d": _count("Requests in any week."),
}
# What older systems write beside the key itself: short for the same entry of ``limits``.
_FLAT = {"quota_limit": "quota", "rate_limit_rps": "rps", "rpm": "rpm", "tpm": "tpm", "concurrency": "concurrency"}
_FLAT_WINDOWS = {"window_5h": "5h", "window_1d": "1d", "window_7d": "7d"}
FLAT_LIMITS: Schema = {
    **{old: {**LIMITS[new], "meta": {**LIMITS[new]["meta"], "help": f"Short for `limits.{new}`."}} for old, new in _FLAT.items()},
    "usage_window_limits": field(
        "dict",
        "Short for `limits.5h`, `1d` and `7d`.",
        schema={
            old: {**LIMITS[new], "meta": {**LIMITS[new]["meta"], "help": f"Short for `limits.{new}`."}}
            for old, new in _FLAT_WINDOWS.items()
        },
    ),
}


def unfold_limits(key: dict[str, Any], places: dict[Path, Place], at: Path) -> None:
    """Write the flat names of a key as the entries of ``limits`` they stand for; ``limits`` wins."""
    flat = {old: (key.pop(old), (*at, old), new) for old, new in _FLAT.items() if old in key}
    windows = key.pop("usage_window_limits", {})
    if isinstance(windows, dict):
        flat |= {
            old: (windows[old], (*at, "usage_window_limits", old), new) for old, new in _FLAT_WINDOWS.items() if old in windows
        }
    limits: Any = key.setdefault("limits", {}) if flat else None
    for value, path, new in flat.values() if isinstance(limits, dict) else ():
        if new not in limits:
            limits[new] = value
            if path in places:
                places[(*at, "limits", new)] = places[path]
                places.setdefault((*at, "limits"), places[path])


def read_limits(node: Node, usual: LimitsSpec) -> LimitsSpec:
    """What is not said is as ``usual`` has it; 0 and null are no limit."""
    said = node.value if isinstance(node.value, dict) else {}

    def read(name: str, reads: Any, otherwise: Any) -> Any:
        return (node[name].read(reads, None) or None) if name in said else otherwise

    inherited = dict(usual.windows)
    windows = ((seconds, read(name, _COUNT, inherited.get(seconds))) for name, seconds in _WINDOWS.items())
    return LimitsSpec(
        rps=read("rps", _RATE, usual.rps),
        rpm=read("rpm", _COUNT, usual.rpm),
        tpm=read("tpm", _COUNT, usual.tpm),
        concurrency=read("concurrency", _COUNT, usual.concurrency),
        quota=read("quota", _COUNT, usual.quota),
        windows=tuple((seconds, most) for seconds, most in windows if most is not None),
    )
