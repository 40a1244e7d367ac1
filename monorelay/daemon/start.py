"""Puts a master and its workers together and runs them: what `monorelay run` calls.

Exit codes: 0 after a stop that was asked for, 78 (EX_CONFIG) when the configuration is at fault, 1 when the machine is.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from monorelay import __version__
from monorelay.clock import SystemClock
from monorelay.config.problems import ConfigError
from monorelay.daemon import logs
from monorelay.daemon.listen import ListenError, Listening, bind, handed_over
from monorelay.daemon.master import ACK_LIMIT, Assignment, Master, Setup
from monorelay.daemon.notify import Notifier
from monorelay.daemon.prepare import Candidate, Load, prepare
from monorelay.daemon.statedir import StateDir, StateDirError, choose_state_dir

BAD_CONFIGURATION = 78
BAD_MACHINE = 1

logger = logging.getLogger(__name__)


def serve(assignment: Assignment) -> int:
    """In the worker, after the fork: only here are Tornado and curl loaded."""
    from monorelay.daemon.worker import work

    return work(assignment)


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line and the environment say. ``listen`` and ``workers`` win over the configuration.

    ``after_ready`` is called once, with the relay's URL. ``lifeline`` is a descriptor: when it ends, the relay stops.
    """

    load: Load
    environ: Mapping[str, str] = field(repr=False)
    listen: tuple[str, int] | None = None
    workers: int | None = None
    work: Callable[[Assignment], int] = serve
    after_ready: Callable[[str], None] = lambda url: None
    lifeline: int | None = None
    ack_limit: float = ACK_LIMIT


def run(options: Options) -> int:
    """Serve until told to stop; the exit code."""
    logs.to_stderr("info", options.environ)
    try:
        given = handed_over(options.environ, os.getpid())
        hosts = given.hosts if given else (options.listen[0],) if options.listen else None
        candidate = prepare(options.load, 1, hosts)
        logs.set_level(candidate.config.server.log_level)
        state = choose_state_dir(candidate.config.startup.state_dir, options.environ)
    except ConfigError as error:
        return _refuse(BAD_CONFIGURATION, *error.problems)
    except (ListenError, StateDirError) as error:
        return _refuse(BAD_CONFIGURATION, error)
    try:
        listening = given or _bind(candidate, options)
        _say_what_is_odd(candidate, state)
        return Master(_setup(options, candidate, listening, state), candidate).run()
    except ListenError as error:
        return _refuse(BAD_MACHINE, error)
    finally:
        state.remove_if_temporary()


def _bind(candidate: Candidate, options: Options) -> Listening:
    host, port = options.listen or (candidate.config.startup.host, candidate.config.startup.port)
    return bind(host, port)


def _setup(options: Options, candidate: Candidate, listening: Listening, state: StateDir) -> Setup:
    def announce(sentence: str) -> None:
        print(f"monorelay {__version__} {sentence}", file=sys.stderr, flush=True)
        options.after_ready(listening.url)

    overridden = {"host", "port"} if options.listen else set()
    if options.workers is not None:
        overridden.add("workers")
    return Setup(
        load=options.load,
        listening=listening,
        state_dir=state.path,
        workers=candidate.config.startup.workers if options.workers is None else options.workers,
        notifier=Notifier(options.environ),
        clock=SystemClock(),
        work=options.work,
        announce=announce,
        overridden=frozenset(overridden),
        lifeline=options.lifeline,
        ack_limit=options.ack_limit,
    )


def _say_what_is_odd(candidate: Candidate, state: StateDir) -> None:
    for warning in candidate.plan.warnings:
        logger.warning("%s", warning)
    if candidate.plan.admission.open:
        logger.warning("open: no access key and no client token is configured, so every program on this machine may use the relay")
    if not any(provider.enabled for provider in candidate.plan.providers.values()):
        logger.warning("no provider is enabled: give one a key (`monorelay providers` shows where each looks for its own)")
    if state.temporary:
        logger.warning(
            "state_dir=%s is temporary: what the relay remembers ends with this process; set server.state_dir", state.path
        )


def _refuse(code: int, *reasons: object) -> int:
    for reason in reasons:
        print(reason, file=sys.stderr)
    return code
