"""``monorelay providers``: every provider, whether it takes calls and why not, and what it offers."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping
from typing import Any

from monorelay.cli.balances import balance_text, balance_value, kept_balances
from monorelay.cli.command import Parser, add_config_dir, add_json, declare, prepared
from monorelay.cli.matrix import provider_value
from monorelay.cli.table import columns
from monorelay.config.keys import KeySpec
from monorelay.plan.plan import Key, Provider
from monorelay.store.balances import Balances

DESCRIPTION = """
Print every provider in the order in which they are asked: whether it takes calls, its keys by label (in parentheses where one is
switched off or has expired), what they had left when a relay asked last (where the file says how to read that), its base URL,
which model names it takes, and the line that says where its keys come from. A key itself is never printed.

    on            it takes calls
    on, no key    the same, but no key of it can be used: what is sent to it is refused with no_keys
    off           its file says `enabled: false`
    no key        it will be on as soon as it has one

Columns are two or more blanks apart, and none is empty; --json is for scripts.

exit codes: 0 printed, 78 the files would be refused
"""


def add(parser: Parser) -> None:
    declare(parser, DESCRIPTION, run)
    add_config_dir(parser)
    add_json(parser)
    parser.add_argument("--offers", action="store_true", help="print the capabilities too, each with its address")


def run(options: argparse.Namespace, environ: Mapping[str, str]) -> int:
    plan = prepared(options.config_dir, environ).plan
    known = kept_balances(plan, environ)
    now = time.time()
    if options.json:
        print(json.dumps([_value(provider, known, now) for provider in plan.providers.values()], indent=2))
        return 0
    head = ("PROVIDER", "STATE", "PRIORITY", "KEYS", "BALANCE", "BASE URL", "MODELS", "DEFINED IN")
    print(columns([head, *(_row(provider, balance_text(provider, known, now), now) for provider in plan.providers.values())]))
    if options.offers:
        for provider in plan.providers.values():
            offers = provider_value(provider)["offers"]
            print(f"\n{provider.name}\n" + columns([(f"  {word}", url) for word, url in sorted(offers.items())]))
    return 0


def _value(provider: Provider, known: Balances, now: float) -> dict[str, Any]:
    value = {**provider_value(provider), "state": _state(provider, now)}
    for key in value["keys"]:
        key["balance"] = balance_value(known.get((provider.name, key["fingerprint"])))
    return value


def _state(provider: Provider, now: float) -> str:
    """A plan knows no time: keys that have expired are told from the others here."""
    in_use = any(_is_in_use(key, now) for key in provider.keys)
    return "on, no key" if provider.enabled and not in_use else provider.state


def _is_in_use(key: Key | KeySpec, now: float) -> bool:
    return key.enabled and (key.expires_at is None or key.expires_at > now)


def _row(provider: Provider, balance: str, now: float) -> tuple[str, ...]:
    spec = provider.spec
    keys = ", ".join(key.label if _is_in_use(key, now) else f"({key.label})" for key in spec.keys)
    models = " ".join(spec.include) or "any"
    if spec.exclude:
        models += " but " + " ".join(spec.exclude)
    where = spec.origins.of("keys") if provider.dormant else spec.origins.root
    return (
        spec.name,
        _state(provider, now),
        str(spec.priority),
        keys or ("none" if spec.auth is not None else "not needed"),
        balance or "-",
        spec.base_url,
        models if len(models) <= 40 else f"{models[:39]}…",
        str(where),
    )
