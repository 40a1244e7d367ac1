"""One YAML text → plain values, and the line and column of every path.

YAML is read more narrowly than its books allow, because a configuration file must mean what it looks like: only ``true`` and
``false`` are booleans (so ``no``, ``on`` and ``22:22`` stay text), numbers are decimal, every key is text, a key may stand only
once, tags are refused, and nesting and size are limited before anything is built (an alias counts each time it is used).

PyYAML is only asked for its events; values are built here, so that each one's place is known. The C parser is used where PyYAML
has it, else the Python one: same events, several times slower.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, NoReturn

import yaml

from monorelay.config.fields import Path
from monorelay.config.problems import ConfigError, Problem, dotted

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 40
MAX_VALUES = 20_000

Mark = tuple[int, int]  # line and column, counted from 1


@dataclass(frozen=True, slots=True)
class Document:
    """``value`` is the root mapping, or None for a file that holds nothing but blanks and comments.

    ``marks`` has the place of each mapping entry (where its key begins) and of each list item; ``()`` is the root.
    """

    file: str
    value: dict[str, Any] | None
    marks: Mapping[Path, Mark] = field(default_factory=dict)


def parse(text: str, file: str) -> Document:
    """Read one file's text. Raises ConfigError with the syntax error, or with everything that is wrong with the keys."""
    text = text.removeprefix("\ufeff")
    refuse = _Refusals(file)
    if len(text) > MAX_BYTES or len(text.encode(errors="replace")) > MAX_BYTES:
        refuse.at((0, 0), f"is larger than {MAX_BYTES // 1024} KiB")
    if (bad := _UNREADABLE.search(text)) is not None:
        line = text.count("\n", 0, bad.start()) + 1
        column = bad.start() - text.rfind("\n", 0, bad.start())
        refuse.at((line, column), f"holds a character that YAML does not allow (U+{ord(bad.group()):04X})")
    try:
        root = _build(_events(text), refuse)
    except yaml.MarkedYAMLError as error:
        refuse.at(*_explain(error, text))
    except (yaml.YAMLError, ValueError) as error:
        refuse.at((1, 1), f"not YAML: {error}")
    if root is None:
        return Document(file, None)
    value, marks = _Unfolding(refuse).unfold(root)
    return Document(file, value, marks)


_UNREADABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class _Refusals:
    # Mutable: ``problems`` grows until somebody raises them.
    def __init__(self, file: str) -> None:
        self.file = file
        self.problems: dict[tuple[Mark, str], Problem] = {}  # by place, for an alias leads to the same one again

    def note(self, mark: Mark, message: str, path: Path = ()) -> None:
        self.problems.setdefault((mark, message), Problem(self.file, *mark, dotted(path), message))

    def at(self, mark: Mark, message: str, path: Path = ()) -> NoReturn:
        self.note(mark, message, path)
        self.all()
        raise AssertionError("unreachable: a problem was noted")

    def all(self) -> None:
        if self.problems:
            raise ConfigError(tuple(sorted(self.problems.values())))


# ---------------------------------------------------------------------------------------------------- text → nodes


@dataclass(slots=True)
class _Node:
    """A value before its aliases are unfolded; ``value`` is a scalar, a list of nodes, or a list of (key, key's mark, node)."""

    mark: Mark
    kind: type
    value: Any = None


_MERGE = object()  # stands for the key ``<<``


def _events(text: str) -> Iterator[Any]:
    return iter(yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))


def _build(events: Iterator[Any], refuse: _Refusals) -> _Node | None:
    """The root node, or None where there is no document. Raises at once on what is no mapping of plain values."""
    root: _Node | None = None
    anchors: dict[str, _Node] = {}
    open_nodes: list[_Node] = []
    keys: list[tuple[Any, Mark] | None] = []  # of each open node: the key that waits for its value
    for event in events:
        mark = (event.start_mark.line + 1, event.start_mark.column + 1)
        if isinstance(event, yaml.DocumentStartEvent) and root is not None:
            refuse.at(mark, "a file holds one document; another one begins here")
        if isinstance(event, yaml.CollectionEndEvent):
            open_nodes.pop()
            keys.pop()
        if not isinstance(event, yaml.NodeEvent):
            continue
        wants_key = bool(open_nodes) and open_nodes[-1].kind is dict and keys[-1] is None
        if wants_key:
            keys[-1] = (_key(event, mark, refuse), mark)
            continue
        node = _node(event, mark, anchors, refuse)
        if root is None:
            root = node
        elif open_nodes[-1].kind is list:
            open_nodes[-1].value.append(node)
        else:
            key = keys[-1]
            assert key is not None
            open_nodes[-1].value.append((*key, node))
            keys[-1] = None
        if isinstance(event, yaml.CollectionStartEvent):
            open_nodes.append(node)
            keys.append(None)
            if len(open_nodes) > MAX_DEPTH:
                refuse.at(mark, f"nested deeper than {MAX_DEPTH} levels")
    return root


def _node(event: Any, mark: Mark, anchors: dict[str, _Node], refuse: _Refusals) -> _Node:
    if isinstance(event, yaml.AliasEvent):
        if event.anchor not in anchors:
            refuse.at(mark, "this alias has no anchor before it; text that begins with * needs quotes")
        return anchors[event.anchor]
    _refuse_tag(event, mark, refuse)
    if isinstance(event, yaml.ScalarEvent):
        node = _Node(mark, str, _scalar(event, mark, refuse))
    elif isinstance(event, yaml.SequenceStartEvent):
        node = _Node(mark, list, [])
    else:
        node = _Node(mark, dict, [])
    if event.anchor is not None:
        anchors[event.anchor] = node
    return node


def _key(event: Any, mark: Mark, refuse: _Refusals) -> Any:
    if not isinstance(event, yaml.ScalarEvent):
        refuse.at(mark, "a key must be plain text")
    _refuse_tag(event, mark, refuse)
    if event.implicit[0] and event.value == "<<":
        return _MERGE
    if (event.implicit[0] and event.value in _NULLS) or not event.value:
        refuse.at(mark, "a key must be text; here it is empty")
    _refuse_invisible(event.value, mark, refuse)
    return event.value


def _refuse_tag(event: Any, mark: Mark, refuse: _Refusals) -> None:
    if event.tag is not None:
        refuse.at(mark, "tags are not supported; text that begins with ! needs quotes")


def _refuse_invisible(value: str, mark: Mark, refuse: _Refusals) -> None:
    if _INVISIBLE.search(value):
        refuse.at(mark, "holds a NUL or half a surrogate pair")


_INVISIBLE = re.compile("[\x00\ud800-\udfff]")
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_WHOLE = re.compile(r"[-+]?[0-9]{1,18}")  # int() refuses 4,300 digits and more, and no field needs so many
_DECIMAL = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?")


def _scalar(event: Any, mark: Mark, refuse: _Refusals) -> str | int | float | bool | None:
    value: str = event.value
    if not event.implicit[0]:  # quoted, or a block: always text
        _refuse_invisible(value, mark, refuse)
        return value
    if value in _NULLS:
        return None
    if value in _BOOLEANS:
        return _BOOLEANS[value]
    if _WHOLE.fullmatch(value):
        return int(value)
    if _DECIMAL.fullmatch(value) and isfinite(float(value)):
        return float(value)
    return value


# ---------------------------------------------------------------------------------------------------- nodes → values


class _Unfolding:
    # Mutable: ``marks`` and ``count`` grow while one document is walked.
    def __init__(self, refuse: _Refusals) -> None:
        self.refuse = refuse
        self.marks: dict[Path, Mark] = {}
        self.count = 0

    def unfold(self, root: _Node) -> tuple[dict[str, Any], dict[Path, Mark]]:
        if root.kind is not dict:
            found = "a list" if root.kind is list else "text" if root.value is not None else "null"
            self.refuse.at(root.mark, f"must be a mapping (lines of `key: value`), not {found}")
        self.marks[()] = root.mark
        value = self.value(root, (), 1)
        self.refuse.all()
        return value, self.marks

    def value(self, node: _Node, path: Path, depth: int) -> Any:
        self.count += 1
        if self.count > MAX_VALUES:
            self.refuse.at(node.mark, f"holds more than {MAX_VALUES:,} values, aliases counted each time they are used")
        if node.kind is str:
            return node.value
        if depth > MAX_DEPTH:
            self.refuse.at(node.mark, f"nested deeper than {MAX_DEPTH} levels")
        if node.kind is list:
            items = []
            for index, item in enumerate(node.value):
                self.marks[(*path, index)] = item.mark
                items.append(self.value(item, (*path, index), depth + 1))
            return items
        result = {}
        for key, mark, child in self.entries(node, path, depth):
            self.marks[(*path, key)] = mark
            result[key] = self.value(child, (*path, key), depth + 1)
        return result

    def entries(self, node: _Node, path: Path, depth: int) -> list[tuple[str, Mark, _Node]]:
        """A mapping's own entries, and at the place of ``<<`` the merged ones that it does not write itself."""
        if depth > MAX_DEPTH:
            self.refuse.at(node.mark, f"nested deeper than {MAX_DEPTH} levels")
        own: dict[Any, Mark] = {}
        for key, mark, _ in node.value:
            if key in own:
                name = "<<" if key is _MERGE else key
                self.refuse.note(mark, f"duplicate key (first on line {own[key][0]})", (*path, name))
            own.setdefault(key, mark)
        if _MERGE not in own:
            return list(node.value)
        result: dict[str, tuple[str, Mark, _Node]] = {}
        for key, mark, child in node.value:
            if key is not _MERGE:
                result[key] = (key, mark, child)
                continue
            for source in child.value if child.kind is list else [child]:
                if source.kind is not dict:
                    self.refuse.at(mark, "<< merges a mapping, or a list of mappings, written elsewhere with an anchor")
                self.count += len(source.value)
                if self.count > MAX_VALUES:
                    self.refuse.at(mark, f"holds more than {MAX_VALUES:,} values, aliases counted each time they are used")
                for entry in self.entries(source, path, depth + 1):
                    if entry[0] not in own:
                        result.setdefault(entry[0], entry)
        return list(result.values())


# ---------------------------------------------------------------------------------------------------- syntax errors


def _explain(error: yaml.MarkedYAMLError, text: str) -> tuple[Mark, str]:
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line, mark.column) if mark is not None else (0, 0)
    if "nesting depth" in (error.problem or ""):  # newer libyaml has a limit of its own, and reads ahead of its events
        return (line + 1, column + 1), f"nested deeper than {MAX_DEPTH} levels"
    message = f"not YAML: {error.problem or error.context}"
    begun = error.context_mark
    if error.problem and error.context and begun is not None and begun.line != line:
        message += f", {error.context} that begins on line {begun.line + 1}"
    lines = text.splitlines()
    written = lines[line] if line < len(lines) else ""
    return (line + 1, column + 1), message + _hint(error.problem or "", written, column)


def _hint(problem: str, written: str, column: int) -> str:
    """What the writer probably meant; the parser's own words name the symptom only."""
    here = written[column : column + 1]
    if "cannot start any token" in problem:
        if here == "\t":
            return " (indent with spaces, not tabs)"
        return f" (text that begins with {here} needs quotes)" if here.isprintable() and here else ""
    if "mapping values are not allowed" in problem:
        return ' (text that holds ": " needs quotes; or is the indentation off?)'
    if re.search(r"[$/\w]\{", written) and ("expected ',' or" in problem or "node content" in problem):
        return ' (inside { } and [ ], text with braces needs quotes: "${NAME}", "/{id}")'
    return ""
