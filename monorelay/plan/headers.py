"""The header program: forward → rename → default → set → remove → only, of the route, then the provider, then the offer.

Each step runs the route's rules first, so that a provider has the last word on ``set`` and a route the first on ``default``.
What no rule forwards is not sent, and a few fields no rule can forward. Everything that does not depend on the request is rendered
at compile time, once per key; the common program (no rename, no filter) is then a few dictionary look-ups per request.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote

from monorelay.config.fields import HeaderRules
from monorelay.config.headers import CREDENTIALS, NEVER
from monorelay.plan.globs import compile_glob, compile_globs, is_glob
from monorelay.plan.templates import Template, compile_template

# What no glob may catch either: what belongs to one connection, and the credential that a client sends to us and to nobody else.
NEVER_UP = NEVER | CREDENTIALS | {"cookie2", "x-monorelay-provider", "x-monorelay-explain"}
NEVER_DOWN = NEVER | {"set-cookie2", "alt-svc", "strict-transport-security", "date"}
OURS = ("x-monorelay-", "access-control-")  # what the relay itself says: no upstream, nor another relay, says it twice, or for it
# What every answer brings back without being asked: the body's own description, request ids, and what a client's retry needs.
ALWAYS_DOWN = (
    "content-type",
    "content-encoding",
    "content-disposition",
    "content-language",
    "cache-control",
    "request-id",
    "x-request-id",
    "retry-after",
    "retry-after-ms",
    "*ratelimit*",
)

_PRINTABLE = "".join(map(chr, range(0x20, 0x7F)))

Filter = tuple[re.Pattern[str], re.Pattern[str] | None]  # header names, tokens (None = the whole header)


@dataclass(frozen=True, slots=True)
class Steps:
    """The rules of all parties, step by step, in the order in which they run."""

    exact: tuple[str, ...]
    globs: re.Pattern[str] | None
    rename: tuple[tuple[str, str], ...]
    default: tuple[tuple[str, Template], ...]
    set: tuple[tuple[str, Template], ...]
    remove: tuple[Filter, ...]
    only: tuple[Filter, ...]
    only_names: re.Pattern[str] | None


def compile_steps(rules: Sequence[HeaderRules], variables: frozenset[str], always: Iterable[str] = ()) -> Steps:
    """Raises TemplateError; the caller knows which file to blame."""
    forward = list(dict.fromkeys([*always, *(name for rule in rules for name in rule.forward)]))
    kept_whole = [name for rule in rules for name, tokens in rule.only if tokens is None]
    return Steps(
        exact=tuple(name for name in forward if not is_glob(name)),
        globs=compile_globs(name for name in forward if is_glob(name)),
        rename=tuple(pair for rule in rules for pair in rule.rename),
        default=tuple((name, compile_template(text, variables)) for rule in rules for name, text in rule.default),
        set=tuple((name, compile_template(text, variables)) for rule in rules for name, text in rule.set),
        remove=tuple(_filter(name, tokens) for rule in rules for name, tokens in rule.remove),
        only=tuple(_filter(name, tokens) for rule in rules for name, tokens in rule.only if tokens is not None),
        only_names=compile_globs(kept_whole),
    )


def _filter(name: str, tokens: tuple[str, ...] | None) -> Filter:
    if tokens is None:
        return compile_glob(name), None
    return compile_glob(name), compile_globs(tokens) or re.compile(r"(?!)")


def run(steps: Steps, fields: Mapping[str, str], never: frozenset[str], values: Mapping[str, str]) -> dict[str, str]:
    """The whole program on ``fields`` (names in lower case). ``values`` are the variables of templates not yet rendered."""
    out: dict[str, str] = {}
    for name in steps.exact:
        value = fields.get(name)
        if value is not None and name not in never:
            out[name] = value
    if steps.globs is not None:
        matches = steps.globs.fullmatch
        for name, value in fields.items():
            if name not in out and name not in never and matches(name):
                out[name] = value
    for old, new in steps.rename:
        value = out.pop(old, None)
        if value is None and old not in never:
            value = fields.get(old)  # a rename asks for the header as plainly as forward does
        if value is not None:
            out[new] = value
    for name, template in steps.default:
        if name not in out:
            out[name] = template.render(values)
    for name, template in steps.set:
        out[name] = template.render(values)
    for names, tokens in steps.remove:
        for name in [name for name in out if names.fullmatch(name)]:
            _keep_tokens(out, name, tokens, matching=False)
    for names, tokens in steps.only:
        for name in [name for name in out if names.fullmatch(name)]:
            _keep_tokens(out, name, tokens, matching=True)
    if steps.only_names is not None:
        for name in [name for name in out if not steps.only_names.fullmatch(name)]:
            del out[name]
    return out


def _keep_tokens(out: dict[str, str], name: str, tokens: re.Pattern[str] | None, *, matching: bool) -> None:
    """Filters one list-valued header; without tokens, or with none left, the header goes."""
    if tokens is not None:
        kept = [token for token in (part.strip() for part in out[name].split(",")) if token]
        kept = [token for token in kept if bool(tokens.fullmatch(token)) is matching]
        if kept:
            out[name] = ", ".join(kept)
            return
    del out[name]


class RequestHeaders:
    """The request side of one lane: finished header lines for the engine, for a key and a client's header fields.

    Mutable: nothing after construction. ``plain`` programs (no rename, no filter, no template left open) take the short way.
    """

    __slots__ = ("secret_names", "_steps", "_plain", "_exact", "_defaults", "_lines")

    def __init__(
        self, steps: Steps, keys: Mapping[str, Mapping[str, str]], credentials: Mapping[str, tuple[str, str] | None]
    ) -> None:
        """``keys``: fingerprint → template values; ``credentials``: fingerprint → (header name, value), None where auth is none."""
        said = [name for name, template in (*steps.default, *steps.set) if template.is_secret]
        # Names of the headers whose values nobody may be shown.
        self.secret_names = frozenset([*said, *(pair[0] for pair in credentials.values() if pair is not None)])
        self._steps: dict[str, Steps] = {}
        self._lines: dict[str, tuple[str, ...]] = {}
        self._defaults: dict[str, tuple[tuple[str, str], ...]] = {}
        for fingerprint, values in keys.items():
            bound = _bind(steps, values, credentials[fingerprint])
            self._steps[fingerprint] = bound
            if all(isinstance(template.body, str) for _, template in (*bound.default, *bound.set)):
                taken = {name: template.render({}) for name, template in bound.set}
                self._lines[fingerprint] = tuple(_line(name, value) for name, value in taken.items())
                defaults = {name: template.render({}) for name, template in reversed(bound.default) if name not in taken}
                self._defaults[fingerprint] = tuple((name, _line(name, value)) for name, value in defaults.items())
        filtered = steps.rename or steps.remove or steps.only or steps.only_names or steps.globs
        self._plain = not filtered and len(self._lines) == len(keys)
        set_names = {name for name, _ in steps.set}
        self._exact = tuple(name for name in steps.exact if name not in set_names and name not in NEVER_UP)

    def lines(self, fields: Mapping[str, str], fingerprint: str, values: Mapping[str, str]) -> tuple[str, ...]:
        """``fields``: the client's, names in lower case. ``values``: the request's own template variables."""
        if self._plain:
            found = [(name, fields[name]) for name in self._exact if name in fields]
            sent = [f"{name}: {value}" if value else f"{name};" for name, value in found]
            if self._defaults[fingerprint]:
                names = [name for name, _ in found]
                sent += [line for name, line in self._defaults[fingerprint] if name not in names]
            return (*self._lines[fingerprint], *sent)
        steps = self._steps[fingerprint]
        return tuple(_line(name, value) for name, value in run(steps, fields, NEVER_UP, values).items())


def header_safe(text: str) -> str:
    """``text`` as a header value: what is not printable ASCII is percent-encoded, so that a model's name cannot end a line."""
    return text if text.isascii() and text.isprintable() else quote(text, safe=_PRINTABLE)


def _line(name: str, value: str) -> str:
    """A header line as libcurl wants it: a field with an empty value is written with a semicolon (CURLOPT_HTTPHEADER)."""
    return f"{name}: {value}" if value else f"{name};"


def _bind(steps: Steps, values: Mapping[str, str], credential: tuple[str, str] | None) -> Steps:
    """The steps with everything rendered that one key decides. The credential is a ``set`` that comes before the written ones."""
    own = ((credential[0], Template(credential[1], frozenset())),) if credential is not None else ()
    return Steps(
        steps.exact,
        steps.globs,
        steps.rename,
        tuple((name, _half(template, values)) for name, template in steps.default),
        own + tuple((name, _half(template, values)) for name, template in steps.set),
        steps.remove,
        steps.only,
        steps.only_names,
    )


def _half(template: Template, values: Mapping[str, str]) -> Template:
    bound = template.bind(values)
    if isinstance(bound.body, str):
        return bound
    return _Partial(bound.body, bound.variables, bound.is_secret, dict(values))


@dataclass(frozen=True, slots=True, repr=False)
class _Partial(Template):
    """A template that still waits for the request; what the key decides is already known."""

    known: Mapping[str, str] = field(default_factory=dict)

    def render(self, values: Mapping[str, str]) -> str:
        assert not isinstance(self.body, str)
        return self.body.render({**self.known, **values})


class ResponseHeaders:
    """The response side of one lane: which of the upstream's fields the client sees."""

    __slots__ = ("_steps", "_plain", "_known")

    def __init__(self, steps: Steps) -> None:
        self._steps = steps
        self._plain = not (steps.rename or steps.default or steps.set or steps.remove or steps.only or steps.only_names)
        # Mutable: which names pass, learned as they come; bounded, and only ever a pure function of the name.
        self._known: dict[str, bool] = {}

    def pairs(self, headers: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
        if self._plain:
            known = self._known
            out = []
            for name, value in headers:
                passes = known.get(name)
                if passes is None:
                    passes = self._learn(name)
                if passes:
                    out.append((name, value))
            return out
        values: dict[str, list[str]] = {}
        for name, value in headers:
            if not name.startswith(OURS):
                values.setdefault(name, []).append(value)
        fields = {name: ", ".join(each) for name, each in values.items()}
        return list(run(self._steps, fields, NEVER_DOWN, {}).items())

    def _learn(self, name: str) -> bool:
        globs = self._steps.globs
        forwarded = name in self._steps.exact or bool(globs and globs.fullmatch(name))
        passes = forwarded and name not in NEVER_DOWN and not name.startswith(OURS)
        if len(self._known) < 512:
            self._known[name] = passes
        return passes
