"""Header and URL templates (Jinja2), and the only place where a secret becomes text.

A template is compiled once; its variables are checked then. Those known beforehand (the key, its label, the provider) are rendered
once per key; only a template that names a request's own variable is rendered per request.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from typing import TYPE_CHECKING

from monorelay.config.fields import Auth, Secret, Text

if TYPE_CHECKING:
    import jinja2

KEY_VARIABLES = frozenset({"key", "label", "provider", "version"})
REQUEST_VARIABLES = frozenset({"model", "request_id", "client"})


class TemplateError(Exception):
    """A template that cannot be compiled, or that names a variable nobody will give."""


@cache
def _environment() -> jinja2.Environment:
    import jinja2

    return jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False, keep_trailing_newline=True)


@dataclass(frozen=True, slots=True, repr=False)
class Template:
    """A compiled template, or plain text (``body`` is then a str). The repr shows no text: it may hold a secret."""

    body: str | jinja2.Template
    variables: frozenset[str]
    is_secret: bool = False  # it came, in part, from a reference, or says the key

    def __repr__(self) -> str:
        return f"<Template of {', '.join(sorted(self.variables)) or 'plain text'}>"

    def render(self, values: Mapping[str, str]) -> str:
        if isinstance(self.body, str):
            return self.body
        return self.body.render(values)

    def bind(self, values: Mapping[str, str]) -> Template:
        """The same template as plain text when ``values`` are all it needs; itself otherwise (``values`` come again later)."""
        if self.variables <= values.keys():
            return Template(self.render(values), frozenset(), self.is_secret)
        return self


def compile_template(text: Text, allowed: frozenset[str]) -> Template:
    """Compiles ``text``; a Secret is a literal and never interpreted. Raises TemplateError with a sentence."""
    if isinstance(text, Secret):
        return Template(text.reveal(), frozenset(), is_secret=True)
    if "{{" not in text and "{%" not in text and "{#" not in text:
        return Template(text, frozenset())
    # Loaded by the first real template only: most configurations have none, and Jinja2 is a tenth of a worker's memory.
    import jinja2
    import jinja2.meta

    environment = _environment()
    try:
        variables = frozenset(jinja2.meta.find_undeclared_variables(environment.parse(text)))
        body = environment.from_string(text)
    except jinja2.TemplateError as error:
        raise TemplateError(f"not a valid template: {error}") from error
    for name in sorted(variables - allowed):
        near = get_close_matches(name, allowed, 1)
        hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(sorted(allowed))}"
        raise TemplateError(f"unknown variable '{name}' in the template, {hint}")
    return Template(body, variables, is_secret="key" in variables)


def plain_text(text: Text) -> str:
    """What is sent as it stands, be it a secret."""
    return text.reveal() if isinstance(text, Secret) else text


def key_values(provider: str, version: str, label: str, secret: Secret | None) -> dict[str, str]:
    """What the templates of one key may say beforehand."""
    return {"provider": provider, "version": version, "label": label, "key": secret.reveal() if secret is not None else ""}


def credential(auth: Auth, secret: Secret) -> str:
    """The value of the upstream's credential header."""
    return auth.prefix + secret.reveal()


def token_digest(token: str | Secret) -> bytes:
    """SHA-256 of a client's token: what is compared instead of the token."""
    return hashlib.sha256((token.reveal() if isinstance(token, Secret) else token).encode("utf-8", "surrogateescape")).digest()


def private_key(key: Secret) -> bytes:
    """The private key of a certificate, for the one who loads it."""
    return key.reveal().encode()


SHORTEST_KEY = 4  # bytes


class Scrubber:
    """Takes a provider's own credentials out of what its upstream says about them.

    Some upstreams quote the key in their error; the client must not see it. What is shorter than any real key stays: it is a word
    that a local server was given, and may stand in any sentence.
    """

    __slots__ = ("_marks",)

    def __init__(self, secrets: Mapping[str, Secret]) -> None:
        """``secrets``: label → secret."""
        marks = [(secret.reveal().encode(), b"[key " + label.encode() + b"]") for label, secret in secrets.items()]
        marks.sort(key=lambda mark: -len(mark[0]))  # one key may be the beginning of another
        self._marks = tuple((value, mark) for value, mark in marks if len(value) >= SHORTEST_KEY)

    def clean(self, text: bytes) -> bytes:
        for value, mark in self._marks:
            text = text.replace(value, mark)
        return text
