"""Puts a master and its workers together and runs them: what `monorelay run` calls.

Exit codes: 0 after a stop that was asked for, 78 (EX_CONFIG) when the configuration is at fault, 1 when the machine is.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from monorelay import __version__
from monorelay.clock import SystemClock
from monorelay.daemon import logs, signals
from monorelay.daemon.assignment import ACK_LIMIT, Assignment, Setup
from monorelay.daemon.control import control_path, open_control
from monorelay.daemon.descriptors import raise_limit
from monorelay.daemon.listen import ListenError, bind, handed_over
from monorelay.daemon.master import Master
from monorelay.daemon.notify import Notifier
from monorelay.daemon.reading import Facts, Read, Refusal, read_now
from monorelay.daemon.statedir import StateDir, StateDirError, choose_state_dir
from monorelay.upstream.shared_usage import SharedUsage

BAD_CONFIGURATION = 78
BAD_MACHINE = 1

logger = logging.getLogger(__name__)


def serve(assignment: Assignment) -> int:
    """In the worker, after the fork: only there are Tornado and curl loaded."""
    from monorelay.daemon.worker import work

    return work(assignment)


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line and the environment say. ``listen`` and ``workers`` win over the configuration. ``config_dir`` is told
    to those who ask at the control socket.

    ``after_ready`` is called once, with the relay's URL. ``lifeline`` is a descriptor: when it ends, the relay stops.
    """

    read: Read
    environ: Mapping[str, str] = field(repr=False)
    listen: tuple[str, int] | None = None
    workers: int | None = None
    config_dir: str | None = None
    work: Callable[[Assignment], int] = serve
    after_ready: Callable[[str], None] = lambda url: None
    lifeline: int | None = None
    ack_limit: float = ACK_LIMIT


def run(options: Options) -> int:
    """Serve until told to stop; the exit code."""
    signals.hold_back_reloads()
    logs.to_stderr("info", options.environ)
    raise_limit()
    try:
        given = handed_over(options.environ, os.getpid())
        hosts = given.hosts if given else (options.listen[0],) if options.listen else None
        facts = read_now(options.read, 1, hosts)
        if isinstance(facts, Refusal):
            return _refuse(BAD_CONFIGURATION, *facts.problems)
        logs.set_level(facts.log_level)
        state = choose_state_dir(facts.state_dir, options.environ)
    except (ListenError, StateDirError) as error:
        return _refuse(BAD_CONFIGURATION, error)
    try:
        listening = replace(given or bind(*(options.listen or (facts.host, facts.port))), scheme=facts.scheme)
        _say_what_is_odd(facts, state)

        def announce(sentence: str) -> None:
            print(f"monorelay {__version__} {sentence}", file=sys.stderr, flush=True)
            options.after_ready(listening.url)

        clock = SystemClock()
        workers = facts.workers if options.workers is None else options.workers
        setup = Setup(
            read=options.read,
            listening=listening,
            state_dir=state.path,
            workers=workers,
            notifier=Notifier(options.environ),
            clock=clock,
            work=options.work,
            announce=announce,
            control=open_control(control_path(state.path, options.environ), clock),
            config_dir=options.config_dir,
            overridden=_overridden(options),
            lifeline=options.lifeline,
            ack_limit=options.ack_limit,
            usage=SharedUsage(workers) if workers > 1 else None,
        )
        return Master(setup, facts).run()
    except ListenError as error:
        return _refuse(BAD_MACHINE, error)
    finally:
        state.remove_if_temporary()


def _overridden(options: Options) -> frozenset[str]:
    return frozenset({"host", "port"} if options.listen else ()) | frozenset({"workers"} if options.workers is not None else ())


def _say_what_is_odd(facts: Facts, state: StateDir) -> None:
    for warning in facts.warnings:
        logger.warning("%s", warning)
    if facts.is_open:
        logger.warning("open: no access key and no client token is configured, so every program on this machine may use the relay")
    if not facts.enabled_providers:
        logger.warning("no provider is enabled: give one a key (`monorelay providers` shows where each looks for its own)")
    if state.temporary:
        logger.warning(
            "state_dir=%s is temporary: what the relay remembers ends with this process; set server.state_dir", state.path
        )


def _refuse(code: int, *reasons: object) -> int:
    for reason in reasons:
        print(reason, file=sys.stderr)
    return code
