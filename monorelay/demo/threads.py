"""/v1/threads and their messages. Runs, which answer the messages, are in ``runs.py``."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from monorelay.demo.handler import DemoHandler
from monorelay.demo.refusal import Refusal
from monorelay.demo.shelf import Shelf, new_id, page


@dataclass(frozen=True, slots=True)
class Thread:
    """``described`` and the messages are JSON objects, changed in place. ``runs`` holds ``runs.Run``."""

    described: dict[str, Any]
    messages: Shelf[dict[str, Any]] = field(default_factory=lambda: Shelf("message"))
    runs: Shelf[Any] = field(default_factory=lambda: Shelf("run"))

    @property
    def id(self) -> str:
        return str(self.described["id"])

    def add(self, role: str, content: Any, **more: Any) -> dict[str, Any]:
        """Appends a message. Raises Refusal 400."""
        if role not in ("user", "assistant"):
            raise Refusal(400, "role must be user or assistant.", param="role")
        message = {
            "id": new_id("msg_"),
            "object": "thread.message",
            "created_at": int(time.time()),
            "thread_id": self.id,
            "role": role,
            "status": "completed",
            "content": [_part(part) for part in content] if isinstance(content, list) else [_part(str(content))],
            "assistant_id": None,
            "run_id": None,
            "attachments": [],
            "metadata": {},
            **more,
        }
        self.messages.put(message["id"], message)
        return message


def _part(part: Any) -> dict[str, Any]:
    """Text comes in as a string and goes out as an object with annotations; images stay as they are."""
    if isinstance(part, str):
        part = {"type": "text", "text": part}
    if isinstance(part, dict) and isinstance(part.get("text"), str):
        return {"type": "text", "text": {"value": part["text"], "annotations": []}}
    if not isinstance(part, dict):
        raise Refusal(400, "content must be a string or a list of parts.", param="content")
    return part


def begin_thread(shelf: Shelf[Thread], body: Mapping[str, Any]) -> Thread:
    """A new thread with the messages it starts with."""
    described = {
        "id": new_id("thread_"),
        "object": "thread",
        "created_at": int(time.time()),
        "metadata": body.get("metadata") or {},
        "tool_resources": body.get("tool_resources") or {},
    }
    thread = Thread(described)
    for message in body.get("messages") or ():
        thread.add(message.get("role"), message.get("content"), metadata=message.get("metadata") or {})
    shelf.put(thread.id, thread)
    return thread


class ThreadsHandler(DemoHandler):
    async def get(self) -> None:
        await self.answer(page([thread.described for thread in self.settings["threads"]], self.get_query_argument))

    async def post(self) -> None:
        body = await self.read_json() if self.request.body else {}
        await self.answer(begin_thread(self.settings["threads"], body).described)


class ThreadHandler(DemoHandler):
    async def get(self, thread_id: str) -> None:
        await self.answer(self.settings["threads"].get(thread_id).described)

    async def post(self, thread_id: str) -> None:
        body = await self.read_json()
        thread: Thread = self.settings["threads"].get(thread_id)
        thread.described.update({name: body[name] for name in ("metadata", "tool_resources") if name in body})
        await self.answer(thread.described)

    async def delete(self, thread_id: str) -> None:
        self.settings["threads"].take(thread_id)
        await self.answer({"id": thread_id, "object": "thread.deleted", "deleted": True})


class ThreadMessagesHandler(DemoHandler):
    async def get(self, thread_id: str) -> None:
        thread: Thread = self.settings["threads"].get(thread_id)
        for run in thread.runs:
            run.settle(thread)
        run_id = self.get_query_argument("run_id", None)
        await self.answer(page([one for one in thread.messages if run_id in (None, one["run_id"])], self.get_query_argument))

    async def post(self, thread_id: str) -> None:
        body = await self.read_json("role", "content")
        more = {name: body[name] for name in ("attachments", "metadata") if body.get(name) is not None}
        await self.answer(self.settings["threads"].get(thread_id).add(body["role"], body["content"], **more))


class ThreadMessageHandler(DemoHandler):
    async def get(self, thread_id: str, message_id: str) -> None:
        await self.answer(self.settings["threads"].get(thread_id).messages.get(message_id))

    async def post(self, thread_id: str, message_id: str) -> None:
        body = await self.read_json()
        message = self.settings["threads"].get(thread_id).messages.get(message_id)
        message["metadata"] = body.get("metadata") or {}
        await self.answer(message)

    async def delete(self, thread_id: str, message_id: str) -> None:
        self.settings["threads"].get(thread_id).messages.take(message_id)
        await self.answer({"id": message_id, "object": "thread.message.deleted", "deleted": True})
