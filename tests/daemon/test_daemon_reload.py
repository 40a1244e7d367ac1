"""What comes of a reload, and in which order it is told."""

from __future__ import annotations

import logging
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from monorelay.clock import SystemClock
from monorelay.daemon.reading import Refusal
from monorelay.daemon.reload import Reload


def test_workers_are_told_before_the_line_is_in_the_log(
    monkeypatch: pytest.MonkeyPatch, expect_logs: Callable[[str], None]
) -> None:
    """Whoever reads the line and then asks a worker (/health) hears of this reload, not of the one before."""
    monkeypatch.setattr("monorelay.daemon.logs.set_level", lambda level: None)  # it is the whole process's
    expect_logs("^ERROR monorelay.daemon.reload: bad$")
    expect_logs("reload attempt=1 outcome=refused")
    order: list[str] = []
    setup: Any = SimpleNamespace(clock=SystemClock(), notifier=SimpleNamespace(ready=lambda status: order.append("systemd")))
    facts: Any = SimpleNamespace(log_level="info", summary="0 providers")
    crew: Any = SimpleNamespace(tell=lambda message: order.append(f"{message.kind} {message.body.attempt}"))
    reload = Reload(setup, facts, crew)
    lines = logging.Handler()
    lines.emit = lambda record: order.append(record.getMessage().split(" generation")[0])  # type: ignore[method-assign]
    logger = logging.getLogger("monorelay.daemon.reload")
    logger.addHandler(lines)
    try:
        reload.hear_reading(SimpleNamespace(receive=lambda: Refusal(("bad",))), 0)  # type: ignore[arg-type]
    finally:
        logger.removeHandler(lines)
    assert order == ["outcome 1", "bad", "reload attempt=1 outcome=refused", "systemd"]
