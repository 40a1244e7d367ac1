"""The items of an openai.responses stream, told piece by piece and each piece once.

Servers tell the same thing up to four times: in deltas, in the ``.done`` of a part, in the ``output_item.done`` of its item, and in
the response at the end. Some leave out the deltas, some the items; some number everything 0, or make up a new id for each event. So
a piece is told when it first comes, and whatever a later event knows beyond what was told is told then.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Generic, Protocol, TypeVar

from monorelay.dialects.responses_output import (
    BETWEEN_THOUGHTS,
    CALL,
    CUSTOM,
    MESSAGE,
    REASONING,
    TOLD,
    annotations_of,
    arguments_of,
    items_of,
    refusal_of,
    texts_of,
    thoughts_in,
    word_of,
)

Fields = Mapping[str, Any]
C = TypeVar("C")  # what a teller knows an open call by


class Teller(Protocol[C]):
    """Tells a client. ``before`` is the length of the parts of a message that stand before the annotation's own; ``end_words`` says
    that what follows is another message or thought; ``item`` is empty where the upstream did not tell it whole; ``is_cut``: the
    call was not finished.
    """

    def text(self, piece: str, logprobs: object) -> None: ...
    def refusal(self, piece: str) -> None: ...
    def cite(self, annotation: Fields, before: int) -> None: ...
    def think(self, piece: str) -> None: ...
    def end_words(self) -> None: ...
    def end_thought(self, item: Fields) -> None: ...
    def open_call(self, item: Fields) -> C: ...
    def arguments(self, call: C, piece: str) -> None: ...
    def end_call(self, call: C, is_cut: bool) -> None: ...


class _Item(Generic[C]):
    """An item on its way. Mutable: how many characters and annotations of it were told, and of which parts; ``call`` once its name
    is known; ``source`` is the field whose thoughts are told, content or summary.
    """

    __slots__ = ("annotations", "call", "is_over", "kind", "parts", "refused", "source", "told")

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.told = 0
        self.refused = 0
        self.annotations = 0
        self.parts: dict[int, int] = {}
        self.source = ""
        self.call: C | None = None
        self.is_over = False


class OutputItems(Generic[C]):
    """Mutable: ``_found`` has the items by their id and by their index, ``_all`` in their order; ``_open_words`` is the message or
    thought that was told last, until it is over.
    """

    __slots__ = ("_all", "_found", "_open_words", "_teller")

    def __init__(self, teller: Teller[C]) -> None:
        self._teller = teller
        self._all: list[_Item[C]] = []
        self._found: dict[object, _Item[C]] = {}
        self._open_words: _Item[C] | None = None

    def __repr__(self) -> str:
        return f"<OutputItems {len(self._all)}>"

    # ------------------------------------------------------------------ items

    def add(self, fields: Fields) -> None:
        """output_item.added: a call begins."""
        whole, kind = _whole_of(fields)
        if kind in TOLD:
            known = self._found.get(word_of(whole, "id") or None)
            if known is None or known.kind != kind:
                self._open(whole, kind, fields.get("output_index"))

    def end(self, fields: Fields) -> None:
        """output_item.done: the rest of the item."""
        whole, kind = _whole_of(fields)
        if kind in TOLD:
            index = fields.get("output_index")
            item = self._find(whole.get("id"), index, kind)
            if item is None or (item.is_over and word_of(whole, "id") not in self._found):
                item = self._open(whole, kind, index)
            self._settle(item, whole)

    def settle(self, response: Fields, is_incomplete: bool) -> None:
        """The response is over: the rest of all its items. They are counted by their kind, because their ids may be new again."""
        seen: dict[str, list[_Item[C]]] = {kind: [item for item in self._all if item.kind == kind] for kind in TOLD}
        counts = dict.fromkeys(TOLD, 0)
        for whole in items_of(response):
            kind = word_of(whole, "type")
            if kind in TOLD:
                at, counts[kind] = counts[kind], counts[kind] + 1
                self._settle(seen[kind][at] if at < len(seen[kind]) else self._open(whole, kind, None), whole)
        for item in self._all:
            self._settle(item, {"status": "incomplete"} if is_incomplete else {})

    def _find(self, item_id: object, index: object, kind: str) -> _Item[C] | None:
        item = self._found.get(item_id) if isinstance(item_id, str) and item_id else None
        if item is None or item.kind != kind:
            item = self._found.get(index) if type(index) is int else None
        return item if item is not None and item.kind == kind else None

    def _of(self, fields: Fields, kind: str) -> _Item[C]:
        """The item that a piece belongs to; a new one where it was not announced."""
        item_id, index = fields.get("item_id"), fields.get("output_index")
        item = self._find(item_id, index, kind)
        return self._enter(_Item(kind), item_id, index) if item is None or item.is_over else item

    def _enter(self, item: _Item[C], item_id: object, index: object) -> _Item[C]:
        if isinstance(item_id, str) and item_id:
            self._found[item_id] = item
        if type(index) is int:
            self._found[index] = item
        self._all.append(item)
        return item

    def _open(self, whole: Fields, kind: str, index: object) -> _Item[C]:
        item = self._enter(_Item(kind), whole.get("id"), index)
        self._name(item, whole)
        return item

    def _name(self, item: _Item[C], whole: Fields) -> None:
        """A call begins with its name."""
        if item.kind in (CALL, CUSTOM) and item.call is None and word_of(whole, "name"):
            item.call = self._teller.open_call(whole)

    def _settle(self, item: _Item[C], whole: Fields) -> None:
        """Tells what is missing of an item that is over."""
        if item.is_over:
            return
        item.is_over = True
        if item.kind == MESSAGE:
            self._settle_message(item, whole)
        elif item.kind == REASONING:
            self._settle_thought(item, whole)
        else:
            self._name(item, whole)
            if item.call is not None:
                self._rest_of_arguments(item, arguments_of(whole))
                self._teller.end_call(item.call, whole.get("status") == "incomplete")

    def _settle_message(self, item: _Item[C], whole: Fields) -> None:
        parts = texts_of(whole)
        if item.told:
            self._tell_text(item, max(item.parts), "".join(part["text"] for part in parts)[item.told :], None)
        else:
            for at, part in enumerate(parts):
                self._tell_text(item, at, part["text"], part.get("logprobs"))
        said, sources = 0, []
        for part in parts:
            sources += [(annotation, said) for annotation in annotations_of(part)]
            said += len(part["text"])
        for annotation, before in sources[item.annotations :]:
            self._teller.cite(annotation, before)
        self._tell_refusal(item, refusal_of(whole)[item.refused :])
        self._end_words()

    def _settle_thought(self, item: _Item[C], whole: Fields) -> None:
        source = item.source or ("content" if thoughts_in(whole, "content") else "summary")
        texts = thoughts_in(whole, source)
        if item.told < sum(map(len, texts)):
            self._begin_words(item)
            self._teller.think(BETWEEN_THOUGHTS.join(texts)[item.told :])
        self._teller.end_thought(whole)
        self._end_words()

    def _begin_words(self, item: _Item[C]) -> None:
        if self._open_words is not item:
            self._end_words()
            self._open_words = item

    def _end_words(self) -> None:
        if self._open_words is not None:
            self._open_words = None
            self._teller.end_words()

    # ------------------------------------------------------------------ words

    def text(self, fields: Fields) -> None:
        """output_text.delta"""
        item = self._of(fields, MESSAGE)
        self._tell_text(item, _position(fields, "content_index"), fields.get("delta"), fields.get("logprobs"))

    def end_text(self, fields: Fields) -> None:
        """output_text.done"""
        item, at = self._known(fields, MESSAGE), _position(fields, "content_index")
        if not item.is_over:
            told = item.parts.get(at, 0)
            self._tell_text(item, at, word_of(fields, "text")[told:], None if told else fields.get("logprobs"))

    def refusal(self, fields: Fields) -> None:
        """refusal.delta"""
        self._tell_refusal(self._of(fields, MESSAGE), fields.get("delta"))

    def end_refusal(self, fields: Fields) -> None:
        """refusal.done"""
        item = self._known(fields, MESSAGE)
        if not item.is_over:
            self._tell_refusal(item, word_of(fields, "refusal")[item.refused :])

    def annotate(self, fields: Fields) -> None:
        """output_text.annotation.added"""
        item, annotation, at = self._known(fields, MESSAGE), fields.get("annotation"), _position(fields, "content_index")
        if isinstance(annotation, dict) and not item.is_over:
            item.annotations += 1
            self._teller.cite(annotation, sum(length for part, length in item.parts.items() if part < at))

    def _known(self, fields: Fields, kind: str) -> _Item[C]:
        """The same item, also where it is over."""
        return self._find(fields.get("item_id"), fields.get("output_index"), kind) or self._of(fields, kind)

    def _tell_text(self, item: _Item[C], at: int, piece: object, logprobs: object) -> None:
        if isinstance(piece, str) and piece:
            self._begin_words(item)
            self._teller.text(piece, logprobs)
            item.parts[at] = item.parts.get(at, 0) + len(piece)
            item.told += len(piece)

    def _tell_refusal(self, item: _Item[C], piece: object) -> None:
        if isinstance(piece, str) and piece:
            self._begin_words(item)
            self._teller.refusal(piece)
            item.refused += len(piece)

    # ------------------------------------------------------------------ thoughts

    def think(self, fields: Fields, source: str, position: str) -> None:
        """reasoning_summary_text.delta, reasoning_text.delta: whichever comes first; its parts are paragraphs."""
        item, piece, at = self._of(fields, REASONING), fields.get("delta"), _position(fields, position)
        if not isinstance(piece, str) or not piece or (item.source and item.source != source):
            return
        if item.told and at not in item.parts:
            piece = BETWEEN_THOUGHTS + piece
        item.source = source
        item.parts[at] = item.parts.get(at, 0) + len(piece)
        item.told += len(piece)
        self._begin_words(item)
        self._teller.think(piece)

    def end_thinking(self, fields: Fields, source: str, position: str) -> None:
        """The same: .done"""
        item = self._known(fields, REASONING)
        if not item.is_over and _position(fields, position) not in item.parts:
            self.think({**fields, "delta": fields.get("text")}, source, position)

    # ------------------------------------------------------------------ calls

    def argue(self, fields: Fields, kind: str) -> None:
        """function_call_arguments.delta, custom_tool_call_input.delta. Pieces that come before the name of the call are not kept:
        they come again, whole, when it is over.
        """
        item, piece = self._of(fields, kind), fields.get("delta")
        if isinstance(piece, str) and piece and item.call is not None:
            item.told += len(piece)
            self._teller.arguments(item.call, piece)

    def end_arguing(self, fields: Fields, kind: str) -> None:
        """The same: .done"""
        item = self._known(fields, kind)
        if not item.is_over:
            self._rest_of_arguments(item, arguments_of({**fields, "type": kind}))

    def _rest_of_arguments(self, item: _Item[C], whole: str) -> None:
        rest = whole[item.told :]
        if rest and item.call is not None:
            item.told += len(rest)
            self._teller.arguments(item.call, rest)


def _whole_of(fields: Fields) -> tuple[Fields, str]:
    """The item that an event brings, and its type."""
    whole = fields.get("item")
    return (whole, word_of(whole, "type")) if isinstance(whole, dict) else ({}, "")


def _position(fields: Fields, name: str) -> int:
    at = fields.get(name)
    return at if type(at) is int else 0
