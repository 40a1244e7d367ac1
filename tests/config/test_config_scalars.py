"""What each kind of scalar understands, and what it says about the rest."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import pytest

from monorelay.config import scalars
from monorelay.config.headers import (
    client_header,
    forwarded,
    header_glob,
    header_name,
    header_text,
    reply_header,
    token_glob,
)
from monorelay.config.route import method, parameters, route_path, upstream_path
from monorelay.config.settings import cors_origin, host, listen, public_host

UNDERSTOOD: list[tuple[Callable[[Any], Any], Any, Any]] = [
    (scalars.duration, 0, 0.0),
    (scalars.duration, 1.5, 1.5),
    (scalars.duration, "500ms", 0.5),
    (scalars.duration, "15s", 15.0),
    (scalars.duration, "2m", 120.0),
    (scalars.duration, "1.5h", 5400.0),
    (scalars.duration, " 30 ", 30.0),
    (scalars.limit, "1ms", 0.001),
    (scalars.size, 1, 1),
    (scalars.size, "17", 17),
    (scalars.size, "64KiB", 65536),
    (scalars.size, "64 MiB", 64 * 1024 * 1024),
    (scalars.size, "2GiB", 2 * 1024**3),
    (scalars.size, "10MB", 10_000_000),
    (scalars.size, "5KB", 5000),
    (scalars.flag, True, True),
    (scalars.flag, "false", False),
    (scalars.whole(), "-7", -7),
    (scalars.whole(0, 65535), "8787", 8787),
    (scalars.number(), "0.5", 0.5),
    (scalars.number(), 3, 3.0),
    (scalars.number(-1, 1), -1, -1.0),
    (scalars.moment, "1970-01-02", 86400.0),
    (scalars.moment, "1970-01-01T02:00:30+02:00", 30.0),
    (scalars.moment, "0001-01-01T00:00:00+23:00", -62135679600.0),
    (scalars.moment, " ", None),
    (scalars.model, "@cf/meta/llama@local", "@cf/meta/llama@local"),
    (scalars.name, "open-router_2.x", "open-router_2.x"),
    (scalars.label, "me@example.org", "me@example.org"),
    (scalars.capability, "openai.audio.speech", "openai.audio.speech"),
    (scalars.capability, "rerank", "rerank"),
    (scalars.glob, "@cf/meta/llama-*", "@cf/meta/llama-*"),
    (scalars.base_url, "https://api.example.com/v1/", "https://api.example.com/v1"),
    (scalars.base_url, "http://127.0.0.1:8000", "http://127.0.0.1:8000"),
    (scalars.base_url, "http://[::1]:8000/v1", "http://[::1]:8000/v1"),
    (scalars.base_url, "https://{{ label }}.example.com/{{ model }}/", "https://{{ label }}.example.com/{{ model }}"),
    (scalars.offer_path, "", ""),
    (scalars.offer_path, "/deployments/{{ model }}/chat", "/deployments/{{ model }}/chat"),
    (scalars.sha256, "AB" * 32, "ab" * 32),
    (listen, "127.0.0.1:8787", ("127.0.0.1", 8787)),
    (listen, "[::1]:0", ("::1", 0)),
    (listen, "relay.local:80", ("relay.local", 80)),
    (host, "::", "::"),
    (host, "[::1]", "::1"),
    (public_host, "", ""),
    (public_host, "relay.example.com", "relay.example.com"),
    (public_host, "http://relay.example.com:8080/base", "http://relay.example.com:8080/base"),
    (cors_origin, "*", "*"),
    (cors_origin, "http://localhost:3000", "http://localhost:3000"),
    (cors_origin, "app://obsidian.md", "app://obsidian.md"),
    (route_path, "/", "/"),
    (route_path, "/v1/files/{file_id}/content", "/v1/files/{file_id}/content"),
    (route_path, "/v1/models/{id...}", "/v1/models/{id...}"),
    (upstream_path, "", ""),
    (upstream_path, "/{id}:cancel", "/{id}:cancel"),
    (method, "PATCH", "PATCH"),
    (header_name, "X-Title", "x-title"),
    (header_glob, "X-RateLimit-*", "x-ratelimit-*"),
    (forwarded, "authorization", "authorization"),
    (client_header, "*", "*"),
    (header_text, "", ""),
    (reply_header, "Upgrade", "upgrade"),
    (token_glob, "context-1m-*", "context-1m-*"),
]


@pytest.mark.parametrize(("reads", "written", "expected"), UNDERSTOOD)
def test_understood(reads: Callable[[Any], Any], written: Any, expected: Any) -> None:
    """What an operator may write, and what becomes of it."""
    found = reads(written)
    assert (found, type(found)) == (expected, type(expected))


REFUSED: list[tuple[Callable[[Any], Any], Any, str]] = [
    (scalars.duration, "12x", "is not a duration: write seconds, or 500ms, 15s, 2m, 1h"),
    (scalars.duration, "-1s", "is not a duration: write seconds, or 500ms, 15s, 2m, 1h"),
    (scalars.duration, ".inf", "is not a duration: write seconds, or 500ms, 15s, 2m, 1h"),
    (scalars.duration, -1, "must not be negative"),
    (scalars.duration, 10**17, "must not be longer than a year"),
    (scalars.limit, 0, "must be more than 0"),
    (scalars.size, "1XB", "is not a size: write bytes, or 64KiB, 10MB, 2GiB"),
    (scalars.size, "64mib", "is not a size: write bytes, or 64KiB, 10MB, 2GiB"),
    (scalars.size, 0, "must be a whole number of bytes, 1 or more"),
    (scalars.size, True, "must be a whole number of bytes, 1 or more"),
    (scalars.size, "2000GiB", "must not be larger than 1024GiB"),
    (scalars.flag, "yes", "must be true or false"),
    (scalars.number(), -0.5, "must be 0 or more"),
    (scalars.number(0, 1), "1.5", "must be 1 or less"),
    (scalars.number(), True, "must be a number"),
    (scalars.number(), "1e5", "must be a number"),
    (scalars.moment, "2027-02-30", "is not a time: write it as 2027-01-31 or 2027-01-31T18:00:00Z"),
    (scalars.moment, "31.1.2027", "is not a time: write it as 2027-01-31 or 2027-01-31T18:00:00Z"),
    (scalars.model, "gpt-*", "must be one model's name: * and ? have no meaning here"),
    (scalars.whole(1), 0, "must be 1 or more"),
    (scalars.whole(0, 65535), 65536, "must be 65535 or less"),
    (scalars.whole(), "1.5", "must be a whole number"),
    (scalars.whole(), "9" * 5000, "must be a whole number"),
    (scalars.whole(), True, "must be a whole number"),
    (scalars.choice("random", "weighted"), "weigthed", "must be one of random, weighted, did you mean weighted?"),
    (scalars.choice("random", "weighted"), "RANDOM", "must be one of random, weighted, did you mean random?"),
    (scalars.choice("random", "weighted"), "x", "must be one of random, weighted"),
    (scalars.base_url, "api.example.com/v1", "must be a URL such as https://api.example.com/v1"),
    (scalars.base_url, "ftp://api.example.com", "must be a URL such as https://api.example.com/v1"),
    (scalars.base_url, "https:///v1", "must be a URL such as https://api.example.com/v1"),
    (scalars.base_url, "https://h:99999/v1", "must be a URL such as https://api.example.com/v1"),
    (scalars.base_url, "https://[::1/v1", "must be a URL such as https://api.example.com/v1"),
    (scalars.base_url, "", "must be a URL such as https://api.example.com/v1"),
    (scalars.base_url, "https://h/v1?a=b", "must end with the path: parameters go to `query: {set: …}` of an offer"),
    (scalars.base_url, "https://h/v1#a", "must end with the path: parameters go to `query: {set: …}` of an offer"),
    (scalars.base_url, "https://u:p@h/v1", "must not hold credentials: they go to `keys` and `auth`"),
    (scalars.base_url, "https://h /v1", "must be plain ASCII without spaces"),
    *(
        (scalars.base_url, url, "has a template at the end of its host: a fixed domain must follow it, such as .example.com")
        for url in (
            "https://{{ model }}/v1",
            "https://api.{{ model }}",
            "https://{{ model }}.com/v1",
        )
    ),
    (
        scalars.base_url,
        "https://{{ model }}example.com",
        "has a template at the end of its host: a fixed domain must follow it, such as .example.com",
    ),
    (scalars.base_url, "https://bücher.example", "must be plain ASCII without spaces"),
    (scalars.offer_path, "chat", "must begin with / (it follows base_url), or be empty"),
    (scalars.offer_path, "/chat?x=1", "must be a path only: parameters go to `query: {set: …}`"),
    (scalars.offer_path, "/a b", "must be plain ASCII without spaces"),
    (listen, "8787", "must be HOST:PORT, such as 127.0.0.1:8787 or [::1]:8787"),
    (listen, ":8787", "must be HOST:PORT, such as 127.0.0.1:8787 or [::1]:8787"),
    (listen, "::1:8787", "must be HOST:PORT, such as 127.0.0.1:8787 or [::1]:8787"),
    (listen, "localhost:99999", "must be 65535 or less"),
    (listen, "*:80", "must be a host name or an address: 127.0.0.1, 0.0.0.0 (everywhere), ::1, relay.local"),
    (public_host, "ftp://x", "must be a host such as relay.example.com, or begin with http:// or https://"),
    (public_host, "a b", "must be a host such as relay.example.com, or begin with http:// or https://"),
    (cors_origin, "https://x/", "must be * or an origin without a path, such as https://chat.example.com"),
    (cors_origin, "x.example.com", "must be * or an origin without a path, such as https://chat.example.com"),
    (route_path, "v1", "must begin with /"),
    (route_path, "/v1//x", "has an empty segment (//)"),
    (route_path, "/v1?x", "must be a plain path: ASCII without spaces, query, fragment or % escapes"),
    (route_path, "/a%20b", "must be a plain path: ASCII without spaces, query, fragment or % escapes"),
    (route_path, "/{a}/{a}", "uses the same name twice"),
    (route_path, "/{a}/{a...}", "uses the same name twice"),
    (route_path, "/{a...}/b", "has {a...} before the end: it takes all that follows"),
    (route_path, "/x{a}", "has braces around something else than a whole segment: write {name} or {name...}, in lower case"),
    (route_path, "/{A}", "has braces around something else than a whole segment: write {name} or {name...}, in lower case"),
    (route_path, "/{}", "has braces around something else than a whole segment: write {name} or {name...}, in lower case"),
    (upstream_path, "x", "must begin with / (it follows the offer's path), or be empty"),
    (upstream_path, "/{a", "has braces around something that is no parameter: write {name} or {name...}, in lower case"),
    (method, "HEAD", "HEAD is not listed: it is served wherever GET is one of the relay's own answers"),
    (method, "get", "must be one of GET, POST, PUT, PATCH, DELETE, did you mean GET?"),
    (method, "OPTIONS", "must be one of GET, POST, PUT, PATCH, DELETE"),
    (header_name, "x y", "is not a header name"),
    (header_name, "", "is not a header name"),
    (header_name, "x:y", "is not a header name"),
    (header_name, "Transfer-Encoding", "is never set or forwarded: the relay's own connections need it"),
    (forwarded, "Cookie", "is never set or forwarded: the relay's own connections need it"),
    (client_header, "X-API-Key", "holds the client's credential for this relay, which never goes upstream"),
    (header_glob, "x (y)", "is not a header name, nor a glob of names such as x-ratelimit-*"),
    (header_text, "a\nb", "must not hold a line break"),
    (header_text, "é", "must be printable ASCII"),
    (reply_header, "Content-Length", "is written by the server itself"),
    (token_glob, "a,b", "is not a token, nor a glob of tokens: no commas, no spaces"),
    (scalars.name, "", "is not a name: up to 64 letters, digits, '.', '_' and '-', a letter or digit first"),
    (scalars.name, "a/b", "is not a name: up to 64 letters, digits, '.', '_' and '-', a letter or digit first"),
    (scalars.label, "a b", "is not a label: up to 64 letters, digits and any of . _ @ + -, a letter or digit first"),
    (scalars.capability, "OpenAI", "is not a capability: lower-case words joined by dots, such as openai.chat"),
    (scalars.glob, "", "must be a model's name or a glob such as gpt-4*, without spaces around it"),
    (
        scalars.sha256,
        hashlib.sha256(b"").hexdigest(),
        "is the SHA-256 of an empty token, which nobody can send: was the variable not set?",
    ),
    (scalars.sha256, "abc", "must be the SHA-256 of the token: 64 hex digits, as `printf %s TOKEN | sha256sum` prints them"),
]


@pytest.mark.parametrize(("reads", "written", "sentence"), REFUSED)
def test_refused(reads: Callable[[Any], Any], written: Any, sentence: str) -> None:
    """Each sentence says what is wrong and what to write instead, and never repeats what was written."""
    with pytest.raises(ValueError) as caught:
        reads(written)
    assert str(caught.value) == sentence


def test_parameters_are_named_as_they_are_written() -> None:
    """The rest of a path is told from a single segment."""
    assert parameters("/v1/{a}/x/{b_2...}") == ("a", "b_2...")
    assert parameters("/v1") == ()
