"""Header lines as libcurl hands them over become a status and header fields. Pure.

libcurl has already refused what is no HTTP at all (no status line, NUL bytes, heads of more than a few hundred kilobytes). What
it lets through is taken as it is: names in lower case, values stripped of blanks around them, bytes above 127 as Latin-1,
repeated fields repeated, and folded lines (obs-fold, RFC 9112 section 5.2) joined by one space.
"""

from __future__ import annotations

from collections.abc import Sequence

BLANKS = " \t\r\n"


def is_final(status_line: bytes) -> bool:
    """Whether a head that begins with this line is the answer itself, and not an informational (1xx) one before it."""
    return status_line.partition(b" ")[2].lstrip()[:1] != b"1"


def parse_head(lines: Sequence[bytes]) -> tuple[int, list[tuple[str, str]]]:
    """Status and fields of one head, its blank line left out; raises ValueError when the status is no number.

    >>> parse_head([b"HTTP/1.1 200 OK\\r\\n", b"Content-Type: text/plain\\r\\n"])
    (200, [('content-type', 'text/plain')])
    """
    status = int(lines[0].split(None, 2)[1])
    fields: list[tuple[str, str]] = []
    for raw in lines[1:]:
        line = raw.decode("latin-1")
        name, colon, value = line.partition(":")
        if line[0] in " \t":
            if fields:
                fields[-1] = (fields[-1][0], f"{fields[-1][1]} {line.strip(BLANKS)}".strip())
        elif colon and (name := name.strip(BLANKS)):
            fields.append((name.lower(), value.strip(BLANKS)))
    return status, fields
