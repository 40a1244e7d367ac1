"""``tests`` of a provider: what it is known to send and to want, replayed offline. Schema, spec and one-line help of each field."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from monorelay.config.fields import Origin
from monorelay.config.headers import distinct, header_text, plain_name
from monorelay.config.json_values import read_json
from monorelay.config.reading import Node
from monorelay.config.scalars import choice, duration, filled, name, number, whole
from monorelay.config.schema import Rules, Schema, field


@dataclass(frozen=True, slots=True)
class FixtureSpec:
    """One case; exactly one of ``request`` and ``answer`` is there.

    The mappings hold plain JSON values, which nobody changes. What has a kind is read: a cooldown is seconds or None, the names of
    headers are lower case.
    """

    name: str
    request: Mapping[str, Any] | None
    answer: Mapping[str, Any] | None
    expect: Mapping[str, Any]
    origin: Origin


_SCOPE = choice("key", "key+model", "account")
_REFUSAL = choice("context_length", "content_filter", "model_not_found")
_STATUS = whole(100, 599)
_BALANCE = number(-(10**15), 10**15)
_OF_REQUESTS = ("url", "headers", "body")
_OF_ANSWERS = ("cooldown", "scope", "refusal", "balance")


def _headers(meaning: str, nullable: bool = False) -> Rules:
    return field(
        "dict",
        meaning,
        reads=distinct,
        shown="name → text",
        keysrules=field("string", reads=plain_name),
        valuesrules=field("string", reads=header_text, nullable=nullable),
    )


def _body(meaning: str) -> Rules:
    return field(["dict", "list", "string"], meaning, shown="JSON, or text")


REQUEST: Schema = {
    "route": field("string", "The route by which it comes.", reads=name, default="required"),
    "headers": _headers("The client's headers."),
    "body": _body("The client's body."),
}
ANSWER: Schema = {
    "status": field("integer", "The provider's status.", reads=_STATUS, default="required"),
    "headers": _headers("The provider's headers."),
    "body": _body("The provider's body."),
}
EXPECT: Schema = {
    "url": field("string", "Of a request: where it goes."),
    "headers": _headers("Of a request: headers that go up; `null` = it does not.", nullable=True),
    "body": _body("Of a request: what goes up; of a mapping only the fields that are named."),
    "cooldown": field(
        ["number", "string"],
        "Of an answer: how long it rests the key; `null` = not at all.",
        reads=duration,
        nullable=True,
        shown="duration or null",
    ),
    "scope": field(
        "string", "Of an answer: what it rests.", reads=_SCOPE, default="not looked at", shown="key, key+model, account"
    ),
    "refusal": field(
        "string",
        "Of an answer: what it says.",
        reads=_REFUSAL,
        shown="context_length, content_filter, model_not_found",
    ),
    "balance": field("number", "Of an answer of the offer `credits`: what is left.", reads=_BALANCE),
}
FIXTURE: Schema = {
    "name": field("string", "What it shows.", reads=filled, default="required"),
    "request": field("dict", "A client's request; or:", schema=REQUEST),
    "answer": field("dict", "An answer of the provider.", schema=ANSWER),
    "expect": field("dict", "What comes of it: only what is named here is compared.", default="required", schema=EXPECT),
}


def read_fixtures(node: Node) -> tuple[FixtureSpec, ...]:
    return tuple(spec for entry in node.items() if (spec := _read_fixture(entry)) is not None)


def _read_fixture(node: Node) -> FixtureSpec | None:
    for needed in ("name", "expect"):
        if not node[needed].value:
            node.missing(needed)
    request, answer, expect = node["request"], node["answer"], node["expect"]
    if request.value is not None and answer.value is not None:
        answer.wrong("stands beside request: a test has one of the two")
    elif request.value is None and answer.value is None:
        node.missing("request", ", or answer")
    elsewhere, what = (_OF_ANSWERS, "an answer") if request.value is not None else (_OF_REQUESTS, "a request")
    for one in elsewhere:
        if isinstance(expect.value, dict) and one in expect.value:
            expect[one].wrong(f"is what {what} is compared with")
    own_name = node["name"].read(filled, None)
    if own_name is None or not isinstance(expect.value, dict):
        return None
    return FixtureSpec(
        name=own_name,
        request=_read_part(request, "route") if isinstance(request.value, dict) else None,
        answer=_read_part(answer, "status") if isinstance(answer.value, dict) else None,
        expect=_read_part(expect),
        origin=node.reading.place(node.path).origin,
    )


_READERS: dict[str, Callable[[Any], object]] = {
    "url": filled, "cooldown": duration, "scope": _SCOPE, "refusal": _REFUSAL, "balance": _BALANCE, "route": name, "status": _STATUS
}  # fmt: skip


def _read_part(node: Node, *needed: str) -> Mapping[str, Any]:
    for one in needed:
        if node[one].value is None:
            node.missing(one)
    part: dict[str, Any] = {}
    for own_name, entry in node.entries():
        if own_name == "body":
            part["body"] = read_json(entry)
        elif own_name == "headers":
            part["headers"] = {header.lower(): value.read(header_text, None) for header, value in entry.entries()}
        else:
            part[own_name] = entry.read(_READERS[own_name], None)
    return part
