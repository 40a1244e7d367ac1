"""/v1/files: upload, list, retrieve, content, delete. Contents come back byte for byte; all of them together stay under 512 MiB."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from monorelay.demo.handler import DemoHandler
from monorelay.demo.refusal import Refusal
from monorelay.demo.shelf import Shelf, new_id, page

_MOST_BYTES = 512 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class File:
    described: dict[str, Any]
    content: bytes


class Cabinet:
    """The files, oldest first; when their contents outgrow the limit the oldest are lost."""

    def __init__(self) -> None:
        self.files: Shelf[File] = Shelf("file")

    def add(self, name: str, purpose: str, content: bytes) -> dict[str, Any]:
        described: dict[str, Any] = {
            "id": new_id("file-"),
            "object": "file",
            "bytes": len(content),
            "created_at": int(time.time()),
            "filename": name,
            "purpose": purpose,
            "status": "processed",
        }
        held = sum(len(file.content) for file in self.files) + len(content)
        for file in list(self.files):
            if held <= _MOST_BYTES:
                break
            held -= len(self.files.take(file.described["id"]).content)
        self.files.put(described["id"], File(described, content))
        return described


class FilesHandler(DemoHandler):
    async def get(self) -> None:
        purpose = self.get_query_argument("purpose", None)
        described = [file.described for file in self.settings["cabinet"].files]
        await self.answer(page([one for one in described if purpose in (None, one["purpose"])], self.get_query_argument))

    async def post(self) -> None:
        ((name, content), *_) = self.uploads("file")
        purpose = self.form("purpose")
        if not purpose:
            raise Refusal(400, "Missing required parameter: 'purpose'.", code="missing_required_parameter", param="purpose")
        await self.answer(self.settings["cabinet"].add(name, purpose, content))


class FileHandler(DemoHandler):
    async def get(self, file_id: str) -> None:
        await self.answer(self.settings["cabinet"].files.get(file_id).described)

    async def delete(self, file_id: str) -> None:
        self.settings["cabinet"].files.take(file_id)
        await self.answer({"id": file_id, "object": "file", "deleted": True})


class FileContentHandler(DemoHandler):
    async def get(self, file_id: str) -> None:
        file: File = self.settings["cabinet"].files.get(file_id)
        self.set_header("Content-Type", "application/octet-stream")
        self.set_header("Content-Disposition", "attachment")
        await self.send_whole(file.content)
