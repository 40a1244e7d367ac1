"""The URL of one lane: base URL + the offer's path + the route's ``upstream``, and the query program.

``base_url`` and ``path`` may be templates (``{{ model }}``); ``{name}`` is filled with the path parameter exactly as the client
wrote it (still percent-encoded). The query string goes up byte for byte, minus what is removed, plus what is set.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote, unquote_plus

from monorelay.config.fields import QueryRules, Secret
from monorelay.errors import INVALID_REQUEST, RelayError
from monorelay.plan.table import has_dot_segment
from monorelay.plan.templates import Template, compile_template, plain_text

# The relay's own parameter: it chooses the provider and never goes up.
OWN_PARAMETER = "provider"
URL_VARIABLES = frozenset({"model"})

_PARAMETER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)(?:\.\.\.)?\}")


@dataclass(frozen=True, slots=True)
class QueryProgram:
    drop: frozenset[str]  # parameter names, decoded
    add: str  # what is set, encoded, joined with &
    keep: bool = True  # whether the client's own parameters go up at all
    secrets: tuple[tuple[str, str], ...] = ()  # of what is set, whatever came from a reference: how it is sent, and how shown

    def apply(self, query: str) -> str:
        if not query or not self.keep:
            return self.add
        kept = query
        if any(name in query or "%" in query for name in self.drop):
            kept = "&".join(part for part in query.split("&") if unquote_plus(part.partition("=")[0]) not in self.drop)
        return f"{kept}&{self.add}" if kept and self.add else kept or self.add


def compile_query(rules: Sequence[QueryRules], keep: bool = True) -> QueryProgram:
    wanted = {name: value for rule in rules for name, value in rule.set}
    drop = {OWN_PARAMETER, *(name for rule in rules for name in rule.remove)}
    drop -= wanted.keys() & {name for rule in rules for name in rule.remove}
    sent = {name: f"{quote(name, safe='')}={quote(plain_text(value), safe='')}" for name, value in wanted.items()}
    secrets = tuple((sent[name], f"{quote(name, safe='')}=(hidden)") for name, value in wanted.items() if isinstance(value, Secret))
    return QueryProgram(frozenset(drop | wanted.keys()), "&".join(sent.values()), keep, secrets)


@dataclass(frozen=True, slots=True)
class UrlProgram:
    """``static`` is the whole URL without a query when nothing in it depends on the request."""

    static: str | None
    base: Template
    pieces: tuple[str, ...]  # literal, parameter name, literal, parameter name, … literal
    query: QueryProgram

    def render(self, parameters: Mapping[str, str], query: str, model: str) -> str:
        """Raises RelayError (400) for a model that would climb out of the place that a template gives it."""
        if self.static is not None:
            url = self.static
        else:
            if self.base.variables and has_dot_segment(model):
                raise RelayError(INVALID_REQUEST, "'model' holds a path that leads elsewhere, and no name.", param="model")
            url = self.base.render({"model": quote(model, safe="")})
            url += "".join(parameters[piece] if index % 2 else piece for index, piece in enumerate(self.pieces))
        if query or self.query.add:
            query = self.query.apply(query)
        return f"{url}?{query}" if query else url

    def shown(self, url: str) -> str:
        """What was rendered, without the values that nobody may be shown."""
        for sent, hidden in self.query.secrets:
            url = url.replace(sent, hidden)
        return url


def compile_url(base_url: str, path: str, upstream: str, query: QueryProgram) -> UrlProgram:
    """Raises TemplateError."""
    base = compile_template(base_url.rstrip("/") + path, URL_VARIABLES)
    pieces = tuple(_PARAMETER.split(upstream))
    static = base.render({}) + upstream if not base.variables and len(pieces) == 1 else None
    return UrlProgram(static, base, pieces, query)
