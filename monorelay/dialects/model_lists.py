"""Model catalogues in both families' shapes: written for clients, read from upstreams.

An upstream's list is read generously (``data``, ``models`` or a bare array; objects or plain names), since compatible servers
differ most here; what is no list at all is a ValueError. Anthropic's lists come in pages, both ways.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from json.encoder import encode_basestring_ascii
from typing import Any

# The capabilities by which a provider tells its own models, and the one whose clients read lists page by page.
LISTS = ("openai.models", "anthropic.models")
PAGED_CAPABILITY = "anthropic.messages"

LISTS = ("openai.models", "anthropic.models")  # capabilities whose answer read_model_list reads
PAGED_CAPABILITY = "anthropic.messages"  # whose clients expect the list in pages

MOST_ENTRIES = 20_000
DEFAULT_LIMIT = 20
MOST_PER_PAGE = 1000
_LONGEST_ID = 512


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """One model. ``created`` is in seconds since the epoch, 0 = unknown; ``owned_by`` is "" where an upstream did not say."""

    id: str
    created: int = 0
    display_name: str | None = None
    owned_by: str = ""


@dataclass(frozen=True, slots=True)
class ModelPage:
    """What one answer of an upstream listed. ``next_after``: ask again with ``after_id`` set to it; None on the last page."""

    entries: tuple[ModelEntry, ...]
    next_after: str | None


def openai_model(entry: ModelEntry) -> bytes:
    return _openai_model(entry).encode()


def openai_model_list(entries: Iterable[ModelEntry]) -> bytes:
    return ('{"object":"list","data":[' + ",".join(map(_openai_model, entries)) + "]}").encode()


def anthropic_model(entry: ModelEntry) -> bytes:
    return _anthropic_model(entry).encode()


def anthropic_model_list(
    entries: Sequence[ModelEntry],
    limit: str | None = None,
    after_id: str | None = None,
    before_id: str | None = None,
) -> bytes:
    """One page, the parameters as the query string had them. Raises ValueError with a sentence for the client."""
    size = _page_size(limit)
    if after_id and before_id:
        raise ValueError("Only one of after_id and before_id may be given.")
    if before_id:
        end = _position(entries, before_id, "before_id")
        start = max(0, end - size)
        has_more = start > 0
    else:
        start = _position(entries, after_id, "after_id") + 1 if after_id else 0
        end = start + size
        has_more = end < len(entries)
    page = entries[start:end]
    first = encode_basestring_ascii(page[0].id) if page else "null"
    last = encode_basestring_ascii(page[-1].id) if page else "null"
    models = ",".join(map(_anthropic_model, page))
    return f'{{"data":[{models}],"has_more":{"true" if has_more else "false"},"first_id":{first},"last_id":{last}}}'.encode()


def read_model_list(body: bytes) -> ModelPage:
    """An upstream's own list. Raises ValueError when it is none."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ValueError("the model list is not JSON") from error
    page: Mapping[str, Any] = found if isinstance(found, dict) else {}
    items = next((page[name] for name in ("data", "models") if isinstance(page.get(name), list)), found)
    if not isinstance(items, list):
        raise ValueError("the model list holds neither data nor models")
    if len(items) > MOST_ENTRIES:
        raise ValueError(f"the model list holds more than {MOST_ENTRIES} models")
    entries: dict[str, ModelEntry] = {}
    for entry in map(_read_entry, items):
        if entry is not None:
            entries.setdefault(entry.id, entry)
    if items and not entries:
        raise ValueError("the model list names no model")
    last = page.get("last_id")
    return ModelPage(tuple(entries.values()), last if page.get("has_more") is True and isinstance(last, str) else None)


# Written by hand: a dict per model and json.dumps over them take twice as long, and catalogues of 5,000 models exist.


def _openai_model(entry: ModelEntry) -> str:
    owner = encode_basestring_ascii(entry.owned_by)
    return f'{{"id":{encode_basestring_ascii(entry.id)},"object":"model","created":{entry.created},"owned_by":{owner}}}'


def _anthropic_model(entry: ModelEntry) -> str:
    name = encode_basestring_ascii(entry.id if entry.display_name is None else entry.display_name)
    created = _rfc3339(entry.created)
    return f'{{"type":"model","id":{encode_basestring_ascii(entry.id)},"display_name":{name},"created_at":"{created}"}}'


def _rfc3339(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _page_size(limit: str | None) -> int:
    if limit is None:
        return DEFAULT_LIMIT
    if not (limit.isascii() and limit.isdigit() and len(limit) <= 4 and 1 <= int(limit) <= MOST_PER_PAGE):
        raise ValueError(f"limit must be a whole number from 1 to {MOST_PER_PAGE}.")
    return int(limit)


def _position(entries: Sequence[ModelEntry], wanted: str, parameter: str) -> int:
    for at, entry in enumerate(entries):
        if entry.id == wanted:
            return at
    raise ValueError(f"{parameter} names no model of this list.")


def _read_entry(item: object) -> ModelEntry | None:
    """None for what names no model. Ids go into headers and log lines, so one with control characters is no id."""
    fields: Mapping[str, Any] = item if isinstance(item, dict) else {"id": item}
    name = next((fields[key] for key in ("id", "model", "name") if isinstance(fields.get(key), str)), "")
    if not 0 < len(name) <= _LONGEST_ID or not name.isprintable():
        return None
    title = fields.get("display_name", fields.get("name"))
    owner = fields.get("owned_by")
    return ModelEntry(
        id=name,
        created=_read_time(fields.get("created", fields.get("created_at"))),
        display_name=title if isinstance(title, str) and title and title != name else None,
        owned_by=owner if isinstance(owner, str) else "",
    )


def _read_time(value: object) -> int:
    """Seconds since the epoch; 0 for what is no time, or none that a calendar knows."""
    try:
        if isinstance(value, str):
            moment = datetime.fromisoformat(value)
            value = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        return max(0, int(value)) if isinstance(value, int | float) and value < 253_402_300_800 else 0
    except (ValueError, OverflowError):
        return 0
