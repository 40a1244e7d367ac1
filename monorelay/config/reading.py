"""From a checked document to a spec: values that know where they were written, and a cursor that walks them.

A ``Sheet`` is a mapping with the place of each of its paths; merging two sheets keeps the places, so that a spec knows where every
value came from. A ``Node`` is one value of a sheet while a spec is built: it resolves references, applies a reading function, and
turns that function's ValueError into a problem at the right line. Where a fault was already reported, it gives the default.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from monorelay.config.fields import Origin, Origins, Path
from monorelay.config.problems import Problem, dotted
from monorelay.config.references import Missing, References, Resolved
from monorelay.config.schema import FAULTY

if TYPE_CHECKING:
    from monorelay.config.document import Document  # brings PyYAML along, which a worker does not need

T = TypeVar("T")
D = TypeVar("D")


@dataclass(frozen=True, slots=True)
class Place:
    """``path`` is how the file itself says it: ``timeout`` where the sheet says ``timeouts.idle``."""

    origin: Origin
    path: Path

    def problem(self, message: str, severity: Literal["error", "warning"] = "error") -> Problem:
        return Problem(self.origin.file, self.origin.line, self.origin.column, dotted(self.path), message, severity)

    def below(self, *names: str) -> Place:
        return Place(self.origin, (*self.path, *names))


@dataclass(frozen=True, slots=True)
class Sheet:
    """A mapping as it was written, or merged from several. ``places`` has every path of ``value``; ``()`` is the root."""

    value: dict[str, Any]
    places: Mapping[Path, Place]

    @property
    def root(self) -> Place:
        return self.places[()]

    def part(self, prefix: Path) -> dict[str | int, Sheet]:
        """The entries of the mapping or list at ``prefix`` as sheets of their own; entries that are no mappings are left out."""
        inside: Any = self.value
        for name in prefix:
            inside = inside.get(name) if isinstance(inside, dict) else None
        entries = inside.items() if isinstance(inside, dict) else enumerate(inside) if isinstance(inside, list) else ()
        values = {name: value for name, value in entries if isinstance(value, dict)}
        places: dict[str | int, dict[Path, Place]] = {name: {} for name in values}
        depth = len(prefix)
        for path, place in self.places.items():
            if path[:depth] == prefix and len(path) > depth and path[depth] in places:
                places[path[depth]][path[depth + 1 :]] = place
        return {name: Sheet(value, places[name]) for name, value in values.items()}

    def origins(self) -> Origins:
        return Origins(self.root.origin, {path: place.origin for path, place in self.places.items()})


def sheet_of(document: Document, unfold: Callable[[dict[str, Any], dict[Path, Place]], None]) -> Sheet:
    """The sheet of a document that is not empty, its short forms written out by ``unfold``."""
    assert document.value is not None
    places = {path: Place(Origin(document.file, *mark), path) for path, mark in document.marks.items()}
    unfold(document.value, places)
    return Sheet(document.value, places)


def merge(base: Sheet, over: Sheet) -> Sheet:
    """``over`` laid upon ``base``, mapping by mapping: whatever else ``over`` says (lists, null) replaces what ``base`` said."""
    places = {}

    def lay(below: dict[str, Any], above: dict[str, Any], path: Path) -> dict[str, Any]:
        merged = dict(below)
        for name, value in above.items():
            under = below.get(name)
            inside = isinstance(value, dict) and isinstance(under, dict)
            merged[name] = lay(under or {}, value, (*path, name)) if inside else value
        return merged

    def place(value: Any, path: Path) -> None:
        found = over.places.get(path) or base.places.get(path)
        if found is not None:  # a FAULTY that stands for a misspelt field has no place of its own
            places[path] = found
        entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        for name, item in entries:
            place(item, (*path, name))

    value = lay(base.value, over.value, ())
    place(value, ())
    return Sheet(value, places)


@dataclass(slots=True)
class Reading:
    """One sheet on its way to a spec."""

    # Mutable: ``problems`` grows as nodes are read.
    sheet: Sheet
    references: References
    problems: list[Problem] = field(default_factory=list)
    lenient: bool = False  # a reference to something missing is a warning: the drop-in is switched off

    @property
    def top(self) -> Node:
        return Node(self.sheet.value, (), self)

    def place(self, path: Path) -> Place:
        """Where a path was written; for one that was not, its nearest parent's place under its own name."""
        for length in range(len(path), -1, -1):
            if (found := self.sheet.places.get(path[:length])) is not None:
                return found if length == len(path) else Place(found.origin, (*found.path, *path[length:]))
        raise AssertionError("a sheet has a place for its root")


@dataclass(frozen=True, slots=True)
class Node:
    """One value of a sheet. ``value`` is None where nothing was written, or null was.

    >>> provider.top["rate_limit_cooldown"].read(duration, 60.0)
    60.0
    """

    value: Any
    path: Path
    reading: Reading

    def __getitem__(self, name: str) -> Node:
        value = self.value.get(name) if isinstance(self.value, dict) else None
        return Node(value, (*self.path, name), self.reading)

    @property
    def is_faulty(self) -> bool:
        return self.value is FAULTY

    def entries(self) -> Iterator[tuple[str, Node]]:
        """The entries of a mapping; none if it is no mapping."""
        if isinstance(self.value, dict):
            for name, value in self.value.items():
                if value is not FAULTY:
                    yield name, Node(value, (*self.path, name), self.reading)

    def items(self) -> Iterator[Node]:
        """The items of a list; none if it is no list."""
        if isinstance(self.value, list):
            for index, value in enumerate(self.value):
                if value is not FAULTY:
                    yield Node(value, (*self.path, index), self.reading)

    def resolve(self) -> Resolved | None:
        """The text with its references resolved; None where there is none, and where a problem was noted."""
        if not isinstance(self.value, str):
            return None
        try:
            return self.reading.references.resolve(self.value)
        except Missing as error:
            self.wrong(str(error), "warning" if self.reading.lenient else "error")
        except ValueError as error:
            self.wrong(str(error))
        return None

    def read(self, reads: Callable[[Any], T], default: D) -> T | D:
        """The value as ``reads`` understands it; the default where nothing was written, or after noting a problem."""
        value = self.value
        if isinstance(value, str):
            resolved = self.resolve()
            value = None if resolved is None else resolved.text
        if value is None or value is FAULTY:
            return default
        try:
            return reads(value)
        except ValueError as error:
            self.wrong(str(error))
            return default

    def wrong(self, message: str, severity: Literal["error", "warning"] = "error") -> None:
        self.reading.problems.append(self.reading.place(self.path).problem(message, severity))

    def missing(self, name: str, hint: str = "") -> None:
        """Note that an entry is missing, unless the fault that hides it was already reported."""
        if not self.is_faulty and not self[name].is_faulty:
            self[name].wrong("is missing" + hint)
