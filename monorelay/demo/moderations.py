"""POST /v1/moderations: a handful of words stand for all that is to be flagged. The model may be left out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from monorelay.demo.chat import read_parts
from monorelay.demo.handler import DemoHandler
from monorelay.demo.refusal import Refusal
from monorelay.demo.shelf import new_id

_CATEGORIES: dict[str, str] = {
    "harassment": "idiot|loser",
    "harassment/threatening": "threaten",
    "hate": "hate",
    "hate/threatening": "",
    "illicit": "steal|smuggle",
    "illicit/violent": "bomb",
    "self-harm": "self-harm",
    "self-harm/instructions": "",
    "self-harm/intent": "",
    "sexual": "porn",
    "sexual/minors": "",
    "violence": "kill|attack",
    "violence/graphic": "gore",
}


class ModerationsHandler(DemoHandler):
    async def post(self) -> None:
        await self.answer(complete(await self.read_json("input")))


def complete(body: Mapping[str, Any]) -> dict[str, Any]:
    """One result per text; a list of parts (text and images) is one input. Raises Refusal."""
    value = body["input"]
    if isinstance(value, str):
        texts = [value]
    elif isinstance(value, list) and value and all(isinstance(item, str) for item in value):
        texts = value
    elif isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        texts = [read_parts(value)[0]]
    else:
        raise Refusal(400, "input must be a string, strings, or parts.", param="input")
    return {"id": new_id("modr-"), "model": body.get("model") or "demo-moderation", "results": [_judge(text) for text in texts]}


def _judge(text: str) -> dict[str, Any]:
    found = {name: bool(words and re.search(rf"\b(?:{words})", text, re.IGNORECASE)) for name, words in _CATEGORIES.items()}
    return {
        "flagged": any(found.values()),
        "categories": found,
        "category_scores": {name: 0.97 if is_found else 0.0001 for name, is_found in found.items()},
        "category_applied_input_types": {name: ["text"] if is_found else [] for name, is_found in found.items()},
    }
