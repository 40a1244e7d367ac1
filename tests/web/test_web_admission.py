"""Who may call, from the head alone."""

from __future__ import annotations

import pytest
from plan_specs import config

from monorelay.config.settings import ClientSpec
from monorelay.errors import RelayError
from monorelay.plan.compile import compile_plan
from monorelay.plan.plan import Admission
from monorelay.plan.templates import token_digest
from monorelay.web.admission import admit, is_loopback, refuse_foreign_host, refuse_foreign_page
from monorelay.web.cors import allowed_origin


def admission(access_key: str | None = "sk-relay", *clients: str) -> Admission:
    specs = tuple(ClientSpec(name, token_digest(f"tok-{name}").hex()) for name in clients)
    return compile_plan(config(access_key=access_key, clients=specs), 1).admission


@pytest.mark.parametrize(
    "fields",
    [
        {"authorization": "Bearer sk-relay"},
        {"authorization": "bearer   sk-relay "},
        {"x-api-key": "sk-relay"},
        {"x-access-key": "sk-relay"},
        {"authorization": "Bearer wrong", "x-api-key": "sk-relay"},
        {"x-api-key": "wrong", "x-access-key": "sk-relay"},
        {"authorization": "Basic abc, Bearer sk-relay"},
        {"x-api-key": "wrong, sk-relay"},
    ],
)
def test_one_valid_credential_of_several_suffices(fields: dict[str, str]) -> None:
    """In any of the three fields, whatever the others hold."""
    assert admit(admission(), fields) is None


def test_a_blank_token_matches_nothing() -> None:
    """Not even a client whose digest is that of an empty token, however the blank is spelt."""
    nothing = Admission(open=False, access_key=None, clients={token_digest(""): ClientSpec("ci", token_digest("").hex())})
    for blank in ("", " ", "\xa0", "\x85", ",", ", ,"):
        for fields in ({"x-api-key": blank}, {"authorization": f"Bearer {blank}"}, {"x-access-key": blank}):
            with pytest.raises(RelayError):
                admit(nothing, fields)


def test_of_thousands_of_tokens_a_few_are_looked_at() -> None:
    """Each costs a digest, and a stranger may send as many as a head can hold."""
    assert admit(admission(), {"x-api-key": "a," * 20 + "sk-relay"}) is None
    with pytest.raises(RelayError):
        admit(admission(), {"x-api-key": "a," * 1000 + "sk-relay"})


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"authorization": ""},
        {"authorization": "Bearer"},
        {"authorization": "Bearer "},
        {"authorization": "sk-relay"},
        {"authorization": "Basic sk-relay"},
        {"x-api-key": ""},
        {"x-api-key": "sk-relay2"},
        {"x-api-key": "sk-rela"},
        {"cookie": "sk-relay"},
    ],
)
def test_anything_else_is_401(fields: dict[str, str]) -> None:
    """An empty token matches nothing; the sentence says how to send one, and never repeats what came."""
    with pytest.raises(RelayError) as caught:
        admit(admission(), fields)
    assert (caught.value.status, caught.value.body.type, caught.value.curable) == (401, "auth_error", False)
    assert "sk-rela" not in caught.value.body.message


def test_a_named_client_is_known_by_its_token() -> None:
    client = admit(admission(None, "ci", "chat"), {"x-api-key": "tok-chat"})
    assert client is not None and client.name == "chat"


def test_with_clients_only_an_empty_access_key_matches_nothing() -> None:
    with pytest.raises(RelayError):
        admit(admission("", "ci"), {"x-api-key": ""})


def test_an_open_relay_asks_for_nothing_and_ignores_what_is_sent() -> None:
    assert admit(admission(None), {"authorization": "Bearer whatever"}) is None


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("localhost", True),
        ("LocalHost.", True),
        ("relay.localhost", True),
        ("127.0.0.1", True),
        ("127.8.9.1", True),
        ("::1", True),
        ("10.0.0.1", False),
        ("0.0.0.0", False),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("evil.example", False),
        ("", False),
    ],
)
def test_a_loopback_name_is_a_name_or_address_of_this_machine(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback


@pytest.mark.parametrize(
    ("field", "allowed"), [("127.0.0.1:8787", True), ("[::1]:8787", True), ("[::1]", True), ("evil.example:8787", False)]
)
def test_an_open_relay_answers_to_loopback_names_only(field: str, allowed: bool) -> None:
    """So that no web page reaches it by DNS rebinding; a relay with a key does not care."""
    refuse_foreign_host(admission("key"), {"host": field})
    if allowed:
        refuse_foreign_host(admission(None), {"host": field})
    else:
        with pytest.raises(RelayError) as caught:
            refuse_foreign_host(admission(None), {"host": field})
        assert caught.value.status == 403


@pytest.mark.parametrize(
    ("origins", "origin", "allowed"),
    [
        ((), "https://a.example", None),
        (("*",), "https://a.example", "*"),
        (("https://a.example",), "https://A.example", "https://A.example"),
        (("https://a.example",), "https://a.example.evil", None),
        (("https://a.example",), "", None),
        (("https://a.example",), "null", None),
    ],
)
def test_only_a_configured_origin_is_allowed(origins: tuple[str, ...], origin: str, allowed: str | None) -> None:
    assert allowed_origin(origins, {"origin": origin} if origin else {}) == allowed


@pytest.mark.parametrize(
    ("origin", "method", "taken"),
    [
        (None, "POST", True),
        ("http://localhost:3000", "POST", True),
        ("http://127.0.0.1", "POST", True),
        ("chrome-extension://abc", "POST", True),
        ("https://evil.example", "GET", True),
        ("https://evil.example", "POST", False),
        ("http://localhost.evil.example", "DELETE", False),
        ("null", "POST", False),
    ],
)
def test_an_open_relay_takes_nothing_from_other_sites_pages(origin: str | None, method: str, taken: bool) -> None:
    """Which a browser would send without asking; with an access key no page has the credential."""
    fields = {} if origin is None else {"origin": origin}
    refuse_foreign_page(admission("key"), method, fields)
    if taken:
        refuse_foreign_page(admission(None), method, fields)
    else:
        with pytest.raises(RelayError) as caught:
            refuse_foreign_page(admission(None), method, fields)
        assert (caught.value.status, caught.value.body.type) == (403, "auth_error")
