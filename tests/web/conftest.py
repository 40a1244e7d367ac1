"""No log record of these tests, of whatever level, may hold a credential: the upstream's keys or the client's token."""

from __future__ import annotations

import gc
import logging
from collections.abc import Iterator

import pytest

SECRETS = ("sk-upstream-key", "sk-relay")


class Searcher(logging.Handler):
    """Mutable: ``found``, the records that hold a secret."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.found: list[str] = []
        self.setFormatter(logging.Formatter("%(name)s %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        said = self.format(record)
        if any(secret in said for secret in SECRETS):
            self.found.append(said)


@pytest.fixture(scope="module", autouse=True)
def quick_collections() -> Iterator[None]:
    """Each test collects garbage, so that exceptions nobody looked at are told; what was there before need not be searched."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(autouse=True)
def no_key_is_logged() -> Iterator[None]:
    searcher = Searcher()
    root = logging.getLogger()
    before = root.level
    root.addHandler(searcher)
    root.setLevel(logging.DEBUG)
    yield
    root.setLevel(before)
    root.removeHandler(searcher)
    assert not searcher.found, searcher.found


@pytest.fixture
def call_lines() -> Iterator[list[str]]:
    """The log's line of each finished call, as they come."""
    lines: list[str] = []

    class Keeper(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())

    keeper = Keeper()
    logging.getLogger("monorelay.calls").addHandler(keeper)
    yield lines
    logging.getLogger("monorelay.calls").removeHandler(keeper)
