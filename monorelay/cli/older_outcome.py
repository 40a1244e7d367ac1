"""What becomes of a file of the earlier system: what is to be written, what is to be told, and which of its lines became what.

A path of what is written begins with the section of config.yml, or with ``providers`` and the provider's name here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from monorelay.config.document import Document
from monorelay.config.fields import Path
from monorelay.config.problems import dotted


@dataclass(frozen=True, slots=True)
class Note:
    """Something to know about one line of the old file."""

    line: int
    path: str
    text: str


@dataclass(slots=True)
class Outcome:
    """``secrets`` are texts by file name; ``came_from``: path here → path there, where the two differ.

    Mutable: all of it grows during the translation, and ``leave_out`` takes away what turned out not to hold.
    """

    old: Document
    settings: dict[str, Any] = field(default_factory=dict)
    providers: dict[str, dict[str, Any]] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)
    came_from: dict[Path, Path] = field(default_factory=dict)

    def note(self, there: Path, text: str) -> None:
        """About a path of the old file, or the nearest one around it that stands there."""
        self.notes.append(Note(self.old.marks[self._standing(there)][0], dotted(there), text))

    def told(self, here: Path, text: str) -> Note:
        """The same about a path of what is written, in the old file's words."""
        there = self._standing(self._there(here))
        return Note(self.old.marks[there][0], dotted(there), text)

    def leave_out(self, here: Path) -> None:
        """Takes a setting away, and what is empty without it; items of a list that stood behind it still know whence they came."""
        around: Any = self.settings
        for step in here[:-1]:
            around = around[step]
        if isinstance(around, list):
            for index in range(int(here[-1]) + 1, len(around)):
                self.came_from[(*here[:-1], index - 1)] = self._there((*here[:-1], index))
        del around[here[-1]]
        if not around and len(here) > 1:
            self.leave_out(here[:-1])

    def _there(self, here: Path) -> Path:
        for length in range(len(here), 0, -1):
            if here[:length] in self.came_from:
                return (*self.came_from[here[:length]], *here[length:])
        return here

    def _standing(self, path: Path) -> Path:
        while path not in self.old.marks:
            path = path[:-1]
        return path
