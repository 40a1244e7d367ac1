"""What is known of keys holds over a restart."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from plan_specs import keys
from relay_stage import JSON, Stage, chat, play, provider, until

from monorelay.config.limits import LimitsSpec
from monorelay.relay import keeping
from monorelay.relay.keeping import Keeper
from monorelay.store import key_states
from monorelay.upstream.scripted import reply

OK = reply(200, b'{"id": "chatcmpl-1"}', [JSON])
LIMITED = reply(429, b"{}", [JSON, ("retry-after", "30")])


class Written:
    def __init__(self) -> None:
        self.kept: list[tuple[str, tuple[dict[str, Any], ...]]] = []

    def keep(self, provider: str, records: tuple[dict[str, Any], ...]) -> None:
        self.kept.append((provider, records))


def test_only_what_changed_is_written_and_at_the_end_the_rest(monkeypatch: Any) -> None:
    """Nothing for requests of keys without limits; a cooldown once; what came after the last look when the worker ends."""
    monkeypatch.setattr(keeping, "EVERY", 0.01)

    async def scene() -> None:
        stage = Stage(provider(keys=keys("a", "b", "c")), scripts=[OK, LIMITED, OK, LIMITED, OK])
        memory = Written()
        keeper = Keeper(stage.resources, memory)
        await stage.carry(chat())
        await asyncio.sleep(0.05)
        assert memory.kept == []
        await stage.carry(chat())
        await until(lambda: memory.kept)
        assert [name for name, _ in memory.kept] == ["acme"] and len(memory.kept[0][1]) == 1
        await stage.carry(chat())
        keeper.close()
        assert len(memory.kept) == 2 and len(memory.kept[1][1]) == 2
        await asyncio.sleep(0.05)
        assert len(memory.kept) == 2

    play(scene)


def test_a_later_run_leaves_cooling_keys_alone_and_counts_on(tmp_path: Path) -> None:
    """Through a file on disk: cooldowns by the time of day, and what of a quota is used."""

    async def first() -> None:
        quota = provider(keys=keys("a", "b", "c"), limits=LimitsSpec(quota=9))
        stage = Stage(provider(keys=keys("a", "b")), provider("counted", keys=quota.keys), scripts=[LIMITED, OK], place=tmp_path)
        keeper = Keeper(stage.resources, key_states.KeyMemory(stage.database, stage.clock))
        await stage.carry(chat())
        keeper.close()
        stage.database.close()

    async def second() -> None:
        stage = Stage(provider(keys=keys("a", "b")), scripts=[OK, OK], place=tmp_path)
        kept = key_states.glance(stage.database.path)
        stage.clock.advance(10.0)
        stage.resources.pools.restore(kept, stage.clock.monotonic(), stage.clock.now())
        states = stage.resources.pool("acme").states(stage.clock.monotonic())
        assert [(state.label, state.reason, round(state.seconds)) for state in states] == [("a", "cooling", 20), ("b", "", 0)]

    play(first)
    play(second)


def test_a_memory_that_fails_is_tried_again(monkeypatch: Any, expect_logs: Any) -> None:
    """It is logged, and the next look does it."""
    monkeypatch.setattr(keeping, "EVERY", 0.01)
    expect_logs("could not be kept")

    class Failing(Written):
        def keep(self, provider: str, records: tuple[dict[str, Any], ...]) -> None:
            super().keep(provider, records)
            if len(self.kept) == 1:
                raise OSError("no")

    async def scene() -> None:
        stage = Stage(provider(keys=keys("a", "b")), scripts=[LIMITED, OK])
        memory = Failing()
        keeper = Keeper(stage.resources, memory)
        await stage.carry(chat())
        await until(lambda: len(memory.kept) == 2)
        keeper.close()

    play(scene)
