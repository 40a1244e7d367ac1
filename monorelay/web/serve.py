"""The front of one worker: engine, store, plan, switchboard and Tornado's server, put together and taken apart again."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from tornado.httpserver import HTTPServer
from tornado.iostream import StreamClosedError

from monorelay.clock import SystemClock
from monorelay.config.config import Config
from monorelay.config.problems import ConfigError, Problem
from monorelay.plan.compile import compile_plan
from monorelay.plan.outcome import ReloadOutcome
from monorelay.plan.plan import Plan
from monorelay.relay.credits import Balances, Looked, RefusedKey
from monorelay.relay.keeping import Keeper
from monorelay.relay.pools import Pools
from monorelay.relay.resources import Resources
from monorelay.relay.roster import Roster
from monorelay.store import key_states
from monorelay.store.balances import BalanceMemory
from monorelay.store.database import Database
from monorelay.store.lists import ListMemory
from monorelay.store.objects import ObjectMemory
from monorelay.upstream.curl import CurlEngine
from monorelay.upstream.key_facts import Fact
from monorelay.upstream.shared_usage import Seat
from monorelay.web.accepting import Acceptor
from monorelay.web.answers import Answers
from monorelay.web.base_url import BaseUrl
from monorelay.web.machine import Machine
from monorelay.web.streams import stream_of
from monorelay.web.switchboard import Switchboard

log = logging.getLogger("monorelay.web")

# Tornado closes a connection without a word when a head or body is larger than it was told. The delegate answers 431 and 413
# itself, so Tornado's own limits lie far beyond the relay's.
_HEAD_READ = 1024 * 1024
_BODY_READ = 1 << 60
QUIET = 0.3  # seconds without a request before a drain believes that none is coming


class Tell(Protocol):
    """Tells every other worker's front a fact (anything that can be pickled), and those that are born before ``until``."""

    def __call__(self, fact: object, until: float = 0.0) -> None: ...


class _Server(HTTPServer):
    """HTTPServer with ways of its own to accept a connection and to search it for heads.

    It sets TCP_NODELAY at accept: asyncio only does so for sockets it made itself.
    """

    def initialize(self, *args: Any, **options: Any) -> None:
        super().initialize(*args, **options)
        self.conn_params.header_timeout = None  # the switchboard looks after idle connections

    def add_sockets(self, sockets: Iterable[socket.socket]) -> None:
        board: Any = self.request_callback
        for sock in sockets:
            self._sockets[sock.fileno()] = sock
            self._handlers[sock.fileno()] = Acceptor(sock, self._welcome, board.make_room).stop

    def _welcome(self, connection: socket.socket, address: Any) -> None:
        board: Any = self.request_callback
        sizes = {"max_buffer_size": self.max_buffer_size, "read_chunk_size": self.read_chunk_size}
        try:
            stream = stream_of(connection, board.plan.tls, **sizes)
        except StreamClosedError:
            return
        stream.set_nodelay(True)
        self.handle_stream(stream, address)

    def on_close(self, server_conn: Any) -> None:
        super().on_close(server_conn)
        board: Any = self.request_callback
        board.on_close(server_conn)  # Tornado does not pass it on


class Front:
    """Everything that serves requests in one worker. Must be made inside the running event loop.

    ``tell`` and ``seat`` are for one of several workers: how it tells the others something, and its place in the memory that they
    share.

    Mutable: the switchboard's plan, by ``adopt``; ``_draining`` once.
    """

    def __init__(
        self,
        config: Config,
        generation: int,
        state_dir: Path,
        listen: tuple[str, int],
        workers: int,
        *,
        tell: Tell | None = None,
        seat: Seat | None = None,
    ) -> None:
        loop = self._loop = asyncio.get_running_loop()
        clock = SystemClock()
        is_first = seat is None or seat.is_first  # of several workers one does, or says, what all of them would
        self._threads = ThreadPoolExecutor(2, "monorelay-look")
        self._database = Database(state_dir / "monorelay.db")
        self._engine = CurlEngine()
        pools = Pools(partial(_tell_of_key, tell) if tell is not None else None, seat)
        resources = self._resources = Resources(self._engine, ObjectMemory(self._database, clock), clock, loop, pools=pools)
        self._base_url = BaseUrl(*listen, is_loud=is_first)
        machine = Machine(state_dir, loop, self._threads)
        self._answers = Answers(resources, self._database, self._base_url, machine, listen)
        self._roster = Roster(resources, ListMemory(self._database, clock), is_loud=is_first)
        self._balances = Balances(resources, BalanceMemory(self._database, clock), tell=tell, asks=is_first)
        plan = compile_plan(config, generation)
        self._switchboard = Switchboard(plan, resources, self._answers)
        self._server: Any = _Server(
            self._switchboard,
            max_header_size=_HEAD_READ,
            max_body_size=_BODY_READ,
        )
        self._background: set[asyncio.Task[None]] = set()
        self._take(plan)
        # Before the first request, so that nobody is sent on a key that an earlier run was told to leave alone.
        pools.restore(key_states.glance(self._database.path), clock.monotonic(), clock.now())
        self._keeper = Keeper(resources, key_states.KeyMemory(self._database, clock) if is_first else None)
        machine.latest()
        self._in_background(self._base_url.find_local(self._threads))

    def __repr__(self) -> str:
        return f"<Front {self._switchboard!r}>"

    # ------------------------------------------------------------------ reload

    def adopt(self, config: Config, generation: int) -> tuple[Problem, ...]:
        """Serves ``config`` from the next request on; () = done, else the problems, and nothing has changed."""
        try:
            plan = compile_plan(config, generation)
        except ConfigError as error:
            return error.problems
        self._take(plan)
        self._switchboard.plan = plan
        return ()

    def _take(self, plan: Plan) -> None:
        self._resources.adopt(plan)
        self._roster.adopt(plan)
        self._balances.adopt(plan)
        server = plan.config.server
        if server.detect_public_ip and not server.public_host and not plan.admission.open:
            self._in_background(self._base_url.find_public(self._engine))

    def note_outcome(self, outcome: ReloadOutcome) -> None:
        self._answers.last_reload = outcome
        if outcome.attempt:
            said = "unchanged" if outcome.unchanged else "taken" if outcome.ok else "refused"
            self._resources.tally.reloaded(said)

    # ------------------------------------------------------------------ other workers, and the control socket

    def hear(self, fact: object) -> None:
        """What another worker's front told."""
        if isinstance(fact, Looked | RefusedKey):
            self._balances.hear(fact)
        else:
            self._resources.hear(fact)

    def answer(self, question: Mapping[str, Any]) -> dict[str, Any] | None:
        """To a question that `monorelay` commands ask every worker; None where this one has nothing to say to it."""
        if question["ask"] == "workers":
            return {"pid": os.getpid(), "generation": self._switchboard.plan.generation, "in_flight": self._switchboard.busy}
        if question["ask"] == "curl":
            attempts = self._resources.recent.curl(str(question.get("id", "")))
            return {"attempts": attempts} if attempts else None
        return None

    # ------------------------------------------------------------------ serving

    def listen_on(self, sock: socket.socket) -> None:
        self._server.add_socket(sock)

    def in_flight(self) -> int:
        return self._switchboard.busy

    async def drain(self, limit: float) -> int:
        """Accepts nobody new and waits for what is in flight; what is left at the limit (seconds) is cut. How many were cut."""
        self._server.stop()
        self._server.conn_params.no_keep_alive = True
        end = self._loop.time() + limit
        quiet_since = self._loop.time()
        # A connection accepted just before the stop may not have sent its request yet: without the quiet time it would be cut.
        while self._loop.time() < end and self._loop.time() - quiet_since < QUIET:
            await asyncio.sleep(min(0.02, limit))
            if self._switchboard.busy:
                quiet_since = self._loop.time()
        cut = list(self._switchboard.calls.items())
        for task, call_id in cut:
            log.warning("call=%s is cut: the relay stops", call_id)
            task.cancel()
        if cut:
            await asyncio.wait([task for task, _ in cut], timeout=1.0)
        await self._server.close_all_connections()
        return len(cut)

    def close(self) -> None:
        """Ends everything that was begun; the front cannot be used afterwards."""
        self._server.stop()
        self._switchboard.close()
        self._roster.close()
        self._balances.close()
        self._keeper.close()
        for task in self._background:
            task.cancel()
        self._resources.rehearsing.shut()  # and the engine behind it
        self._database.close()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _in_background(self, work: Any) -> None:
        task = self._loop.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)


def _tell_of_key(tell: Tell, fact: tuple[str, Fact]) -> None:
    """As long as it holds. When a key is well again the fact tells when that was: nobody born later has to hear it."""
    tell(fact, fact[1].until)
