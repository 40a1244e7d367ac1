"""An upstream's errors in the client's words, from a refusal, from inside a stream, and from inside a 200."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from monorelay.dialects.envelopes import as_json
from monorelay.dialects.interface import StreamError
from monorelay.dialects.refusals import common_error, translate_refusal
from monorelay.dialects.sse import Event
from monorelay.dialects.stream_errors import find_error, read_error
from monorelay.errors import ErrorBody

_TOO_LONG = re.compile(
    r"context[_ ](?:length|window|size)|maximum (?:input|prompt|model) (?:length|len)|too many (?:input )?tokens", re.I
)
# Claude Code looks for these words to know that it has to compact the conversation.
_ANTHROPICS_WORDS = "prompt is too long"


def error_in(name: str, fields: Mapping[str, Any]) -> StreamError | None:
    """The error that a chunk, or a whole answer, is; None when it is none."""
    choices = fields.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    if isinstance(choice, dict) and (isinstance(choice.get("error"), dict) or choice.get("finish_reason") == "error"):
        inner = fields.get("error") or choice.get("error")
        error: StreamError | None = read_error(inner if isinstance(inner, dict) else {"message": inner or ""})
    else:
        error = find_error(Event(name, b"", b""), fields)
    return None if error is None else StreamError(error.status, _worded(common_error(error.status, error.body)))


def may_be_error(name: str, fields: Mapping[str, Any]) -> bool:
    """Cheap, and true of every chunk that is one, but for those that say so inside a choice."""
    return name == "error" or "error" in fields or fields.get("object") == "error" or fields.get("type") == "error"


def refusal(status: int, body: bytes) -> bytes | None:
    """None when the body has no error object. Some servers put theirs into a list."""
    if body.lstrip().startswith(b"["):
        try:
            found = json.loads(body)
        except (ValueError, RecursionError):
            return None
        body = as_json(found[0]) if found else body
    translated = translate_refusal("anthropic", status, body)
    if translated is None or status not in (400, 413) or not _TOO_LONG.search(translated.decode("utf-8", "replace")):
        return translated
    envelope = json.loads(translated)
    error = envelope["error"]
    worded = _worded(ErrorBody(error["type"], error["message"], error.get("code"), error.get("param")))
    return as_json({**envelope, "error": {**error, "message": worded.message}})


def _worded(error: ErrorBody) -> ErrorBody:
    if not _TOO_LONG.search(f"{error.code} {error.message}") or _ANTHROPICS_WORDS in error.message.lower():
        return error
    return ErrorBody(error.type, f"{_ANTHROPICS_WORDS}: {error.message}", error.code, error.param)
