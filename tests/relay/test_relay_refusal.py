"""What is quoted of a foreign error."""

from __future__ import annotations

import gzip
import zlib

import pytest

from monorelay.relay.refusal import decoded, excerpt


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"error": {"message": "too  many\\ntokens"}}', "too many tokens"),
        (b'{"error": "plain"}', "plain"),
        (b'{"message": "outside"}', "outside"),
        (b'{"detail": "fast"}', '{"detail": "fast"}'),
        (b"<html><h1>502</h1></html>", "<html><h1>502</h1></html>"),
        (b"", "(an empty body)"),
        (b"\xff\xfe", "\ufffd\ufffd"),
        (b"[" * 100_000, "[" * 500),
        (b"x" * 600, "x" * 500),
    ],
)
def test_an_error_page_is_quoted_as_a_person_would(body: bytes, said: str) -> None:
    assert excerpt(body) == said


@pytest.mark.parametrize(
    ("body", "encoding", "text"),
    [
        (gzip.compress(b"no", mtime=0), "gzip", b"no"),
        (zlib.compress(b"no"), "deflate", b"no"),
        (zlib.compress(b"no")[2:-4], "deflate", b"no"),
        (b"not gzip", "gzip", b"not gzip"),
        (b"\x1b\x00", "br", b"\x1b\x00"),
        (b"plain", "", b"plain"),
    ],
)
def test_a_compressed_refusal_is_read_all_the_same(body: bytes, encoding: str, text: bytes) -> None:
    assert decoded(body, encoding) == text


def test_a_bomb_is_read_only_in_part() -> None:
    """A refusal of a few kilobytes may not become gigabytes."""
    assert len(decoded(gzip.compress(b"\0" * 50_000_000), "gzip")) <= 1024 * 1024
