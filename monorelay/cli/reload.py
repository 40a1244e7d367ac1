"""``monorelay reload``: put the files in force, and say what came of it."""

from __future__ import annotations

import argparse
import os
import re
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from monorelay.cli.command import Parser, declare
from monorelay.cli.relay_socket import NoRelay, add_relay, ask, denial, find

DESCRIPTION = """
Have a running relay read every file again, and wait for what comes of it. If anything is wrong every problem is printed with file,
line and column, and what was served before is served on. Requests in flight finish as they began; no connection is closed.

References such as ${NAME} are resolved in the environment of the relay, not of this command.

With --pid, a relay that has no control socket gets a SIGHUP; what comes of that is in its log only.

exit codes: 0 the files are in force (now, or they were already), 1 they are not, or that is not known
"""
LIMIT = 90.0  # seconds; a relay gives up reading after 60


def add(parser: Parser) -> None:
    declare(parser, DESCRIPTION, run)
    add_relay(parser)
    parser.add_argument("--timeout", type=seconds, default=LIMIT, metavar="SECONDS", help=f"wait so long ({LIMIT:g})")


def run(options: argparse.Namespace, environ: Mapping[str, str]) -> int:
    try:
        try:
            found = find(options, environ)
        except NoRelay as error:
            if options.pid is None or options.socket is not None:
                raise
            return _signal(options.pid, str(error))
        outcome = ask(found, {"ask": "reload"}, options.timeout)
    except PermissionError as error:
        return _fail(denial(error))
    except TimeoutError:
        return _fail(f"no outcome within {options.timeout:g} s: the reload goes on, and `monorelay status` will tell")
    except NoRelay as error:
        return _fail(str(error))
    return _report(outcome)


def _report(outcome: Mapping[str, Any]) -> int:
    for sentence in outcome["pending"]:
        print(f"warning: {sentence}", file=sys.stderr)
    if outcome["outcome"] != "refused":
        print(f"generation {outcome['generation']}, {outcome['outcome']}")
        return 0
    return _fail(*outcome["problems"], f"refused: generation {outcome['generation']} is served on")


def _signal(pid: int, why: str) -> int:
    """The other way to ask for a reload, of a process that listens for it: any other would be ended by the signal."""
    try:
        if not _hears_hangup(pid):
            return _fail(f"process {pid} is no relay")
        os.kill(pid, signal.SIGHUP)
    except PermissionError:
        return _fail(f"process {pid} is another user's: run this as root or as that user")
    except (ProcessLookupError, FileNotFoundError):
        return _fail(f"there is no process {pid}")
    return _fail(f"{why}: it was sent SIGHUP, and its log says what came of that")


def _hears_hangup(pid: int) -> bool:
    """Whether SIGHUP is caught by that process, or held back until it is, as the kernel shows it."""
    status = Path(f"/proc/{pid}/status").read_text()
    masks = re.findall(r"^Sig(?:Blk|Cgt):\s*([0-9a-f]+)$", status, re.MULTILINE)
    return any(int(mask, 16) & 1 << (signal.SIGHUP - 1) for mask in masks)


def _fail(*sentences: str) -> int:
    for sentence in sentences:
        print(sentence, file=sys.stderr)
    return 1


def seconds(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number <= 86_400:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number of seconds above 0")
    return number
