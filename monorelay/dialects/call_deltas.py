"""Which call a delta of openai.chat belongs to: told by its index *and* its id, because servers use both as they like.

Some give every call the index 0; some leave out the index, the id, or both; some repeat id and name in every delta, or make up a
new id for each. So a call is another one when it comes under another index, or with another id and a name; without an id, when it
has another name, or a name and arguments although the call before it is whole.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Generic, Protocol, TypeVar

from monorelay.dialects.chat_answers import function_of
from monorelay.dialects.envelopes import as_json


class OpenCall(Protocol):
    """A call on its way to the client. ``is_whole``: nothing more can follow; ``may_be_over``: nothing more need follow."""

    @property
    def is_whole(self) -> bool: ...
    @property
    def may_be_over(self) -> bool: ...


C = TypeVar("C", bound=OpenCall)


class _Known(Generic[C]):
    """A call that was opened: the upstream's id and name of it."""

    __slots__ = ("call", "call_id", "name")

    def __init__(self, call: C, call_id: object, name: str) -> None:
        self.call = call
        self.call_id = call_id
        self.name = name


class CallDeltas(Generic[C]):
    """``begin`` opens a call, told all that came of it so far and its name; ``give`` takes a piece of its arguments.

    Mutable: ``_known`` finds a call by its index, or by its id where there are no indexes; ``_latest`` is the last one opened;
    ``_nameless`` keeps what came of a call before its name.
    """

    __slots__ = ("_begin", "_give", "_known", "_latest", "_nameless")

    def __init__(self, begin: Callable[[Mapping[str, Any], str], C], give: Callable[[C, str], None]) -> None:
        self._begin = begin
        self._give = give
        self._known: dict[object, _Known[C]] = {}
        self._latest: _Known[C] | None = None
        self._nameless: dict[object, list[Mapping[str, Any]]] = {}

    def take(self, told: Mapping[str, Any]) -> None:
        """One element of a delta's tool_calls."""
        name, arguments = function_of(told)
        index, call_id = told.get("index"), told.get("id")
        key = index if type(index) is int else call_id if isinstance(call_id, str) and call_id else None
        known = self._latest if key is None else self._known.get(key)
        if known is not None and not (name and _is_another(known, told, name, arguments)):
            self._tell(known.call, arguments)
        elif name:
            self._open(key, told, name, arguments)
        else:
            self._nameless.setdefault(key, []).append(told)

    def _open(self, key: object, told: Mapping[str, Any], name: str, arguments: object) -> None:
        earlier = self._nameless.pop(key, ())
        whole: dict[str, Any] = {}
        for each in (*earlier, told):
            whole.update({field: value for field, value in each.items() if value})
        known = self._latest = _Known(self._begin(whole, name), whole.get("id"), name)
        if key is not None:
            self._known[key] = known
        for each in earlier:
            self._tell(known.call, function_of(each)[1])
        self._tell(known.call, arguments)

    def _tell(self, call: C, arguments: object) -> None:
        if isinstance(arguments, str):
            self._give(call, arguments)
        elif arguments is not None:
            self._give(call, as_json(arguments).decode())


def _is_another(known: _Known[Any], told: Mapping[str, Any], name: str, arguments: object) -> bool:
    if told.get("id"):
        return known.call_id is not None and known.call_id != told["id"]
    return name != known.name or (bool(arguments) and (known.call.is_whole or known.call.may_be_over))
