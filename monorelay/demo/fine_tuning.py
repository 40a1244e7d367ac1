"""/v1/fine_tuning/jobs: jobs that train nothing, but report as if they did: events, checkpoints, a model's name at the end."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from monorelay.demo.handler import DemoHandler
from monorelay.demo.refusal import Refusal
from monorelay.demo.shelf import new_id, page

_STEPS = 3
_OVER = ("succeeded", "failed", "cancelled")


@dataclass(slots=True)
class Job:
    """Mutable: ``described`` moves from status to status as it is looked at; ``events`` grows with it."""

    described: dict[str, Any]
    events: list[dict[str, Any]]
    ready_at: float

    def tell(self, message: str) -> None:
        event = {"id": new_id("ftevent-"), "object": "fine_tuning.job.event", "created_at": int(time.time())}
        self.events.append({**event, "level": "info", "message": message, "type": "message", "data": {}})


class JobsHandler(DemoHandler):
    async def get(self) -> None:
        await self.answer(page([settled(job) for job in self.settings["jobs"]], self.get_query_argument))

    async def post(self) -> None:
        body = await self.read_json("model", "training_file")
        self.settings["cabinet"].files.get(body["training_file"])
        job = _begin(body, time.monotonic() + self.pace.moment)
        self.settings["jobs"].put(job.described["id"], job)
        await self.answer(job.described)


class JobHandler(DemoHandler):
    async def get(self, job_id: str) -> None:
        await self.answer(settled(self.settings["jobs"].get(job_id)))


class JobCancelHandler(DemoHandler):
    async def post(self, job_id: str) -> None:
        job: Job = self.settings["jobs"].get(job_id)
        if job.described["status"] in _OVER:
            raise Refusal(400, f"The job is over: it has {job.described['status']}.", code="invalid_state")
        job.described.update(status="cancelled", finished_at=int(time.time()))
        job.tell("Fine-tuning job cancelled")
        await self.answer(job.described)


class JobEventsHandler(DemoHandler):
    async def get(self, job_id: str) -> None:
        job: Job = self.settings["jobs"].get(job_id)
        settled(job)
        await self.answer(page(job.events, self.get_query_argument))


class JobCheckpointsHandler(DemoHandler):
    async def get(self, job_id: str) -> None:
        described = settled(self.settings["jobs"].get(job_id))
        steps = range(1, _STEPS + 1) if described["status"] == "succeeded" else ()
        await self.answer(page([_checkpoint(described, step) for step in steps], self.get_query_argument))


def settled(job: Job) -> dict[str, Any]:
    """The job as it is by now."""
    described = job.described
    if described["status"] == "validating_files":
        described["status"] = "running"
        job.tell("Fine-tuning job started")
    if described["status"] == "running" and time.monotonic() >= job.ready_at:
        tuned = f"ft:{described['model']}:demo:{described['suffix'] or ''}:{described['id'][-8:]}"
        described.update(status="succeeded", finished_at=int(time.time()), fine_tuned_model=tuned, trained_tokens=1_000)
        job.tell(f"New fine-tuned model created: {tuned}")
    return described


def _begin(body: dict[str, Any], ready_at: float) -> Job:
    hyperparameters = {"n_epochs": _STEPS, "batch_size": 1, "learning_rate_multiplier": 1.0}
    described = {
        "id": new_id("ftjob-"),
        "object": "fine_tuning.job",
        "model": body["model"],
        "created_at": int(time.time()),
        "finished_at": None,
        "fine_tuned_model": None,
        "organization_id": "org-demo",
        "result_files": [],
        "status": "validating_files",
        "training_file": body["training_file"],
        "validation_file": body.get("validation_file"),
        "hyperparameters": hyperparameters,
        "trained_tokens": None,
        "error": None,
        "seed": body.get("seed") or 42,
        "suffix": body.get("suffix"),
        "integrations": [],
        "metadata": body.get("metadata"),
        "method": {"type": "supervised", "supervised": {"hyperparameters": hyperparameters}},
    }
    job = Job(described, [], ready_at)
    job.tell(f"Created fine-tuning job: {described['id']}")
    return job


def _checkpoint(described: dict[str, Any], step: int) -> dict[str, Any]:
    return {
        "id": f"ftckpt_{described['id']}_{step}",
        "object": "fine_tuning.job.checkpoint",
        "created_at": described["finished_at"],
        "fine_tuned_model_checkpoint": f"{described['fine_tuned_model']}:ckpt-step-{step}",
        "fine_tuning_job_id": described["id"],
        "metrics": {"step": step, "train_loss": round(1 / step, 3), "train_mean_token_accuracy": round(1 - 0.5 / step, 3)},
        "step_number": step,
    }
