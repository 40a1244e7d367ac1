"""One recording upstream per module, relays that end with their module, and a log that may not surprise."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from story_process import Relay
from story_upstream import Recorder


@pytest.fixture(scope="module")
def upstream() -> Iterator[Recorder]:
    recorder = Recorder()
    yield recorder
    recorder.close()


@pytest.fixture(scope="module")
def relays() -> list[Relay]:
    """Every relay of this module."""
    return []


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory, relays: list[Relay]) -> Iterator[Callable[..., Relay]]:
    """Starts a relay in a directory of its own (or in ``directory``); it is stopped at the end of the module."""

    def begin(config: Any, *arguments: Any, directory: Path | None = None, **options: Any) -> Relay:
        relays.append(Relay(directory or tmp_path_factory.mktemp("relay"), config, *arguments, **options))
        return relays[-1]

    yield begin
    for relay in relays:
        relay.tell_to_stop()
    codes = [relay.stop() for relay in relays]
    left = [line for relay in relays for line in relay.surprises()]
    assert codes == [0] * len(relays) and not left, (codes, left)


@pytest.fixture(autouse=True)
def quiet(request: pytest.FixtureRequest) -> Iterator[None]:
    """Before a test the upstream has forgotten the last one; after it, no relay has logged what was not expected."""
    uses = request.fixturenames
    if "upstream" in uses:
        request.getfixturevalue("upstream").reset()
    yield
    if "relays" in uses:
        surprises = [line for relay in request.getfixturevalue("relays") for line in relay.surprises()]
        assert not surprises, "\n".join(surprises)
