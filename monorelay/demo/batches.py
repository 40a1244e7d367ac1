"""/v1/batches: every line of an uploaded JSONL file is really answered; the results are files, a moment later."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from monorelay.demo import chat, completions, embeddings, misbehaviour, moderations, responses
from monorelay.demo.files import Cabinet
from monorelay.demo.handler import DemoHandler
from monorelay.demo.refusal import Refusal
from monorelay.demo.shelf import new_id, page

ENDPOINTS: dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    "/v1/chat/completions": chat.complete,
    "/v1/completions": completions.complete,
    "/v1/responses": responses.complete,
    "/v1/embeddings": embeddings.complete,
    "/v1/moderations": moderations.complete,
}
_NEEDED = {
    "/v1/chat/completions": ("model", "messages"),
    "/v1/completions": ("model", "prompt"),
    "/v1/responses": ("model", "input"),
    "/v1/embeddings": ("model", "input"),
    "/v1/moderations": ("input",),
}


@dataclass(slots=True)
class Batch:
    """Mutable: ``described`` moves from status to status as it is looked at."""

    described: dict[str, Any]
    ready_at: float


class BatchesHandler(DemoHandler):
    async def get(self) -> None:
        described = [settled(batch, self.settings["cabinet"]) for batch in self.settings["batches"]]
        await self.answer(page(described, self.get_query_argument))

    async def post(self) -> None:
        body = await self.read_json("input_file_id", "endpoint", "completion_window")
        if body["endpoint"] not in ENDPOINTS:
            raise Refusal(400, f"endpoint must be one of {', '.join(ENDPOINTS)}.", param="endpoint")
        self.settings["cabinet"].files.get(body["input_file_id"])
        now = int(time.time())
        described = {
            "id": new_id("batch_"),
            "object": "batch",
            "endpoint": body["endpoint"],
            "errors": None,
            "input_file_id": body["input_file_id"],
            "completion_window": body["completion_window"],
            "status": "validating",
            "output_file_id": None,
            "error_file_id": None,
            "created_at": now,
            "in_progress_at": None,
            "expires_at": now + 86_400,
            "completed_at": None,
            "cancelled_at": None,
            "request_counts": {"total": 0, "completed": 0, "failed": 0},
            "metadata": body.get("metadata"),
        }
        self.settings["batches"].put(described["id"], Batch(described, time.monotonic() + self.pace.moment))
        await self.answer(described)


class BatchHandler(DemoHandler):
    async def get(self, batch_id: str) -> None:
        await self.answer(settled(self.settings["batches"].get(batch_id), self.settings["cabinet"]))


class BatchCancelHandler(DemoHandler):
    async def post(self, batch_id: str) -> None:
        described = self.settings["batches"].get(batch_id).described
        if described["status"] in ("completed", "failed"):
            raise Refusal(409, f"Cannot cancel a batch with status '{described['status']}'.")
        if described["status"] != "cancelled":
            now = int(time.time())
            described.update(status="cancelled", cancelling_at=now, cancelled_at=now)
        await self.answer(described)


def settled(batch: Batch, cabinet: Cabinet) -> dict[str, Any]:
    """The batch as it is by now."""
    described, now = batch.described, int(time.time())
    if described["status"] == "validating":
        described.update(status="in_progress", in_progress_at=now)
    if described["status"] == "in_progress" and time.monotonic() >= batch.ready_at:
        _carry_out(described, cabinet)
    return described


def _carry_out(described: dict[str, Any], cabinet: Cabinet) -> None:
    """Answers every line; good answers go to one file, failures to another."""
    file = cabinet.files.find(described["input_file_id"])
    if file is None:
        described.update(
            status="failed", errors={"object": "list", "data": [{"code": "not_found", "message": "The file is gone."}]}
        )
        return
    good: list[str] = []
    bad: list[str] = []
    for line in filter(None, map(bytes.strip, file.content.splitlines())):
        status, told = _answer_line(line, described["endpoint"])
        (good if status == 200 else bad).append(json.dumps(told, ensure_ascii=False))
    for field, lines in (("output_file_id", good), ("error_file_id", bad)):
        if lines:
            name = f"{described['id']}_{field.removesuffix('_file_id')}.jsonl"
            content = ("\n".join(lines) + "\n").encode("utf-8", "replace")
            described[field] = cabinet.add(name, "batch_output", content)["id"]
    counts = {"total": len(good) + len(bad), "completed": len(good), "failed": len(bad)}
    described.update(status="completed", completed_at=int(time.time()), request_counts=counts)


def _answer_line(line: bytes, endpoint: str) -> tuple[int, dict[str, Any]]:
    custom_id = None
    try:
        request = json.loads(line)
        custom_id, body = request["custom_id"], request["body"]
        missing = [name for name in _NEEDED[endpoint] if body.get(name) is None]
        if missing:
            raise Refusal(400, f"Missing required parameter: '{missing[0]}'.", param=missing[0])
        misbehaviour.refuse(body.get("model"))
        status, answer = 200, ENDPOINTS[endpoint](body)
    except Refusal as refusal:
        status, answer = refusal.status_code, refusal.openai()
    except (ValueError, TypeError, KeyError, AttributeError):
        status, answer = 400, Refusal(400, "The line is not a request: custom_id and body, in JSON.").openai()
    response = {"status_code": status, "request_id": new_id("req_"), "body": answer}
    return status, {"id": new_id("batch_req_"), "custom_id": custom_id, "response": response, "error": None}
