"""Every failure that a client can see: its type, its status, and the sentence that says what to do.

The table below is the contract's error table. Nothing here knows a dialect: ``dialects/envelopes.py`` writes an
``ErrorBody`` in the client's own envelope. Messages are sentences for the person who must act, and never hold a key.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ErrorBody:
    """What every envelope carries, whatever the dialect."""

    type: str
    message: str
    code: str | None = None
    param: str | None = None


@dataclass(frozen=True, slots=True)
class Kind:
    """One row of the error table. ``curable``: a client's own retry may help; False is sent as ``x-should-retry: false``."""

    type: str
    status: int
    curable: bool = True


AUTH = Kind("auth_error", 401, curable=False)
FORBIDDEN_HOST = Kind("auth_error", 403, curable=False)
NOT_ADMIN = Kind("auth_error", 403, curable=False)
INVALID_REQUEST = Kind("invalid_request_error", 400)
TIMED_OUT_BODY = Kind("invalid_request_error", 408)
BODY_TOO_LARGE = Kind("invalid_request_error", 413)
HEAD_TOO_LARGE = Kind("invalid_request_error", 431)
NOT_FOUND = Kind("not_found_error", 404)
METHOD_NOT_ALLOWED = Kind("invalid_request_error", 405)
MODEL_NOT_FOUND = Kind("model_not_found", 404, curable=False)
PROVIDER_DISABLED = Kind("provider_disabled", 503, curable=False)
NO_KEYS = Kind("no_keys", 503)
UPSTREAM = Kind("upstream_error", 503)
CASCADE = Kind("cascade_error", 503)
PROXY = Kind("proxy_error", 500)


class RelayError(Exception):
    """A request ends here, with an answer of our own.

    ``retry_after`` is in seconds. ``upstream_status`` is told to the client in ``x-monorelay-upstream-status``.

    >>> raise RelayError(INVALID_REQUEST, "The body is not JSON.", param="model")
    """

    def __init__(
        self,
        kind: Kind,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        retry_after: float | None = None,
        upstream_status: int | None = None,
        curable: bool | None = None,
        headers: tuple[tuple[str, str], ...] = (),
    ) -> None:
        super().__init__(message)
        self.status = kind.status
        self.body = ErrorBody(kind.type, message, code, param)
        self.retry_after = retry_after
        self.upstream_status = upstream_status
        self.curable = kind.curable if curable is None else curable
        self.headers = headers
