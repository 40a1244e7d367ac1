"""An answer that is an error, and how each dialect spells it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tornado.web import HTTPError

OPENAI_TYPES = {401: "invalid_request_error", 429: "requests", 500: "server_error", 502: "server_error", 503: "server_error"}
ANTHROPIC_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    502: "api_error",
    503: "overloaded_error",
    529: "overloaded_error",
}


class Refusal(HTTPError):
    """Raised anywhere in a handler; the handler answers with it in its dialect.

    >>> raise Refusal(400, "messages is missing", param="messages")
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status)
        self.message = message
        self.code = code
        self.param = param
        self.headers = dict(headers or {})

    def openai(self) -> dict[str, Any]:
        return {
            "error": {
                "message": self.message,
                "type": OPENAI_TYPES.get(self.status_code, "invalid_request_error"),
                "param": self.param,
                "code": self.code,
            }
        }

    def anthropic(self, request_id: str) -> dict[str, Any]:
        type_ = ANTHROPIC_TYPES.get(self.status_code, "invalid_request_error")
        return {"type": "error", "error": {"type": type_, "message": self.message}, "request_id": request_id}
