"""docs/drop-ins.md, written from the schemas: ``python -m monorelay.config.reference > docs/drop-ins.md``.

What a field is for is said once, beside its schema; the prose around the tables is in the files beside this one, and a test loads
every example of it.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator

from monorelay.config.affinity import AFFINITY
from monorelay.config.balancing import BALANCE
from monorelay.config.cascades import CASCADE
from monorelay.config.circuit import CIRCUIT
from monorelay.config.complexity import COMPLEXITY
from monorelay.config.credits import CREDITS
from monorelay.config.faults import FAULT
from monorelay.config.fixtures import FIXTURE
from monorelay.config.fragments import QUERY, TIMEOUTS
from monorelay.config.headers import CREDENTIALS, HEADERS, NEVER
from monorelay.config.keys import KEY
from monorelay.config.limits import LIMITS
from monorelay.config.models import MODEL
from monorelay.config.payload import PAYLOAD, RULE
from monorelay.config.prices import PRICE
from monorelay.config.prose_providers import PROVIDERS
from monorelay.config.prose_routes import HEADERS_AND_TIMEOUTS, OPENING_AND_ROUTES
from monorelay.config.prose_settings import SETTINGS as SETTINGS_PROSE
from monorelay.config.provider import OFFER, PROVIDER
from monorelay.config.quirks import PROVIDER_QUIRKS, TOOL_CALLING
from monorelay.config.rate_limits import RATE_LIMITS, REMAINING, WAIT
from monorelay.config.refusals import REFUSALS
from monorelay.config.retry import DEFAULT_RETRY, IGNORE, RETRY
from monorelay.config.route import ROUTE
from monorelay.config.routing import KEY_SELECTION, MODEL_ROUTING
from monorelay.config.schema import Rules, Schema
from monorelay.config.settings import CLIENT, SERVER, SETTINGS

# Each table of the page. What has a table of its own is not spelled out in another.
TABLES: dict[str, Schema] = {
    "route": ROUTE,
    "provider": PROVIDER,
    "key": KEY,
    "offer": OFFER,
    "headers": HEADERS["request"]["schema"],
    "query": QUERY,
    "timeouts": TIMEOUTS,
    "settings": SETTINGS,
    "server": SERVER,
    "client": CLIENT,
    "model_routing": MODEL_ROUTING,
    "key_selection": KEY_SELECTION,
    "quirks": PROVIDER_QUIRKS,
    "limits": LIMITS,
    "rate_limits": RATE_LIMITS,
    "remaining": REMAINING,
    "wait": WAIT,
    "price": PRICE,
    "retry": RETRY,
    "ignore": IGNORE,
    "refusals": REFUSALS,
    "credits": CREDITS,
    "fault": FAULT,
    "fixture": FIXTURE,
    "cascade": CASCADE,
    "balance": BALANCE,
    "model": MODEL,
    "payload": PAYLOAD,
    "rule": RULE,
    "complexity": COMPLEXITY,
    "affinity": AFFINITY,
    "circuit": CIRCUIT,
    "default_retry": DEFAULT_RETRY,
    "tool_calling": TOOL_CALLING,
}
_SHAPES = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "dict": "mapping",
    "list": "list",
}


def table(schema: Schema) -> str:
    """Name, type, default and meaning of each field, one line each."""
    lines = ["| field | type | default | meaning |", "| --- | --- | --- | --- |"]
    for name, rules in fields(schema):
        meta = rules["meta"]
        cells = (f"`{name}`", meta["shown"] or shape(rules), meta["default"], meta["help"])
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines)


def fields(schema: Schema, prefix: str = "") -> Iterator[tuple[str, Rules]]:
    """All fields with their dotted names, but for what has a table of its own."""
    for name, rules in schema.items():
        yield prefix + name, rules
        inner = rules.get("schema")
        if rules["type"] == "dict" and isinstance(inner, dict) and inner is not HEADERS and inner not in TABLES.values():
            yield from fields(inner, f"{prefix}{name}.")


def shape(rules: Rules) -> str:
    kinds = [rules["type"]] if isinstance(rules["type"], str) else rules["type"]
    return " or ".join(_SHAPES[kind] for kind in kinds)


def page() -> str:
    prose = OPENING_AND_ROUTES + PROVIDERS + HEADERS_AND_TIMEOUTS + SETTINGS_PROSE
    text = prose.replace("<<never>>", _listed(NEVER)).replace("<<credentials>>", _listed(CREDENTIALS))
    return re.sub(r"<<(\w+)>>", lambda match: table(TABLES[match[1]]), text)


def _listed(names: frozenset[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names))


if __name__ == "__main__":
    sys.stdout.write(page())
