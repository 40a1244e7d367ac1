"""One form field found by its bytes, and forms that are broken."""

from __future__ import annotations

import pytest

from monorelay.dialects.multipart import HEADERS_LIMIT, MultipartBroken, find_field, splice

TYPE = "multipart/form-data; boundary=b"


def form(*parts: tuple[str, bytes], boundary: str = "b", end: bytes = b"--\r\n") -> bytes:
    """Parts as (headers, content), the headers' lines joined by CRLF."""
    line = b"--" + boundary.encode()
    return b"".join(line + b"\r\n" + head.encode() + b"\r\n\r\n" + content + b"\r\n" for head, content in parts) + line + end


MODEL = ('Content-Disposition: form-data; name="model"', b"whisper-1")
FILE = (
    'Content-Disposition: form-data; name="file"; filename="a.mp3"\r\nContent-Type: audio/mpeg',
    b"\x00\xff\r\n--\r\n--b-\r\n--bb\r\n",
)


@pytest.mark.parametrize(
    ("content_type", "body", "value"),
    [
        (TYPE, form(MODEL), "whisper-1"),
        (TYPE, form(MODEL, FILE), "whisper-1"),
        (TYPE, form(FILE, MODEL), "whisper-1"),
        (TYPE, form(FILE), None),
        (TYPE, b"--b--", None),
        (TYPE, b"--b--\r\n", None),
        (TYPE, form(MODEL, end=b"--"), "whisper-1"),
        (TYPE, form(MODEL, end=b"-- \t\r\n"), "whisper-1"),
        (TYPE, form(MODEL, end=b"--\r\nepilogue\r\n--b\r\nnot a part"), "whisper-1"),
        (TYPE, b"preamble\r\n--bb\r\n" + form(MODEL), "whisper-1"),
        (TYPE, b"\r\n" + form(MODEL), "whisper-1"),
        (TYPE, form(MODEL).replace(b"--b\r\n", b"--b  \t\r\n"), "whisper-1"),
        ('multipart/form-data; boundary="b"', form(MODEL), "whisper-1"),
        ("Multipart/Form-Data ; charset=utf-8; BOUNDARY=b", form(MODEL), "whisper-1"),
        ('multipart/form-data; boundary="a; b"', form(MODEL, boundary="a; b"), "whisper-1"),
        (r'multipart/form-data; boundary="a\"b"', form(MODEL, boundary='a"b'), "whisper-1"),
        ("multipart/form-data; boundary=----W'()+_,-./:=?b", form(MODEL, boundary="----W'()+_,-./:=?b"), "whisper-1"),
        (TYPE, form(("content-disposition:form-data;name=model", b"m")), "m"),
        (TYPE, form(("CONTENT-DISPOSITION: Form-Data; NAME=model", b"m")), "m"),
        (TYPE, form(('Content-Type: text/plain\r\nContent-Disposition: form-data;\r\n name="model"', b"m")), "m"),
        (TYPE, form(('Content-Disposition: form-data; x="; name=model"; name="other"', b"m")), None),
        (TYPE, form(('Content-Disposition: form-data; name="Model"', b"m")), None),
        (TYPE, form(('Content-Disposition: attachment; name="model"', b"m")), None),
        (TYPE, form(('Content-Disposition: form-data; name="model"; filename=""', b"m")), None),
        (TYPE, form(("Content-Disposition: form-data; name=\"model\"; filename*=UTF-8''a", b"m")), None),
        (TYPE, form(("X-Other: 1", b"m")), None),
        (TYPE, b"--b\r\n\r\nno headers\r\n" + form(MODEL), "whisper-1"),
        (TYPE, b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\n--b--', None),
        (TYPE, form((MODEL[0], b"")), ""),
        (TYPE, form((MODEL[0], b"\r\n--\r\n")), "\r\n--\r\n"),
        (TYPE, form((MODEL[0], "größe 🌍".encode())), "größe 🌍"),
    ],
)
def test_find(content_type: str, body: bytes, value: str | None) -> None:
    """The field's value and where it stands; files and other names are passed over."""
    field = find_field(body, content_type, "model")
    if value is None:
        assert field is None
    else:
        assert field is not None
        assert field.value == value
        assert body[field.start : field.end] == value.encode()


@pytest.mark.parametrize(
    ("content_type", "body", "reason"),
    [
        ("application/json", form(MODEL), "must be multipart/form-data"),
        ("", form(MODEL), "must be multipart/form-data"),
        ("multipart/mixed; boundary=b", form(MODEL), "must be multipart/form-data"),
        ("multipart/form-data", form(MODEL), "needs a boundary"),
        ('multipart/form-data; boundary=""', form(MODEL), "needs a boundary"),
        ("multipart/form-data; boundary=" + "x" * 71, form(MODEL), "needs a boundary"),
        ("multipart/form-data; boundary=other", form(MODEL), "closing boundary"),
        (TYPE, b"", "closing boundary"),
        (TYPE, b"--b", "closing boundary"),
        (TYPE, b"--b\r\n", "closing boundary"),
        (TYPE, form(MODEL, FILE)[:-4], "closing boundary"),
        (TYPE, form(MODEL).replace(b"\r\n", b"\n"), "closing boundary"),
        (TYPE, b"--b\r\nContent-Disposition: form-data", "headers do not end"),
        (TYPE, b"--b\r\nContent-Disposition: form-data\r\n--b--\r\n", "headers do not end"),
        (TYPE, b"--b\r\nContent-Disposition: form-data\r\n--b\r\n\r\nx\r\n--b--\r\n", "headers do not end"),
        (TYPE, form(("X: " + "x" * HEADERS_LIMIT, b"")), "headers do not end"),
        (TYPE, form(MODEL, MODEL), "comes twice"),
        (TYPE, form((MODEL[0], b"\xff")), "not UTF-8"),
        (TYPE, form(*[FILE] * 10_001), "more than 10000 parts"),
    ],
)
def test_broken(content_type: str, body: bytes, reason: str) -> None:
    """What is not the form it promises to be is refused with the reason."""
    with pytest.raises(MultipartBroken, match=reason):
        find_field(body, content_type, "model")


def test_cut_anywhere() -> None:
    """A form that was cut at any byte before its closing boundary's end is refused, wherever the field stands."""
    body = form(MODEL, FILE, end=b"--")
    for cut in range(len(body)):
        with pytest.raises(MultipartBroken):
            find_field(body[:cut], TYPE, "model")
    assert find_field(body, TYPE, "model") is not None


def test_splice() -> None:
    """Another value, and every other byte as it was."""
    body = form(FILE, MODEL, FILE)
    field = find_field(body, TYPE, "model")
    assert field is not None
    assert splice(body, field, "größe") == body.replace(b"whisper-1", "größe".encode())


def test_a_large_file_is_walked_and_not_copied() -> None:
    """32 MB full of near misses of the boundary are passed over, and the field behind them is found."""
    content = b"\r\n--bound" * 3_500_000
    body = form((FILE[0], content), MODEL, boundary="boundary")
    field = find_field(body, "multipart/form-data; boundary=boundary", "model")
    assert field is not None and field.value == "whisper-1"
