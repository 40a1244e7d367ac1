"""The background roster: what providers say they have, and what becomes of it when they say nothing, nonsense, or too much."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from plan_specs import config, provider
from relay_stage import JSON, Stage, play

from monorelay.config.fields import Secret
from monorelay.config.keys import KeySpec
from monorelay.config.limits import LimitsSpec
from monorelay.dialects.model_lists import MOST_ENTRIES
from monorelay.plan.compile import compile_plan
from monorelay.relay.roster import Roster
from monorelay.store.lists import ListMemory
from monorelay.upstream.interface import UpstreamRequest
from monorelay.upstream.scripted import Script, failing, reply


def lister(name: str, **more: Any) -> Any:
    return provider(name, "openai.chat", "openai.models", **more)


def page(*names: str, after: str | None = None) -> Script:
    more = {"has_more": True, "last_id": after} if after is not None else {}
    return reply(200, json.dumps({"data": [{"id": name} for name in names], **more}).encode(), [JSON])


def served(stage: Stage) -> set[str]:
    return {entry.id for entry in stage.resources.catalogue(stage.plan).models()}


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.005)


def begin(stage: Stage, **more: Any) -> Roster:
    roster = Roster(stage.resources, ListMemory(stage.database, stage.clock), **more)
    roster.adopt(stage.plan)
    return roster


def test_all_pages_of_all_providers_are_read(tmp_path: Path) -> None:
    def answer(request: UpstreamRequest) -> Script:
        if "two" in request.url:
            return page("other")
        return page("second") if "after_id=first" in request.url else page("first", after="first")

    async def scene() -> None:
        stage = Stage(lister("one"), lister("two"), place=tmp_path, scripts=[answer])  # type: ignore[list-item]
        roster = begin(stage)
        await until(lambda: served(stage) == {"first", "second", "other"})
        roster.close()
        stage.database.close()

    play(scene)


def test_a_list_takes_nothing_of_what_a_key_may_do(tmp_path: Path) -> None:
    """Its limits are for the clients; a key that is at them is not asked for a list either."""

    async def scene() -> None:
        once = (KeySpec("a", Secret("sk-a"), limits=LimitsSpec(quota=1)),)
        lists: list[Any] = [page("first", after="first"), page("second")]
        stage = Stage(lister("one", keys=once), place=tmp_path, scripts=lists)
        roster = begin(stage)
        await until(lambda: served(stage) == {"first", "second"})
        roster.close()
        pool = stage.resources.pool("one")
        assert pool.choose(0.0, lambda: 0.0) is not None
        assert pool.choose(0.0, lambda: 0.0) is None
        stage.database.close()

    play(scene)


def test_a_list_without_an_end_ends(tmp_path: Path) -> None:
    """Another page follows each: no more is kept than a catalogue can be made of."""
    names = [f"m-{number}" for number in range(MOST_ENTRIES // 2 + 1)]

    async def scene() -> None:
        stage = Stage(lister("one"), place=tmp_path, scripts=[lambda request: page(*names, after="x")])  # type: ignore[list-item]
        roster = begin(stage)
        await until(lambda: bool(stage.resources.lists.get("one")))
        assert len(stage.resources.lists["one"]) == MOST_ENTRIES
        assert len(stage.engine.requests) == 2
        roster.close()
        stage.database.close()

    play(scene)


def test_a_fault_with_one_provider_leaves_the_others_their_lists(expect_logs: Any, tmp_path: Path) -> None:
    expect_logs("provider=one a fault in the relay")

    def answer(request: UpstreamRequest) -> Script:
        if "one" in request.url:
            raise KeyError("a bug")
        return failing("connect") if "two" in request.url else page("m")

    async def scene() -> None:
        stage = Stage(lister("one"), lister("two"), lister("three"), place=tmp_path, scripts=[answer])  # type: ignore[list-item]
        roster = begin(stage)
        await until(lambda: served(stage) == {"m"})
        assert not roster._task.done()  # type: ignore[union-attr]
        roster.close()
        stage.database.close()

    play(scene)


def test_what_an_earlier_run_learnt_is_there_again_even_if_a_reload_comes_at_once(tmp_path: Path) -> None:
    """The first look at the disk may be cut short by it."""

    async def scene() -> None:
        stage = Stage(lister("one"), place=tmp_path, scripts=[page("m")])
        roster = begin(stage)
        await until(lambda: served(stage) == {"m"})
        roster.close()
        stage.database.close()
        again = Stage(lister("one"), place=tmp_path)  # nobody answers: an engine without scripts
        roster = begin(again)
        again.plan = compile_plan(config(lister("one", priority=7)), 2)
        again.resources.adopt(again.plan)
        roster.adopt(again.plan)
        await until(lambda: served(again) == {"m"})
        roster.close()
        again.database.close()

    play(scene)
