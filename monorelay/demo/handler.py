"""What every handler of the demo does alike: credentials, bodies, errors in the right dialect, streams, misbehaviour.

A family's handler reads its request, makes the finished answer by a pure function, and hands it over: ``answer`` sends JSON,
``stream`` sends the frames that the answer unfolds into, at the pace of a talking model.
"""

from __future__ import annotations

import asyncio
import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tornado.iostream import StreamClosedError
from tornado.web import Finish, HTTPError, RequestHandler

from monorelay.demo import misbehaviour
from monorelay.demo.frames import Frame
from monorelay.demo.refusal import Refusal
from monorelay.demo.shelf import new_id

_LONGEST_STREAM = 4.0  # seconds; a longer text is spoken faster
_BEFORE_BREAKING = 3  # content frames


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds: between two words of a stream, until a batch or a run is done, and before demo-slow answers."""

    word: float = 0.02
    moment: float = 1.0
    slow: float = 3.0


class DemoHandler(RequestHandler):
    """``dialect`` decides which credential is asked for and how errors are spelled."""

    dialect: Literal["openai", "anthropic"] = "openai"
    public = False

    # Mutable, per request: model (set by misbehave), gone (set when the client left).

    def initialize(self) -> None:
        self.model: str | None = None
        self.gone = asyncio.Event()

    @property
    def pace(self) -> Pace:
        pace: Pace = self.settings["pace"]
        return pace

    def set_default_headers(self) -> None:
        self.request_id = new_id("req_")
        self.set_header("Server", "monorelay-demo")
        self.set_header("Content-Type", "application/json")
        if self.dialect == "anthropic":
            self.set_header("request-id", self.request_id)
            self.set_header("anthropic-ratelimit-requests-remaining", "999")
        else:
            self.set_header("x-request-id", self.request_id)
            self.set_header("x-ratelimit-remaining-requests", "999")
            self.set_header("openai-processing-ms", "1")

    def prepare(self) -> None:
        # Small frames in quick succession would wait for the client's delayed acknowledgements.
        connection: Any = self.request.connection
        connection.stream.set_nodelay(True)
        if not self.public and not self._has_credential():
            raise Refusal(401, "No credential: send any non-empty key.", code="invalid_api_key")

    def _has_credential(self) -> bool:
        scheme, _, token = self.request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer" and token.strip():
            return True
        return self.dialect == "anthropic" and bool(self.request.headers.get("x-api-key", "").strip())

    def on_connection_close(self) -> None:
        self.gone.set()

    # Requests

    async def read_json(self, *required: str) -> dict[str, Any]:
        """The body, which has the required fields; misbehaves where its model asks for it. Raises Refusal 400."""
        try:
            body = json.loads(self.request.body)
        except (ValueError, RecursionError):
            raise Refusal(400, "The body is not JSON.") from None
        if not isinstance(body, dict):
            raise Refusal(400, "The body is not a JSON object.")
        for name in required:
            if body.get(name) is None:
                raise Refusal(400, f"Missing required parameter: '{name}'.", code="missing_required_parameter", param=name)
        if not isinstance(body.get("model", ""), (str, type(None))):
            raise Refusal(400, "The model is not a string.", code="invalid_type", param="model")
        await self.misbehave(body.get("model"))
        return body

    def form(self, name: str, default: str | None = None) -> str | None:
        """A field of a multipart body."""
        values = self.request.body_arguments.get(name)
        return values[-1].decode("utf-8", "replace") if values else default

    def uploads(self, *names: str) -> list[tuple[str, bytes]]:
        """The files of a multipart body as (file name, content), by whichever of the names was used. Raises Refusal 400."""
        found = [(file.filename, file.body) for name in names for file in self.request.files.get(name, ())]
        if not found:
            raise Refusal(400, f"Missing required parameter: '{names[0]}'.", code="missing_required_parameter", param=names[0])
        return found

    async def misbehave(self, model: str | None) -> None:
        """Does at once what goes wrong before an answer; ``answer`` and ``stream`` see to the rest."""
        self.model = model
        misbehaviour.refuse(model)
        if model == misbehaviour.HTML:
            self.set_status(502)
            self.set_header("Content-Type", "text/html")
            raise Finish(misbehaviour.PAGE)
        if model == misbehaviour.REDIRECT:
            self.set_status(302)
            self.set_header("Location", misbehaviour.ELSEWHERE + self.request.path)
            raise Finish()
        if model == misbehaviour.SLOW:
            await asyncio.sleep(self.pace.slow)

    # Answers

    async def answer(self, payload: Any, status: int = 200) -> None:
        """Sends JSON, or what the model's misbehaviour makes of it."""
        self.set_status(status)
        await self.send_whole(json.dumps(payload, ensure_ascii=False).encode("utf-8", "replace"))

    async def send_whole(self, raw: bytes) -> None:
        """Sends a whole body; its Content-Type is set already."""
        if self.model == misbehaviour.ERROR:
            raise Refusal(500, "The demo upstream failed on purpose.")
        if self.model == misbehaviour.GZIP:
            self.set_header("Content-Encoding", "gzip")
            packer = zlib.compressobj(wbits=31)
            raw = packer.compress(raw) + packer.flush()
        self.set_header("Content-Length", str(len(raw)))
        if self.model not in (misbehaviour.CUT, misbehaviour.STALL):
            self.write(raw)
            return
        self.write(raw[: len(raw) // 2])
        await self._break_off()

    async def stream(self, frames: Sequence[Frame], failure: Frame) -> None:
        """Sends frames one by one; ``failure`` is the dialect's error event, for the models that need one."""
        self.set_header("Content-Type", "text/event-stream; charset=utf-8")
        self.set_header("Cache-Control", "no-cache")
        packer = zlib.compressobj(wbits=31) if self.model == misbehaviour.GZIP else None
        if packer is not None:
            self.set_header("Content-Encoding", "gzip")
        try:
            for frame in self._spoiled(frames, failure):
                raw = frame.raw
                if packer is not None:
                    raw = packer.compress(raw) + packer.flush(zlib.Z_SYNC_FLUSH)
                self.write(raw)
                await self.flush()
                if frame.content and self.pace.word:
                    await asyncio.sleep(min(self.pace.word, _LONGEST_STREAM / len(frames)))
            if packer is not None:
                self.write(packer.flush())
        except StreamClosedError:
            return
        if self.model in (misbehaviour.CUT, misbehaviour.STALL):
            await self._break_off()

    def _spoiled(self, frames: Sequence[Frame], failure: Frame) -> list[Frame]:
        """The frames that are really sent."""
        contents = [position for position, frame in enumerate(frames) if frame.content]
        if self.model == misbehaviour.ERROR:
            return [*frames[: contents[0]], failure]
        if self.model not in misbehaviour.BREAKING_OFF:
            return list(frames)
        last = contents[min(_BEFORE_BREAKING, len(contents) - 1)]
        if self.model == misbehaviour.LATE_ERROR:
            return [*frames[:last], failure]
        half = Frame(frames[last].raw[: len(frames[last].raw) // 2])
        return [*frames[:last], half] if self.model == misbehaviour.CUT else list(frames[:last])

    async def _break_off(self) -> None:
        """The connection is cut, or stays open and silent until the client leaves."""
        try:
            await self.flush()
        except StreamClosedError:
            return
        if self.model == misbehaviour.CUT:
            self.detach().close()
        else:
            await self.gone.wait()

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        error = kwargs.get("exc_info", (None, None, None))[1]
        if not isinstance(error, Refusal):
            allowed = ", ".join(method for method in self.SUPPORTED_METHODS if method.lower() in vars(type(self)))
            message = f"Not allowed here; allowed: {allowed}." if status_code == 405 else "The demo upstream has a fault."
            error = Refusal(status_code if isinstance(error, HTTPError) else 500, message)
        for name, value in error.headers.items():
            self.set_header(name, value)
        self.finish(error.anthropic(self.request_id) if self.dialect == "anthropic" else error.openai())


class UnknownPath(DemoHandler):
    """Everything that no route takes."""

    public = True

    def prepare(self) -> None:
        if "anthropic-version" in self.request.headers:
            self.dialect = "anthropic"
        raise Refusal(404, f"Unknown path: {self.request.method} {self.request.path}.", code="unknown_url")
