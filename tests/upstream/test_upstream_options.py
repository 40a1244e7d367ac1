"""Options that depend on the machine and its environment."""

from __future__ import annotations

import pycurl
import pytest

from monorelay.upstream import curl_options
from monorelay.upstream.curl_options import Unsendable, certificate_options, direct_hosts, header_lines, url_bytes


@pytest.mark.parametrize(
    ("environ", "hosts"),
    [
        ({}, "localhost,127.0.0.0/8,::1"),
        ({"no_proxy": "a.example"}, "localhost,127.0.0.0/8,::1,a.example"),
        ({"NO_PROXY": "b.example"}, "localhost,127.0.0.0/8,::1,b.example"),
        ({"no_proxy": "a.example", "NO_PROXY": "b.example"}, "localhost,127.0.0.0/8,::1,a.example"),
        ({"no_proxy": " * "}, "*"),
    ],
)
def test_loopback_is_reached_directly(environ: dict[str, str], hosts: str) -> None:
    """Loopback is added to what the environment says, not put in its place."""
    assert direct_hosts(environ) == hosts


def test_trusted_certificates(monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine's own argument, then SSL_CERT_FILE, then the system's bundle wherever it is; else libcurl's build decides."""
    existing = {"/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"}
    monkeypatch.setattr(curl_options.os.path, "exists", existing.__contains__)  # type: ignore[attr-defined]
    only = (pycurl.CAPATH, None)
    assert certificate_options("/mine", {"SSL_CERT_FILE": "/yours"}) == [(pycurl.CAINFO, "/mine"), only]
    assert certificate_options(None, {"SSL_CERT_FILE": "/yours"}) == [(pycurl.CAINFO, "/yours"), only]
    assert certificate_options(None, {"SSL_CERT_FILE": ""}) == [(pycurl.CAINFO, "/etc/pki/tls/certs/ca-bundle.crt"), only]
    existing.remove("/etc/pki/tls/certs/ca-bundle.crt")
    assert certificate_options(None, {}) == [(pycurl.CAINFO, "/etc/ssl/cert.pem"), only]
    existing.clear()
    assert certificate_options(None, {}) == []


def test_header_lines_for_libcurl() -> None:
    """An empty value takes libcurl's semicolon; the lines that libcurl would add are taken away in front."""
    lines = header_lines(("A: 1", "B:", "C: ", "D: a:b", "E: \xff"))
    assert lines[:4] == [b"Expect:", b"Accept:", b"User-Agent:", b"Content-Type:"]
    assert lines[4:] == [b"A: 1", b"B;", b"C;", b"D: a:b", b"E: \xff"]


@pytest.mark.parametrize("line", ["A: 1\r\nB: 2", "A: 1\n", "A: 1\r", "A: \0", "A: \u20ac"])
def test_lines_that_cannot_be_headers(line: str) -> None:
    """They are refused without being quoted."""
    with pytest.raises(Unsendable) as caught:
        header_lines(("Fine: yes", line))
    assert line not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "sent"),
    [
        ("http://h/a?b=c", b"http://h/a?b=c"),
        ("https://h/\xfc/\u65e5?q=\u20ac", b"https://h/%C3%BC/%E6%97%A5?q=%E2%82%AC"),
        ("http://h/%c3%bc?q=%zz&r=\ud800", b"http://h/%c3%bc?q=%zz&r=%ED%A0%80"),
    ],
)
def test_urls(url: str, sent: bytes) -> None:
    """Only what is not ASCII is escaped."""
    assert url_bytes(url) == sent


@pytest.mark.parametrize("url", ["ftp://h/", "h/a", "", "HTTP://h/", "http://h/a b", "http://h/\n", "http://h/\x7f"])
def test_urls_that_cannot_be_sent(url: str) -> None:
    """Other protocols, blanks and control characters are refused."""
    with pytest.raises(Unsendable):
        url_bytes(url)
