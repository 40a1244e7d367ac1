"""A relay process for tests of the master: the real daemon, with a front that speaks one line at a time instead of HTTP.

    python fake_relay.py SETTINGS.json HOST:PORT WORKERS

SETTINGS.json says what the configuration is: {"digest": …, "drain": …, "problems": […], "open": …, "reading": seconds,
"gate": true, "birth": seconds, and how the front misbehaves}. Who has read one with a gate makes the file "read" beside it, and
goes on when there is a file "gate".
A client sends a line and gets one:  "who" → "generation pid",  "wait SECONDS" → the same, later,  "hold" → the same, when there
is a file "gate",  "outcome" → the last outcome,  "die" → the worker is gone,  "freeze" → its loop stands still, and there is a
file "frozen",  "tell WORD SECONDS" → every other worker hears the word,
"heard" → what this one heard, each word with the milliseconds it took,  "use" → a key is used once; how often
all workers used it since this one's birth.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from monorelay.config.config import Config
from monorelay.config.fields import Origin, Origins, Secret
from monorelay.config.load import Places, load
from monorelay.config.problems import ConfigError, Problem
from monorelay.config.settings import StartupSpec
from monorelay.daemon.assignment import Assignment
from monorelay.daemon.listen import parse_address
from monorelay.daemon.prepare import read
from monorelay.daemon.start import Options, run
from monorelay.daemon.worker import Tell, work
from monorelay.plan.outcome import ReloadOutcome
from monorelay.upstream.shared_usage import Seat

ORIGIN = Origin("config.yml", 1, 1)


def config_from(path: Path) -> Config:
    said = json.loads(path.read_text())
    time.sleep(said.get("reading", 0.0))
    if said.get("gate"):
        path.with_name("read").touch()
        while not path.with_name("gate").exists():
            time.sleep(0.01)
    if said.get("problems"):
        raise ConfigError(tuple(Problem("config.yml", 2, 3, "server", text) for text in said["problems"]))
    nothing = load(Places(vendor=path.parent / "no-files", operator=None, runtime=None), {})
    access_key = None if said.get("open") else Secret("sk-test")
    return replace(
        nothing,
        startup=StartupSpec(**said.get("startup", {})),
        server=replace(nothing.server, origins=Origins(ORIGIN), access_key=access_key, drain=said.get("drain", 5.0)),
        digest=said["digest"],
    )


class LineFront:
    """Counts what is in flight, drains, adopts."""

    def __init__(self, path: Path, config: Config, generation: int, *_: object, tell: Tell | None, seat: Seat | None) -> None:
        if json.loads(path.read_text()).get("stillborn"):
            raise RuntimeError("stillborn")
        time.sleep(json.loads(path.read_text()).get("birth", 0.0))
        self._path = path
        self._generation = generation
        self._servers: list[asyncio.Task[asyncio.Server]] = []
        self._busy = 0
        self._outcome: ReloadOutcome | None = None
        self._tell = tell
        self._share = seat.share("provider", "key") if seat is not None else None
        self._used = 0
        self._heard: list[str] = []

    def adopt(self, config: Config, generation: int) -> tuple[Problem, ...]:
        said = json.loads(self._path.read_text())
        if said.get("adopt") == "refuse":
            return (Problem("config.yml", 0, 0, "", "this worker cannot"),)
        if said.get("adopt") == "stall":
            time.sleep(30)
        self._generation = generation
        return ()

    def note_outcome(self, outcome: ReloadOutcome) -> None:
        self._outcome = outcome

    def hear(self, fact: Any) -> None:
        word, at = fact
        if word == "bad":
            raise ValueError(word)
        self._heard.append(f"{word}:{(time.monotonic() - at) * 1000:.3f}")

    def answer(self, question: Mapping[str, Any]) -> dict[str, Any] | None:
        if question["ask"] == "workers":
            return {"pid": os.getpid(), "generation": self._generation, "in_flight": self._busy}
        if question["id"] == "bad":
            raise ValueError("bad")
        if question["id"] == "long":
            return {"long": "x" * 2_000_000}
        return {"mine": question["id"]} if question["id"] == str(os.getpid()) else None

    def listen_on(self, sock: socket.socket) -> None:
        self._servers.append(asyncio.ensure_future(asyncio.start_server(self._serve, sock=sock)))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            self._busy += 1
            word, _, argument = line.decode().strip().partition(" ")
            if word == "wait":
                await asyncio.sleep(float(argument))
            elif word == "hold":
                while not self._path.with_name("gate").exists():
                    await asyncio.sleep(0.01)
            elif word == "die":
                os._exit(9)
            elif word == "freeze":
                self._path.with_name("frozen").touch()
                time.sleep(30)
            elif word == "tell":
                fact, _, seconds = argument.partition(" ")
                if self._tell is not None:
                    self._tell((fact, time.monotonic()), time.monotonic() + float(seconds))
            answer = f"{self._generation} {os.getpid()}"
            if word == "heard":
                answer = " ".join([str(os.getpid()), *self._heard])
            if word == "use":
                answer = str(self._use())
            if word == "outcome" and self._outcome is not None:
                answer = f"{self._outcome.attempt} {self._outcome.ok} {self._outcome.unchanged} {'; '.join(self._outcome.problems)}"
            writer.write(answer.encode() + b"\n")
            await writer.drain()
            self._busy -= 1
        writer.close()

    def _use(self) -> int:
        assert self._share is not None
        self._share.reserve(time.monotonic(), 0)
        self._used += 1 + sum(requests for requests, *_ in self._share.growth())
        return self._used

    async def drain(self, limit: float) -> int:
        for server in self._servers:
            (await server).close()
        deadline = time.monotonic() + limit
        while self._busy and time.monotonic() < deadline:
            await asyncio.sleep(0.01)
        return self._busy

    def close(self) -> None:
        pass


def serve(path: Path, assignment: Assignment) -> int:
    return work(assignment, partial(LineFront, path))


def main(settings: str, address: str, workers: str) -> int:
    path = Path(settings)
    return run(
        Options(
            read=partial(read, partial(config_from, path)),
            environ=os.environ,
            listen=parse_address(address),
            workers=int(workers),
            work=partial(serve, path),
            ack_limit=float(os.environ.get("ACK_LIMIT", "10")),
        )
    )


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
