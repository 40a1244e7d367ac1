"""POST /v1/images/generations, /edits and /variations: real PNG files of one colour, which the prompt decides.

Whatever ``output_format`` says, the picture is a PNG and the answer says so. With ``response_format: url`` the link leads to the
demo itself.
"""

from __future__ import annotations

import base64
import hashlib
import re
import struct
import time
import zlib
from typing import Any, Literal

from monorelay.demo import misbehaviour
from monorelay.demo.frames import Frame, event_frame
from monorelay.demo.handler import DemoHandler
from monorelay.demo.refusal import Refusal

_MOST = 10
_LONGEST_SIDE = 4_096


class ImagesHandler(DemoHandler):
    """The latter two kinds take uploaded images in multipart."""

    kind: Literal["generation", "edit", "variation"] = "generation"

    async def post(self) -> None:
        wish = await self._read_wish()
        number = _whole_number(wish.get("n") or 1)
        size = str(wish.get("size") or "auto")
        size = "1024x1024" if size == "auto" else size
        width, height = _sides(size)
        prompt = str(wish.get("prompt") or "")
        pictures = [base64.b64encode(paint(f"{prompt}{i}", width, height)).decode() for i in range(number)]
        facts = {"background": "opaque", "output_format": "png", "quality": "low", "size": size}
        usage = {
            "input_tokens": 10 + len(prompt) // 4,
            "input_tokens_details": {"text_tokens": len(prompt) // 4, "image_tokens": 10},
            "output_tokens": 100 * number,
            "total_tokens": 10 + len(prompt) // 4 + 100 * number,
        }
        if str(wish.get("stream") or "").lower() == "true" and self.kind != "variation":
            partial = _whole_number(wish.get("partial_images") or 0, least=0)
            frames = _frames(f"image_{self.kind}", pictures[0], partial, facts, usage)
            failure = {"type": "error", **misbehaviour.failure().openai()}
            await self.stream(frames, event_frame("error", failure))
            return
        if wish.get("response_format") == "url":
            root = f"{self.request.protocol}://{self.request.host}/demo-images"
            told = [{"url": f"{root}/{colour(f'{prompt}{i}').hex()}-{size}.png"} for i in range(number)]
        else:
            told = [{"b64_json": picture} for picture in pictures]
        await self.answer({"created": int(time.time()), "data": told, **facts, "usage": usage})

    async def _read_wish(self) -> dict[str, Any]:
        if self.kind == "generation":
            return await self.read_json("prompt")
        wish: dict[str, Any] = {name: self.form(name) for name in self.request.body_arguments}
        await self.misbehave(wish.get("model"))
        images = self.uploads("image", "image[]", "file")
        if self.kind == "edit" and not wish.get("prompt"):
            raise Refusal(400, "Missing required parameter: 'prompt'.", code="missing_required_parameter", param="prompt")
        wish["prompt"] = f"{wish.get('prompt') or ''}{hashlib.sha256(b''.join(body for _, body in images)).hexdigest()}"
        return wish


class EditsHandler(ImagesHandler):
    kind = "edit"


class VariationsHandler(ImagesHandler):
    kind = "variation"


class PictureHandler(DemoHandler):
    """GET /demo-images/{colour}-{size}.png: what a link of the demo leads to."""

    public = True

    async def get(self, shade: str, size: str) -> None:
        self.set_header("Content-Type", "image/png")
        await self.send_whole(_png(bytes.fromhex(shade), *_sides(size)))


def colour(text: str) -> bytes:
    """Three bytes, the same for the same text."""
    return hashlib.sha256(text.encode("utf-8", "replace")).digest()[:3]


def paint(text: str, width: int, height: int) -> bytes:
    return _png(colour(text), width, height)


def _png(shade: bytes, width: int, height: int) -> bytes:
    """One bit per pixel and a palette of one colour: a megapixel fits in a few hundred bytes."""
    row = b"\0" + bytes(-(-width // 8))
    header = struct.pack(">IIBBBBB", width, height, 1, 3, 0, 0, 0)
    parts = ((b"IHDR", header), (b"PLTE", shade), (b"IDAT", zlib.compress(row * height)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_part(name, content) for name, content in parts)


def _part(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def _sides(size: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{1,4})x(\d{1,4})", size)
    sides = (int(match[1]), int(match[2])) if match else (0, 0)
    if not all(1 <= side <= _LONGEST_SIDE for side in sides):
        raise Refusal(400, f"size must be WIDTHxHEIGHT, each side at most {_LONGEST_SIDE}.", param="size")
    return sides


def _whole_number(value: Any, least: int = 1) -> int:
    if not re.fullmatch(r"\d+", str(value)) or not least <= int(value) <= _MOST:
        raise Refusal(400, f"n and partial_images are numbers up to {_MOST}.", param="n")
    return int(value)


def _frames(prefix: str, picture: str, partial: int, facts: dict[str, Any], usage: dict[str, Any]) -> list[Frame]:
    told = {**facts, "b64_json": picture, "created_at": int(time.time())}
    frames = []
    for index in range(partial):
        name = f"{prefix}.partial_image"
        frames.append(event_frame(name, {"type": name, **told, "partial_image_index": index}, content=True))
    name = f"{prefix}.completed"
    return [*frames, event_frame(name, {"type": name, **told, "usage": usage}, content=True)]
