"""Where the relay keeps what it remembers: one directory, chosen at start."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

USUAL = Path("/var/lib/monorelay")
READ_ONLY = (
    ": it is on a read-only file system (to a service with ProtectSystem=strict all others are: ReadWritePaths= in the unit)"
)


class StateDirError(Exception):
    """The directory that was asked for cannot be used."""


@dataclass(frozen=True, slots=True)
class StateDir:
    """``temporary``: nobody named one, so it is private and goes with the process."""

    path: Path
    temporary: bool = False

    def remove_if_temporary(self) -> None:
        if self.temporary:
            shutil.rmtree(self.path, ignore_errors=True)


def existing_state_dir(asked: str | None, environ: Mapping[str, str], usual: Path = USUAL) -> Path | None:
    """The lasting one, for a look by another command; nothing is made. None where there is none."""
    named = asked or environ.get("MONORELAY_STATE_DIR")
    path = Path(named) if named else usual
    return path if path.is_dir() else None


def choose_state_dir(asked: str | None, environ: Mapping[str, str], usual: Path = USUAL) -> StateDir:
    """``server.state_dir``, or $MONORELAY_STATE_DIR, or the usual one where it is writable, or a private temporary one.

    A named directory is made if it is missing. Raises StateDirError when it cannot be made or written to.
    """
    named = asked or environ.get("MONORELAY_STATE_DIR")
    if named:
        path = Path(named)
        try:
            path.mkdir(mode=0o750, parents=True, exist_ok=True)
        except OSError as error:
            hint = READ_ONLY if error.errno == errno.EROFS else ""
            raise StateDirError(f"the state directory {path} cannot be made: {error.strerror}{hint}") from error
        if not os.access(path, os.W_OK | os.X_OK):
            hint = READ_ONLY if os.statvfs(path).f_flag & os.ST_RDONLY else ""
            raise StateDirError(f"the state directory {path} is not writable{hint}")
        return StateDir(path)
    if usual.is_dir() and os.access(usual, os.W_OK | os.X_OK):
        return StateDir(usual)
    return StateDir(Path(tempfile.mkdtemp(prefix="monorelay-")), temporary=True)
