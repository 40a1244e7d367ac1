"""What the relay itself writes to a client, in the client's dialect: error bodies, in-band stream errors, keep-alives.

Nothing here is written in the middle of an event; who calls ``in_band_error`` says whether the stream stands at a boundary.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal

from monorelay.errors import ErrorBody

Family = Literal["openai", "anthropic"]

_DATA_ONLY = frozenset({"openai.chat", "openai.completions"})
_COMMENT = b": keepalive\n\n"
_PING = b'event: ping\ndata: {"type": "ping"}\n\n'


def family_of(word: str | None, has_anthropic_version: bool) -> Family:
    """Whose envelope a client reads. ``word`` is what its route needs or answers; where it names no dialect, the header decides."""
    if word is not None and word.startswith("openai."):
        return "openai"
    return "anthropic" if has_anthropic_version or (word or "").startswith(("anthropic.", "anthropic_")) else "openai"


def error_bytes(family: Family, error: ErrorBody) -> bytes:
    """The body of an error answer. Anthropic's carries ``"type": "error"`` too, so that both families' SDKs read it."""
    envelope: dict[str, Any] = {"error": _error_object(error)}
    return as_json({"type": "error", **envelope} if family == "anthropic" else envelope)


def in_band_error(
    capability: str,
    error: ErrorBody,
    *,
    at_boundary: bool,
    response: Mapping[str, Any] | None = None,
    sequence_number: int | None = None,
) -> bytes:
    """The event that ends a broken stream. No terminal marker follows: nothing may look like a clean end.

    ``response`` (id, created_at, model) and ``sequence_number`` matter to openai.responses alone.
    """
    start = b"" if at_boundary else b"\n\n"
    if capability in _DATA_ONLY:
        return start + _event(None, {"error": _error_object(error)})
    if capability == "openai.responses":
        return start + _event("response.failed", _response_failed(error, response or {}, sequence_number))
    if capability.startswith("anthropic."):
        return start + _event("error", {"type": "error", "error": _error_object(error)})
    return start + _event("error", {"error": _error_object(error)})


def keepalive(capability: str) -> bytes:
    """What a silent stream is kept open with: a comment, but Anthropic has an event of its own for it."""
    return _PING if capability.startswith("anthropic.") else _COMMENT


def as_json(value: object) -> bytes:
    """Compact UTF-8. A lone surrogate, which UTF-8 cannot hold, stays the escape that JSON allows."""
    try:
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    except ValueError:
        text = _without_constants(value)
    return text.encode("utf-8", "backslashreplace")


def _without_constants(value: object) -> str:
    """Python reads ``1e999`` as an infinite number, and upstreams have sent ``NaN`` and ``-Infinity`` themselves; JSON has no words
    for them. A number that is too large is written as one; what is no number is null."""
    written = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).iterencode(value)
    # A float comes alone or behind a bracket or a comma, and text never without its closing quote.
    return "".join(piece.replace("Infinity", "1e999").replace("NaN", "null") if piece[-1:] in "yN" else piece for piece in written)


def _event(name: str | None, value: Mapping[str, Any]) -> bytes:
    field = b"" if name is None else b"event: %b\n" % name.encode()
    return b"%bdata: %b\n\n" % (field, as_json(value))


def _error_object(error: ErrorBody) -> dict[str, Any]:
    found: dict[str, Any] = {"message": error.message, "type": error.type}
    if error.code is not None:
        found["code"] = error.code
    if error.param is not None:
        found["param"] = error.param
    return found


def _response_failed(error: ErrorBody, response: Mapping[str, Any], sequence_number: int | None) -> dict[str, Any]:
    event: dict[str, Any] = {"type": "response.failed"}
    if sequence_number is not None:
        event["sequence_number"] = sequence_number
    event["response"] = {
        "id": response.get("id"),
        "object": "response",
        "created_at": response.get("created_at"),
        "status": "failed",
        # The code is an enumeration of the vendor's; what our type says is in the message too.
        "error": {"code": error.code or "server_error", "message": error.message, "type": error.type, "param": error.param},
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "model": response.get("model"),
        "output": [],
        "parallel_tool_calls": True,
        "temperature": None,
        "tool_choice": "auto",
        "tools": [],
        "top_p": None,
        "usage": None,
    }
    return event
