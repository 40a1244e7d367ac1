"""POST /v1/rerank: documents in the order of how close their embeddings are to the query's; and GET /v1/credits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from monorelay.demo.embeddings import embed
from monorelay.demo.handler import DemoHandler
from monorelay.demo.mind import tokens
from monorelay.demo.refusal import Refusal
from monorelay.demo.shelf import new_id

_DIMENSIONS = 64


class RerankHandler(DemoHandler):
    async def post(self) -> None:
        body = await self.read_json("model", "query", "documents")
        texts = _read_texts(body["documents"])
        if not isinstance(body["query"], str):
            raise Refusal(400, "query must be a string.", param="query")
        wanted = embed(body["query"], _DIMENSIONS)
        scored = [(_score(wanted, embed(text, _DIMENSIONS)), -index) for index, text in enumerate(texts)]
        results: list[dict[str, Any]] = []
        for score, position in sorted(scored, reverse=True)[: body.get("top_n") or len(texts)]:
            results.append({"index": -position, "relevance_score": score})
            if body.get("return_documents"):
                results[-1]["document"] = {"text": texts[-position]}
        spent = tokens(body["query"], *texts)
        await self.answer({"id": new_id("rerank-"), "model": body["model"], "results": results, "usage": {"total_tokens": spent}})


def _read_texts(documents: Any) -> list[str]:
    texts = [one.get("text") if isinstance(one, dict) else one for one in documents] if isinstance(documents, list) else []
    if not texts or not all(isinstance(text, str) for text in texts):
        raise Refusal(400, "documents must be a list of strings, or of objects with a text.", param="documents")
    return [str(text) for text in texts]


def _score(one: Sequence[float], other: Sequence[float]) -> float:
    cosine = sum(a * b for a, b in zip(one, other, strict=True))
    return round(max(0.0, min(1.0, cosine)), 6)


class CreditsHandler(DemoHandler):
    async def get(self) -> None:
        await self.answer({"total_credits": 10.0, "used_credits": 2.35, "remaining_credits": 7.65})
