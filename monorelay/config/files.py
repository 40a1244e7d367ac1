"""One file of the configuration: read, parsed, checked against its schema; and the cache that makes a reload cheap.

What is kept for a file depends on nothing but its bytes: references are resolved later, and so are files that it extends.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from monorelay.clock import Clock, SystemClock
from monorelay.config import provider, route, settings
from monorelay.config.checker import Checker, checker_of, faults
from monorelay.config.document import MAX_BYTES, parse
from monorelay.config.problems import ConfigError, Problem, dotted, reason_of
from monorelay.config.reading import Sheet, sheet_of


@dataclass(frozen=True, slots=True)
class Checked:
    """What one file gave. ``sheet`` is None where it is empty or beyond reading; then ``names`` are those it seems to define."""

    sheet: Sheet | None = None
    problems: tuple[Problem, ...] = ()
    names: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        return self.sheet is None and not self.problems


@dataclass(frozen=True, slots=True)
class Kind:
    """What is to be found in one sort of file."""

    schema: Callable[[dict[str, Any]], str]
    unfold: Callable[..., None]


PROVIDER = Kind(lambda value: "provider", provider.unfold)
ROUTES = Kind(lambda value: "routes" if "routes" in value else "route", route.unfold)
SETTINGS = Kind(lambda value: "settings", settings.unfold)
_SCHEMAS = {"provider": provider.PROVIDER, "route": route.ROUTE, "routes": route.ROUTES, "settings": settings.SETTINGS}

Stamp = tuple[int, int, int, int]


class DocumentCache:
    """What was read before, by path, as long as the file has not changed. One belongs to whoever calls ``load()`` again and again.

    A file that was changed less than a tenth of a second before it was read is not kept: the clock of the file system ticks too
    slowly to tell a second change of the same size from the first.
    """

    # Mutable: ``_entries``, replaced as files are read; ``forget_others`` drops those that were not asked for.

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._entries: dict[Path, tuple[Stamp, Checked]] = {}
        self._asked: set[Path] = set()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, path: Path, stamp: Stamp) -> Checked | None:
        self._asked.add(path)
        found = self._entries.get(path)
        return found[1] if found is not None and found[0] == stamp else None

    def put(self, path: Path, stamp: Stamp, checked: Checked) -> None:
        if self._clock.now() - stamp[1] / 1e9 > 0.1:
            self._entries[path] = (stamp, checked)
        else:
            self._entries.pop(path, None)

    def forget_others(self) -> None:
        """Drop what was not asked for since the last call: those files are gone."""
        for path in self._entries.keys() - self._asked:
            del self._entries[path]
        self._asked.clear()


class Reader:
    """Reads the files of one load."""

    # Mutable: the cache it was given, and ``_checkers``, made when first needed.

    def __init__(self, cache: DocumentCache | None) -> None:
        self._cache = cache
        self._checkers: dict[str, Checker] = {}

    def read(self, path: Path, kind: Kind) -> Checked | None:
        """None for a file that is gone since its directory was listed."""
        try:
            status = path.stat()
            if stat.S_ISREG(status.st_mode):
                return self._read_regular(path, kind)
            if os.path.samefile(path, os.devnull):
                return Checked()
            what = "is a directory" if stat.S_ISDIR(status.st_mode) else "is not a regular file"
        except FileNotFoundError:
            if not path.is_symlink():
                return None
            what = "is a link to nothing (a link to /dev/null masks)"
        except OSError as error:
            what = f"cannot be read: {reason_of(error)}"
        return Checked(problems=(Problem(shown(path), 0, 0, "", what),), names=(path.stem,))

    def _read_regular(self, path: Path, kind: Kind) -> Checked:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            stamp = (status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino)
            known = self._cache.get(path, stamp) if self._cache is not None else None
            if known is not None:
                return known
            content = file.read(MAX_BYTES + 1)
        checked = self._check(content, shown(path), kind)
        if self._cache is not None:
            self._cache.put(path, stamp, checked)
        return checked

    def _check(self, content: bytes, file: str, kind: Kind) -> Checked:
        try:
            document = parse(_decode(content, file), file)
        except ConfigError as error:
            return Checked(problems=error.problems, names=_seems_to_define(content, file))
        if document.value is None:
            return Checked()
        found = [(path, message) for path, message in faults(self._checker(kind.schema(document.value)), document.value)]
        problems = tuple(Problem(file, *_nearest(document.marks, path), dotted(path), message) for path, message in found)
        return Checked(sheet_of(document, kind.unfold), problems, _seems_to_define(content, file) if problems else ())

    def _checker(self, schema: str) -> Checker:
        if schema not in self._checkers:
            self._checkers[schema] = checker_of(_SCHEMAS[schema])
        return self._checkers[schema]


def shown(path: Path) -> str:
    """A path as text that can be printed, whatever bytes a file name is made of."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _decode(content: bytes, file: str) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        before = content[: error.start]
        line = before.count(b"\n") + 1
        column = len(before.rpartition(b"\n")[2].decode(errors="replace")) + 1
        raise ConfigError((Problem(file, line, column, "", f"is not UTF-8 (byte 0x{content[error.start]:02x})"),)) from error


def _nearest(marks: Mapping[tuple[str | int, ...], tuple[int, int]], path: tuple[str | int, ...]) -> tuple[int, int]:
    while path not in marks:
        path = path[:-1]
    return marks[path]


_DEFINES = re.compile(rb"^provider:[ \t]*[\"']?([A-Za-z0-9._-]+)", re.MULTILINE)


def _seems_to_define(content: bytes, file: str) -> tuple[str, ...]:
    """The provider's name in a file that cannot be read whole, so that nobody who refers to it is blamed, too."""
    return (Path(file).stem, *(name.decode() for name in _DEFINES.findall(content)))
