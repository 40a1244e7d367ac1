"""``monorelay run``: serve, in the foreground, until told to stop."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from functools import partial

from monorelay.cli.command import Parser, add_config_dir, declare, read_for_daemon
from monorelay.daemon.listen import parse_address
from monorelay.daemon.start import Options
from monorelay.daemon.start import run as run_daemon

DESCRIPTION = """
Serve in the foreground. The line "monorelay ... listening on http://..." on stderr says when.

SIGHUP       (better: `monorelay reload`, which waits and tells what came of it) read every file again. If anything is
             wrong, all problems are logged with file, line and column, and nothing changes; else the new configuration
             serves from the next request on. Requests in flight finish as they began, no connection is closed. Settings
             below server: that need a restart are reported.
SIGTERM      refuse newcomers, finish what is in flight (server.drain seconds at most), end. So does Ctrl-C; the
             second one cuts what is left.

Under systemd it reports readiness, reloads and problems (Type=notify), feeds the watchdog, and takes its socket from
a .socket unit if there is one. What it remembers (who made which file or batch, model lists) is kept in
server.state_dir, else $MONORELAY_STATE_DIR, else /var/lib/monorelay where that is writable, else nowhere for long.

With no access key and no client token configured the relay is open; then it only listens on this machine.

exit codes: 0 stopped as told, 78 the configuration is at fault, 1 anything else
"""


def add(parser: Parser) -> None:
    declare(parser, DESCRIPTION, run)
    add_config_dir(parser)
    parser.add_argument(
        "--listen",
        type=address,
        metavar="HOST:PORT",
        help="instead of server.host and server.port (127.0.0.1:8787); port 0 takes any free one",
    )
    parser.add_argument("--workers", type=count, metavar="N", help="processes that serve, instead of server.workers (1)")


def run(options: argparse.Namespace, environ: Mapping[str, str]) -> int:
    read = partial(read_for_daemon, options.config_dir, environ)
    config_dir = os.path.abspath(options.config_dir or "/etc/monorelay")
    return run_daemon(Options(read, environ, options.listen, options.workers, config_dir))


def address(text: str) -> tuple[str, int]:
    try:
        return parse_address(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 256:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number from 1 to 256")
    return int(text)
