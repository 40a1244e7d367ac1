"""/v1/threads/{id}/runs, their steps, their tool outputs, and POST /v1/threads/runs."""

from __future__ import annotations

from monorelay.demo import misbehaviour
from monorelay.demo.frames import event_frame
from monorelay.demo.handler import DemoHandler
from monorelay.demo.refusal import Refusal
from monorelay.demo.runs import Run, begin_run
from monorelay.demo.runs_stream import events
from monorelay.demo.shelf import page
from monorelay.demo.threads import Thread, begin_thread


class RunHandlerBase(DemoHandler):
    def find(self, thread_id: str, run_id: str) -> tuple[Thread, Run]:
        """The thread and its run, moved on. Raises Refusal 404."""
        thread: Thread = self.settings["threads"].get(thread_id)
        run: Run = thread.runs.get(run_id)
        run.settle(thread)
        return thread, run

    async def tell(self, run: Run, thread: Thread, begins: str) -> None:
        await self.misbehave(run.described["model"])
        await self.stream(events(run, thread, begins), event_frame("error", misbehaviour.failure().openai()))


class RunsHandler(RunHandlerBase):
    async def get(self, thread_id: str) -> None:
        thread: Thread = self.settings["threads"].get(thread_id)
        for run in thread.runs:
            run.settle(thread)
        await self.answer(page([run.described for run in thread.runs], self.get_query_argument))

    async def post(self, thread_id: str) -> None:
        body = await self.read_json("assistant_id")
        thread: Thread = self.settings["threads"].get(thread_id)
        run = begin_run(thread, self.settings["assistants"].get(body["assistant_id"]), body, self.pace.moment)
        if body.get("stream"):
            await self.tell(run, thread, "run")
        else:
            await self.answer(run.described)


class ThreadAndRunHandler(RunHandlerBase):
    async def post(self) -> None:
        body = await self.read_json("assistant_id")
        assistant = self.settings["assistants"].get(body["assistant_id"])
        thread = begin_thread(self.settings["threads"], body.get("thread") or {})
        run = begin_run(thread, assistant, body, self.pace.moment)
        if body.get("stream"):
            await self.tell(run, thread, "thread")
        else:
            await self.answer(run.described)


class RunHandler(RunHandlerBase):
    async def get(self, thread_id: str, run_id: str) -> None:
        await self.answer(self.find(thread_id, run_id)[1].described)

    async def post(self, thread_id: str, run_id: str) -> None:
        body = await self.read_json()
        _, run = self.find(thread_id, run_id)
        run.described.update({name: body[name] for name in ("metadata",) if name in body})
        await self.answer(run.described)


class RunCancelHandler(RunHandlerBase):
    async def post(self, thread_id: str, run_id: str) -> None:
        run = self.settings["threads"].get(thread_id).runs.get(run_id)
        run.cancel()
        await self.answer(run.described)


class RunOutputsHandler(RunHandlerBase):
    async def post(self, thread_id: str, run_id: str) -> None:
        body = await self.read_json("tool_outputs")
        thread, run = self.find(thread_id, run_id)
        run.submit(body["tool_outputs"], self.pace.moment)
        if body.get("stream"):
            await self.tell(run, thread, "tools")
        else:
            await self.answer(run.described)


class RunStepsHandler(RunHandlerBase):
    async def get(self, thread_id: str, run_id: str) -> None:
        await self.answer(page(self.find(thread_id, run_id)[1].steps, self.get_query_argument))


class RunStepHandler(RunHandlerBase):
    async def get(self, thread_id: str, run_id: str, step_id: str) -> None:
        _, run = self.find(thread_id, run_id)
        found = [step for step in run.steps if step["id"] == step_id]
        if not found:
            raise Refusal(404, f"No run step found with id '{step_id}'.", code="not_found")
        await self.answer(found[0])
