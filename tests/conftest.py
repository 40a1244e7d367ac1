"""For every test: a log record at WARNING or above that nobody expected is a failure.

A test that provokes such records says so: it takes pytest's ``caplog`` and looks for itself, or it takes ``expect_logs``:

    def test_it(expect_logs):
        expect_logs("key .* rests for 60 s")      # a regular expression; it must come, and nothing else may
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Iterator

import pytest

try:
    from hypothesis import HealthCheck, settings
except ImportError:  # those tests are skipped
    pass
else:
    # A busy machine draws slowly, which is no fault of a strategy; and continuous integration (.ci/run sets SECOND_CHANCE) draws
    # the same examples each time: what new ones find is found where somebody looks for it.
    settings.register_profile(
        "patient", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=bool(os.environ.get("SECOND_CHANCE"))
    )
    settings.load_profile("patient")


class Collector(logging.Handler):
    """Keeps what is logged at WARNING or above; ``expected`` grows when a test calls expect_logs."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.records: list[logging.LogRecord] = []
        self.expected: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@pytest.fixture(autouse=True)
def logged(request: pytest.FixtureRequest) -> Iterator[Collector]:
    """Collects during the test, judges after it."""
    collector = Collector()
    root = logging.getLogger()
    root.addHandler(collector)
    yield collector
    root.removeHandler(collector)
    if "caplog" in request.fixturenames:
        return
    said = [f"{record.levelname} {record.name}: {record.getMessage()}" for record in collector.records]
    surprises = [line for line in said if not any(re.search(pattern, line) for pattern in collector.expected)]
    missing = [pattern for pattern in collector.expected if not any(re.search(pattern, line) for line in said)]
    problems = [f"unexpected log record: {line}" for line in surprises] + [f"expected but not logged: {p}" for p in missing]
    if problems:
        pytest.fail("\n".join(problems), pytrace=False)


@pytest.fixture
def expect_logs(logged: Collector) -> Callable[[str], None]:
    """Call it with a regular expression that a record of this test must match."""
    return logged.expected.append
