"""``monorelay check --live``: each key is asked of its provider, by the one call that costs nothing: the list of its models.

The call goes out as the relay's own would: same engine, same headers, same limits of time.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from monorelay.cli.table import columns
from monorelay.config.problems import did_you_mean
from monorelay.dialects.model_lists import read_model_list
from monorelay.dialects.refusal_kinds import error_words
from monorelay.plan.plan import Key, Lane, Plan, Provider
from monorelay.relay.sending import own_request
from monorelay.upstream.collect import CollectFailed, Whole, collect
from monorelay.upstream.curl import CurlEngine

AT_ONCE = 8
MOST_BYTES = 16 * 1024 * 1024
LONGEST_WORDS = 200
_LIMITS = re.compile(r"rate-?limit|^retry-after|quota", re.IGNORECASE)
_MEANINGS = {401: "the key is refused", 403: "the key is refused", 402: "nothing is left to pay with", 429: "it has to rest"}


@dataclass(frozen=True, slots=True)
class Heard:
    """What came of one key. ``said`` is what went wrong, in words; ``limits`` what the answer says about them."""

    provider: str
    key: str
    ok: bool
    status: int | None
    milliseconds: int
    models: int | None
    more: bool
    said: str
    limits: dict[str, str]


def ask_all(plan: Plan, names: Sequence[str], as_json: bool) -> int:
    """Asks every key of these providers (all that are on, if none is named) and prints what came of it; the exit code."""
    unknown = [name for name in names if name not in plan.providers]
    if unknown:
        print(f"no provider is called '{unknown[0]}'{did_you_mean(unknown[0], plan.providers)}", file=sys.stderr)
        return 2
    chosen = [provider for provider in plan.providers.values() if (provider.name in names if names else provider.enabled)]
    heard = asyncio.run(_ask(plan, chosen))
    if as_json:
        print(json.dumps([asdict(one) for one in heard], indent=1))
    else:
        _print(plan, chosen, heard)
    return 0 if heard and all(one.ok for one in heard) else 1


async def _ask(plan: Plan, providers: Sequence[Provider]) -> list[Heard]:
    engine = CurlEngine()
    turns = asyncio.Semaphore(AT_ONCE)

    async def in_turn(provider: Provider, key: Key, lane: Lane) -> Heard:
        async with turns:
            return await _ask_key(engine, provider, key, lane)

    try:
        lanes = plan.list_lanes
        asked = [(provider, key, lanes[provider.name]) for provider in providers if provider.name in lanes for key in provider.keys]
        return await asyncio.gather(*(in_turn(provider, key, lane) for provider, key, lane in asked if key.enabled))
    finally:
        engine.shut()


async def _ask_key(engine: CurlEngine, provider: Provider, key: Key, lane: Lane) -> Heard:
    began = time.monotonic()
    try:
        whole = await collect(engine, own_request(lane, key.fingerprint), MOST_BYTES)
    except CollectFailed as error:
        return _heard(provider, key, began, None, said=f"{error.failure.phase}: {error.failure.reason}")
    if whole.status != 200:
        return _heard(provider, key, began, whole, said=_refusal(provider, whole))
    try:
        page = read_model_list(whole.body)
    except ValueError as error:
        return _heard(provider, key, began, whole, said=f"its list of models cannot be read: {error}")
    return _heard(provider, key, began, whole, models=len(page.entries), more=page.next_after is not None)


def _heard(
    provider: Provider,
    key: Key,
    began: float,
    whole: Whole | None,
    *,
    said: str = "",
    models: int | None = None,
    more: bool = False,
) -> Heard:
    return Heard(
        provider=provider.name,
        key=key.label,
        ok=models is not None,
        status=whole.status if whole is not None else None,
        milliseconds=round((time.monotonic() - began) * 1000),
        models=models,
        more=more,
        said=said,
        limits={name: value for name, value in whole.headers if _LIMITS.search(name)} if whole is not None else {},
    )


def _refusal(provider: Provider, whole: Whole) -> str:
    """In our words, then in the provider's own, with its keys taken out."""
    words = error_words(provider.scrubber.clean(whole.body[: 64 * 1024]))
    theirs = " ".join(words[-1].split())[:LONGEST_WORDS] if words else ""
    return ": ".join(filter(None, (_MEANINGS.get(whole.status, ""), theirs))) or "no reason was given"


def _print(plan: Plan, chosen: Sequence[Provider], heard: Sequence[Heard]) -> None:
    rows = [("PROVIDER", "KEY", "STATUS", "MS", "MODELS", "SAID", "LIMITS")]
    for one in heard:
        models = "" if one.models is None else f"{one.models}{'+' if one.more else ''}"
        limits = ", ".join(f"{name} {value}" for name, value in one.limits.items())
        rows.append((one.provider, one.key, str(one.status or "-"), str(one.milliseconds), models, one.said or "ok", limits))
    if heard:
        print(columns(rows))
    for provider in chosen:
        if provider.name not in plan.list_lanes:
            print(f"{provider.name}: has no list of models, so nothing can be asked for free")
        elif not any(key.enabled for key in provider.keys):
            print(f"{provider.name}: has no key that could be asked")
    if not chosen:
        print("no provider is on")
