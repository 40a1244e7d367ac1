"""Header programs in drop-ins: schema, one-line help and reader.

Names are compared in lower case and written so. Values are Jinja2 templates, which ``plan`` compiles; a value that held a reference
is a literal ``Secret`` instead, so that nothing from outside is ever run as a template or printed.
"""

from __future__ import annotations

import re
from typing import Any

from monorelay.config.fields import HeaderPair, HeaderRules, Path, Secret, Text
from monorelay.config.reading import Node, Place
from monorelay.config.scalars import is_template
from monorelay.config.schema import Rules, Schema, field, holds_reference

# What no rule may touch: the connection's own headers (RFC 9110, 7.6.1), the engine's, and cookies.
NEVER = frozenset(
    "connection content-length cookie expect host keep-alive proxy-authenticate proxy-authorization proxy-connection"
    " set-cookie te trailer transfer-encoding upgrade".split()
)
# Where clients carry their credential for the relay: forwarded, it would reach the upstream.
CREDENTIALS = frozenset({"authorization", "x-api-key", "x-access-key"})

_TOKEN = re.compile(r"[!#%&'*+.^_`|~0-9A-Za-z-]{1,100}")  # RFC 9110, 5.6.2, without $ (it begins a reference)
_GLOB = re.compile(r"[!#%&'*+.^_`|~0-9A-Za-z\[\]?-]{1,100}")


def plain_name(value: Any) -> str:
    if not _TOKEN.fullmatch(str(value)):
        raise ValueError("is not a header name")
    return str(value).lower()


def header_name(value: Any) -> str:
    """A name that a rule may write."""
    name = plain_name(value)
    if name in NEVER:
        raise ValueError("is never set or forwarded: the relay's own connections need it")
    return name


def reply_header(value: Any) -> str:
    """A name that a fixed reply may carry: ``Upgrade`` belongs to a 426, and cookies are its author's business."""
    name = plain_name(value)
    if name in ("connection", "content-length", "keep-alive", "trailer", "transfer-encoding"):
        raise ValueError("is written by the server itself")
    return name


def header_glob(value: Any) -> str:
    if not _GLOB.fullmatch(str(value)):
        raise ValueError("is not a header name, nor a glob of names such as x-ratelimit-*")
    return str(value).lower()


def forwarded(value: Any) -> str:
    """A name or glob; a glob that also covers a header of NEVER does no harm, since those are left out whatever a rule says."""
    name = header_glob(value)
    if name in NEVER:
        raise ValueError("is never set or forwarded: the relay's own connections need it")
    return name


def client_header(value: Any) -> str:
    """A name or glob of request headers, which may not be the client's own credential."""
    name = forwarded(value)
    if name in CREDENTIALS:
        raise ValueError("holds the client's credential for this relay, which never goes upstream")
    return name


def header_text(value: Any) -> str:
    text = str(value)
    if "\r" in text or "\n" in text:
        raise ValueError("must not hold a line break")
    if not re.fullmatch(r"[\t\x20-\x7e]*", text):
        raise ValueError("must be printable ASCII")
    return text


def token_glob(value: Any) -> str:
    if not re.fullmatch(r"[^\s,]{1,200}", str(value)):
        raise ValueError("is not a token, nor a glob of tokens: no commas, no spaces")
    return str(value)


def distinct(names: Any) -> Any:
    """Header names count without case, so YAML's own look at duplicate keys is not enough."""
    if len({name.lower() for name in names}) < len(names):
        raise ValueError("names the same header twice (case does not count)")
    return names


def _texts(meaning: str) -> Rules:
    return field(
        "dict",
        meaning,
        reads=distinct,
        shown="name → text",
        keysrules=field("string", reads=header_name),
        valuesrules=field("string", reads=header_text, nullable=True),
    )


def _selection(meaning: str) -> Rules:
    return field(
        ["list", "dict"],
        meaning,
        reads=lambda value: distinct(value) if isinstance(value, dict) else value,
        shown="list of globs, or glob → null or token globs",
        texts=field("string", reads=header_glob),
        keysrules=field("string", reads=header_glob),
        valuesrules=field("list", nullable=True, texts=field("string", reads=token_glob)),
    )


def _program(forwards: Any) -> Schema:
    return {
        "forward": field("list", "Let these pass.", shown="list of globs", texts=field("string", reads=forwards)),
        "rename": field(
            "dict",
            "Let these pass under another name.",
            reads=distinct,
            shown="name → name",
            keysrules=field("string", reads=forwards),
            valuesrules=field("string", reads=header_name, nullable=True),
        ),
        "default": _texts("Add where it is not there yet."),
        "set": _texts("Add, or replace."),
        "remove": _selection("Take away: whole headers, or tokens of a list-valued one."),
        "only": _selection("Keep these and nothing else; with tokens: only those tokens of that header."),
    }


HEADERS: Schema = {
    "request": field("dict", "On the way to the provider.", schema=_program(client_header)),
    "response": field("dict", "On the way back to the client.", schema=_program(forwarded)),
}


def fold_case(headers: Any, places: dict[Path, Place], at: Path) -> None:
    """Lower the names in the programs at ``headers``, so that merging finds a header under one name only."""
    for direction, program in headers.items() if isinstance(headers, dict) else ():
        for step, rules in program.items() if isinstance(program, dict) else ():
            if not isinstance(rules, dict):
                continue
            here = (*at, direction, step)
            for name in list(rules):  # all of them, so that their order stays
                value = rules[name.lower()] = rules.pop(name)
                for rest in ((), *((index,) for index in range(len(value) if isinstance(value, list) else 0))):
                    if (*here, name, *rest) in places:
                        places[(*here, name.lower(), *rest)] = places.pop((*here, name, *rest))


def read_headers(node: Node) -> HeaderPair:
    return HeaderPair(_rules(node["request"], client_header), _rules(node["response"], forwarded))


def _rules(node: Node, forwards: Any) -> HeaderRules:
    if not isinstance(node.value, dict):
        return HeaderRules()
    names = (entry.read(forwards, None) for entry in node["forward"].items())
    targets = ((name.lower(), entry.read(header_name, None)) for name, entry in node["rename"].entries())
    return HeaderRules(
        forward=tuple(name for name in names if name is not None),
        rename=tuple((name, target) for name, target in targets if target is not None),
        default=_read_texts(node["default"]),
        set=_read_texts(node["set"]),
        remove=_read_selection(node["remove"]),
        only=_read_selection(node["only"]),
    )


def _read_texts(node: Node) -> tuple[tuple[str, Text], ...]:
    values = ((name.lower(), read_text(entry)) for name, entry in node.entries())
    return tuple((name, value) for name, value in values if value is not None)


def read_text(node: Node) -> Text | None:
    """A header's value: a template as it was written, or what its references gave."""
    if holds_reference(node.value) and is_template(node.value):
        node.wrong("a value is either a template ({{ … }}) or holds a ${reference}: a reference's value is never run")
        return None
    resolved = node.resolve()
    if resolved is None:
        return None
    try:
        header_text(resolved.text)
    except ValueError as error:
        node.wrong(str(error))
        return None
    return Secret(resolved.text.strip()) if resolved.referred else resolved.text


def _read_selection(node: Node) -> tuple[tuple[str, tuple[str, ...] | None], ...]:
    names = (entry.read(header_glob, None) for entry in node.items())
    whole = tuple((name, None) for name in names if name is not None)
    return whole + tuple((name.lower(), _tokens(entry)) for name, entry in node.entries())


def _tokens(node: Node) -> tuple[str, ...] | None:
    if node.value is None:
        return None
    tokens = (entry.read(token_glob, None) for entry in node.items())
    return tuple(token for token in tokens if token is not None)
