"""Cross-origin requests: nothing is said unless ``server.cors_origins`` names the page's origin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

_A_DAY = "86400"


def allowed_origin(origins: Sequence[str], fields: Mapping[str, str]) -> str | None:
    """The value for Access-Control-Allow-Origin, or None."""
    origin = fields.get("origin")
    if not origin or not origins:
        return None
    if "*" in origins:
        return "*"
    return origin if origin.isprintable() and origin.rstrip("/").lower() in {one.rstrip("/").lower() for one in origins} else None


def answer_lines(allowed: str) -> str:
    """Finished header lines for an answer that the page may read."""
    vary = "" if allowed == "*" else "vary: origin\r\n"
    return f"access-control-allow-origin: {allowed}\r\naccess-control-expose-headers: *\r\n{vary}"


def is_preflight(method: str, fields: Mapping[str, str]) -> bool:
    return method == "OPTIONS" and "origin" in fields and "access-control-request-method" in fields


def preflight_headers(methods: Sequence[str], fields: Mapping[str, str]) -> list[tuple[str, str]]:
    """What the browser asks before the real request; it sends no credential with it, so none is asked."""
    wanted = fields.get("access-control-request-headers", "")
    return [
        ("access-control-allow-methods", ", ".join(methods)),
        ("access-control-allow-headers", wanted if wanted.isprintable() and wanted else "*"),
        ("access-control-max-age", _A_DAY),
    ]
