"""An error event inside a 200 stream becomes a ``StreamError``: what it says, and the HTTP status it would have had.

Shapes met in the wild, all read here: ``{"error": {…}}`` as a chat chunk with or without ``choices``, the same under
``event: error``, ``{"error": "text"}``, ``{"object": "error", …}``, Anthropic's ``{"type": "error", "error": {…}}``, the Responses
event ``{"type": "error", "code": …, "message": …}`` and the ``error`` of ``response.failed``. A code may be a word, or an HTTP
status as a number.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from monorelay.dialects import anthropic_messages, openai_chat, openai_responses
from monorelay.dialects.interface import StreamError
from monorelay.dialects.sse import Event
from monorelay.errors import ErrorBody

_STATUS = {**openai_responses.ERROR_STATUS, **anthropic_messages.ERROR_STATUS, **openai_chat.ERROR_STATUS}

# Words that no table can list, by what they contain; the first that fits decides.
_STATUS_BY_PART = (
    ("rate_limit", 429),
    ("ratelimit", 429),
    ("throttl", 429),
    ("quota", 402),
    ("billing", 402),
    ("overload", 529),
    ("authentication", 401),
    ("permission", 403),
    ("invalid", 400),
    ("not_found", 404),
)
_TYPE_BY_STATUS = {400: "invalid_request_error", 401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
_LONGEST_TEXT = 500


def find_error(event: Event, fields: Mapping[str, Any]) -> StreamError | None:
    """The error that this event is, or None. ``fields`` is its data parsed, empty where that is no JSON object."""
    error = fields.get("error")
    if isinstance(error, dict) and error:
        return read_error(error)
    if isinstance(error, str) and error:
        return read_error({**fields, "message": error})
    if event.name == "error" or fields.get("type") == "error" or fields.get("object") == "error":
        return read_error(fields or {"message": event.data[:_LONGEST_TEXT].decode("utf-8", "replace")})
    return None


def read_error(error: Mapping[str, Any]) -> StreamError:
    """One error object, of whatever dialect; an empty one is an error too."""
    status = _status(error)
    kind = _word(error, "type")
    code = _word(error, "code")
    return StreamError(
        status,
        ErrorBody(
            type=kind if kind not in (None, "error") else _TYPE_BY_STATUS.get(status, "upstream_error"),
            message=_word(error, "message") or _word(error, "detail") or f"The stream failed: {code or kind or 'no reason given'}.",
            code=code,
            param=_word(error, "param"),
        ),
    )


def _word(error: Mapping[str, Any], name: str) -> str | None:
    """A field as text, if it is a plain one."""
    value = error.get(name)
    if type(value) is int:
        return str(value)
    return value if isinstance(value, str) and value else None


def _status(error: Mapping[str, Any]) -> int:
    """The most particular field that we understand decides: a code before a type."""
    words = [error[name] for name in ("code", "status", "status_code", "type") if name in error]
    for word in words:
        status = _as_number(word) or (_STATUS.get(word.lower()) if isinstance(word, str) else None)
        if status is not None:
            return status
    for word in words:
        for part, status in _STATUS_BY_PART:
            if isinstance(word, str) and part in word.lower():
                return status
    return 500


def _as_number(word: object) -> int | None:
    if isinstance(word, str) and len(word) == 3 and word.isascii() and word.isdigit():
        word = int(word)
    return word if type(word) is int and 400 <= word <= 599 else None
