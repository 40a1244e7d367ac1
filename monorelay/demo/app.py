"""The demo's route table, and its server."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application

import monorelay.demo
from monorelay.demo import (
    assistants,
    batches,
    chat,
    completions,
    embeddings,
    files,
    fine_tuning,
    images,
    messages,
    models,
    moderations,
    rerank,
    responses,
    runs_handlers,
    speech,
    threads,
    transcripts,
)
from monorelay.demo.handler import DemoHandler, Pace, UnknownPath
from monorelay.demo.shelf import Shelf

_MOST_BODY = 512 * 1024 * 1024


class WelcomeHandler(DemoHandler):
    """GET /: what this is, as the package's docstring tells it."""

    public = True

    async def get(self) -> None:
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(monorelay.demo.__doc__)

    async def head(self) -> None:
        self.set_header("Content-Type", "text/plain; charset=utf-8")


def make_app(pace: Pace | None = None) -> Application:
    """The application, with empty shelves of its own."""
    id_ = "([^/]+)"
    thread, run = f"/v1/threads/{id_}", f"/v1/threads/{id_}/runs/{id_}"
    routes: list[tuple[Any, ...]] = [
        ("/", WelcomeHandler),
        ("/v1/chat/completions", chat.ChatHandler),
        ("/v1/completions", completions.CompletionsHandler),
        ("/v1/responses", responses.ResponsesHandler),
        (f"/v1/responses/{id_}", responses.ResponseHandler),
        (f"/v1/responses/{id_}/cancel", responses.ResponseCancelHandler),
        (f"/v1/responses/{id_}/input_items", responses.ResponseInputItemsHandler),
        ("/v1/embeddings", embeddings.EmbeddingsHandler),
        ("/v1/moderations", moderations.ModerationsHandler),
        ("/v1/rerank", rerank.RerankHandler),
        ("/v1/credits", rerank.CreditsHandler),
        ("/v1/audio/speech", speech.SpeechHandler),
        ("/v1/audio/transcriptions", transcripts.TranscriptsHandler),
        ("/v1/audio/translations", transcripts.TranslationsHandler),
        ("/v1/images/generations", images.ImagesHandler),
        ("/v1/images/edits", images.EditsHandler),
        ("/v1/images/variations", images.VariationsHandler),
        (r"/demo-images/([0-9a-f]{6})-(\d+x\d+)\.png", images.PictureHandler),
        ("/v1/files", files.FilesHandler),
        (f"/v1/files/{id_}", files.FileHandler),
        (f"/v1/files/{id_}/content", files.FileContentHandler),
        ("/v1/fine_tuning/jobs", fine_tuning.JobsHandler),
        (f"/v1/fine_tuning/jobs/{id_}", fine_tuning.JobHandler),
        (f"/v1/fine_tuning/jobs/{id_}/cancel", fine_tuning.JobCancelHandler),
        (f"/v1/fine_tuning/jobs/{id_}/events", fine_tuning.JobEventsHandler),
        (f"/v1/fine_tuning/jobs/{id_}/checkpoints", fine_tuning.JobCheckpointsHandler),
        ("/v1/batches", batches.BatchesHandler),
        (f"/v1/batches/{id_}", batches.BatchHandler),
        (f"/v1/batches/{id_}/cancel", batches.BatchCancelHandler),
        ("/v1/assistants", assistants.AssistantsHandler),
        (f"/v1/assistants/{id_}", assistants.AssistantHandler),
        ("/v1/threads", threads.ThreadsHandler),
        ("/v1/threads/runs", runs_handlers.ThreadAndRunHandler),
        (thread, threads.ThreadHandler),
        (f"{thread}/messages", threads.ThreadMessagesHandler),
        (f"{thread}/messages/{id_}", threads.ThreadMessageHandler),
        (f"{thread}/runs", runs_handlers.RunsHandler),
        (run, runs_handlers.RunHandler),
        (f"{run}/cancel", runs_handlers.RunCancelHandler),
        (f"{run}/submit_tool_outputs", runs_handlers.RunOutputsHandler),
        (f"{run}/steps", runs_handlers.RunStepsHandler),
        (f"{run}/steps/{id_}", runs_handlers.RunStepHandler),
        ("/v1/models", models.ModelsHandler),
        ("/v1/models/(.+)", models.ModelsHandler),
        ("/v1/messages", messages.MessagesHandler),
        ("/v1/messages/count_tokens", messages.CountTokensHandler),
    ]
    return Application(
        routes,
        default_handler_class=UnknownPath,
        log_function=lambda handler: None,
        pace=pace or Pace(),
        responses=Shelf("response"),
        cabinet=files.Cabinet(),
        batches=Shelf("batch"),
        jobs=Shelf("fine-tuning job"),
        assistants=Shelf("assistant"),
        threads=Shelf("thread"),
    )


def listen(app: Application, port: int) -> tuple[HTTPServer, int]:
    """Serves on a loopback port of the running event loop (0 = any free one); gives the port."""
    sockets = bind_sockets(port, "127.0.0.1")
    server = HTTPServer(app, max_body_size=_MOST_BODY, max_buffer_size=_MOST_BODY)
    server.add_sockets(sockets)
    return server, int(sockets[0].getsockname()[1])


def serve(port: int, pace: Pace | None = None, until_eof: bool = False) -> None:
    """Serves until SIGTERM or SIGINT, or until standard input ends; says on one line of standard output where."""
    asyncio.run(_serve(port, pace, until_eof))


async def _serve(port: int, pace: Pace | None, until_eof: bool) -> None:
    over = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, over.set)
    server, port = listen(make_app(pace), port)
    print(f"demo upstream on http://127.0.0.1:{port}", flush=True)
    if until_eof:
        loop.add_reader(sys.stdin.fileno(), lambda: None if os.read(sys.stdin.fileno(), 4_096) else over.set())
    await over.wait()
    server.stop()
    await server.close_all_connections()
