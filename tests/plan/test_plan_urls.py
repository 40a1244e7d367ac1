"""URLs and queries of a lane."""

from __future__ import annotations

import pytest

from monorelay.config.fields import QueryRules
from monorelay.errors import RelayError
from monorelay.plan.templates import TemplateError
from monorelay.plan.urls import compile_query, compile_url

NOTHING = compile_query(())


@pytest.mark.parametrize(
    ("rules", "query", "sent"),
    [
        ((), "", ""),
        ((), "a=1&b=%20+x&&c", "a=1&b=%20+x&&c"),
        ((), "provider=x", ""),
        ((), "a=1&provider=x&b=2", "a=1&b=2"),
        ((), "a=provider&providers=1", "a=provider&providers=1"),
        ((), "pro%76ider=x&a=%7e", "a=%7e"),
        ((QueryRules(set=(("beta", "true"),)),), "", "beta=true"),
        ((QueryRules(set=(("beta", "true"),)),), "beta=false&a=1", "a=1&beta=true"),
        ((QueryRules(set=(("v", "a b&c"),)),), "", "v=a%20b%26c"),
        ((QueryRules(remove=("x",)), QueryRules(set=(("y", "1"),))), "x=1&z=2&y=0", "z=2&y=1"),
        ((QueryRules(set=(("v", "1"),)), QueryRules(set=(("v", "2"),))), "", "v=2"),
    ],
)
def test_the_query_goes_up_byte_for_byte_but_for_the_rules(rules: tuple[QueryRules, ...], query: str, sent: str) -> None:
    """``provider`` is ours and stays; ``set`` replaces; the rest is not re-encoded."""
    assert compile_query(rules).apply(query) == sent


@pytest.mark.parametrize(
    ("base", "path", "upstream", "parameters", "model", "url"),
    [
        ("https://a.example/v1", "/chat", "", {}, "m", "https://a.example/v1/chat"),
        ("https://a.example/v1/", "", "", {}, "m", "https://a.example/v1"),
        ("https://a.example", "/files", "/{id}/content", {"id": "f%2F1"}, "", "https://a.example/files/f%2F1/content"),
        ("https://a.example", "/m", "/{rest...}", {"rest": "a/b"}, "", "https://a.example/m/a/b"),
        ("https://a.example/d/{{ model }}", "/chat", "", {}, "a/b c", "https://a.example/d/a%2Fb%20c/chat"),
    ],
)
def test_a_url_is_filled_with_what_the_request_says(
    base: str, path: str, upstream: str, parameters: dict[str, str], model: str, url: str
) -> None:
    """Path parameters go up as the client wrote them; a model's name is percent-encoded."""
    assert compile_url(base, path, upstream, NOTHING).render(parameters, "", model) == url


@pytest.mark.parametrize("model", ["..", ".", "../../admin", "a/../b", "%2e%2e", "..;x", "..\\\\x"])
def test_a_model_cannot_climb_out_of_its_place(model: str) -> None:
    """Upstreams resolve such paths, with our key; only where the URL holds the model does it matter."""
    with pytest.raises(RelayError, match="leads elsewhere"):
        compile_url("https://a.example/d/{{ model }}", "/chat", "", NOTHING).render({}, "", model)
    assert compile_url("https://a.example", "/chat", "", NOTHING).render({}, "", model) == "https://a.example/chat"


def test_a_translated_lane_keeps_the_clients_parameters_to_itself() -> None:
    """They are about the client's dialect; what the offer sets goes up all the same."""
    assert compile_query((QueryRules(set=(("v", "1"),)),), keep=False).apply("beta=true") == "v=1"


def test_a_url_without_variables_is_made_once() -> None:
    """The common case costs no formatting per request."""
    assert compile_url("https://a.example", "/chat", "", NOTHING).static == "https://a.example/chat"


def test_an_unknown_variable_in_a_url_is_refused_at_compile_time() -> None:
    with pytest.raises(TemplateError, match=r"unknown variable 'modle' in the template, did you mean model\?"):
        compile_url("https://{{ modle }}.example", "", "", NOTHING)
