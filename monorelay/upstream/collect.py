"""A whole answer at once, for callers that have no client waiting (model lists, probes)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from monorelay.upstream.interface import Engine, UpstreamFailure, UpstreamRequest


@dataclass(frozen=True, slots=True)
class Whole:
    """An answer, complete; whatever its status."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


class CollectFailed(Exception):
    """There is no whole answer; ``failure`` says why."""

    def __init__(self, failure: UpstreamFailure) -> None:
        super().__init__(f"{failure.phase}: {failure.reason}")
        self.failure = failure


async def collect(engine: Engine, request: UpstreamRequest, limit: int) -> Whole:
    """Sends ``request`` and waits for the end of its answer. Cancelling this coroutine aborts the exchange.

    Raises CollectFailed when the exchange fails, or its body passes ``limit`` bytes.

    >>> models = await collect(engine, request, 4 * 1024 * 1024)
    """
    collector = _Collector(limit, asyncio.get_running_loop().create_future())
    exchange = engine.start(request, collector)
    try:
        return await collector.whole
    finally:
        exchange.abort()


class _Collector:
    """A receiver. Mutable: what came so far; ``whole`` is decided once."""

    __slots__ = ("whole", "_limit", "_status", "_headers", "_chunks", "_size")

    def __init__(self, limit: int, whole: asyncio.Future[Whole]) -> None:
        self.whole = whole
        self._limit = limit
        self._status = 0
        self._headers: tuple[tuple[str, str], ...] = ()
        self._chunks: list[bytes] = []
        self._size = 0

    def head(self, status: int, headers: Sequence[tuple[str, str]]) -> None:
        self._status, self._headers = status, tuple(headers)

    def chunk(self, data: bytes) -> None:
        self._size += len(data)
        if self._size > self._limit:
            self._chunks.clear()
            self.failed(UpstreamFailure("body", f"The answer is larger than {self._limit} bytes."))
        else:
            self._chunks.append(data)

    def end(self) -> None:
        if not self.whole.done():
            self.whole.set_result(Whole(self._status, self._headers, b"".join(self._chunks)))

    def failed(self, failure: UpstreamFailure) -> None:
        if not self.whole.done():
            self.whole.set_exception(CollectFailed(failure))
