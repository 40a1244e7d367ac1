"""Token figures, in every spelling: found near the end of an answer without parsing the whole.

The families count differently: OpenAI's prompt_tokens and input_tokens include what came from the prompt cache, Anthropic's
input_tokens exclude it. ``Usage`` excludes it, so the first are reduced and the second are taken as they are.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from monorelay.dialects.interface import Usage

_KEY = b'"usage"'
_LONGEST = 16 * 1024  # no vendor's usage object comes near it
_TRIES = 8  # keys of the same name in a tool's schema or in metadata stand behind or before the real one
_MOST = 2**53  # figures are added up, and Python refuses to write those of thousands of digits
_DECODER = json.JSONDecoder()


def find_usage(body: bytes) -> Usage | None:
    """The last usage object in ``body`` (a whole JSON answer, the tail of one, or events), None when nobody told.

    Inside a JSON string quotes are escaped, so the key cannot be met in a model's text.
    """
    end = len(body)
    for _ in range(_TRIES):
        at = body.rfind(_KEY, 0, end)
        if at < 0:
            return None
        usage = _read_at(body, at + len(_KEY))
        if usage is not None:
            return usage
        end = at
    return None


def _read_at(body: bytes, start: int) -> Usage | None:
    text = body[start : start + _LONGEST].decode("utf-8", "replace").lstrip()
    if not text.startswith(":"):
        return None
    text = text[1:].lstrip()
    if not text.startswith("{"):
        return None
    try:
        found, _ = _DECODER.raw_decode(text)
    except (ValueError, RecursionError):
        return None
    return read_usage(found)


def read_usage(found: Mapping[str, Any]) -> Usage | None:
    """One usage object, of whatever family; None when it holds no figure that we know."""
    prompt = _details(found, "prompt_tokens_details", "input_tokens_details")
    completion = _details(found, "completion_tokens_details", "output_tokens_details")
    whole = _count(found, "prompt_tokens", "input_tokens")
    read = _count(prompt, "cached_tokens")
    if read is None:
        read = _count(found, "cached_tokens", "prompt_cache_hit_tokens", "cache_read_input_tokens")
    written = _count(prompt, "cache_write_tokens")
    if written is None:
        written = _count(found, "cache_creation_input_tokens")
    if whole is not None and not _excludes_cache(found):
        whole = max(0, whole - (read or 0) - (written or 0))
    usage = Usage(
        input=whole,
        cache_read=read,
        cache_write=written,
        output=_count(found, "completion_tokens", "output_tokens"),
        reasoning=_count(completion, "reasoning_tokens", "thinking_tokens"),
    )
    return None if usage == Usage() else usage


def merge_usage(earlier: Usage | None, later: Usage | None) -> Usage | None:
    """What both told. Figures of one stream only grow, so a later zero does not take an earlier figure back."""
    if earlier is None or later is None:
        return later or earlier
    return Usage(**{each.name: _told(getattr(earlier, each.name), getattr(later, each.name)) for each in fields(Usage)})


def _told(earlier: int | None, later: int | None) -> int | None:
    return earlier if later is None or (later == 0 and earlier is not None) else later


def _excludes_cache(found: Mapping[str, Any]) -> bool:
    """Anthropic's own spelling: nothing but its input_tokens leaves the cache out."""
    return "prompt_tokens" not in found and ("cache_read_input_tokens" in found or "cache_creation_input_tokens" in found)


def _details(found: Mapping[str, Any], *names: str) -> Mapping[str, Any]:
    for name in names:
        details = found.get(name)
        if isinstance(details, dict):
            return details
    return {}


def _count(found: Mapping[str, Any], *names: str) -> int | None:
    for name in names:
        value = found.get(name)
        if type(value) is int and 0 <= value < _MOST:
            return value
    return None
