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
from monorelay.plan.plan import Provider
from monorelay.store.balances import Balances

DESCRIPTION = """
Print every provider in the order in which they are asked: whether it takes calls (on, off, or no key), its keys by label,
what they had left when a relay asked last (where the file says how to read that), its base URL, which model names it takes,
and the line that says where its keys come from. A key itself is never printed.

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
    if options.json:
        print(json.dumps([_value(provider, known) for provider in plan.providers.values()], indent=2))
        return 0
    now = time.time()
    head = ("PROVIDER", "STATE", "PRIORITY", "KEYS", "BALANCE", "BASE URL", "MODELS", "DEFINED IN")
    print(columns([head, *(_row(provider, balance_text(provider, known, now)) for provider in plan.providers.values())]))
    if options.offers:
        for provider in plan.providers.values():
            offers = provider_value(provider)["offers"]
            print(f"\n{provider.name}\n" + columns([(f"  {word}", url) for word, url in sorted(offers.items())]))
    return 0


def _value(provider: Provider, known: Balances) -> dict[str, Any]:
    value = provider_value(provider)
    for key in value["keys"]:
        key["balance"] = balance_value(known.get((provider.name, key["fingerprint"])))
    return value


def _row(provider: Provider, balance: str) -> tuple[str, ...]:
    spec = provider.spec
    keys = ", ".join(key.label if key.enabled else f"({key.label})" for key in spec.keys)
    models = " ".join(spec.include) or "any"
    if spec.exclude:
        models += " but " + " ".join(spec.exclude)
    where = spec.origins.of("keys") if provider.dormant else spec.origins.root
    return (
        spec.name,
        provider.state,
        str(spec.priority),
        keys or ("none" if spec.auth is not None else "not needed"),
        balance,
        spec.base_url,
        models if len(models) <= 40 else f"{models[:39]}…",
        str(where),
    )
