"""The ids of objects that an answer made or first named, so that later requests about them find the provider that has them.

A run names its thread, a batch the files it wrote: whoever asks for those later must be sent to the same place. Lists, and objects
that were just deleted, name nothing worth remembering.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

# Capability → fields of its objects that hold ids, the object's own first. Answers of other capabilities are not remembered.
_FIELDS: dict[str, tuple[str, ...]] = {
    "openai.responses": ("id",),
    "openai.files": ("id",),
    "openai.batches": ("id", "output_file_id", "error_file_id"),
    "openai.fine_tuning": ("id", "result_files"),
    "openai.assistants": ("id", "thread_id"),
}
_PARSED = 64 * 1024  # objects are small but for responses, and those begin with their id
_HEAD = 4 * 1024
_ID = re.compile(rb'"id"\s*:\s*"([^"\\]{1,512})"')


def remembered_ids(capability: str, body: bytes) -> tuple[str, ...]:
    """All ids that this JSON answer names: the object's own, then of those that came with it. A cut body will do if it is long."""
    if capability not in _FIELDS:
        return ()
    if len(body) > _PARSED:
        found = first_id(body)
        return (found,) if found else ()
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        return ()
    return ids_of(capability, fields) if isinstance(fields, dict) else ()


def ids_of(capability: str, fields: Mapping[str, Any]) -> tuple[str, ...]:
    """The same of an object already parsed."""
    if fields.get("deleted") is True or fields.get("object") == "list" or "custom_id" in fields:
        return ()  # with a custom_id it is a line of a batch's file
    found: list[str] = []
    for name in _FIELDS.get(capability, ()):
        value = fields.get(name)
        for each in value if isinstance(value, list) else (value,):
            if isinstance(each, str) and each and each not in found:
                found.append(each)
    return tuple(found)


def first_id(text: bytes) -> str | None:
    """The ``id`` near the beginning of an object that was not parsed whole; not one inside a list."""
    match = _ID.search(text, 0, _HEAD)
    return match[1].decode("utf-8", "replace") if match and b"[" not in text[: match.start()] else None
