"""The estimate of tokens: near what is known, monotonous, total, and quick."""

from __future__ import annotations

import json
import struct
import time
from base64 import b64encode
from typing import Any

import pytest

from monorelay.dialects.token_estimate import estimate


def asked(content: Any, **more: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": content}], **more}


def tokens(content: Any, **more: Any) -> int:
    """What a content costs, without the safety factor."""
    return estimate(asked(content, **more), 1.0) - estimate(asked(""), 1.0)


@pytest.mark.parametrize(
    "text, least, most",
    [
        ("The quick brown fox jumps over the lazy dog. " * 20, 200, 260),  # 10 tokens a sentence
        ("def add(a, b):\n    return a + b\n" * 20, 160, 280),
        ("敏捷的棕色狐狸跳过了懒狗。" * 20, 240, 280),
        ("いろはにほへと" * 20, 130, 150),
        ("안녕하세요 여러분" * 20, 150, 190),
        ("Съешь ещё этих мягких булок" * 20, 200, 300),
        ("🦊" * 20, 18, 45),
        ("", 0, 0),
    ],
)
def test_text(text: str, least: int, most: int) -> None:
    """Scripts count by their own measure."""
    assert least <= tokens(text) <= most


def png(width: int, height: int) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", width, height) + b"\0" * 20


def jpeg(width: int, height: int) -> bytes:
    app = b"\xff\xe0" + struct.pack(">H", 16) + b"\0" * 14
    return b"\xff\xd8" + app + b"\xff\xc0" + struct.pack(">HBHH", 17, 8, height, width) + b"\0" * 12


def webp(kind: bytes, rest: bytes) -> bytes:
    return b"RIFF\0\0\0\0WEBP" + kind + b"\0\0\0\0" + rest + b"\0" * 20


IMAGES = {
    "png": png(750, 300),
    "gif": b"GIF89a" + struct.pack("<HH", 750, 300),
    "jpeg": jpeg(750, 300),
    "webp-x": webp(b"VP8X", b"\0\0\0\0" + (749).to_bytes(3, "little") + (299).to_bytes(3, "little")),
    "webp-lossless": webp(b"VP8L", b"\x2f" + (749 | 299 << 14).to_bytes(4, "little")),
    "webp-lossy": webp(b"VP8 ", b"\0\0\0\x9d\x01\x2a" + struct.pack("<HH", 750, 300)),
}


def image(data: bytes) -> dict[str, Any]:
    return {"type": "image", "source": {"type": "base64", "media_type": "image/x", "data": b64encode(data).decode()}}


@pytest.mark.parametrize("data", IMAGES.values(), ids=IMAGES.keys())
def test_images(data: bytes) -> None:
    """750 pixels are a token, whatever the format, and however many bytes the image has."""
    assert tokens([image(data)]) == 300
    assert tokens([image(data + b"\0" * 300_000)]) == 300


def test_large_and_unknown_images() -> None:
    """A large one is scaled before it is counted; one whose size is not told counts as large."""
    assert tokens([image(png(8000, 8000))]) == 1600
    assert tokens([image(png(8000, 1000))]) == pytest.approx(1568 * 196 / 750, abs=1)
    for source in ({"type": "url", "url": "https://x"}, {"type": "file", "file_id": "f"}, {"type": "base64", "data": "?"}, None):
        assert tokens([{"type": "image", "source": source}]) == 1600


def test_documents() -> None:
    """A PDF counts by its pages, or by its size where they are packed away; text as text."""

    def pdf(data: bytes) -> list[dict[str, Any]]:
        return [
            {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": b64encode(data).decode()}}
        ]

    page = tokens(pdf(b"%PDF /Type /Pages /Type /Page /Contents"))
    assert tokens(pdf(b"%PDF /Type /Pages" + b" /Type /Page " * 4)) == pytest.approx(4 * page, abs=20)
    assert tokens(pdf(b"%PDF" + b"x" * 300_000)) > 3 * page
    text = {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "word " * 100}}
    assert 100 <= tokens([text]) <= 160


def test_tools_count_by_their_json() -> None:
    """And the first one brings the vendor's own prompt about tools."""
    tool = {"name": "f", "description": "d" * 360, "input_schema": {"type": "object", "properties": {"x": {"type": "string"}}}}
    one, two = tokens("", tools=[tool]), tokens("", tools=[tool, tool])
    assert 100 <= two - one <= 140
    assert one > two - one


def test_history_counts() -> None:
    """Calls, results, thinking, instructions: each adds; signatures and marks do not."""
    base = tokens("hi")
    use = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"text": "word " * 100}}
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": [{"type": "text", "text": "word " * 100}]}
    thinking = {"type": "thinking", "thinking": "word " * 100, "signature": "x" * 9000}
    for block in (use, result, thinking):
        assert 130 <= tokens([block]) <= 190
    assert tokens("hi", system=[{"type": "text", "text": "word " * 100, "cache_control": {"type": "ephemeral"}}]) >= base + 130
    assert tokens("hi", output_config={"format": {"type": "json_schema", "schema": {"type": "object"}}}) > base


def test_it_errs_to_the_high_side() -> None:
    """By a tenth, unless told otherwise; and no prompt costs nothing."""
    body = asked("word " * 1000)
    assert estimate(body) == pytest.approx(estimate(body, 1.0) * 1.1, abs=1)
    assert estimate({}) == 1


@pytest.mark.parametrize(
    "body",
    [
        {"messages": None},
        {"messages": "x"},
        {"messages": [None, 1, "x", [], {"content": {"a": 1}}, {"content": [1, None, "x", {}]}]},
        asked([{"type": "image"}, {"type": "document"}, {"type": "tool_use"}, {"type": "tool_result"}, {"type": "new", "text": 7}]),
        {"tools": "x", "system": 5, "output_config": []},
        {"tools": [None, 5, {}]},
        asked("\ud800 \udfff"),
    ],
)
def test_any_shape(body: dict[str, Any]) -> None:
    """Nothing is refused: an estimate is better than an error."""
    assert estimate(body) >= 1


def test_any_depth() -> None:
    """Nor does deep nesting break it."""
    block: Any = "x"
    for _ in range(5000):
        block = [{"type": "tool_result", "content": [{"type": "document", "source": {"content": block}}]}]
    assert estimate(asked(block, tools=block)) >= 1


def test_it_is_quick() -> None:
    """100 kB in less than 5 ms, of whatever script; the best of several runs, because machines are busy."""
    for content in ("plain words " * 8_500, "漢a" * 25_000, "é" * 50_000):
        body = json.loads(
            json.dumps(asked([{"type": "text", "text": content[at : at + 1000]} for at in range(0, len(content), 1000)]))
        )
        took = []
        for _ in range(20):
            begun = time.perf_counter()
            estimate(body)
            took.append(time.perf_counter() - begun)
        assert min(took) < 0.005
