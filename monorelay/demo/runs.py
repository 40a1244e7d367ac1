"""Runs: an assistant answers a thread. A run is queued, and a moment later it has called tools or written a message.

Nothing runs in the background: a run is moved on whenever somebody looks at it. A streamed run does not wait for that.
``runs_stream.py`` unfolds what happened into events.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from monorelay.demo.chat import read_choice
from monorelay.demo.mind import Reply, Tool, Turn, answer, tokens
from monorelay.demo.refusal import Refusal
from monorelay.demo.shelf import new_id
from monorelay.demo.threads import Thread

_OVER = ("completed", "cancelled", "failed", "expired", "incomplete")


@dataclass(slots=True)
class Run:
    """Mutable: ``described`` and ``steps`` as the run moves on; ``results`` by submit."""

    described: dict[str, Any]
    choice: tuple[Any, str | None]
    ready_at: float
    steps: list[dict[str, Any]] = field(default_factory=list)
    results: tuple[tuple[str, str], ...] = ()

    @property
    def status(self) -> str:
        return str(self.described["status"])

    def settle(self, thread: Thread, at_once: bool = False) -> None:
        """Moves the run on, when its time has come."""
        if self.status != "queued" or not (at_once or time.monotonic() >= self.ready_at):
            return
        self.described["started_at"] = self.described["started_at"] or int(time.time())
        reply = answer(self._turn(thread))
        if reply.calls:
            self._require(reply)
        else:
            self._speak(thread, reply)

    def submit(self, outputs: Any, moment: float) -> None:
        """The client has run the tools. Raises Refusal 400."""
        if self.status != "requires_action":
            raise Refusal(400, f"Runs in status '{self.status}' do not accept tool outputs.")
        told = {output.get("tool_call_id"): str(output.get("output") or "") for output in outputs if isinstance(output, dict)}
        step = self.steps[-1]
        calls = step["step_details"]["tool_calls"]
        missing = [call["id"] for call in calls if call["id"] not in told]
        if missing:
            raise Refusal(400, f"Expected tool outputs for call_ids {missing}.", param="tool_outputs")
        for call in calls:
            call["function"]["output"] = told[call["id"]]
        self.results = tuple((call["function"]["name"], call["function"]["output"]) for call in calls)
        step.update(status="completed", completed_at=int(time.time()))
        self.described.update(status="queued", required_action=None)
        self.ready_at = time.monotonic() + moment

    def cancel(self) -> None:
        """Raises Refusal 400 when the run is over."""
        if self.status in _OVER:
            raise Refusal(400, f"Cannot cancel run with status '{self.status}'.")
        self.described.update(status="cancelled", required_action=None, cancelled_at=int(time.time()))
        for step in self.steps:
            if step["status"] == "in_progress":
                step.update(status="cancelled", cancelled_at=int(time.time()))

    def _turn(self, thread: Thread) -> Turn:
        users = [message for message in thread.messages if message["role"] == "user"]
        parts = users[-1]["content"] if users else []
        texts = [part["text"]["value"] for part in parts if part.get("type") == "text"]
        return Turn(
            model=self.described["model"],
            text=" ".join(texts),
            images=len(parts) - len(texts),
            results=self.results,
            tools=tuple(
                Tool(tool["function"]["name"], tool["function"].get("parameters") or {"type": "object"})
                for tool in self.described["tools"]
                if isinstance(tool, dict) and tool.get("type") == "function"
            ),
            choice=self.choice[0],
            forced=self.choice[1],
            parallel=bool(self.described["parallel_tool_calls"]),
        )

    def _require(self, reply: Reply) -> None:
        calls = [
            {"id": new_id("call_"), "type": "function", "function": {"name": call.name, "arguments": call.json}}
            for call in reply.calls
        ]
        shown = [{**call, "function": {**call["function"], "output": None}} for call in calls]  # type: ignore[dict-item]
        self._step("tool_calls", {"type": "tool_calls", "tool_calls": shown}, "in_progress")
        action = {"type": "submit_tool_outputs", "submit_tool_outputs": {"tool_calls": calls}}
        self.described.update(status="requires_action", required_action=action)

    def _speak(self, thread: Thread, reply: Reply) -> None:
        of = {"assistant_id": self.described["assistant_id"], "run_id": self.described["id"]}
        message = thread.add("assistant", reply.text, completed_at=int(time.time()), **of)
        details = {"type": "message_creation", "message_creation": {"message_id": message["id"]}}
        self._step("message_creation", details, "completed")
        spent = {"prompt_tokens": tokens(str(list(thread.messages))), "completion_tokens": reply.tokens}
        usage = {**spent, "total_tokens": sum(spent.values())}
        self.described.update(status="completed", completed_at=int(time.time()), usage=usage)

    def _step(self, kind: str, details: Mapping[str, Any], status: str) -> None:
        now = int(time.time())
        self.steps.append(
            {
                "id": new_id("step_"),
                "object": "thread.run.step",
                "created_at": now,
                "run_id": self.described["id"],
                "assistant_id": self.described["assistant_id"],
                "thread_id": self.described["thread_id"],
                "type": kind,
                "status": status,
                "completed_at": now if status == "completed" else None,
                "cancelled_at": None,
                "expired_at": None,
                "failed_at": None,
                "last_error": None,
                "step_details": details,
                "usage": None,
                "metadata": None,
            }
        )


def begin_run(thread: Thread, assistant: Mapping[str, Any], body: Mapping[str, Any], moment: float) -> Run:
    """A queued run; the request overrides what the assistant says."""

    def chosen(name: str, default: Any = None) -> Any:
        return body[name] if body.get(name) is not None else assistant.get(name, default)

    for message in body.get("additional_messages") or ():
        thread.add(message.get("role"), message.get("content"))
    instructions = " ".join(filter(None, (chosen("instructions"), body.get("additional_instructions"))))
    described = {
        "id": new_id("run_"),
        "object": "thread.run",
        "created_at": int(time.time()),
        "assistant_id": assistant["id"],
        "thread_id": thread.id,
        "status": "queued",
        "started_at": None,
        "expires_at": int(time.time()) + 600,
        "cancelled_at": None,
        "failed_at": None,
        "completed_at": None,
        "required_action": None,
        "last_error": None,
        "incomplete_details": None,
        "model": chosen("model"),
        "instructions": instructions,
        "tools": chosen("tools", []),
        "metadata": body.get("metadata") or {},
        "usage": None,
        "temperature": chosen("temperature"),
        "top_p": chosen("top_p"),
        "max_prompt_tokens": body.get("max_prompt_tokens"),
        "max_completion_tokens": body.get("max_completion_tokens"),
        "truncation_strategy": body.get("truncation_strategy") or {"type": "auto", "last_messages": None},
        "response_format": chosen("response_format", "auto"),
        "tool_choice": body.get("tool_choice") or "auto",
        "parallel_tool_calls": body.get("parallel_tool_calls") is not False,
    }
    run = Run(described, read_choice(body.get("tool_choice")), time.monotonic() + moment)
    thread.runs.put(described["id"], run)
    return run
