"""Which call a delta belongs to: told by its index *and* its id, because servers use both as they like.

Some give every call the index 0; some leave out the index, the id, or both; some repeat id and name in every delta, or make up a
new id for each. So a call is another one when it comes under another index, or with another id and a name; without an id, when it
has another name, or a name and arguments although the call before it is whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from monorelay.dialects.anthropic_messages_to_openai_chat.answer import call_id, function_of
from monorelay.dialects.anthropic_messages_to_openai_chat.request import Asked
from monorelay.dialects.envelopes import as_json
from monorelay.dialects.interface import Hints
from monorelay.dialects.messages_writer import Call, MessageWriter


class _Known:
    """A call that was opened: the upstream's id and name of it."""

    __slots__ = ("block", "call_id", "name")

    def __init__(self, block: Call, call_id: object, name: str) -> None:
        self.block = block
        self.call_id = call_id
        self.name = name


class CallDeltas:
    """Mutable: ``_known`` finds a call by its index, or by its id where there are no indexes; ``_latest`` is the last one opened;
    ``_nameless`` keeps what came of a call before its name.
    """

    __slots__ = ("_asked", "_hints", "_known", "_latest", "_nameless", "_writer")

    def __init__(self, asked: Asked, hints: Hints, writer: MessageWriter) -> None:
        self._asked = asked
        self._hints = hints
        self._writer = writer
        self._known: dict[object, _Known] = {}
        self._latest: _Known | None = None
        self._nameless: dict[object, list[Mapping[str, Any]]] = {}

    def take(self, told: Mapping[str, Any]) -> None:
        """One element of a delta's tool_calls."""
        name, arguments = function_of(told)
        index = told.get("index")
        key = index if type(index) is int else told.get("id") or None
        known = self._latest if key is None else self._known.get(key)
        if known is not None and not (name and _is_another(known, told, name, arguments)):
            self._give(known.block, arguments)
        elif name:
            self._open(key, told, name, arguments)
        else:
            self._nameless.setdefault(key, []).append(told)

    def _open(self, key: object, told: Mapping[str, Any], name: str, arguments: object) -> None:
        earlier = self._nameless.pop(key, ())
        whole: dict[str, Any] = {}
        for each in (*earlier, told):
            whole.update({field: value for field, value in each.items() if value})
        known = _Known(self._writer.call(call_id(whole, self._hints), self._asked.names.own(name)), whole.get("id"), name)
        self._latest = known
        if key is not None:
            self._known[key] = known
        for each in earlier:
            self._give(known.block, function_of(each)[1])
        self._give(known.block, arguments)

    def _give(self, block: Call, arguments: object) -> None:
        if isinstance(arguments, str):
            self._writer.arguments(block, arguments)
        elif arguments is not None:
            self._writer.arguments(block, as_json(arguments).decode())


def _is_another(known: _Known, told: Mapping[str, Any], name: str, arguments: object) -> bool:
    if told.get("id"):
        return known.call_id is not None and known.call_id != told["id"]
    return name != known.name or (bool(arguments) and (known.block.is_whole or known.block.may_be_over))
