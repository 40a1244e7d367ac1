"""What the demo remembers: bounded shelves of objects by id, and pages of lists as the API gives them out."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Generic, TypeVar

from monorelay.demo.refusal import Refusal

T = TypeVar("T")


def new_id(prefix: str) -> str:
    return prefix + secrets.token_hex(12)


class Shelf(Generic[T]):
    """Objects by id, in the order they came; beyond the capacity the oldest is lost."""

    # Mutable: _objects, by put and take.

    def __init__(self, kind: str, capacity: int = 1_000) -> None:
        self._kind = kind
        self._capacity = capacity
        self._objects: OrderedDict[str, T] = OrderedDict()

    def __iter__(self) -> Iterator[T]:
        return iter(self._objects.values())

    def put(self, object_id: str, thing: T) -> None:
        self._objects[object_id] = thing
        while len(self._objects) > self._capacity:
            self._objects.popitem(last=False)

    def find(self, object_id: Any) -> T | None:
        return self._objects.get(object_id)

    def get(self, object_id: str) -> T:
        """Raises Refusal 404."""
        try:
            return self._objects[object_id]
        except KeyError:
            raise Refusal(404, f"No {self._kind} found with id '{object_id}'.", code="not_found") from None

    def take(self, object_id: str) -> T:
        """Gets and removes. Raises Refusal 404."""
        thing = self.get(object_id)
        del self._objects[object_id]
        return thing


def page(items: Sequence[dict[str, Any]], argument: Callable[..., Any], suffix: str = "") -> dict[str, Any]:
    """One page of a list whose items came in the order of time; newest first unless the request says otherwise.

    ``argument`` reads limit, order, after and before; ``suffix`` is what the dialect puts behind the names of the latter two.
    """
    ordered = list(items) if argument("order", "desc") == "asc" else list(reversed(items))
    ids = [item["id"] for item in ordered]
    after, before, limit = argument(f"after{suffix}", None), argument(f"before{suffix}", None), argument("limit", "20")
    if not limit.isdigit():
        raise Refusal(400, "limit must be a number.", param="limit")
    within = ordered[ids.index(after) + 1 if after in ids else 0 : ids.index(before) if before in ids else len(ids)]
    size = max(1, int(limit))
    shown = within[-size:] if before in ids else within[:size]
    return {
        "object": "list",
        "data": shown,
        "first_id": shown[0]["id"] if shown else None,
        "last_id": shown[-1]["id"] if shown else None,
        "has_more": len(within) > len(shown),
    }
