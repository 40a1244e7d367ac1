"""What goes wrong on purpose, by the model's name. The sentences for people are in the package's docstring."""

from __future__ import annotations

from monorelay.demo.refusal import Refusal

# Refused before anything else is looked at: status, code, message, headers.
REFUSALS: dict[str, tuple[int, str | None, str, dict[str, str]]] = {
    "demo-429": (429, "rate_limit_exceeded", "Rate limit reached for demo-429. Try again in 2 s.", {"Retry-After": "2"}),
    "demo-500": (500, None, "The demo upstream failed on purpose.", {}),
    "demo-503": (503, None, "The demo upstream is overloaded on purpose.", {}),
    "demo-401": (401, "invalid_api_key", "The demo upstream does not like this key, on purpose.", {}),
    "demo-400": (400, "invalid_value", "The demo upstream does not like this request, on purpose.", {}),
    "demo-404": (404, "model_not_found", "The model demo-404 does not exist, on purpose.", {}),
}

HTML, REDIRECT, SLOW = "demo-html", "demo-redirect", "demo-slow"
STALL, CUT, ERROR, LATE_ERROR = "demo-stall", "demo-cut", "demo-error", "demo-late-error"
LONG, GZIP = "demo-long", "demo-gzip"

NAMES = (*REFUSALS, HTML, REDIRECT, SLOW, STALL, CUT, ERROR, LATE_ERROR, LONG, GZIP)

# These break off after some content, so there must be some.
BREAKING_OFF = frozenset({STALL, CUT, LATE_ERROR})

PAGE = b"<!DOCTYPE html>\n<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>\n"
ELSEWHERE = "http://elsewhere.invalid/v1"


def refuse(model: str | None) -> None:
    """Raises the Refusal that the model's name asks for."""
    if model in REFUSALS:
        status, code, message, headers = REFUSALS[model]
        raise Refusal(status, message, code=code, headers=headers)


def failure() -> Refusal:
    """What an error event inside a stream says."""
    return Refusal(503, "The demo upstream broke off on purpose.")
