"""Drop-ins: which files there are, in which order, and which replaces, masks or extends which.

Three layers, each above the one before: vendor, operator, runtime. A file replaces the file of the same name in the layers below
it; an empty one (or a link to /dev/null) takes that file away. A provider that ``extends`` its own name is built upon the provider
of that name below it, and stands in its place; a template is found by name, wherever the topmost one lies.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from monorelay.config.fields import Layer
from monorelay.config.files import Checked, Kind, Reader, shown
from monorelay.config.problems import Problem, did_you_mean, reason_of
from monorelay.config.reading import Place, Sheet, merge

LAYERS: tuple[Layer, ...] = ("vendor", "operator", "runtime")


def drop_ins(directory: Path, problems: list[Problem]) -> list[Path]:
    """The drop-ins of one directory in order of name; nothing where there is no such directory. Editors' droppings are left out."""
    try:
        names = sorted(entry.name for entry in os.scandir(directory))
    except FileNotFoundError:
        return []
    except OSError as error:
        problems.append(Problem(shown(directory), 0, 0, "", f"cannot be read: {reason_of(error)}"))
        return []
    return [directory / name for name in names if name.endswith((".yml", ".yaml")) and not name.startswith(".")]


@dataclass(frozen=True, slots=True)
class Found:
    """One file of one layer, read."""

    layer: Layer
    path: Path
    checked: Checked


def find(
    kind: Kind, folder: str, directories: Mapping[Layer, Path | None], reader: Reader, problems: list[Problem]
) -> dict[Layer, list[Found]]:
    """All files of ``routes.d`` or ``providers.d``, by layer; their problems are noted."""
    found: dict[Layer, list[Found]] = {}
    for layer in LAYERS:
        directory = directories[layer]
        found[layer] = []
        for path in drop_ins(directory / folder, problems) if directory is not None else ():
            checked = reader.read(path, kind)
            if checked is not None:
                problems.extend(checked.problems)
                found[layer].append(Found(layer, path, checked))
    return found


def topmost(found: Mapping[Layer, list[Found]], problems: list[Problem], inline: Iterable[str] = ()) -> list[Found]:
    """The files that count, in order of name over all layers.

    An empty file that masks nothing is warned about; ``inline`` are the file names that config.yml's own entries count as.
    """
    top: dict[str, Found] = {}
    other = frozenset(inline)
    for layer in LAYERS:
        for one in found[layer]:
            if one.checked.is_empty and one.path.name not in other.union(top):
                problems.append(
                    Problem(
                        shown(one.path), 0, 0, "", "is empty, and masks nothing: no lower layer has a file of this name", "warning"
                    )
                )
            top[one.path.name] = one
    return [top[name] for name in sorted(top)]


# ---------------------------------------------------------------------------------------------------- extends


@dataclass(frozen=True, slots=True, eq=False)
class Definition:
    """One provider or template as one file (or one entry of config.yml) defines it; ``below`` is what the lower layers show."""

    name: str
    layer: Layer
    file_name: str
    sheet: Sheet
    extends: str | None
    is_template: bool
    is_inline: bool
    below: tuple[Definition, ...]

    @property
    def place(self) -> Place:
        return self.sheet.places.get(("provider",)) or self.sheet.root

    def found(self, name: str) -> Definition | None:
        return named(self.below, name)


def named(definitions: Iterable[Definition], name: str) -> Definition | None:
    return next((one for one in definitions if one.name == name), None)


def stand(below: Iterable[Definition], defined: Iterable[Definition], file_names: Iterable[str]) -> tuple[Definition, ...]:
    """What is to be seen once a layer lies upon those below it."""
    defined = tuple(defined)
    hidden = set(file_names)
    taken = {one.name for one in defined if one.is_inline or one.extends == one.name}
    return tuple(one for one in below if one.file_name not in hidden and one.name not in taken) + defined


@dataclass(slots=True)
class Inheritance:
    """Finds what a definition extends, and merges it in.

    ``unreadable`` are names that files beyond reading seem to define: who extends one of those is not blamed.
    """

    # Mutable: ``problems`` and ``_whole`` (each definition merged once, None = it could not be) grow as definitions are asked for.
    visible: tuple[Definition, ...]
    unreadable: frozenset[str]
    problems: list[Problem] = field(default_factory=list)
    _whole: dict[Definition, Sheet | None] = field(default_factory=dict)

    def whole(self, definition: Definition, trail: tuple[Definition, ...] = ()) -> Sheet | None:
        """The definition upon all that it extends; None where something in between is missing, which is then noted."""
        if definition in trail:
            names = " → ".join(one.name for one in (*trail[trail.index(definition) :], definition))
            self._wrong(trail[-1], f"goes round in a circle: {names}")
            return None
        if definition not in self._whole:
            self._whole[definition] = self._merged(definition, (*trail, definition))
        return self._whole[definition]

    def _merged(self, definition: Definition, trail: tuple[Definition, ...]) -> Sheet | None:
        if definition.extends is None:
            return definition.sheet
        base = self._base(definition, definition.extends)
        under = self.whole(base, trail) if base is not None else None
        return merge(_inheritable(under), definition.sheet) if under is not None else None

    def _base(self, definition: Definition, name: str) -> Definition | None:
        if name == definition.name:
            base = definition.found(name)
            sentence = f"no lower layer has a provider or template called {name}"
        else:
            base = next((one for one in self.visible if one.name == name and one.is_template), None)
            sentence = f"no template is called {name}" + did_you_mean(name, [one.name for one in self.visible if one.is_template])
            if base is None and any(one.name == name for one in self.visible):
                sentence = f"{name} is no template: only a template, or the same provider of a lower layer, can be extended"
        if base is None and name not in self.unreadable:
            self._wrong(definition, sentence)
        return base

    def _wrong(self, definition: Definition, sentence: str) -> None:
        place = definition.sheet.places.get(("extends",)) or definition.sheet.root.below("extends")
        self.problems.append(place.problem(sentence))


# What a file says of itself alone. Tests are among it: they hold for their own file, and not for what another makes of it.
_OWN: tuple[Literal["provider", "extends", "template", "tests"], ...] = ("provider", "extends", "template", "tests")


def _inheritable(sheet: Sheet) -> Sheet:
    return Sheet({name: value for name, value in sheet.value.items() if name not in _OWN}, sheet.places)
