"""A stage for one call: a plan made of values, the scripted engine as the upstream, and a reply that writes down what it is told.

stage = Stage(provider(), scripts=[reply(429), reply(200, b"{}")])
answer = await stage.carry({"model": "m"})
assert (answer.status, len(stage.engine.requests)) == (200, 2)
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

from plan_specs import config, provider, route

from monorelay.clock import ManualClock
from monorelay.config.settings import ClientSpec
from monorelay.plan.compile import compile_plan
from monorelay.relay.call import Call
from monorelay.relay.line import carry
from monorelay.relay.resources import Resources
from monorelay.store.database import Database
from monorelay.store.objects import ObjectMemory
from monorelay.upstream.scripted import Script, ScriptedEngine
from monorelay.upstream.upload import Upload

JSON = ("content-type", "application/json")
SSE = ("content-type", "text/event-stream")


class WrittenReply:
    """What the client was sent. ``paused`` and ``gone`` are set by the test, as its client would."""

    def __init__(self) -> None:
        self.on_resume: Callable[[], None] | None = None
        self.on_gone: Callable[[], None] | None = None
        self.status = 0
        self.headers: dict[str, str] = {}
        self.length: int | None = None
        self.chunks: list[bytes] = []
        self.begun = self.ended = self.was_cut = self.gone = self.paused = False

    @property
    def body(self) -> bytes:
        return b"".join(self.chunks)

    @property
    def error(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)["error"]
        return found

    def head(self, status: int, headers: Sequence[tuple[str, str]], length: int | None) -> None:
        assert not self.begun, "two heads"
        names = [name for name, _ in headers]
        assert len(set(names)) == len(names), f"a header twice: {names}"
        self.begun, self.status, self.headers, self.length = True, status, dict(headers), length

    def whole(self, status: int, headers: Sequence[tuple[str, str]], body: bytes) -> None:
        self.head(status, headers, len(body))
        self.chunk(body)
        self.end()

    def chunk(self, data: bytes) -> None:
        assert self.begun and not self.ended and not self.was_cut
        self.chunks.append(data)

    def end(self) -> None:
        assert not self.ended and not self.was_cut
        self.ended = True

    def cut(self) -> None:
        self.was_cut = True

    def leave(self) -> None:
        """The client goes away."""
        self.gone = True
        if self.on_gone is not None:
            self.on_gone()


class Stage:
    """One worker's resources around a scripted engine. Make it inside the running loop."""

    def __init__(
        self, *providers: Any, scripts: Sequence[Script] = (), routes: Any = None, place: Path | None = None, **more: Any
    ) -> None:
        self.engine = ScriptedEngine(*scripts)
        self.clock = ManualClock()
        self.database = Database((place or Path("/nonexistent")) / "monorelay.db")
        self.resources = Resources(
            self.engine, ObjectMemory(self.database, self.clock), self.clock, asyncio.get_running_loop(), lambda: 0.0
        )
        self.plan = compile_plan(config(*(providers or (provider(),)), routes=routes, **more), 1)
        self.resources.adopt(self.plan)
        self.reply = WrittenReply()

    def call(self, number: int = 0, *, client: ClientSpec | None = None, query: str = "", method: str = "", **fields: str) -> Call:
        chosen = self.plan.routes[number]
        parameters = {name: fields.pop(name) for name in list(fields) if "{" + name in chosen.path}
        return Call(
            id="call-1",
            plan=self.plan,
            route=chosen,
            method=method or chosen.methods[0],
            parameters=parameters,
            query=query,
            fields={name.replace("_", "-"): value for name, value in fields.items()},
            client=client,
            family=chosen.family,
            started=self.clock.monotonic(),
        )

    def begin(self, body: Any = b"", number: int = 0, **more: Any) -> asyncio.Task[None]:
        """The call in the background; ``self.reply`` is a new one."""
        self.reply = WrittenReply()
        raw = body if isinstance(body, bytes | Upload) else json.dumps(body).encode()
        return asyncio.ensure_future(carry(self.call(number, **more), raw, self.reply, self.resources))

    async def carry(self, body: Any = b"", number: int = 0, **more: Any) -> WrittenReply:
        await asyncio.wait_for(self.begin(body, number, **more), 5)
        return self.reply


def play(scene: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Runs one scene; afterwards no exchange may be left open."""
    asyncio.run(asyncio.wait_for(scene(), 10))


async def until(condition: Callable[[], Any]) -> None:
    """Waits for it; where it never comes true ``play`` ends the scene."""
    while not condition():
        await asyncio.sleep(0.005)


def chat(**more: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [], **more}


__all__ = ["JSON", "SSE", "Stage", "WrittenReply", "chat", "play", "provider", "route", "until"]
