"""Finding a running relay's control socket, and asking it something.

Looked for, in this order: --socket; $RUNTIME_DIRECTORY; /run/monorelay; the state directory; then among all control sockets of
this machine the one of a relay that this user runs, if it is the only one. With --config-dir only a relay that serves these files
counts, with --pid only that process, wherever its socket lies: whose it is, the kernel says.
"""

from __future__ import annotations

import json
import os
import pwd
import socket
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from monorelay.cli.command import Parser, add_config_dir
from monorelay.daemon.control import LONGEST_ANSWER, NAME, control_path, credentials
from monorelay.daemon.statedir import existing_state_dir

RUN = Path("/run/monorelay")
LISTENING = "00010000"  # __SO_ACCEPTCON in /proc/net/unix
STATUS_LIMIT = 5.0


class NoRelay(Exception):
    """There is none, or it does not answer; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Found:
    """A socket, and the process and user that listen at it."""

    path: Path
    pid: int
    uid: int


def add_relay(parser: Parser) -> None:
    add_config_dir(parser)
    parser.add_argument("--socket", type=Path, metavar="PATH", help="the relay's control socket, instead of looking for it")
    parser.add_argument("--pid", type=int, metavar="PID", help="the relay with this process id, and no other")


def find(options: Any, environ: Mapping[str, str]) -> Found:
    """The relay that --socket, --pid or --config-dir means. Raises NoRelay, and PermissionError for one that is another user's."""
    if options.socket is not None:
        found = _probe(options.socket)
        if options.pid is not None and found.pid != options.pid:
            raise NoRelay(f"{options.socket} belongs to process {found.pid}, not to {options.pid}")
        return found
    denied = None
    for path in _named(options.config_dir, environ):
        try:
            found = _probe(path)
        except PermissionError as error:
            denied = denied or error
        except NoRelay:
            pass
        else:
            if _is_meant(found, options):
                return found
    others = [found for found in _listening() if _is_meant(found, options)]
    if options.pid is not None:
        if not others:
            raise NoRelay(f"process {options.pid} has no control socket that this user may use")
        return others[0]
    if denied is not None:
        raise denied
    others = [found for found in others if found.uid == os.geteuid()]
    if len(others) == 1:
        return others[0]
    if others:
        raise NoRelay("which relay? " + ", ".join(f"--pid {found.pid} ({found.path})" for found in others))
    serving = f" that serves {options.config_dir}" if options.config_dir is not None else ""
    raise NoRelay(f"no running relay{serving} was found: does it run as this user? --socket can name its {NAME}")


def _is_meant(found: Found, options: Any) -> bool:
    if options.pid is not None:
        return bool(found.pid == options.pid)
    if options.config_dir is None:
        return True
    try:
        return bool(ask(found, {"ask": "status"}, STATUS_LIMIT).get("config_dir") == os.path.abspath(options.config_dir))
    except (NoRelay, TimeoutError):
        return False


def ask(found: Found, question: Mapping[str, Any], timeout: float) -> dict[str, Any]:
    """Raises NoRelay when there is no answer, TimeoutError when there is none in time."""
    with _connected(found.path) as sock:
        sock.settimeout(timeout)
        try:
            sock.sendall(json.dumps(question).encode() + b"\n")
        except BrokenPipeError:
            pass  # it has an answer without having read the question
        said = b""
        try:
            while not said.endswith(b"\n") and len(said) <= LONGEST_ANSWER and (piece := sock.recv(1 << 16)):
                said += piece
        except ConnectionResetError:
            pass
    if not said.endswith(b"\n"):
        raise NoRelay(f"the relay (process {found.pid}) ended before it answered")
    try:
        answer = json.loads(said)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise NoRelay(f"process {found.pid} does not answer as a relay does")
    if "error" in answer:
        raise NoRelay(f"the relay (process {found.pid}) says: {answer['error']}")
    return answer


def inquire(options: Any, environ: Mapping[str, str], *questions: Mapping[str, Any]) -> list[dict[str, Any]] | None:
    """The answers of the relay that is meant; None when there are none, and why was printed."""
    try:
        found = find(options, environ)
        return [ask(found, question, STATUS_LIMIT) for question in questions]
    except PermissionError as error:
        print(denial(error), file=sys.stderr)
    except TimeoutError:
        print(f"the relay does not answer within {STATUS_LIMIT:g} s", file=sys.stderr)
    except NoRelay as error:
        print(error, file=sys.stderr)
    return None


def denial(error: PermissionError) -> str:
    """What to do about a socket that belongs to somebody else."""
    path = Path(str(error.filename))
    try:
        owner = pwd.getpwuid(path.stat().st_uid).pw_name
    except (OSError, KeyError):
        owner = "the relay's user"
    return f"{path}: permission denied: run this as root" + (f" or as {owner}" if owner != "root" else "")


def _named(config_dir: Path | None, environ: Mapping[str, str]) -> Iterator[Path]:
    if environ.get("RUNTIME_DIRECTORY"):
        yield control_path(RUN, environ)
    yield RUN / NAME
    state_dir = existing_state_dir(_configured(config_dir, environ), environ)
    if state_dir is not None:
        yield control_path(state_dir, {})


def _configured(config_dir: Path | None, environ: Mapping[str, str]) -> str | None:
    """server.state_dir; None also where the files do not hold together, which is for the relay to say. Raises ConfigError for
    a directory that is not there."""
    from monorelay.config.load import find_places, load
    from monorelay.config.problems import ConfigError

    places = find_places(config_dir, environ)
    try:
        return load(places, environ).startup.state_dir
    except ConfigError:
        return None


def _listening() -> Iterator[Found]:
    """The control sockets of relays on this machine that this user may use, as the kernel lists them."""
    try:
        lines = Path("/proc/self/net/unix").read_text(errors="surrogateescape").splitlines()[1:]
    except OSError:
        return
    for line in lines:
        columns = line.split(None, 7)
        if len(columns) == 8 and columns[3] == LISTENING and os.path.basename(columns[7]) == NAME:
            try:
                found = _probe(Path(columns[7]))
                # Other programs have sockets of that name too.
                if b"monorelay" in Path(f"/proc/{found.pid}/cmdline").read_bytes():
                    yield found
            except (NoRelay, OSError):
                pass


def _probe(path: Path) -> Found:
    """Raises PermissionError, or NoRelay where nobody listens."""
    with _connected(path) as sock:
        return Found(path, *credentials(sock))


def _connected(path: Path) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.settimeout(STATUS_LIMIT)
    try:
        sock.connect(str(path))
    except BaseException as error:
        sock.close()
        if isinstance(error, PermissionError):
            raise PermissionError(error.errno, error.strerror, str(path)) from error
        if isinstance(error, OSError):
            raise NoRelay(f"no relay listens at {path}: {error.strerror or error}") from error
        raise
    return sock
