"""How many tokens a request of anthropic.messages costs, about: for upstreams that cannot be asked (anthropic.count_tokens).

A rule of thumb, not a tokenizer: every model has its own, and none is at hand. It errs to the high side, so that an agent compacts
its conversation too early rather than too late.

    text       one token for 3.6 characters; East Asian scripts and pictographs one for each; other scripts one for two
    images     a token for 750 pixels after scaling to what the vendor shows a model; 1,600 where the size is not told
    documents  a PDF's pages at 2,500; text as text
    tools      their JSON as text, and what the vendor's own prompt about tools costs
"""

from __future__ import annotations

import json
import re
from base64 import b64decode
from collections.abc import Iterator, Mapping
from math import ceil
from struct import unpack
from typing import Any

SAFETY = 1.1

_CHARACTERS = 3.6
_FOREIGN_CHARACTERS = 2.0
_MESSAGE = 4  # role and separators
_BLOCK = 3
_TOOL_USE = 12  # ids and the words around a call or its result
_TOOLS = 340  # the vendor's own prompt, once there are tools
_IMAGE = 1600
_PIXELS = 750
_LONG_EDGE = 1568
_PAGE = 2500
_DEEPEST = 20
_PAGE_BYTES = 75_000  # of a PDF whose pages cannot be counted because its objects are packed


def _scripts() -> bytes:
    """For the high byte of each UTF-16 unit, what its script is: Latin, East Asian or pictograph, other, or half of a pair."""
    table = bytearray(b"o" * 256)
    for first, last, script in (
        (0x00, 0x02, b"l"),
        (0x11, 0x11, b"e"),  # Hangul's letters
        (0x1E, 0x20, b"l"),  # more Latin, punctuation
        (0x2E, 0xA4, b"e"),
        (0xAC, 0xDB, b"e"),  # Hangul's syllables; the first halves of pairs, which are pictographs mostly
        (0xDC, 0xDF, b"-"),
        (0xF9, 0xFA, b"e"),
        (0xFE, 0xFF, b"e"),
    ):
        table[first : last + 1] = script * (last + 1 - first)
    return bytes(table)


_SCRIPTS = _scripts()
_PDF_PAGE = re.compile(rb"/Type\s*/Page(?!s)\b")
_UNTOLD = frozenset({"type", "signature", "cache_control", "encrypted_content", "encrypted_index", "data", "media_type"})


def estimate(body: Mapping[str, Any], safety: float = SAFETY) -> int:
    """Tokens of the prompt. Total: what has not the shape of the reference counts as the text it is.

    >>> estimate({"messages": [{"role": "user", "content": "Hello, world"}]})
    9
    """
    tokens = _value(body.get("system"))
    messages = body.get("messages")
    for message in messages if isinstance(messages, list) else ():
        content = message.get("content") if isinstance(message, dict) else message
        tokens += _MESSAGE + _value(content)
    tools = body.get("tools")
    if isinstance(tools, list) and tools:
        tokens += _TOOLS + sum(_text(_dumped(tool)) for tool in tools)
    wanted = body.get("output_config")
    if isinstance(wanted, dict) and wanted.get("format"):
        tokens += _text(_dumped(wanted["format"]))
    return max(1, ceil(tokens * safety))


def _dumped(value: object) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    except RecursionError:
        return ""


def _text(text: str) -> float:
    if text.isascii():
        return len(text) / _CHARACTERS
    scripts = text.encode("utf-16-le", "surrogatepass")[1::2].translate(_SCRIPTS)
    return scripts.count(b"e") + scripts.count(b"o") / _FOREIGN_CHARACTERS + scripts.count(b"l") / _CHARACTERS


def _value(value: object, depth: int = 0) -> float:
    """Any content: text, a block, or a list of them. What is nested more deeply than content can be counts as nothing."""
    if isinstance(value, str):
        return _text(value)
    if depth > _DEEPEST:
        return 0.0
    if isinstance(value, list):
        return sum(_value(each, depth + 1) for each in value)
    if not isinstance(value, dict):
        return 0.0
    kind = value.get("type")
    if kind == "text":
        return _BLOCK + _value(value.get("text"))
    if kind == "tool_use":
        return _TOOL_USE + _value(value.get("name")) + _text(_dumped(value.get("input")))
    if kind == "tool_result":
        return _TOOL_USE + _value(value.get("content"), depth + 1)
    if kind == "thinking":
        return _BLOCK + _value(value.get("thinking"))
    if kind == "redacted_thinking":
        return _BLOCK + len(str(value.get("data") or "")) / 6
    source = value.get("source")
    if kind == "image":
        return _image(source)
    if kind == "document":
        return _BLOCK + _value(value.get("title")) + _value(value.get("context")) + _document(source, depth + 1)
    return _BLOCK + sum(_value(each, depth + 1) for name, each in value.items() if name not in _UNTOLD)


def _image(source: object) -> float:
    size = _size(source.get("data")) if isinstance(source, dict) else None
    if size is None:
        return _IMAGE
    width, height = size
    scale = min(1.0, _LONG_EDGE / max(width, height, 1))
    return min(_IMAGE, ceil(width * scale * height * scale / _PIXELS))


def _document(source: object, depth: int) -> float:
    if not isinstance(source, dict):
        return _PAGE
    data = source.get("data")
    if source.get("type") == "base64" and isinstance(data, str):
        pages = sum(len(_PDF_PAGE.findall(piece)) for piece in _decoded(data))
        return _PAGE * max(1, pages or ceil(len(data) * 0.75 / _PAGE_BYTES))
    if source.get("type") == "text":
        return _value(data)
    return _value(source.get("content"), depth) or _PAGE


def _decoded(data: str, piece: int = 1 << 20) -> Iterator[bytes]:
    """Base64 in pieces, so that a large document is never held twice. What is no base64 ends it."""
    for at in range(0, len(data), piece):
        try:
            yield b64decode(data[at : at + piece])
        except ValueError:
            return


def _size(data: object) -> tuple[int, int] | None:
    """Width and height of a base64 PNG, GIF, WebP or JPEG, by its first bytes."""
    if not isinstance(data, str):
        return None
    try:
        head = b64decode(data[:65536][: len(data[:65536]) // 4 * 4])
    except ValueError:
        return None
    if head.startswith(b"\x89PNG") and len(head) >= 24:
        width, height = unpack(">II", head[16:24])
    elif head.startswith(b"GIF8") and len(head) >= 10:
        width, height = unpack("<HH", head[6:10])
    elif head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return _webp_size(head)
    elif head.startswith(b"\xff\xd8"):
        return _jpeg_size(head)
    else:
        return None
    return int(width), int(height)


def _webp_size(head: bytes) -> tuple[int, int] | None:
    if len(head) < 30:
        return None
    if head[12:16] == b"VP8X":
        return 1 + int.from_bytes(head[24:27], "little"), 1 + int.from_bytes(head[27:30], "little")
    if head[12:16] == b"VP8L":
        bits = int.from_bytes(head[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    width, height = unpack("<HH", head[26:30])
    return int(width) & 0x3FFF, int(height) & 0x3FFF


def _jpeg_size(head: bytes) -> tuple[int, int] | None:
    """From the first start-of-frame segment; a large thumbnail before it may hide it."""
    at = 2
    while at + 9 <= len(head) and head[at] == 0xFF:
        kind = head[at + 1]
        if 0xC0 <= kind <= 0xCF and kind not in (0xC4, 0xC8, 0xCC):
            height, width = unpack(">HH", head[at + 5 : at + 9])
            return int(width), int(height)
        at += 2 + int.from_bytes(head[at + 2 : at + 4], "big")
    return None
