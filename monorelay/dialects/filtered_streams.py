"""Whether a stream came to its end without saying anything, because a filter took it: for who would then ask somebody else.

Read once, of what was heard before any content, and only where there is somebody else to ask. A stream that said something first
is the client's already; that of whole answers is in ``refusal_kinds.py``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from monorelay.dialects import openai_responses
from monorelay.dialects.sse import read_events
from monorelay.dialects.watchers import watcher_for


def is_filtered_stream(capability: str, heard: bytes) -> bool:
    """``heard``: all of the upstream's bytes so far. False while its end was not said, and as soon as there was content.

    >>> is_filtered_stream("openai.chat", b'data: {"choices": [{"delta": {}, "finish_reason": "content_filter"}]}\\n\\n')
    True
    """
    ends = _ENDS.get(capability)
    if ends is None:
        return False
    watcher = watcher_for(capability)
    told: list[bool] = []
    for event in read_events(heard):
        seen = watcher.read(event)
        if seen.content or seen.error is not None:
            return False
        try:
            fields = json.loads(event.data)
        except (ValueError, RecursionError):
            continue
        if isinstance(fields, dict):
            told += ends(fields)
    return bool(told) and all(told)


def _choices_end(fields: Mapping[str, Any]) -> list[bool]:
    choices = fields.get("choices")
    reasons = [choice.get("finish_reason") for choice in choices if isinstance(choice, dict)] if isinstance(choices, list) else []
    return [reason == "content_filter" for reason in reasons if reason]


def _response_ends(fields: Mapping[str, Any]) -> list[bool]:
    if fields.get("type") not in (openai_responses.COMPLETED, openai_responses.INCOMPLETE):
        return []
    response = fields.get("response")
    details = response.get("incomplete_details") if isinstance(response, dict) else None
    return [isinstance(details, dict) and details.get("reason") == "content_filter"]


def _message_ends(fields: Mapping[str, Any]) -> list[bool]:
    delta = fields.get("delta")
    if fields.get("type") != "message_delta" or not isinstance(delta, dict):
        return []
    return [delta["stop_reason"] == "refusal"] if delta.get("stop_reason") else []


_ENDS = {
    "openai.chat": _choices_end,
    "openai.completions": _choices_end,
    "openai.responses": _response_ends,
    "anthropic.messages": _message_ends,
}
