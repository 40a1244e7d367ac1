"""The route table: a dict for literal paths, a small trie for templated ones. No regular expression, whatever the number of routes.

Paths are compared as the client sent them, segment by segment, before any percent-decoding: ``%2F`` stays inside its segment.
A literal segment is preferred to ``{name}``, and ``{name}`` to ``{name...}``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Generic, Protocol, TypeVar
from urllib.parse import unquote


class Routed(Protocol):
    """What the table needs to know of a route."""

    @property
    def path(self) -> str: ...
    @property
    def methods(self) -> tuple[str, ...]: ...


R = TypeVar("R", bound=Routed)


class _Node(Generic[R]):
    __slots__ = ("literal", "one", "routes", "rest")

    def __init__(self) -> None:
        self.literal: dict[str, _Node[R]] = {}
        self.one: _Node[R] | None = None
        self.routes: list[R] = []  # end here
        self.rest: list[R] = []  # take all that follows


class RouteTable(Generic[R]):
    """Immutable once built.

    >>> table.find("GET", "/v1/files/file-1/content")
    (<Route file-content>, {'file_id': 'file-1'})
    """

    __slots__ = ("_literal", "_root")

    def __init__(self, routes: Iterable[R]) -> None:
        self._literal: dict[str, dict[str, R]] = {}
        self._root: _Node[R] = _Node()
        for route in routes:
            if "{" not in route.path:
                methods = self._literal.setdefault(route.path, {})
                for method in route.methods:
                    methods.setdefault(method, route)
            else:
                self._insert(route)

    def _insert(self, route: R) -> None:
        node = self._root
        for segment in route.path[1:].split("/"):
            if segment.endswith("...}"):
                node.rest.append(route)
                return
            if segment.startswith("{"):
                node.one = node.one or _Node()
                node = node.one
            else:
                node = node.literal.setdefault(segment, _Node())
        node.routes.append(route)

    def find(self, method: str, path: str) -> tuple[R | None, Mapping[str, str]]:
        """The route and its raw path parameters; (None, {}) when nothing matches both path and method."""
        methods = self._literal.get(path)
        if methods is not None:
            route = methods.get(method)
            if route is not None:
                return route, _NOTHING
        if has_dot_segment(path):
            return None, _NOTHING
        for route, values in self._walk(path):
            if method in route.methods:
                return route, dict(zip(parameter_names(route.path), values, strict=True))
        return None, _NOTHING

    def methods(self, path: str) -> tuple[str, ...]:
        """Every method that some route has on this path, for ``Allow``; () for an unknown path."""
        found = list(self._literal.get(path, ()))
        if not has_dot_segment(path):
            found += [method for route, _ in self._walk(path) for method in route.methods]
        return tuple(dict.fromkeys(found))

    def _walk(self, path: str) -> Iterator[tuple[R, tuple[str, ...]]]:
        """All matching templated routes, the most literal first."""
        segments = path[1:].split("/")
        open_ends: list[tuple[_Node[R], int, tuple[str, ...]]] = [(self._root, 0, ())]
        while open_ends:
            node, depth, values = open_ends.pop()
            if depth == len(segments):
                for route in node.routes:
                    yield route, values
                continue
            segment = segments[depth]
            # Last in, first out: the less literal ways are pushed first.
            if node.rest and depth < len(segments) and "/".join(segments[depth:]):
                open_ends.append((_ending(node.rest), len(segments), (*values, "/".join(segments[depth:]))))
            if node.one is not None and segment:
                open_ends.append((node.one, depth + 1, (*values, segment)))
            child = node.literal.get(segment)
            if child is not None:
                open_ends.append((child, depth + 1, values))


def _ending(routes: list[R]) -> _Node[R]:
    node: _Node[R] = _Node()
    node.routes = routes
    return node


_NOTHING: Mapping[str, str] = {}
_DOTS = re.compile(r"\.\.?(?:[;\0 ].*)?", re.DOTALL)


def parameter_names(path: str) -> list[str]:
    """``/v1/threads/{thread_id}/runs/{run_id}`` → ``["thread_id", "run_id"]``."""
    return [segment[1:-1].removesuffix("...") for segment in path.split("/") if segment.startswith("{")]


def has_dot_segment(path: str) -> bool:
    """Whether some segment means "here" or "up" once decoded, to whoever cuts it at a ``;``, a blank or a NUL before he looks.

    Such a path could leave the place that a route gives it upstream.
    """
    if "." not in path and "%" not in path:
        return False
    return any(_DOTS.fullmatch(part) for part in unquote(path).replace("\\", "/").split("/"))
