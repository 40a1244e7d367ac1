"""The header program."""

from __future__ import annotations

from typing import Any

import pytest

from monorelay.config.fields import HeaderRules, Secret
from monorelay.plan.headers import ALWAYS_DOWN, NEVER_UP, RequestHeaders, ResponseHeaders, compile_steps, header_safe
from monorelay.plan.templates import TemplateError

VARIABLES = frozenset({"key", "label", "provider", "version", "model", "request_id"})
CLIENT = {
    "content-type": "application/json",
    "anthropic-beta": "a-1, b-2,c-3",
    "x-one": "1",
    "x-two": "2",
    "authorization": "Bearer client",
    "x-api-key": "client",
    "cookie": "c=1",
    "host": "relay",
    "connection": "x-one",
    "content-length": "3",
}


def sent(*rules: HeaderRules, credential: tuple[str, str] | None = None, fields: dict[str, str] | None = None) -> dict[str, str]:
    program = RequestHeaders(compile_steps(rules, VARIABLES), {"k": {"key": "sk-k", "label": "main"}}, {"k": credential})
    lines = program.lines(CLIENT if fields is None else fields, "k", {"model": "m-1", "request_id": "r-1"})
    assert len({line.partition(":")[0] for line in lines}) == len(lines), "a field was sent twice"
    return {name: value.lstrip() for name, _, value in (line.partition(":") for line in lines)}


def rules(**steps: Any) -> HeaderRules:
    return HeaderRules(**steps)


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        ((), {}),
        ((rules(forward=("x-one", "x-missing")),), {"x-one": "1"}),
        ((rules(forward=("x-*",)),), {"x-one": "1", "x-two": "2"}),
        (
            (rules(forward=("*",)),),
            {"content-type": "application/json", "anthropic-beta": "a-1, b-2,c-3", "x-one": "1", "x-two": "2"},
        ),
        ((rules(forward=("x-one",), rename=(("x-one", "y-one"),)),), {"y-one": "1"}),
        ((rules(rename=(("x-one", "y-one"),)),), {"y-one": "1"}),
        ((rules(rename=(("authorization", "x-client"),)),), {}),
        ((rules(default=(("x-one", "d"), ("x-new", "d"))),), {"x-one": "d", "x-new": "d"}),
        ((rules(forward=("x-one",), default=(("x-one", "d"),)),), {"x-one": "1"}),
        ((rules(forward=("x-one",), set=(("x-one", "s"),)),), {"x-one": "s"}),
        ((rules(set=(("x-k", "{{ key }}/{{ label }}"),)),), {"x-k": "sk-k/main"}),
        ((rules(set=(("x-k", "{{ model }}-{{ label }}"),)),), {"x-k": "m-1-main"}),
        ((rules(set=(("x-k", Secret("{{ not a template }}")),)),), {"x-k": "{{ not a template }}"}),
        ((rules(forward=("x-*",), remove=(("x-o*", None),)),), {"x-two": "2"}),
        ((rules(forward=("anthropic-beta",), remove=(("anthropic-beta", ("b-*",)),)),), {"anthropic-beta": "a-1, c-3"}),
        ((rules(forward=("anthropic-beta",), remove=(("anthropic-beta", ("*",)),)),), {}),
        ((rules(forward=("anthropic-beta",), only=(("anthropic-beta", ("a-*", "c-3")),)),), {"anthropic-beta": "a-1, c-3"}),
        ((rules(forward=("x-*",), only=(("x-two", None),)),), {"x-two": "2"}),
        ((rules(set=(("x-a", "route"),)), rules(set=(("x-a", "provider"),))), {"x-a": "provider"}),
        ((rules(default=(("x-a", "route"),)), rules(default=(("x-a", "provider"),))), {"x-a": "route"}),
        ((rules(forward=("x-one",)), rules(remove=(("x-one", None),))), {}),
        ((rules(forward=("x-one",)), rules(forward=("x-two",))), {"x-one": "1", "x-two": "2"}),
    ],
)
def test_the_program_runs_step_by_step(program: tuple[HeaderRules, ...], expected: dict[str, str]) -> None:
    """forward → rename → default → set → remove → only; the route's rules, then the provider's."""
    assert sent(*program) == expected


@pytest.mark.parametrize("name", sorted(NEVER_UP))
def test_what_belongs_to_the_relay_never_goes_up(name: str) -> None:
    """Hop-by-hop fields, cookies, host, length and the client's credential stay, whatever a rule says."""
    assert name not in sent(rules(forward=(name, "*")), fields={name: "secret-of-the-client"})


def test_the_upstreams_credential_is_sent_and_a_rule_may_replace_or_remove_it() -> None:
    credential = ("authorization", "Bearer sk-k")
    assert sent(credential=credential) == {"authorization": "Bearer sk-k"}
    assert sent(rules(set=(("authorization", "Token {{ key }}"),)), credential=credential) == {"authorization": "Token sk-k"}
    assert sent(rules(remove=(("authorization", None),)), credential=credential) == {}


def test_an_empty_value_is_written_so_that_libcurl_keeps_it() -> None:
    """libcurl drops "Name:" and sends "Name;" as an empty field (CURLOPT_HTTPHEADER)."""
    program = RequestHeaders(compile_steps((rules(forward=("x-empty",)),), VARIABLES), {"k": {}}, {"k": None})
    assert program.lines({"x-empty": ""}, "k", {}) == ("x-empty;",)


def test_an_unknown_variable_is_refused_at_compile_time() -> None:
    with pytest.raises(TemplateError, match=r"unknown variable 'kye' in the template, did you mean key\?"):
        compile_steps((rules(set=(("x", "{{ kye }}"),)),), VARIABLES)


def test_a_broken_template_is_refused_at_compile_time() -> None:
    with pytest.raises(TemplateError, match="not a valid template"):
        compile_steps((rules(set=(("x", "{{ key"),)),), VARIABLES)


@pytest.mark.parametrize(
    ("text", "safe"), [("gpt-4o", "gpt-4o"), ("a\r\nx: y", "a%0D%0Ax: y"), ("naïve 模", "na%C3%AFve %E6%A8%A1")]
)
def test_a_models_name_cannot_end_a_header_line(text: str, safe: str) -> None:
    assert header_safe(text) == safe


def test_the_answer_brings_back_ids_and_limits_but_nothing_of_the_hop() -> None:
    """The built-in part of the response program."""
    program = ResponseHeaders(compile_steps((rules(forward=("openai-*",)),), frozenset(), ALWAYS_DOWN))
    came = [
        ("content-type", "application/json"),
        ("x-request-id", "r"),
        ("x-ratelimit-remaining-requests", "9"),
        ("anthropic-ratelimit-tokens-limit", "5"),
        ("retry-after", "3"),
        ("openai-processing-ms", "7"),
        ("set-cookie", "a=1"),
        ("transfer-encoding", "chunked"),
        ("content-length", "10"),
        ("server", "x"),
    ]
    assert [name for name, _ in program.pairs(came)] == [name for name, _ in came[:6]]


@pytest.mark.parametrize("more", [{}, {"remove": (("x-nothing", None),)}])
def test_what_the_relay_says_itself_no_upstream_says(more: dict[str, Any]) -> None:
    """Whatever is forwarded: a second date, an attempt that was not ours, a page that nobody here allowed."""
    came = [
        "x-monorelay-provider",
        "x-monorelay-ratelimit",
        "access-control-allow-origin",
        "date",
        "connection",
        "x-ratelimit-a",
        "x-b",
    ]
    program = ResponseHeaders(compile_steps((rules(forward=("*",), **more),), frozenset(), ALWAYS_DOWN))
    assert sorted(name for name, _ in program.pairs([(name, "1") for name in came])) == ["x-b", "x-ratelimit-a"]


def test_a_response_program_with_rules_runs_whole() -> None:
    steps = compile_steps((rules(forward=("x-a",), rename=(("x-a", "x-b"),), set=(("x-c", "1"),)),), frozenset(), ("content-type",))
    assert dict(ResponseHeaders(steps).pairs([("x-a", "1"), ("content-type", "t")])) == {
        "content-type": "t",
        "x-b": "1",
        "x-c": "1",
    }


def test_no_credential_is_in_any_repr() -> None:
    steps = compile_steps((rules(set=(("x", Secret("sk-secret")),)),), VARIABLES)
    program = RequestHeaders(steps, {"k": {"key": "sk-secret"}}, {"k": ("authorization", "Bearer sk-secret")})
    assert "sk-secret" not in repr(steps) + repr(program)
