"""What /api/info says of the machine, measured in a thread and remembered: the request only reads the last figures."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from concurrent.futures import Executor
from pathlib import Path

log = logging.getLogger("monorelay.web")

FRESH = 5.0  # seconds that figures are good for


def measure(place: Path) -> dict[str, float | int]:
    """CPU since the last call, memory, and the disk that holds ``place``. Percentages from 0 to 100, sizes in bytes."""
    import psutil  # in the thread: nothing of it is needed before somebody asks

    memory = psutil.virtual_memory()
    disk = psutil.disk_usage(str(place))
    return {
        "cpu_percent": psutil.cpu_percent(interval=None),
        "memory_total": memory.total,
        "memory_used": memory.used,
        "memory_percent": memory.percent,
        "disk_total": disk.total,
        "disk_used": disk.used,
        "disk_percent": disk.percent,
    }


class Machine:
    """Mutable: ``_figures`` and when they were taken; at most one measurement is under way."""

    def __init__(self, place: Path, loop: asyncio.AbstractEventLoop, threads: Executor) -> None:
        self._place = place
        self._loop = loop
        self._threads = threads
        self._figures: Mapping[str, float | int] = dict.fromkeys(
            ("cpu_percent", "memory_total", "memory_used", "memory_percent", "disk_total", "disk_used", "disk_percent"), 0
        )
        self._due = 0.0
        self._busy = False

    def latest(self) -> Mapping[str, float | int]:
        """The last figures; asks for newer ones when these are old."""
        if not self._busy and self._loop.time() >= self._due:
            self._busy = True
            self._loop.run_in_executor(self._threads, measure, self._place).add_done_callback(self._taken)
        return self._figures

    def _taken(self, measured: asyncio.Future[dict[str, float | int]]) -> None:
        self._busy = False
        self._due = self._loop.time() + FRESH
        if measured.cancelled():
            return
        error = measured.exception()
        if error is None:
            self._figures = measured.result()
        else:
            log.warning("the machine's figures cannot be read: %s", error)
            self._due = self._loop.time() + 600
