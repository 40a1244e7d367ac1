"""One client request, as the relay sees it, and the seam through which it is answered."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from monorelay.config.settings import ClientSpec
from monorelay.dialects.envelopes import Family
from monorelay.dialects.multipart import MultipartBroken, find_field, splice
from monorelay.errors import INVALID_REQUEST, RelayError
from monorelay.plan.plan import Plan, Route
from monorelay.relay.body import JsonBody, parse
from monorelay.upstream.upload import Upload

LONGEST_MODEL = 512

Rewrite = Callable[[Mapping[str, Any], Collection[str], str | None], bytes]


class Reply(Protocol):
    """The client's side of a call. Every method is harmless once the client is gone.

    ``head`` is called once; then ``chunk`` … ``end``, or ``cut`` where the answer cannot be completed honestly.
    """

    on_resume: Callable[[], None] | None  # called when ``paused`` turns False again
    on_gone: Callable[[], None] | None  # called once, when the client leaves before the end

    @property
    def gone(self) -> bool: ...
    @property
    def begun(self) -> bool:
        """Whether ``head`` was called: the answer is committed."""
        ...

    @property
    def paused(self) -> bool:
        """Whether the client reads more slowly than it is sent to."""
        ...

    def head(self, status: int, headers: Sequence[tuple[str, str]], length: int | None) -> None: ...
    def whole(self, status: int, headers: Sequence[tuple[str, str]], body: bytes) -> None:
        """head, chunk and end in one."""
        ...

    def chunk(self, data: bytes) -> None: ...
    def end(self) -> None: ...
    def cut(self) -> None: ...


# Frozen by convention: a dataclass that enforces it takes microseconds more to make, and one is made for every request.
@dataclass(slots=True, eq=False)
class Call:
    """What is known when the head has arrived. ``fields``: the client's header fields, names in lower case, repeated ones joined.

    ``parameters`` are the raw path parameters, ``query`` the raw query string; ``started`` is monotonic.
    """

    id: str
    plan: Plan
    route: Route
    method: str
    parameters: Mapping[str, str]
    query: str
    fields: Mapping[str, str]
    client: ClientSpec | None
    family: Family
    started: float

    def __repr__(self) -> str:
        return f"<Call {self.id} {self.route.spec.name}>"


@dataclass(slots=True, eq=False)  # frozen by convention, too
class Asked:
    """What the body says, read once. ``model`` is "" when there is none; ``json`` holds the top-level fields of a JSON body."""

    model: str
    stream: bool
    json: Mapping[str, Any]
    raw: bytes
    named: Callable[[str], bytes]  # the body with another model name spliced in, all else byte for byte
    rewritten: Rewrite | None = None
    """A JSON body with members set, others taken out, and the model renamed, all else byte for byte."""


def read_body(call: Call, raw: bytes) -> Asked:
    """Raises RelayError (400) where the body does not fit its route."""
    spec = call.route.spec
    if spec.body == "json" and (raw or spec.model == "required"):
        return _asked_in_json(parse(raw), spec.model)
    if spec.body == "multipart":
        return _asked_in_multipart(raw, call.fields.get("content-type", ""), spec.model)
    return Asked("", False, {}, raw, lambda _: raw)


def _asked_in_json(body: JsonBody, rule: str) -> Asked:
    model = body.model if rule != "none" else None
    if model is None and rule == "required":
        raise RelayError(INVALID_REQUEST, "The body has no 'model'.", param="model")
    _check_length(model or "")
    return Asked(model or "", body.stream, body.fields, body.raw, body.with_model, body.with_fields)


def _asked_in_multipart(raw: bytes, content_type: str, rule: str) -> Asked:
    try:
        field = find_field(raw, content_type, "model") if rule != "none" else None
    except MultipartBroken as error:
        raise RelayError(INVALID_REQUEST, f"The body is not valid multipart/form-data: {error}") from error
    if field is None:
        if rule == "required":
            raise RelayError(INVALID_REQUEST, "The form has no field 'model'.", param="model")
        return Asked("", False, {}, raw, lambda _: raw)
    try:
        model = raw[field.start : field.end].decode()
    except UnicodeDecodeError as error:
        raise RelayError(INVALID_REQUEST, "The field 'model' is not valid UTF-8.", param="model") from error
    if not model and rule == "required":
        raise RelayError(INVALID_REQUEST, "The field 'model' is empty.", param="model")
    _check_length(model)
    return Asked(model, False, {}, raw, lambda name: splice(raw, field, name))


def _check_length(model: str) -> None:
    """No name comes near it, and what a name leads to is remembered."""
    if len(model) > LONGEST_MODEL:
        raise RelayError(INVALID_REQUEST, f"'model' is longer than {LONGEST_MODEL} characters.", param="model")


Body = bytes | Upload
