"""/v1/assistants: create, list, retrieve, change, delete."""

from __future__ import annotations

import time
from typing import Any

from monorelay.demo.handler import DemoHandler
from monorelay.demo.shelf import new_id, page

# What a client may set, with what it is when it does not.
FIELDS: dict[str, Any] = {
    "name": None,
    "description": None,
    "instructions": None,
    "tools": [],
    "tool_resources": {},
    "metadata": {},
    "temperature": 1.0,
    "top_p": 1.0,
    "response_format": "auto",
}


class AssistantsHandler(DemoHandler):
    async def get(self) -> None:
        await self.answer(page(list(self.settings["assistants"]), self.get_query_argument))

    async def post(self) -> None:
        body = await self.read_json("model")
        chosen = {name: body[name] if body.get(name) is not None else told for name, told in FIELDS.items()}
        head = {"id": new_id("asst_"), "object": "assistant", "created_at": int(time.time()), "model": body["model"]}
        assistant = {**head, **chosen}
        self.settings["assistants"].put(assistant["id"], assistant)
        await self.answer(assistant)


class AssistantHandler(DemoHandler):
    async def get(self, assistant_id: str) -> None:
        await self.answer(self.settings["assistants"].get(assistant_id))

    async def post(self, assistant_id: str) -> None:
        body = await self.read_json()
        assistant = self.settings["assistants"].get(assistant_id)
        assistant.update({name: body[name] for name in ("model", *FIELDS) if name in body})
        await self.answer(assistant)

    async def delete(self, assistant_id: str) -> None:
        self.settings["assistants"].take(assistant_id)
        await self.answer({"id": assistant_id, "object": "assistant.deleted", "deleted": True})
