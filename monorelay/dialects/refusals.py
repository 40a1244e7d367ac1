"""An upstream's error body in the other family's envelope: the message, param, code and request id survive.

The types are one list for both families, by the HTTP status; a type that already is on the list stays.
"""

from __future__ import annotations

import json
import re
from typing import Any

from monorelay.dialects.anthropic_messages import ERROR_STATUS
from monorelay.dialects.envelopes import Family, as_json, error_bytes
from monorelay.dialects.stream_errors import read_error
from monorelay.errors import ErrorBody

TYPE_BY_STATUS = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}


def error_type(status: int) -> str:
    """Total: an unlisted status is the caller's fault below 500 and the upstream's from there on."""
    return TYPE_BY_STATUS.get(status) or ("invalid_request_error" if status < 500 else "api_error")


def common_error(status: int, error: ErrorBody) -> ErrorBody:
    """The same error under a type that both families know."""
    kind = error.type if error.type in ERROR_STATUS else error_type(status)
    return ErrorBody(kind, error.message, error.code, error.param)


_TOO_LONG = re.compile(
    r"prompt is too long|context[_ ](?:length|window|size)|maximum (?:input|prompt|model) len|too many (?:input )?tokens", re.I
)


def openai_error(status: int, error: ErrorBody) -> ErrorBody:
    """The same; where a conversation is too long, under OpenAI's code for that, which makes clients compact it."""
    common = common_error(status, error)
    if status not in (400, 413) or common.code is not None or not _TOO_LONG.search(common.message):
        return common
    return ErrorBody(common.type, common.message, "context_length_exceeded", common.param)


def translate_refusal(family: Family, status: int, body: bytes) -> bytes | None:
    """The error body for a client of ``family``; None when ``body`` has no ``error`` object."""
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        return None
    error: Any = fields.get("error") if isinstance(fields, dict) else None
    if not isinstance(error, dict):
        return None
    if not error.get("message"):
        error = {**error, "message": f"The upstream refused the request with status {status} and gave no reason."}
    read = read_error(error).body
    translated = error_bytes(family, openai_error(status, read) if family == "openai" else common_error(status, read))
    request_id = fields.get("request_id")
    if not isinstance(request_id, str):
        return translated
    return translated[:-1] + b',"request_id":' + as_json(request_id) + b"}"
