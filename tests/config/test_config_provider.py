"""A provider drop-in: every field, its short forms, and what is said when it is wrong."""

from __future__ import annotations

from typing import Any

import pytest
from config_house import House

from monorelay.config.fields import Auth, HeaderRules, QueryRules, Secret
from monorelay.config.keys import KeySpec

WHOLE = """\
enabled: true
priority: -5
auth: {header: Api-Key, prefix: "Token "}
keys:
  - {label: main, secret: "${KEY_A}", weight: 3}
  - ${KEY_B}
  - {secret: "${KEY_C}", enabled: false}
  - {label: none, secret: "${KEY_D:-}"}
offers:
  acme.ocr: /ocr
  openai.chat:
    path: /c
    base_url: https://other.example/v2/
    auth: none
    query: {set: {api-version: "1"}, remove: [x]}
    headers: {request: {set: {x-a: b}}}
    timeouts: {idle: 5s}
  openai.models: null
models: {include: ["a-*", b], exclude: [c]}
rate_limit_cooldown: 500ms
timeouts: {connect: 5, total: null}
timeout: 2m
headers:
  request:
    forward: [X-Title, "x-a-*"]
    rename: {X-Old: X-New}
    default: {X-B: "{{ label }}"}
    set: {X-C: "a${KEY_A}b", X-D: "5 $$"}
    remove: [x-e, "x-f-*"]
    only: {anthropic-beta: ["a-*", b], x-g: null}
  response: {forward: [x-request-id]}
"""


def test_a_whole_provider(house: House) -> None:
    """Each field arrives in the spec, in the form that the plan wants."""
    house.environ = {"KEY_A": "sk-aaa", "KEY_B": "  sk-bbb\n", "KEY_C": "sk-ccc"}
    spec = house.local(WHOLE).provider()
    assert (spec.enabled, spec.priority, spec.base_url) == (True, -5, "http://127.0.0.1:8000/v1")
    assert spec.auth == Auth("api-key", "Token ")
    assert spec.keys == (
        KeySpec("main", Secret("sk-aaa"), 3, True),
        KeySpec("key-2", Secret("sk-bbb"), 1, True),
        KeySpec("key-3", Secret("sk-ccc"), 1, False),
    )
    chat, ocr = spec.offers
    assert (ocr.capability, ocr.path, ocr.base_url, ocr.auth, ocr.timeouts) == ("acme.ocr", "/ocr", None, None, None)
    assert (chat.path, chat.base_url, chat.auth, chat.timeouts) == ("/c", "https://other.example/v2", "none", {"idle": 5.0})
    assert chat.query == QueryRules(set=(("api-version", "1"),), remove=("x",))
    assert chat.headers.request.set == (("x-a", "b"),)
    assert (spec.include, spec.exclude) == (("a-*", "b"), ("c",))
    assert spec.rate_limit_cooldown == 0.5
    assert spec.timeouts == {"connect": 5.0, "total": None, "first_byte": 120.0, "idle": 120.0}
    assert spec.headers.request == HeaderRules(
        forward=("x-title", "x-a-*"),
        rename=(("x-old", "x-new"),),
        default=(("x-b", "{{ label }}"),),
        set=(("x-c", Secret("ask-aaab")), ("x-d", "5 $")),
        remove=(("x-e", None), ("x-f-*", None)),
        only=(("anthropic-beta", ("a-*", "b")), ("x-g", None)),
    )
    assert spec.headers.response == HeaderRules(forward=("x-request-id",))


def test_what_is_not_said_has_a_default(house: House) -> None:
    """Four lines are a provider."""
    spec = house.local("").provider()
    assert (spec.enabled, spec.priority, spec.auth, spec.keys) == ("auto", 50, Auth("authorization", "Bearer "), ())
    assert (spec.rate_limit_cooldown, spec.timeouts, spec.headers.request) == (60.0, None, HeaderRules())


AUTH = {
    "bearer": Auth("authorization", "Bearer "),
    "x-api-key": Auth("x-api-key", ""),
    "none": None,
    "{header: Api-Key}": Auth("api-key", ""),
    '{header: authorization, prefix: "Key "}': Auth("authorization", "Key "),
}


@pytest.mark.parametrize("written", AUTH)
def test_auth(house: House, written: str) -> None:
    """Three words, or any header."""
    assert house.local(f"auth: {written}\n").provider().auth == AUTH[written]


FROM_REFERENCES = {
    "base_url: ${V}": ("http://h/v1/", "base_url", "http://h/v1"),
    "priority: ${V}": ("7", "priority", 7),
    "enabled: ${V}": ("false", "enabled", False),
    "enabled: ${V:-auto}": ("", "enabled", "auto"),
    "rate_limit_cooldown: ${V}": ("2m", "rate_limit_cooldown", 120.0),
    "timeout: ${V}": ("3", "timeouts", {"first_byte": 3.0, "idle": 3.0}),
    "auth: ${V}": ("none", "auth", None),
    "models: {include: ['${V}-*']}": ("gpt", "include", ("gpt-*",)),
}


@pytest.mark.parametrize("line", FROM_REFERENCES)
def test_any_scalar_may_be_a_reference(house: House, line: str) -> None:
    """Numbers and booleans, too; what is not secret becomes plain text."""
    value, name, expected = FROM_REFERENCES[line]
    house.environ = {"V": value}
    text = "provider: a\nextends: openai-compatible\n" + (f"{line}\n" if "base_url" in line else f"base_url: http://x\n{line}\n")
    assert getattr(house.write({"operator/providers.d/a.yml": text}).provider("a"), name) == expected


# What stands from line 4 on → the problems, with the file in front of each left out.
PROBLEMS: dict[str, list[str]] = {
    "rate_limit_cooldwon: 5": ["4:1: rate_limit_cooldwon: unknown field, did you mean rate_limit_cooldown?"],
    "tool_calling: {}": ["4:1: tool_calling: unknown field"],
    "rate_limit_cooldown: -1": ["4:1: rate_limit_cooldown: must not be negative"],
    "rate_limit_cooldown: true": ["4:1: rate_limit_cooldown: must be a number or text"],
    "priority: '5'": ["4:1: priority: must be a whole number"],
    "priority: 1.5": ["4:1: priority: must be a whole number"],
    "enabled: yes": ["4:1: enabled: must be true, false or auto"],
    "auth: baerer": ["4:1: auth: must be one of bearer, x-api-key, none, {header: NAME}, did you mean bearer?"],
    "auth: {prefix: x}": ["4:1: auth.header: is missing"],
    "auth: {haeder: x}": ["4:8: auth.haeder: unknown field, did you mean header?"],
    "auth: {header: cookie}": ["4:8: auth.header: is never set or forwarded: the relay's own connections need it"],
    "auth: [bearer]": ["4:1: auth: must be text or a mapping (lines of `key: value`)"],
    "keys: sk-1": ["4:1: keys: must be a list"],
    "keys:": ["4:1: keys: has no value"],
    "keys: [{label: a}]": ["4:8: keys.0.secret: is missing"],
    "keys: [{label: a, secret: 12345}]": ["4:19: keys.0.secret: must be text: put it in quotes"],
    "keys: [{label: a, secret: '${A:-x}', weight: 0}]": ["4:38: keys.0.weight: must be 1 or more"],
    "keys: [{label: a, secret: '${A:-x}', weight: 1.5}]": ["4:38: keys.0.weight: must be a whole number"],
    "keys: [{label: a, secret: '${A:-x}', enabled: no}]": [
        "4:38: keys.0.enabled: must be a boolean: write true or false, without quotes"
    ],
    "keys:\n  - {label: a, secret: '${A:-x}'}\n  - {label: a, secret: '${A:-y}'}": ["6:6: keys.1.label: two keys are called a"],
    "keys: ['${NOPE}']": ["4:8: keys.0: the environment variable NOPE is not set (write ${NOPE:-} where it may be missing)"],
    "keys: ['${file:nope}']": ["4:8: keys.0: ROOT/operator/nope cannot be read: No such file or directory"],
    "keys: [a$b]": ["4:8: keys.0: a lone $: write $$ for a dollar, ${NAME} for an environment variable"],
    "offers: {openai.chat: chat}": ["4:10: offers.openai.chat: must begin with / (it follows base_url), or be empty"],
    "offers: {a.b: {base_url: 'http://x'}}": ["4:10: offers.a.b.path: is missing"],
    "offers: {a.b: {pth: /x}}": ["4:16: offers.a.b.pth: unknown field, did you mean path?"],
    "offers: {a b: /x}": ["4:10: offers.a b: is not a capability: lower-case words joined by dots, such as openai.chat"],
    "offers: {a: {path: /x, timeouts: {idle: 0}}}": ["4:35: offers.a.timeouts.idle: must be more than 0"],
    "offers: [openai.chat]": ["4:1: offers: must be a mapping (lines of `key: value`)"],
    "models: {include: gpt-4}": ["4:10: models.include: must be a list"],
    "models: {include: [4e2]}": ["4:20: models.include.0: must be text: put it in quotes"],
    "models: {inclde: [a]}": ["4:10: models.inclde: unknown field, did you mean include?"],
    "timeouts: {conect: 5}": ["4:12: timeouts.conect: unknown field, did you mean connect?"],
    "timeouts: {connect: 5x, idle: 0}": [
        "4:12: timeouts.connect: is not a duration: write seconds, or 500ms, 15s, 2m, 1h",
        "4:25: timeouts.idle: must be more than 0",
    ],
    "timeouts: {connect: .inf}": ["4:12: timeouts.connect: is not a duration: write seconds, or 500ms, 15s, 2m, 1h"],
    "timeout: 1y": ["4:1: timeout: is not a duration: write seconds, or 500ms, 15s, 2m, 1h"],
    "headers: {reqest: {}}": ["4:11: headers.reqest: unknown field, did you mean request?"],
    "headers: {request: {forwrad: []}}": ["4:21: headers.request.forwrad: unknown field, did you mean forward?"],
    "headers: {request: {forward: [Authorization]}}": [
        "4:31: headers.request.forward.0: holds the client's credential for this relay, which never goes upstream"
    ],
    "headers: {request: {rename: {x-api-key: x-b}}}": [
        "4:30: headers.request.rename.x-api-key: holds the client's credential for this relay, which never goes upstream"
    ],
    "headers: {request: {forward: [Connection]}}": [
        "4:31: headers.request.forward.0: is never set or forwarded: the relay's own connections need it"
    ],
    "headers: {request: {set: {Host: x}}}": [
        "4:27: headers.request.set.Host: is never set or forwarded: the relay's own connections need it"
    ],
    "headers: {request: {default: {Content-Length: '5'}}}": [
        "4:31: headers.request.default.Content-Length: is never set or forwarded: the relay's own connections need it"
    ],
    "headers: {request: {rename: {x-a: transfer-encoding}}}": [
        "4:30: headers.request.rename.x-a: is never set or forwarded: the relay's own connections need it"
    ],
    'headers: {request: {set: {x-a: "a\\r\\nx-b: c"}}}': ["4:27: headers.request.set.x-a: must not hold a line break"],
    "headers: {request: {set: {x-a: 1}}}": ["4:27: headers.request.set.x-a: must be text: put it in quotes"],
    "headers: {request: {set: {X-A: a, x-a: b}}}": ["4:21: headers.request.set: names the same header twice (case does not count)"],
    "headers: {request: {set: {x-a: '${V} {{ label }}'}}}": [
        "4:27: headers.request.set.x-a: a value is either a template ({{ … }}) or holds a ${reference}:"
        " a reference's value is never run"
    ],
    "headers: {request: {set: {x-a: '${LINES}'}}}": ["4:27: headers.request.set.x-a: must not hold a line break"],
    "headers: {request: {remove: [a, 5]}}": ["4:33: headers.request.remove.1: must be text: put it in quotes"],
    "headers: {request: {remove: {a: b}}}": ["4:30: headers.request.remove.a: must be a list"],
    "headers: {request: {only: {a: ['x,y']}}}": [
        "4:32: headers.request.only.a.0: is not a token, nor a glob of tokens: no commas, no spaces"
    ],
    "a: 1\nb: 2\npriority: x": ["4:1: a: unknown field", "5:1: b: unknown field", "6:1: priority: must be a whole number"],
}


@pytest.mark.parametrize("lines", PROBLEMS)
def test_problems(house: House, lines: str) -> None:
    """Each fault gets one sentence at its own place."""
    house.environ = {"V": "value", "LINES": "a\nb"}
    found = house.local(lines + "\n").problems()
    prefix = "operator/providers.d/local.yml:"
    assert found == [prefix + line.replace("ROOT/", "") for line in PROBLEMS[lines]]


def test_a_misspelt_field_counts_as_the_one_that_was_meant(house: House) -> None:
    """Nobody is told that base_url is missing who wrote base_ulr."""
    house.write({"operator/providers.d/a.yml": "provder: a\nextends: openai-compatible\nbase_ulr: http://x\n"})
    assert house.problems() == [
        "operator/providers.d/a.yml:1:1: provder: unknown field, did you mean provider?",
        "operator/providers.d/a.yml:3:1: base_ulr: unknown field, did you mean base_url?",
    ]


WARNINGS: dict[str, list[str]] = {
    "keys: [sk-inline]": ["4:8: keys.0: the secret of key key-1 stands in the file: a ${reference} keeps it out of it"],
    "keys: [{label: a, secret: ''}, {label: b, secret: '${NOPE:-}'}]": [],
    "keys: ['${A}', {label: twin, secret: '${A}'}]": ["4:16: keys.1: key twin has the same secret as key-1 and is left out"],
    "keys: ['${A}', {secret: '${A}', enabled: false}]": [],
    "enabled: true": ["1:1: keys: is enabled, but has no key: each call will end with no_keys"],
    "enabled: true\nauth: none": [],
    "enabled: false\nkeys: ['${NOPE}']": [
        "5:8: keys.0: the environment variable NOPE is not set (write ${NOPE:-} where it may be missing)"
    ],
    "offers: {openai.chat: null, openai.models: null}": [],
}


@pytest.mark.parametrize("lines", WARNINGS)
def test_warnings(house: House, lines: str) -> None:
    """What works, but was hardly meant, is told and does not stand in the way."""
    house.environ = {"A": "sk-a"}
    assert house.local(lines + "\n").warnings() == [f"operator/providers.d/local.yml:{line}" for line in WARNINGS[lines]]


def test_a_provider_that_offers_nothing_is_warned_about(house: House) -> None:
    """Somebody forgot to extend a template."""
    house.settings("providers:\n  a:\n    base_url: http://x\n")
    assert house.warnings() == [
        "operator/config.yml:2:3: providers.a.offers: offers nothing, so that no route can use it:"
        " extend a template, or write `offers`"
    ]


def test_one_secret_twice_is_one_key(house: House) -> None:
    """A 429 on one would be a 429 on the other."""
    house.environ = {"A": "sk-a"}
    assert [key.label for key in house.local("keys: ['${A}', {label: twin, secret: '${A}'}]\n").provider().keys] == ["key-1"]


BAD_SECRETS: list[Any] = [
    "sk-sec ret",
    "sk-sec\nret",
    "sk-sec\tret",
    "sk-sec\u00a0ret",
    "sk-sec\x7fret",
    "sk-secrét",
    "sk-sec\u200bret",
]


@pytest.mark.parametrize("secret", BAD_SECRETS)
def test_a_secret_that_no_header_can_carry_is_a_problem(house: House, secret: str) -> None:
    """It is named by its key's label, and its text is in no sentence."""
    house.environ = {"A": secret}
    (line,) = house.local("keys: [{label: main, secret: '${A}'}]\n").problems()
    assert line.startswith("operator/providers.d/local.yml:4:22: keys.0.secret: the secret of key main holds a ")
    assert "sk-sec" not in line


def test_providers_come_in_priority_order(house: House) -> None:
    """Lower first, ties by file name, whatever the layer."""
    for layer, file, priority in (("vendor", "b", 50), ("operator", "a", 50), ("vendor", "z", 10), ("runtime", "c", 60)):
        text = f"provider: {file}\nextends: openai-compatible\nbase_url: http://x\npriority: {priority}\n"
        house.write({f"{layer}/providers.d/{file}.yml": text})
    assert [spec.name for spec in house.load().providers] == ["z", "a", "b", "c"]
