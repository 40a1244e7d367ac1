"""Forms of any content: found in, and spliced, as the writer meant them."""

from __future__ import annotations

import pytest

pytest.importorskip("hypothesis")

from hypothesis import given
from hypothesis import strategies as some

from monorelay.dialects.multipart import MultipartBroken, find_field, splice

BOUNDARY = "b-1"
TYPE = f'multipart/form-data; boundary="{BOUNDARY}"'

# Mostly bytes that look like parts of a delimiter.
CONTENT = some.lists(
    some.sampled_from([b"\r\n", b"\r", b"\n", b"--", b"b-1", b"b-", b"\r\n--b-", b"\r\n--b-1x", b" ", b"\x00\xff"])
    | some.binary(max_size=5)
).map(b"".join)
NAME = some.sampled_from(["file", "prompt", "image[]", "models", "Model"])


def is_delimited(content: bytes) -> bool:
    """Whether a form with this content would end early: then a writer takes another boundary."""
    return b"\r\n--b-1" in b"\r\n" + content + b"\r\n"


@given(
    some.lists(some.tuples(NAME, some.booleans(), CONTENT.filter(lambda content: not is_delimited(content))), max_size=5),
    some.integers(0, 5),
    some.text(some.characters(exclude_categories=["Cs"]), max_size=20).filter(lambda text: not is_delimited(text.encode())),
    some.text(some.characters(exclude_categories=["Cs"]), max_size=20),
    some.binary(max_size=20).filter(lambda preamble: not is_delimited(preamble)),
)
def test_found_and_spliced(parts: list[tuple[str, bool, bytes]], place: int, value: str, other: str, preamble: bytes) -> None:
    """Whatever stands around it, the field's bytes are found, and only they change."""
    pieces = [
        b'Content-Disposition: form-data; name="%b"%b\r\n\r\n%b' % (name.encode(), b'; filename="f"' if is_file else b"", content)
        for name, is_file, content in parts
    ]
    place = min(place, len(pieces))
    before = b"".join(b"--b-1\r\n%b\r\n" % piece for piece in pieces[:place])
    after = b"".join(b"--b-1\r\n%b\r\n" % piece for piece in pieces[place:]) + b"--b-1--\r\n"
    before = (preamble + b"\r\n" if preamble else b"") + before + b'--b-1\r\nContent-Disposition: form-data; name="model"\r\n\r\n'
    body = before + value.encode() + b"\r\n" + after
    field = find_field(body, TYPE, "model")
    assert field is not None
    assert (field.value, field.start, field.end) == (value, len(before), len(before) + len(value.encode()))
    assert splice(body, field, other) == before + other.encode() + b"\r\n" + after


@given(CONTENT, some.text(max_size=30))
def test_any_bytes_are_a_form_or_broken(body: bytes, content_type: str) -> None:
    """Nothing else is raised, whatever comes."""
    for kind in (TYPE, content_type, "multipart/form-data;" + content_type):
        for whole in (body, b"--b-1\r\n" + body, b"--b-1\r\n" + body + b"\r\n--b-1--"):
            try:
                find_field(whole, kind, "model")
            except MultipartBroken as error:
                assert str(error)
