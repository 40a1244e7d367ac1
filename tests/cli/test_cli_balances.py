"""What ``monorelay providers`` says of balances."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from plan_specs import config, provider

from monorelay.cli.balances import balance_text, balance_value
from monorelay.clock import SystemClock
from monorelay.config.credits import CreditsSpec
from monorelay.config.fields import Secret
from monorelay.plan.compile import compile_plan
from monorelay.store.balances import Balance, BalanceMemory
from monorelay.store.database import Database

CREDITS = CreditsSpec("left", every=300.0, skip_below=1.0)
NOW = 1_000_000.0
TEXTS = [
    (None, (7.65, 0.0), (1.0, 0.0), ""),
    (CREDITS, None, None, "not known"),
    (CREDITS, (7.65, 10.0), None, "a 7.65"),
    (CREDITS, (7.654, 900.0), (1.0, 0.0), "a 7.65, b 1.00"),
    (CREDITS, (0.99, 901.0), (-1234.5, 7199.0), "a 0.99 (low, 15 min ago), b -1234.50 (low, 1 h ago)"),
    (CREDITS, (5.0, 200_000.0), None, "a 5.00 (2 d ago)"),
    (CreditsSpec("left", every=10.0), (0.0, 45.0), None, "a 0.00 (45 s ago)"),
]


@pytest.mark.parametrize(("credits", "a", "b", "text"), TEXTS)
def test_each_key_has_its_own_amount(
    credits: CreditsSpec | None, a: tuple[float, float] | None, b: tuple[float, float] | None, text: str
) -> None:
    """With a word where it is too low, and its age where the relay no longer goes by it."""
    plan = compile_plan(config(provider("acme", "openai.chat", "credits", credits=credits)), 1)
    acme = plan.providers["acme"]
    known = {
        ("acme", key.fingerprint): Balance(told[0], NOW - told[1])
        for key, told in zip(acme.keys, (a, b), strict=True)
        if told is not None
    }
    assert balance_text(acme, known, NOW) == text


def test_scripts_get_the_amount_and_its_time() -> None:
    """Or null."""
    assert balance_value(Balance(7.65, 1_700_000_000.12345)) == {"amount": 7.65, "at": 1_700_000_000.123}
    assert balance_value(None) is None


@pytest.mark.parametrize(("credits", "a", "b", "text"), TEXTS[1:])
def test_what_a_relay_would_leave_out(
    credits: CreditsSpec, a: tuple[float, float] | None, b: tuple[float, float] | None, text: str
) -> None:
    """Too little, and heard lately: as ``low`` without an age behind it."""
    low = [credits.is_too_low(*told) for told in (a, b) if told is not None]
    assert sum(low) == text.count("(low)")
    assert credits.is_too_low(0.5, 10.0) is (credits is CREDITS)


def test_explain_knows_who_is_out_of_credit(operator: Any, say: Any, tmp_path: Path) -> None:
    """As far as a relay has written it down."""
    bank = "provider: bank\nextends: openai-compatible\nbase_url: http://127.0.0.1:9/v1\nmodels: {include: [m]}\n"
    keys = "keys:\n  - {label: rich, secret: sk-rich}\n  - {label: poor, secret: sk-poor}\n"
    directory = operator(providers__50_bank=bank + keys + "offers: {credits: /credits}\ncredits: {balance: left, skip_below: 1}\n")
    (tmp_path / "state").mkdir()
    database = Database(tmp_path / "state" / "monorelay.db")
    clock = SystemClock()
    for secret, left in (("sk-rich", 2.0), ("sk-poor", 0.5)):
        BalanceMemory(database, clock).keep("bank", Secret(secret).fingerprint, Balance(left, clock.now()))
    database.close()
    assert "      keys: rich usable, poor no credit" in say("explain", "m", "--route", "chat", "--config-dir", directory).out
