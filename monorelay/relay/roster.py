"""The background roster: which models each provider has, asked on a schedule and never on a request's way.

The last good list stays when a provider does not answer, also over a restart (``store/lists.py``). A provider that says exactly
what it serves (``models.include`` without globs) is not asked.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

from monorelay.dialects.model_lists import MOST_ENTRIES, ModelEntry, ModelPage, read_model_list
from monorelay.plan.plan import Lane, Plan, Provider
from monorelay.relay.resources import Resources
from monorelay.relay.sending import own_request
from monorelay.store.lists import ListMemory
from monorelay.upstream.collect import CollectFailed, collect

log = logging.getLogger("monorelay.roster")

EVERY = 3600.0  # seconds between two looks at a list that was read
AGAIN = 300.0  # seconds until the next try after a failure
MOST_PAGES = 20
MOST_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class _Known:
    entries: Sequence[ModelEntry]
    base_url: str
    due: float  # monotonic


class Roster:
    """One per worker. ``is_loud``: this one logs what all of them would.

    Mutable: ``_known`` by provider name (changed when a list was read or loaded), ``_is_loaded`` once, ``_plan`` and ``_task``
    (the one running look) by ``adopt``.
    """

    def __init__(self, resources: Resources, memory: ListMemory, *, is_loud: bool = True) -> None:
        self._resources = resources
        self._memory = memory
        self._level = logging.INFO if is_loud else logging.DEBUG
        self._known: dict[str, _Known] = {}
        self._is_loaded = False
        self._task: asyncio.Task[None] | None = None
        self._plan: Plan | None = None

    def __repr__(self) -> str:
        return f"<Roster of {len(self._known)} lists>"

    def adopt(self, plan: Plan) -> None:
        """Follows the next plan: lists of providers that are gone, or moved, are forgotten; new ones are asked soon."""
        self._plan = plan
        self._known = {
            name: known
            for name, known in self._known.items()
            if name in plan.providers and plan.providers[name].spec.base_url == known.base_url
        }
        self._publish()
        if self._task is not None:
            self._task.cancel()
        self._task = self._resources.loop.create_task(self._run())

    def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def _run(self) -> None:
        try:
            if not self._is_loaded:  # a reload may have come while it was being loaded
                await self._load()
            while True:
                await self._look()
                await asyncio.sleep(self._pause())
        except asyncio.CancelledError:
            raise
        except Exception:
            log.exception("the roster stopped; model lists stay as they are until the next reload")

    async def _load(self) -> None:
        """What an earlier run of the relay had learnt."""
        plan = self._plan
        assert plan is not None
        for (name, base_url), kept in (await self._memory.all()).items():
            provider = plan.providers.get(name)
            if provider is None or provider.spec.base_url != base_url or name in self._known:
                continue
            entries = tuple(ModelEntry(model, created, shown, name) for model, created, shown in kept.entries)
            age = max(0.0, self._resources.clock.now() - kept.fetched_at)
            due = self._resources.clock.monotonic() + max(0.0, EVERY - age)
            self._known[name] = _Known(entries, base_url, due)
        self._is_loaded = True
        self._publish()

    def _pause(self) -> float:
        now = self._resources.clock.monotonic()
        return max(1.0, min((known.due - now for known in self._known.values()), default=AGAIN))

    async def _look(self) -> None:
        """Asks every provider whose list is due, side by side."""
        plan = self._plan
        assert plan is not None
        now = self._resources.clock.monotonic()
        due = []
        for name, provider in plan.providers.items():
            lane = _list_lane(plan, provider)
            if lane is not None and (name not in self._known or self._known[name].due <= now):
                due.append(self._ask(provider, lane))
        await asyncio.gather(*due)

    async def _ask(self, provider: Provider, lane: Lane) -> None:
        name, base_url = provider.name, provider.spec.base_url
        clock = self._resources.clock
        before = self._known.get(name)
        try:
            entries = await self._read(provider, lane)
        except Exception as error:
            if not isinstance(error, CollectFailed | ValueError):
                log.exception("provider=%s a fault in the relay while its model list was read", name)  # the others go on
            log.log(self._level, "provider=%s its model list could not be read (%s); the last good one stays", name, error)
            kept = before.entries if before is not None else ()
            self._known[name] = _Known(kept, base_url, clock.monotonic() + AGAIN)
            return
        self._known[name] = _Known(entries, base_url, clock.monotonic() + EVERY)
        self._memory.keep(name, base_url, tuple((entry.id, entry.created, entry.display_name) for entry in entries))
        if before is None or before.entries != entries:
            self._publish()

    async def _read(self, provider: Provider, lane: Lane) -> tuple[ModelEntry, ...]:
        """All pages. Raises CollectFailed or ValueError."""
        found: list[ModelEntry] = []
        query = ""
        for _ in range(MOST_PAGES):
            page = await self._page(provider, lane, query)
            found += [ModelEntry(entry.id, entry.created, entry.display_name, provider.name) for entry in page.entries]
            if page.next_after is None or len(found) >= MOST_ENTRIES:
                break
            query = f"after_id={quote(page.next_after, safe='')}"
        return tuple(found[:MOST_ENTRIES])

    async def _page(self, provider: Provider, lane: Lane, query: str) -> ModelPage:
        resources = self._resources
        pool = resources.pool(provider.name)
        # Its limits are for the clients. A list that is refused says nothing about the key: many a key may chat, but not list.
        key = pool.name_one(resources.clock.monotonic(), resources.draw, resources.clock.now())
        if key is None:
            raise ValueError("no key is usable")
        whole = await collect(resources.engine, own_request(lane, key.fingerprint, query), MOST_BYTES)
        if whole.status != 200:
            raise ValueError(f"status {whole.status}")
        return read_model_list(whole.body)

    def _publish(self) -> None:
        self._resources.take_lists({name: known.entries for name, known in self._known.items()})


def _list_lane(plan: Plan, provider: Provider) -> Lane | None:
    """The lane to the provider's own model list, if it is on, offers one, and leaves its names open."""
    if not provider.enabled or (provider.included and provider.include is None):
        return None
    return plan.list_lanes.get(provider.name)
