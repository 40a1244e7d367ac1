"""Header lines as libcurl hands them over."""

from __future__ import annotations

import pytest

from monorelay.upstream.heads import is_final, parse_head


@pytest.mark.parametrize(
    ("line", "status", "final"),
    [
        (b"HTTP/1.1 200 OK\r\n", 200, True),
        (b"HTTP/1.1 404\r\n", 404, True),
        (b"HTTP/2 200 \r\n", 200, True),
        (b"HTTP/3 503\r\n", 503, True),
        (b"HTTP/1.0  301 Moved\r\n", 301, True),
        (b"HTTP/1.1 100 Continue\r\n", 100, False),
        (b"HTTP/2 103\r\n", 103, False),
        (b"HTTP/1.1 101 Switching Protocols\r\n", 101, False),
    ],
)
def test_status_lines(line: bytes, status: int, final: bool) -> None:
    """Any version, with and without a reason; 1xx is not final."""
    assert parse_head([line]) == (status, [])
    assert is_final(line) is final


def test_a_status_that_is_no_number() -> None:
    """Nonsense raises ValueError, and nothing else."""
    with pytest.raises(ValueError):
        parse_head([b"HTTP/1.1 OK\r\n"])


@pytest.mark.parametrize(
    ("lines", "fields"),
    [
        ([b"Content-Type: text/plain; charset=utf-8\r\n"], [("content-type", "text/plain; charset=utf-8")]),
        ([b"A:1\r\n", b"a : 2\r\n"], [("a", "1"), ("a", "2")]),
        ([b"A:\r\n"], [("a", "")]),
        ([b"A: 1\r\n", b" 2\r\n", b"\t 3\r\n"], [("a", "1 2 3")]),
        ([b"A:\r\n", b" 2\r\n"], [("a", "2")]),
        ([b" lost\r\n", b"A: 1\r\n"], [("a", "1")]),
        ([b"nonsense\r\n", b":\r\n", b" : x\r\n"], []),
        ([b"A: \xc2\xa0\xe9 \r\n"], [("a", "\xc2\xa0\xe9")]),
        ([b"A: x\n"], [("a", "x")]),
    ],
)
def test_fields(lines: list[bytes], fields: list[tuple[str, str]]) -> None:
    """Lower-case names, stripped values, folds joined, nonsense left out; bytes above 127 stay what they are."""
    assert parse_head([b"HTTP/1.1 200 OK\r\n", *lines]) == (200, fields)
