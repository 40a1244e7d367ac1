"""What the keys of a provider had left when a relay asked last, for people and for scripts. It is read from the state directory."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from monorelay.daemon.statedir import existing_state_dir
from monorelay.plan.plan import Plan, Provider
from monorelay.store.balances import Balance, Balances, glance


def kept_balances(plan: Plan, environ: Mapping[str, str]) -> Balances:
    directory: Path | None = existing_state_dir(plan.config.startup.state_dir, environ)
    return glance(directory / "monorelay.db") if directory is not None else {}


def balance_text(provider: Provider, known: Balances, now: float) -> str:
    """One amount per key, never their sum: keys of one account all tell the same balance. "" where nobody asks.

    >>> balance_text(provider, {("acme", "f1"): Balance(7.65, 100.0)}, now=110.0)
    'main 7.65'
    """
    credits = provider.spec.credits
    if credits is None:
        return ""
    told = []
    for key in provider.keys:
        balance = known.get((provider.name, key.fingerprint))
        if balance is None:
            continue
        notes = []
        if credits.skip_below is not None and balance.amount < credits.skip_below:
            notes.append("low")
        if credits.is_stale(now - balance.at):
            notes.append(f"{_age(now - balance.at)} ago")
        told.append(f"{key.label} {balance.amount:.2f}" + (f" ({', '.join(notes)})" if notes else ""))
    return ", ".join(told) or "not known"


def balance_value(balance: Balance | None) -> dict[str, Any] | None:
    """``at`` in seconds since the epoch."""
    return None if balance is None else {"amount": balance.amount, "at": round(balance.at, 3)}


def _age(seconds: float) -> str:
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size:.0f} {unit}"
    return f"{seconds:.0f} s"
