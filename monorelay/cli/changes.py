"""Files of the operator, written by a command: each whole or not at all, and put back as they were when the result is refused."""

from __future__ import annotations

import grp
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

GROUP = "monorelay"  # the service's: made by the packages


class CannotWrite(Exception):
    """A file cannot be written; the message says which and why."""


@dataclass(slots=True)
class Changes:
    """What a command has written so far. Mutable: the ways back, in the order in which the files were written."""

    _undo: list[Callable[[], None]] = field(default_factory=list)
    written: list[Path] = field(default_factory=list)

    def write(self, path: Path, text: str) -> None:
        """A file that everybody may read; an existing one keeps its mode and owner."""
        self._write(path, text, 0o644, 0o755, None)

    def write_private(self, path: Path, text: str) -> None:
        """A file for whoever writes it."""
        self._write(path, text, 0o600, 0o755, None, allowed=0o700)

    def write_secret(self, path: Path, text: str) -> None:
        """A file for its owner; where root writes and the service's group is there, for the service, too. One that everybody
        could read is theirs only from now on."""
        group = _group_of_service() if os.geteuid() == 0 else None
        self._write(path, text, 0o600 if group is None else 0o640, 0o750, group, allowed=0o770)

    def undo(self) -> None:
        for put_back in reversed(self._undo):
            put_back()
        self._undo.clear()
        self.written.clear()

    def _write(self, path: Path, text: str, mode: int, directory_mode: int, group: int | None, *, allowed: int = 0o777) -> None:
        try:
            self._make_directory(path.parent, directory_mode, group)
            before = path.read_bytes() if path.is_file() and not path.is_symlink() else None
            target = os.readlink(path) if path.is_symlink() else None
            status = path.stat() if before is not None else None
            replace_file(path, text.encode(), status.st_mode & allowed if status else mode, group, status)
        except OSError as error:
            hint = " (as root, or in a directory of your own: --config-dir)" if isinstance(error, PermissionError) else ""
            raise CannotWrite(f"{path} cannot be written: {error.strerror}{hint}") from error
        self.written.append(path)

        def put_back() -> None:
            if before is not None and status is not None:
                replace_file(path, before, status.st_mode & 0o777, None, status)
            else:
                path.unlink()
                if target is not None:
                    path.symlink_to(target)

        self._undo.append(put_back)

    def _make_directory(self, directory: Path, mode: int, group: int | None) -> None:
        if directory.is_dir():
            return
        if not directory.parent.is_dir():
            self._make_directory(directory.parent, 0o755, None)
        directory.mkdir()
        directory.chmod(mode)
        if group is not None:
            os.chown(directory, -1, group)
        self._undo.append(lambda: directory.rmdir())


def replace_file(path: Path, content: bytes, mode: int, group: int | None = None, like: os.stat_result | None = None) -> None:
    """Written beside it and renamed, so that nobody ever reads half a file; ``like`` gives the owner."""
    descriptor, name = tempfile.mkstemp(prefix=".", suffix=".new", dir=path.parent)
    try:
        with open(descriptor, "wb") as file:
            file.write(content)
            if group is not None:
                os.fchown(descriptor, -1, group)
            if like is not None and os.geteuid() == 0:
                os.fchown(descriptor, like.st_uid, like.st_gid)
            os.fchmod(descriptor, mode)
            file.flush()
            os.fsync(descriptor)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


def _group_of_service() -> int | None:
    try:
        return grp.getgrnam(GROUP).gr_gid
    except KeyError:
        return None
