"""``faults`` of a provider: failures made on purpose, to rehearse them. Schema, spec and one-line help of each field."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, Literal

from monorelay.config.problems import did_you_mean
from monorelay.config.reading import Node
from monorelay.config.scalars import choice, duration, label, limit, number, whole
from monorelay.config.schema import Schema, field

FaultKind = Literal["rate_limit", "status", "latency", "cut", "stall", "bad_json"]


@dataclass(frozen=True, slots=True)
class FaultSpec:
    """One of them, for a ``share`` of the calls. What its kind does not use keeps its default; no ``keys`` = all of them."""

    kind: FaultKind
    share: float = 1.0
    status: int = 503
    retry_after: float | None = None
    seconds: float = 0.0
    after_events: int = 0
    keys: tuple[str, ...] = ()


_KIND: Callable[[Any], FaultKind] = choice("rate_limit", "status", "latency", "cut", "stall", "bad_json")
_USED: dict[FaultKind, tuple[str, ...]] = {
    "rate_limit": ("retry_after",),
    "status": ("status", "retry_after"),
    "latency": ("seconds",),
    "cut": ("after_events",),
    "stall": ("after_events",),
    "bad_json": ("after_events",),
}
_SHARE = number(0, 1)
_STATUS = whole(400, 599)
_EVENTS = whole(0, 10**6)

FAULT: Schema = {
    "kind": field(
        "string",
        "A 429, another refusal, a wait, an answer that breaks off, that goes silent, or that is no JSON.",
        reads=_KIND,
        default="required",
        shown="rate_limit, status, latency, cut, stall, bad_json",
    ),
    "share": field(
        "number", "The share of requests that meet it; the shares of one list add up.", reads=_SHARE, default="1", shown="0 … 1"
    ),
    "status": field("integer", "Of `status`: which one.", reads=_STATUS, default="503"),
    "retry_after": field(
        ["number", "string"],
        "Of `rate_limit` and `status`: how long it says to wait.",
        reads=duration,
        default="not said",
        shown="duration",
    ),
    "seconds": field(
        ["number", "string"], "Of `latency`: how long it waits.", reads=limit, default="required there", shown="duration"
    ),
    "after_events": field(
        "integer", "Of `cut`, `stall` and `bad_json`: after how many events of a stream.", reads=_EVENTS, default="0"
    ),
    "keys": field(
        "list", "Only with these keys, by label.", shown="list of labels", default="all", texts=field("string", reads=label)
    ),
}


def read_faults(node: Node, labels: Collection[str], allowed: bool) -> tuple[FaultSpec, ...]:
    """``labels`` are those of the provider's keys."""
    if node.value and not allowed:
        node.wrong("are refused unless config.yml says `server: {allow_faults: true}`: they make calls fail on purpose")
    return tuple(spec for entry in node.items() if (spec := _read_fault(entry, labels)) is not None)


def _read_fault(node: Node, labels: Collection[str]) -> FaultSpec | None:
    if node["kind"].value is None:
        node.missing("kind")
    kind = node["kind"].read(_KIND, None)
    if kind is None:
        return None
    for name in ("status", "retry_after", "seconds", "after_events"):
        if node[name].value is not None and name not in _USED[kind]:
            node[name].wrong(f"has no meaning for the kind {kind}")
    if kind == "latency" and node["seconds"].value is None:
        node.missing("seconds")
    keys: list[str] = []
    for entry in node["keys"].items():
        one = entry.read(label, None)
        if one is not None and one not in labels:
            entry.wrong(f"no key is called {one}" + did_you_mean(one, labels))
        elif one is not None:
            keys.append(one)
    return FaultSpec(
        kind=kind,
        share=node["share"].read(_SHARE, 1.0),
        status=node["status"].read(_STATUS, 503),
        retry_after=node["retry_after"].read(duration, None),
        seconds=node["seconds"].read(limit, 0.0),
        after_events=node["after_events"].read(_EVENTS, 0),
        keys=tuple(keys),
    )
