"""POST /v1/embeddings: deterministic unit vectors. Texts that share words lie closer together than texts that do not."""

from __future__ import annotations

import base64
import hashlib
import math
import re
import struct
from array import array
from collections.abc import Callable, Mapping
from typing import Any

from monorelay.demo.completions import read_prompts
from monorelay.demo.handler import DemoHandler
from monorelay.demo.mind import tokens
from monorelay.demo.refusal import Refusal

_DIMENSIONS, _MOST_DIMENSIONS = 256, 4_096


class EmbeddingsHandler(DemoHandler):
    async def post(self) -> None:
        await self.answer(complete(await self.read_json("model", "input")))


def complete(body: Mapping[str, Any]) -> dict[str, Any]:
    """The list of embeddings for a request. Raises Refusal."""
    texts = read_prompts(body["input"], "input")
    dimensions = body.get("dimensions") or _DIMENSIONS
    if not isinstance(dimensions, int) or not 1 <= dimensions <= _MOST_DIMENSIONS:
        raise Refusal(400, f"dimensions must be between 1 and {_MOST_DIMENSIONS}.", param="dimensions")
    encoding = body.get("encoding_format") or "float"
    if encoding not in _SPELLED:
        raise Refusal(400, "encoding_format must be float or base64.", param="encoding_format")
    spent = tokens(*texts)
    return {
        "object": "list",
        "data": [
            {"object": "embedding", "index": index, "embedding": _SPELLED[encoding](embed(text, dimensions))}
            for index, text in enumerate(texts)
        ],
        "model": body["model"],
        "usage": {"prompt_tokens": spent, "total_tokens": spent},
    }


def embed(text: str, dimensions: int) -> array[float]:
    """A unit vector: the sum of the words' own directions."""
    sums = [0.0] * dimensions
    for word in re.findall(r"\w+", text.lower()) or [text]:
        digest = hashlib.shake_256(word.encode("utf-8", "replace")).digest(2 * dimensions)
        for position, number in enumerate(struct.unpack(f"<{dimensions}h", digest)):
            sums[position] += number
    length = math.hypot(*sums) or 1.0
    return array("f", [number / length for number in sums])


def _base64(vector: array[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


_SPELLED: dict[str, Callable[[array[float]], Any]] = {"float": list, "base64": _base64}
