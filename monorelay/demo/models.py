"""GET /v1/models and /v1/models/{id}: which list depends on the dialect that the request speaks."""

from __future__ import annotations

from typing import Any

from monorelay.demo.handler import DemoHandler
from monorelay.demo.misbehaviour import NAMES
from monorelay.demo.refusal import Refusal
from monorelay.demo.shelf import page

_CREATED, _CREATED_AT = 1_767_225_600, "2026-01-01T00:00:00Z"
OPENAI_MODELS = (
    "demo",
    "demo-mini",
    "demo-embed",
    "demo-image",
    "demo-audio",
    "demo-moderation",
    "demo-rerank",
    *NAMES,
)
ANTHROPIC_MODELS = ("demo-claude", "demo-claude-mini", *NAMES)


class ModelsHandler(DemoHandler):
    def prepare(self) -> None:
        if "anthropic-version" in self.request.headers:
            self.dialect = "anthropic"
        super().prepare()

    async def get(self, model: str | None = None) -> None:
        if self.dialect == "openai":
            known = {name: _openai(name) for name in OPENAI_MODELS}
            whole: dict[str, Any] = {"object": "list", "data": list(known.values())}
        else:
            known = {name: _anthropic(name) for name in ANTHROPIC_MODELS}
            whole = page(list(reversed(known.values())), self.get_query_argument, "_id")
            del whole["object"]
        if model is not None and model not in known:
            raise Refusal(404, f"The model '{model}' does not exist.", code="model_not_found", param="model")
        await self.answer(whole if model is None else known[model])


def _openai(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": _CREATED, "owned_by": "demo"}


def _anthropic(name: str) -> dict[str, Any]:
    shown = name.replace("-", " ").title()
    return {"type": "model", "id": name, "display_name": shown, "created_at": _CREATED_AT, "lifecycle": "active"}
