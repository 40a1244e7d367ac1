"""A route drop-in: schema, spec and one-line help of each field."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from typing import Any, Literal

from monorelay.config.fields import HeaderPair, Layer, Origins, Path, QueryRules, TimeoutRules
from monorelay.config.fragments import QUERY, read_query, read_timeouts, timeout_fields, unfold_timeout
from monorelay.config.headers import HEADERS, fold_case, header_text, read_headers, reply_header
from monorelay.config.problems import Problem
from monorelay.config.reading import Node, Place, Reading, Sheet
from monorelay.config.references import References
from monorelay.config.scalars import capability, choice, duration, filled, flag, name, size, whole
from monorelay.config.schema import Schema, field

Access = Literal["required", "public"]
Body = Literal["json", "multipart", "stream", "none"]
Model = Literal["required", "optional", "none"]


@dataclass(frozen=True, slots=True)
class ReplySpec:
    """A fixed answer: status, headers, and the error (type, message) of the envelope."""

    status: int
    headers: tuple[tuple[str, str], ...]
    error_type: str
    error_message: str


@dataclass(frozen=True, slots=True)
class RouteSpec:
    """A client-facing path and methods, plus exactly one of ``needs``, ``answer``, ``reply``.

    ``path`` and ``upstream`` hold ``{name}`` (one segment) and ``{name...}`` (the rest). ``max_body`` is in bytes,
    ``keepalive`` in seconds (0 = off).
    """

    name: str
    path: str
    methods: tuple[str, ...]
    origins: Origins
    layer: Layer = "operator"
    needs: str | None = None
    answer: str | None = None
    reply: ReplySpec | None = None
    upstream: str = ""
    access: Access = "required"
    body: Body = "none"
    model: Model = "none"
    refers: tuple[str, ...] = ()
    max_body: int = 64 * 1024 * 1024
    query: QueryRules = QueryRules()
    timeouts: TimeoutRules | None = None
    keepalive: float = 15.0
    headers: HeaderPair = HeaderPair()
    strict: bool = False


# ---------------------------------------------------------------------------------------------------- schema

ANSWERS = ("models", "model", "anthropic_models", "health", "info", "metrics", "welcome")
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")

_PARAMETER = re.compile(r"\{([a-z][a-z0-9_]*)(\.\.\.)?\}")


def parameters(path: str) -> tuple[str, ...]:
    """What stands in braces, as it is written: ``file_id``, ``rest...``."""
    return tuple(match[1] + (match[2] or "") for match in _PARAMETER.finditer(path))


def route_path(value: Any) -> str:
    """``/v1/files/{file_id}/content``: whole segments in braces, names unique, ``{rest...}`` at the end only."""
    path = str(value)
    if not path.startswith("/"):
        raise ValueError("must begin with /")
    if not re.fullmatch(r"[!-~]*", path) or "?" in path or "#" in path or "%" in path:
        raise ValueError("must be a plain path: ASCII without spaces, query, fragment or % escapes")
    segments = path[1:].split("/")
    for position, segment in enumerate(segments):
        if not segment and path != "/" and position < len(segments) - 1:
            raise ValueError("has an empty segment (//)")
        if not ({"{", "}"} & set(segment)):
            continue
        match = _PARAMETER.fullmatch(segment)
        if match is None:
            raise ValueError("has braces around something else than a whole segment: write {name} or {name...}, in lower case")
        if match[2] and position < len(segments) - 1:
            raise ValueError(f"has {segment} before the end: it takes all that follows")
    names = [parameter.removesuffix("...") for parameter in parameters(path)]
    if len(set(names)) < len(names):
        raise ValueError("uses the same name twice")
    return path


def upstream_path(value: Any) -> str:
    path = str(value)
    if path and not path.startswith("/"):
        raise ValueError("must begin with / (it follows the offer's path), or be empty")
    if not re.fullmatch(r"[!-~]*", path) or "?" in path or "#" in path:
        raise ValueError("must be a plain path: ASCII without spaces, query or fragment")
    if {"{", "}"} & set(_PARAMETER.sub("", path)):
        raise ValueError("has braces around something that is no parameter: write {name} or {name...}, in lower case")
    return path


def method(value: Any) -> str:
    if value == "HEAD":
        raise ValueError("HEAD is not listed: it is served wherever GET is one of the relay's own answers")
    return choice(*METHODS)(value)


_ACCESS: Callable[[Any], Access] = choice("required", "public")
_BODY: Callable[[Any], Body] = choice("json", "multipart", "stream", "none")
_MODEL: Callable[[Any], Model] = choice("required", "optional", "none")

ROUTE: Schema = {
    "route": field("string", "Its name.", reads=name, default="required"),
    "path": field(
        "string", "Where clients call it: `{name}` is one segment, `{name...}` the rest.", reads=route_path, default="required"
    ),
    "methods": field(
        "list",
        shown="list of methods",
        meaning="Of " + ", ".join(METHODS) + ".",
        default="required",
        texts=field("string", reads=method),
    ),
    "needs": field("string", "The capability that a provider must offer.", reads=capability, default="one of these three"),
    "answer": field(
        "string",
        "One of the relay's own answers: " + ", ".join(ANSWERS) + ".",
        reads=choice(*ANSWERS),
        default="one of these three",
    ),
    "reply": field(
        "dict",
        "A fixed answer.",
        default="one of these three",
        schema={
            "status": field("integer", "200 to 599.", reads=whole(200, 599), default="required"),
            "headers": field(
                "dict",
                "What is sent with it.",
                shown="name → text",
                keysrules=field("string", reads=reply_header),
                valuesrules=field("string", reads=header_text),
            ),
            "error": field(
                "dict",
                "What the envelope says.",
                default="required",
                schema={
                    "type": field("string", "Such as `not_found_error`.", reads=filled, default="required"),
                    "message": field("string", "A sentence for whoever reads it.", reads=filled, default="required"),
                },
            ),
        },
    ),
    "upstream": field(
        "string",
        "What follows the offer's path, such as `/{file_id}/content`.",
        reads=upstream_path,
        default="nothing",
    ),
    "access": field("string", "`public` = without a credential.", reads=_ACCESS, default="required", shown="required, public"),
    "body": field("string", "What clients send.", reads=_BODY, default="none", shown="json, multipart, stream, none"),
    "model": field("string", "Whether the body names a model.", reads=_MODEL, default="none", shown="required, optional, none"),
    "refers": field(
        "list",
        "Body fields that hold ids of objects: who made the object serves the call.",
        shown="list of names",
        texts=field("string", reads=filled),
    ),
    "max_body": field(["integer", "string"], "Larger bodies are refused with 413.", reads=size, default="64MiB", shown="size"),
    "query": field("dict", "Changes to the query string; the rest goes up byte for byte.", schema=QUERY),
    **timeout_fields(),
    "stream": field(
        "dict",
        "How streams are kept.",
        schema={
            "keepalive": field(
                ["number", "string"],
                "A comment is sent after so much silence; 0 = never.",
                reads=duration,
                default="15",
                shown="duration",
            )
        },
    ),
    "headers": field("dict", "Its header program; see *Headers*.", schema=HEADERS),
    "strict": field("boolean", "`true`: refused if a translation would lose what the client wrote.", reads=flag, default="false"),
}
ROUTES: Schema = {"routes": field("list", "Several routes in one file.", schema=field("dict", schema=ROUTE))}


def unfold(value: dict[str, Any], places: dict[Path, Place]) -> None:
    """Write the short forms out, in a file of one route and in a file of several."""
    routes = value.get("routes")
    found: list[tuple[Any, Path]] = [(value, ())]
    if isinstance(routes, list):
        found = [(route, ("routes", index)) for index, route in enumerate(routes)]
    for route, at in found:
        if isinstance(route, dict):
            unfold_timeout(route, places, at)
            fold_case(route.get("headers"), places, (*at, "headers"))


def routes_of(sheet: Sheet) -> Iterator[Sheet]:
    """Each route of a file by itself."""
    if "routes" in sheet.value:
        yield from sheet.part(("routes",)).values()
    else:
        yield sheet


# ---------------------------------------------------------------------------------------------------- reader

_KINDS = ("needs", "answer", "reply")
# Only a relayed call has these; the relay's own answers and fixed replies would ignore them.
RELAYED_ONLY = ("upstream", "body", "model", "refers", "max_body", "query", "timeouts", "stream", "headers", "strict")


def read_route(sheet: Sheet, layer: Layer, references: References) -> tuple[RouteSpec | None, list[Problem]]:
    """The spec of one route, or None where it has no name or path; and what was found wrong on the way."""
    reading = Reading(sheet, references)
    top = reading.top
    for required in ("route", "path", "methods"):
        if top[required].value is None or top[required].value == []:
            top.missing(required)
    own_name = top["route"].read(name, None)
    path = top["path"].read(route_path, None)
    spec = RouteSpec(
        name=own_name or "",
        path=path or "",
        methods=tuple(dict.fromkeys(word for node in top["methods"].items() if (word := node.read(method, None)) is not None)),
        origins=sheet.origins(),
        layer=layer,
        needs=top["needs"].read(capability, None),
        answer=top["answer"].read(choice(*ANSWERS), None),
        reply=_read_reply(top["reply"]),
        upstream=top["upstream"].read(upstream_path, ""),
        access=top["access"].read(_ACCESS, "required"),
        body=top["body"].read(_BODY, "none"),
        model=top["model"].read(_MODEL, "none"),
        refers=tuple(word for node in top["refers"].items() if (word := node.read(filled, None)) is not None),
        max_body=top["max_body"].read(size, 64 * 1024 * 1024),
        query=read_query(top["query"]),
        timeouts=read_timeouts(top["timeouts"]),
        keepalive=top["stream"]["keepalive"].read(duration, 15.0),
        headers=read_headers(top["headers"]),
        strict=top["strict"].read(flag, False),
    )
    _judge(spec, top)
    return (spec if own_name is not None and path is not None else None), reading.problems


def _read_reply(node: Node) -> ReplySpec | None:
    if not isinstance(node.value, dict):
        return None
    for required in ("status", "error"):
        if node[required].value is None:
            node.missing(required)
    error = node["error"]
    if error.value is not None:
        for required in ("type", "message"):
            if error[required].value is None:
                error.missing(required)
    headers = ((key.lower(), entry.read(header_text, None)) for key, entry in node["headers"].entries())
    return ReplySpec(
        status=node["status"].read(whole(200, 599), 500),
        headers=tuple((key, value) for key, value in headers if value is not None),
        error_type=error["type"].read(filled, ""),
        error_message=error["message"].read(filled, ""),
    )


def _judge(spec: RouteSpec, top: Node) -> None:
    """What no single field can know."""
    said = [kind for kind in _KINDS if top[kind].value is not None]
    if len(said) > 1:
        top[said[1]].wrong(f"stands beside {said[0]}: a route has exactly one of needs, answer and reply")
    elif not said:
        top.wrong("says nothing to do: a route has exactly one of needs, answer and reply")
    elif said != ["needs"]:
        _judge_ignored(spec, top, said[0])
    for parameter in parameters(spec.upstream):
        if spec.path and parameter not in parameters(spec.path):
            top["upstream"].wrong(f"uses {{{parameter}}}, which the path does not have")
            break
    if spec.model != "none" and spec.body not in ("json", "multipart") and not top["body"].is_faulty:
        top["model"].wrong(f"a model can be read from a json or multipart body only, and the body is {spec.body}")
    if spec.refers and spec.body != "json" and not top["body"].is_faulty:
        top["refers"].wrong(f"fields can be read from a json body only, and the body is {spec.body}")


def _judge_ignored(spec: RouteSpec, top: Node, said: str) -> None:
    usual = {one.name: one.default for one in fields(RouteSpec)}
    for ignored in RELAYED_ONLY:
        value = spec.keepalive if ignored == "stream" else getattr(spec, ignored)
        if value != usual["keepalive" if ignored == "stream" else ignored]:
            top[ignored].wrong(f"only a route with needs has this; this one has {said}")
