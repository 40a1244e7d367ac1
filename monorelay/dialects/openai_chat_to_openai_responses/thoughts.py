"""What the model thought, in a chat message: ``reasoning_content`` for eyes, ``reasoning_details`` to be sent back.

A reasoning item becomes one detail for each paragraph that can be read and one for what is encrypted, in the form that routers of
chat clients already use. Clients that send their messages back whole send these too, and the item is put together again: under its
own id, because its maker refuses it under another.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from monorelay.dialects.loss import Losses
from monorelay.dialects.quirks import Quirks
from monorelay.dialects.responses_input import reasoning_item
from monorelay.dialects.responses_output import thoughts_in, word_of

Detail = dict[str, Any]

FORMAT = "openai-responses-v1"


def details_of(item: Mapping[str, Any], first: int, quirks: Quirks) -> list[Detail]:
    """The details of a reasoning item, numbered from ``first``; none where it cannot be sent back anyway."""
    encrypted, item_id = word_of(item, "encrypted_content"), word_of(item, "id")
    if not encrypted and not quirks.echo_reasoning:
        return []
    found: list[Detail] = [{"type": "reasoning.summary", "summary": text} for text in thoughts_in(item, "summary")]
    found += [{"type": "reasoning.text", "text": text} for text in thoughts_in(item, "content")]
    if encrypted:
        found.append({"type": "reasoning.encrypted", "data": encrypted})
    named = {"id": item_id, "format": FORMAT} if item_id else {"format": FORMAT}
    return [{**detail, **named, "index": first + at} for at, detail in enumerate(found)]


def items_of(message: Mapping[str, Any], quirks: Quirks, losses: Losses) -> Iterator[dict[str, Any]]:
    """The reasoning items of an earlier answer."""
    details = message.get("reasoning_details")
    texts: dict[str, list[str]] = {"summary": [], "text": []}
    is_known = False
    for detail in details if isinstance(details, list) else ():
        if not isinstance(detail, dict) or detail.get("format", FORMAT) != FORMAT:
            continue
        kind = word_of(detail, "type").removeprefix("reasoning.")
        if kind == "encrypted" and word_of(detail, "data"):
            yield reasoning_item(word_of(detail, "id"), texts["summary"], texts["text"], word_of(detail, "data"))
            texts, is_known = {"summary": [], "text": []}, True
        elif kind in texts and word_of(detail, kind):
            texts[kind].append(word_of(detail, kind))
    bare = word_of(message, "reasoning_content") or word_of(message, "reasoning")
    if not is_known and not any(texts.values()) and bare:
        texts["text"].append(bare)
    if any(texts.values()):
        if quirks.echo_reasoning:
            yield reasoning_item("", texts["summary"], texts["text"])
        else:
            losses.add("messages.reasoning_content")
