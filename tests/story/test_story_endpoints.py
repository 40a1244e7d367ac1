"""Two families on one port: every row of the endpoint table, byte for byte at a recording upstream.

What comes out at the upstream is compared with what went in at the client: method, path, query, body, content type.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from story_process import Relay
from story_providers import SECRETS, SERVER, both
from story_upstream import Recorder, ok

# method, path at the relay, path at the upstream, kind of body ("json?" and "form?": the model may be left out)
ROWS = [
    ("POST", "/v1/chat/completions", "/acme/v1/chat/completions", "json"),
    ("POST", "/v1/completions", "/acme/v1/completions", "json"),
    ("POST", "/v1/responses", "/acme/v1/responses", "json"),
    ("GET", "/v1/responses/resp_1", "/acme/v1/responses/resp_1", ""),
    ("DELETE", "/v1/responses/resp_1", "/acme/v1/responses/resp_1", ""),
    ("POST", "/v1/responses/resp_1/cancel", "/acme/v1/responses/resp_1/cancel", ""),
    ("GET", "/v1/responses/resp_1/input_items", "/acme/v1/responses/resp_1/input_items", ""),
    ("POST", "/v1/embeddings", "/acme/v1/embeddings", "json"),
    ("POST", "/v1/moderations", "/acme/v1/moderations", "json?"),
    ("POST", "/v1/audio/transcriptions", "/acme/v1/audio/transcriptions", "form"),
    ("POST", "/v1/audio/translations", "/acme/v1/audio/translations", "form"),
    ("POST", "/v1/audio/speech", "/acme/v1/audio/speech", "json"),
    ("POST", "/v1/images/generations", "/acme/v1/images/generations", "json?"),
    ("POST", "/v1/images/edits", "/acme/v1/images/edits", "form?"),
    ("POST", "/v1/images/variations", "/acme/v1/images/variations", "form?"),
    ("GET", "/v1/files", "/acme/v1/files", ""),
    ("POST", "/v1/files", "/acme/v1/files", "raw"),
    ("GET", "/v1/files/file-1", "/acme/v1/files/file-1", ""),
    ("DELETE", "/v1/files/file-1", "/acme/v1/files/file-1", ""),
    ("GET", "/v1/files/file-1/content", "/acme/v1/files/file-1/content", ""),
    ("GET", "/v1/fine_tuning/jobs", "/acme/v1/fine_tuning/jobs", ""),
    ("POST", "/v1/fine_tuning/jobs", "/acme/v1/fine_tuning/jobs", "json"),
    ("GET", "/v1/fine_tuning/jobs/ft-1", "/acme/v1/fine_tuning/jobs/ft-1", ""),
    ("POST", "/v1/fine_tuning/jobs/ft-1/cancel", "/acme/v1/fine_tuning/jobs/ft-1/cancel", ""),
    ("GET", "/v1/fine_tuning/jobs/ft-1/events", "/acme/v1/fine_tuning/jobs/ft-1/events", ""),
    ("GET", "/v1/fine_tuning/jobs/ft-1/checkpoints", "/acme/v1/fine_tuning/jobs/ft-1/checkpoints", ""),
    ("GET", "/v1/batches", "/acme/v1/batches", ""),
    ("POST", "/v1/batches", "/acme/v1/batches", "bare"),
    ("GET", "/v1/batches/b-1", "/acme/v1/batches/b-1", ""),
    ("POST", "/v1/batches/b-1/cancel", "/acme/v1/batches/b-1/cancel", ""),
    ("GET", "/v1/assistants", "/acme/v1/assistants", ""),
    ("POST", "/v1/assistants", "/acme/v1/assistants", "json?"),
    ("GET", "/v1/assistants/asst_1", "/acme/v1/assistants/asst_1", ""),
    ("POST", "/v1/assistants/asst_1", "/acme/v1/assistants/asst_1", "json?"),
    ("DELETE", "/v1/assistants/asst_1", "/acme/v1/assistants/asst_1", ""),
    ("GET", "/v1/threads", "/acme/v1/threads", ""),
    ("POST", "/v1/threads", "/acme/v1/threads", "bare"),
    ("POST", "/v1/threads", "/acme/v1/threads", ""),
    ("GET", "/v1/threads/th_1", "/acme/v1/threads/th_1", ""),
    ("POST", "/v1/threads/th_1", "/acme/v1/threads/th_1", "bare"),
    ("DELETE", "/v1/threads/th_1", "/acme/v1/threads/th_1", ""),
    ("GET", "/v1/threads/th_1/messages", "/acme/v1/threads/th_1/messages", ""),
    ("POST", "/v1/threads/th_1/messages", "/acme/v1/threads/th_1/messages", "bare"),
    ("GET", "/v1/threads/th_1/messages/msg_1", "/acme/v1/threads/th_1/messages/msg_1", ""),
    ("POST", "/v1/threads/th_1/messages/msg_1", "/acme/v1/threads/th_1/messages/msg_1", "bare"),
    ("DELETE", "/v1/threads/th_1/messages/msg_1", "/acme/v1/threads/th_1/messages/msg_1", ""),
    ("GET", "/v1/threads/th_1/runs", "/acme/v1/threads/th_1/runs", ""),
    ("POST", "/v1/threads/th_1/runs", "/acme/v1/threads/th_1/runs", "json?"),
    ("POST", "/v1/threads/runs", "/acme/v1/threads/runs", "json?"),
    ("GET", "/v1/threads/th_1/runs/run_1", "/acme/v1/threads/th_1/runs/run_1", ""),
    ("POST", "/v1/threads/th_1/runs/run_1", "/acme/v1/threads/th_1/runs/run_1", "bare"),
    ("POST", "/v1/threads/th_1/runs/run_1/cancel", "/acme/v1/threads/th_1/runs/run_1/cancel", ""),
    ("POST", "/v1/threads/th_1/runs/run_1/submit_tool_outputs", "/acme/v1/threads/th_1/runs/run_1/submit_tool_outputs", "bare"),
    ("GET", "/v1/threads/th_1/runs/run_1/steps", "/acme/v1/threads/th_1/runs/run_1/steps", ""),
    ("GET", "/v1/threads/th_1/runs/run_1/steps/step_1", "/acme/v1/threads/th_1/runs/run_1/steps/step_1", ""),
    ("GET", "/v1/credits", "/acme/v1/credits", ""),
    ("POST", "/v1/messages", "/claudia/v1/messages", "claude"),
    ("POST", "/v1/messages/count_tokens", "/claudia/v1/messages/count_tokens", "claude"),
    ("POST", "/v1/rerank", "/acme/v1/rerank", "json"),
]
OWN = [
    "/",
    "/health",
    "/api/info",
    "/metrics",
    "/v1/models",
    "/v1/models/gpt-acme",
    "/v1/models/vendor/gpt-acme",
    "/v1/anthropic/models",
]
PUBLIC = ["/", "/health", "/api/info", "/v1/models", "/v1/models/gpt-acme", "/v1/models/vendor/gpt-acme"]
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "PROPFIND")

# Whatever a parser and a writer of JSON would change: order, blanks, escapes, number forms, a repeated key, a lone surrogate.
STRANGE = (
    b'{ "zeta":1.0, "n" : 1E5,"big":123456789012345678901234567890, "neg":-0.0,\t"tiny":1e-400,\r\n'
    b' "escapes":"\\u00e9\\/\\ud83d\\ude00\\u0000", "plain":"\xc3\xa9 \xf0\x9f\x98\x80", "lone":"\\ud800",\n'
    b' "again":1,"again":2, "":null, "deep":[[[[{"x":[]}]]]],%b "stream" : false }\n'
)
BOUNDARY = "--=_Part 1'()+_,-./:=?"
FORM_TYPE = f'multipart/form-data; charset="utf-8"; boundary="{BOUNDARY}"'


def strange_json(model: str | None) -> bytes:
    return STRANGE % (b"" if model is None else b' "model":"%b",' % model.encode())


def strange_form(model: str | None, field: str = "image[]") -> bytes:
    """Preamble, epilogue, odd header lines, repeated fields, binary content that looks like a boundary but is none."""
    parts = [
        b'content-disposition: form-data; name="%b"; filename="na\xc3\xafve \\"x\\".png"\r\n' % field.encode()
        + b"X-Odd: 1\r\nContent-Type: image/png\r\n\r\n"
        + bytes(range(256))
        + b"\r\n--=_Part\r\n\r\n",
        b'Content-Disposition:form-data;name="%b"; filename=b.png\r\n\r\n' % field.encode(),
        b'Content-Disposition: form-data; name="prompt"\r\n\r\n\r\nmodel\r\n',
    ]
    if model is not None:
        parts.insert(1, b'Content-Disposition: form-data; name="model"\r\n\r\n%b' % model.encode())
    edge = b"--" + BOUNDARY.encode()
    return b"a preamble\r\n" + b"".join(edge + b"\r\n" + part + b"\r\n" for part in parts) + edge + b"--\r\nan epilogue"


BODIES: dict[str, list[tuple[str, bytes | None]]] = {
    "": [("", None)],
    "bare": [("application/json", strange_json(None))],
    "json": [("application/json", strange_json("gpt-acme")), ("application/json; charset=utf-8", strange_json("vendor/gpt-acme"))],
    "json?": [("application/json", strange_json("gpt-acme")), ("application/json", strange_json(None))],
    "claude": [("application/json", strange_json("claude-acme"))],
    "form": [(FORM_TYPE, strange_form("gpt-acme", "file"))],
    "form?": [(FORM_TYPE, strange_form(model, field)) for model in ("gpt-acme", None) for field in ("image", "image[]", "file")],
    "raw": [
        ("multipart/form-data; boundary=x", b"--x\r\nno form at all\x00\xff"),
        ("text/plain", b"anything"),
        ("", b"z" * 300_000),
    ],
}
CASES = [(method, path, up, kind, body) for method, path, up, kind_name in ROWS for kind, body in BODIES[kind_name]]


@pytest.fixture(scope="module")
def relay(start: Callable[..., Relay], upstream: Recorder) -> Relay:
    return start({"server": SERVER, "providers": both(upstream.origin)}, environ=SECRETS)


@pytest.mark.parametrize(
    ("method", "path", "up", "kind", "body"),
    CASES,
    ids=[f"{case[0]} {case[1]} {case[3][:20]} {number}" for number, case in enumerate(CASES)],
)
def test_every_row_is_relayed_unchanged(
    relay: Relay, upstream: Recorder, method: str, path: str, up: str, kind: str, body: bytes | None
) -> None:
    """Method, path, the query as it was sent, the body and its type arrive upstream byte for byte; and so the answer comes back."""
    query = "a=1&b=%20x+y&c&=&a=%C3%A9&d='\"!$()*,;:@/?"
    told = b'{"number": 1.0, "text": "\\u00e9", "id": "x" }\n'
    upstream.answer(ok(told))
    headers = (("Content-Type", kind),) if kind else ()
    answer = relay.ask(method, f"{path}?{query}", *headers, body=body)
    assert (answer.status, answer.body) == (200, told)
    request = upstream.taken()
    assert request.line == f"{method} {up}?{query} HTTP/1.1"
    assert request.body == (body or b"")
    assert request.header("content-type") == (kind or ("application/octet-stream" if body else None))
    assert request.header("expect") is None
    if body is not None:
        assert (request.header("content-length"), request.header("transfer-encoding")) == (str(len(body)), None)
    assert answer.header("x-monorelay-provider") == up.split("/")[1]


@pytest.mark.parametrize(
    ("sent", "up"),
    [
        ("", ""),
        ("?", ""),
        ("?provider=acme", ""),
        ("?provider=ACME", ""),
        ("?provider=acme&a=1", "?a=1"),
        ("?a=1&provider=acme", "?a=1"),
        ("?a=1&provider=acme&b=2", "?a=1&b=2"),
        ("?a=1&&provider=acme&b", "?a=1&&b"),
        ("?%70rovider=acme&x=%70", "?x=%70"),
        ("?providers=1&xprovider=2&provider_=3", "?providers=1&xprovider=2&provider_=3"),
        ("?limit=2&after=file-1&order=asc", "?limit=2&after=file-1&order=asc"),
        ("?x=a?b", "?x=a?b"),
    ],
)
def test_the_query_goes_up_byte_for_byte_minus_provider(relay: Relay, upstream: Recorder, sent: str, up: str) -> None:
    """Only ?provider= is the relay's own."""
    assert relay.ask("GET", f"/v1/files{sent}").status == 200
    assert upstream.taken().target == f"/acme/v1/files{up}"


@pytest.mark.parametrize(
    ("target", "up"),
    [
        ("/v1/messages?beta=true", "/claudia/v1/messages?beta=true"),
        ("/v1/messages/beta", "/claudia/v1/messages?beta=true"),
        ("/v1/messages/beta?beta=true", "/claudia/v1/messages?beta=true"),
        ("/v1/messages/beta?beta=false&x=%201", "/claudia/v1/messages?x=%201&beta=true"),
        ("/v1/messages/count_tokens?beta=true", "/claudia/v1/messages/count_tokens?beta=true"),
    ],
)
def test_messages_beta_is_a_query_parameter_upstream(relay: Relay, upstream: Recorder, target: str, up: str) -> None:
    """/v1/messages/beta goes up as /v1/messages?beta=true; ``set`` replaces; anthropic-beta and the body are unchanged."""
    beta = "one-2025-01-01,two-2026-02-02 , three"
    body = strange_json("claude-acme")
    answer = relay.ask("POST", target, ("Anthropic-Beta", beta), ("Content-Type", "application/json"), body=body)
    assert answer.status == 200
    request = upstream.taken()
    assert (request.target, request.body, request.header("anthropic-beta")) == (up, body, beta)


@pytest.mark.parametrize("part", ["a%2Fb", "%7Efile", "file-1;v=2", "a:b@c", "%E2%82%AC", "a+b", "a%20b", "%25"])
def test_path_parameters_go_up_as_they_were_written(relay: Relay, upstream: Recorder, part: str) -> None:
    """An id in the path is one segment, and its escapes are the client's."""
    assert relay.ask("GET", f"/v1/files/{part}/content").status == 200
    assert upstream.taken().target == f"/acme/v1/files/{part}/content"


@pytest.mark.parametrize(
    "path",
    [
        "/v1/files/..",
        "/v1/files/%2e%2e",
        "/v1/files/.",
        "/v1/files/%2E%2E%2Fmodels",
        "/v1/files/a%2F..%2Fb/content",
        "/v1/files/..%5Cx",
    ],
)
def test_a_path_cannot_climb_upstream(relay: Relay, upstream: Recorder, path: str) -> None:
    """A segment that means "up" once decoded is no id: 404, and nothing goes up."""
    assert relay.ask("GET", path).status == 404
    assert upstream.requests == []


@pytest.mark.parametrize("wanted", ["vendor/gpt-acme", "vendor%2Fgpt-acme", "vendor%2fgpt-acme", "%76endor/gpt-acme"])
def test_a_model_id_may_hold_slashes(relay: Relay, wanted: str) -> None:
    """GET /v1/models/{id...}: %2F is decoded, once."""
    answer = relay.ask("GET", f"/v1/models/{wanted}", key=None)
    assert (answer.status, answer.json["id"], answer.json["owned_by"]) == (200, "vendor/gpt-acme", "acme")
    assert relay.ask("GET", "/v1/models/vendor%252Fgpt-acme", key=None).status == 404


@pytest.mark.parametrize("path", OWN)
def test_head_is_served_wherever_get_is_an_answer_of_the_relay(relay: Relay, path: str) -> None:
    """HEAD has GET's status, type and length, and no body; the connection goes on."""
    got = relay.ask("GET", path)
    with relay.wire() as wire:
        wire.request("HEAD", path, ("Authorization", "Bearer sk-story-access-key"))
        head = wire.answer("HEAD")
        assert (head.status, head.header("content-type")) == (200, got.header("content-type"))
        if path not in ("/health", "/api/info", "/metrics"):  # figures that move
            assert head.header("content-length") == got.header("content-length") == str(len(got.body))
        wire.request("GET", "/v1/models")
        assert wire.answer().status == 200


@pytest.mark.parametrize("path", PUBLIC)
def test_head_of_a_public_answer_needs_no_credential(relay: Relay, path: str) -> None:
    """Claude Code probes HEAD / without a credential."""
    assert relay.ask("HEAD", path, key=None).status == 200


def methods_by_path() -> dict[str, set[str]]:
    """What the contract says is served, path by path."""
    served: dict[str, set[str]] = {path: {"GET", "HEAD"} for path in OWN}
    for method, path, _, _ in ROWS:
        served.setdefault(path, set()).add(method)
    served.setdefault("/v1/messages/beta", set()).add("POST")
    served["/v1/responses"] = {"GET", "HEAD", "POST"}
    served["/v1/threads/runs"] |= served["/v1/threads/th_1"]  # by any other method it is the thread of that name
    return served


@pytest.mark.parametrize("path", sorted(methods_by_path()))
def test_a_wrong_method_is_405_with_allow(relay: Relay, upstream: Recorder, path: str) -> None:
    """Every other method on a known path is 405 in the envelope, and Allow names exactly those that are served."""
    served = methods_by_path()[path]
    for method in METHODS:
        if method in served:
            continue
        answer = relay.ask(method, path)
        assert answer.status == 405, (method, answer)
        assert {one.strip() for one in (answer.header("allow") or "").split(",")} == served, method
        if method != "HEAD":
            assert answer.error["type"] == "invalid_request_error"
    assert upstream.requests == []


@pytest.mark.parametrize(
    "path",
    [
        "/v1",
        "/v1/",
        "/v1/chat",
        "/v1/chat/completions/",
        "/v1/chat/completions/x",
        "//v1/models",
        "/v2/models",
        "/v1/messages/batches",
        "/V1/models",
        "/api",
        "/api/keys",
        "/favicon.ico",
        "/v1/files//content",
        "/v1/threads/th_1/runs/run_1/steps/",
        "/v1/models/",
        "/%76%31/models",
        "/" + "x" * 3000,
        "/caf\xe9",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_unknown_path_is_404_in_the_envelope(relay: Relay, upstream: Recorder, method: str, path: str) -> None:
    """not_found_error, for whatever method, and nothing goes up."""
    answer = relay.ask(method, path, body=None if method == "GET" else {"model": "gpt-acme"})
    assert (answer.status, answer.error["type"]) == (404, "not_found_error")
    assert len(answer.body) < 1000 and upstream.requests == []


@pytest.mark.parametrize("key", [None, "wrong", "sk-story-access-key"])
@pytest.mark.parametrize(
    "headers",
    [
        (),
        (
            ("Connection", "Upgrade"),
            ("Upgrade", "websocket"),
            ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ("OpenAI-Beta", "responses_websockets=2026-02-06"),
        ),
    ],
    ids=["plain", "websocket"],
)
def test_get_responses_is_426(relay: Relay, upstream: Recorder, headers: tuple[tuple[str, str], ...], key: str | None) -> None:
    """A WebSocket attempt ends at once, public as it is, so that Codex goes on with POST."""
    answer = relay.ask("GET", "/v1/responses", *headers, key=key)
    assert (answer.status, answer.error["type"]) == (426, "invalid_request_error")
    assert upstream.requests == []


def test_the_absolute_form_of_a_target_is_the_same_request(relay: Relay, upstream: Recorder) -> None:
    """RFC 9112 section 3.2.2: a server accepts it, though only proxies are sent it."""
    answer = relay.ask("POST", "http://relay.example:8787/v1/chat/completions?x=1", body={"model": "gpt-acme"})
    assert answer.status == 200
    assert upstream.taken().target == "/acme/v1/chat/completions?x=1"


@pytest.mark.parametrize(
    ("path", "field", "value"),
    [
        ("/v1/completions", "prompt", "one"),
        ("/v1/completions", "prompt", ["one", "two"]),
        ("/v1/completions", "prompt", [1, 2, 3]),
        ("/v1/embeddings", "encoding_format", "float"),
        ("/v1/embeddings", "encoding_format", "base64"),
    ],
)
def test_variants_of_a_field_are_between_client_and_provider(
    relay: Relay, upstream: Recorder, path: str, field: str, value: Any
) -> None:
    """prompt may be a string, strings or tokens; embeddings may be float or base64."""
    body = json.dumps({"model": "gpt-acme", field: value}).encode()
    assert relay.ask("POST", path, ("Content-Type", "application/json"), body=body).status == 200
    assert upstream.taken().body == body


def test_a_chunked_body_is_relayed_like_any_other(relay: Relay, upstream: Recorder) -> None:
    """A client need not know its body's length; upstream it has one where the relay had to hold it."""
    body = strange_json("gpt-acme")
    with relay.wire() as wire:
        wire.send(
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer sk-story-access-key\r\n"
            b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        for at in range(0, len(body), 50):
            piece = body[at : at + 50]
            wire.send(b"%X\r\n%b\r\n" % (len(piece), piece))
        wire.send(b"0\r\n\r\n")
        assert wire.answer().status == 200
    assert upstream.taken().body == body
    upstream.reset()
    with relay.wire() as wire:
        wire.send(
            b"POST /v1/files HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer sk-story-access-key\r\n"
            b"Content-Type: application/octet-stream\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n"
        )
        assert wire.answer().status == 200
    assert upstream.taken().body == b"abcdefg"


def test_a_pipelined_second_request_is_answered_second(relay: Relay, upstream: Recorder) -> None:
    """Requests that come in one packet are answered in order, each whole."""
    upstream.answer(ok(b'{"id": "first"}'), ok(b'{"id": "second"}'))
    with relay.wire() as wire:
        for _ in range(2):
            wire.request("POST", "/v1/chat/completions", ("x-api-key", "sk-story-access-key"), body={"model": "gpt-acme"})
        assert [wire.answer().json["id"], wire.answer().json["id"]] == ["first", "second"]
