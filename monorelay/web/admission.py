"""Who may call: decided from the head alone, from memory, before a byte of the body is kept.

Three header fields carry a credential on every protected route, whatever its dialect; of several, one valid one suffices.
Tokens are compared by their SHA-256: the access key in constant time, client tokens by looking their digest up.
"""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Iterator, Mapping
from itertools import islice

from monorelay.config.settings import ClientSpec
from monorelay.errors import AUTH, FORBIDDEN_HOST, RelayError
from monorelay.plan.plan import Admission
from monorelay.plan.templates import token_digest

MOST_TOKENS = 32  # that are looked at: a head has room for thousands, and each costs a digest
_HOW = "send 'Authorization: Bearer <token>', 'x-api-key: <token>' or 'X-Access-Key: <token>'"


def admit(admission: Admission, fields: Mapping[str, str]) -> ClientSpec | None:
    """The named client whose token came, or None for the access key and the open mode. Raises RelayError (401)."""
    if admission.open:
        return None
    offered = False
    for token in islice(_tokens(fields), MOST_TOKENS):
        offered = True
        digest = token_digest(token)
        if admission.access_key is not None and hmac.compare_digest(digest, admission.access_key):
            return None
        client = admission.clients.get(digest)
        if client is not None:
            return client
    what = "The token is not valid" if offered else "This relay needs a token"
    raise RelayError(AUTH, f"{what}: {_HOW}.")


def _tokens(fields: Mapping[str, str]) -> Iterator[str]:
    """Every token offered; an empty one is none. Repeated fields arrive joined with a comma: each part counts."""
    for value in _parts(fields.get("authorization")):
        scheme, _, token = value.partition(" ")
        if scheme.lower() == "bearer" and token.strip():
            yield token.strip()
    for name in ("x-api-key", "x-access-key"):
        yield from _parts(fields.get(name))


def _parts(value: str | None) -> Iterator[str]:
    """The whole value first: a token may hold commas."""
    value = (value or "").strip()
    if value:
        yield value
        if "," in value:
            yield from (part.strip() for part in value.split(",") if part.strip())


def refuse_foreign_host(admission: Admission, fields: Mapping[str, str]) -> None:
    """An open relay answers to loopback names only, so that no web page reaches it by DNS rebinding. Raises RelayError (403)."""
    if admission.open and not is_loopback(_host(fields.get("host", "localhost"))):
        text = "This relay is open (it has no access key), so it answers only to localhost names; server.access_key changes that."
        raise RelayError(FORBIDDEN_HOST, text)


def refuse_foreign_page(admission: Admission, method: str, fields: Mapping[str, str]) -> None:
    """An open relay takes nothing from the web pages of others. Raises RelayError (403).

    A browser sends a plain POST anywhere without asking; the page could not read the answer, but it would be paid for.
    ``server.cors_origins`` names pages that may.
    """
    origin = fields.get("origin")
    if not admission.open or origin is None or method in ("GET", "HEAD", "OPTIONS"):
        return
    scheme, _, place = origin.partition("://")
    if origin == "null" or (scheme.lower() in ("http", "https") and not is_loopback(_host(place))):
        text = "This relay is open (it has no access key), so other sites' pages may not use it; server.cors_origins lets some."
        raise RelayError(FORBIDDEN_HOST, text)


def _host(field: str) -> str:
    """``[::1]:8787`` → ``::1``; ``localhost:8787`` → ``localhost``."""
    if field.startswith("["):
        return field[1:].partition("]")[0]
    return field.rpartition(":")[0] if field.count(":") == 1 else field


def is_loopback(host: str) -> bool:
    name = host.lower().rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
