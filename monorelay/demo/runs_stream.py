"""What a run did, unfolded into the events of a streamed run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any

from monorelay.demo.frames import Frame, event_frame, pieces, words
from monorelay.demo.runs import Run
from monorelay.demo.threads import Thread

FINISHED = Frame(b"event: done\ndata: [DONE]\n\n")


def events(run: Run, thread: Thread, begins: str) -> list[Frame]:
    """Moves the run on and tells it. ``begins`` is thread, run or tools: what the request started."""
    frames: list[Frame] = []
    if begins == "thread":
        frames.append(event_frame("thread.created", thread.described))
    queued = deepcopy(run.described)
    if begins != "tools":
        frames.append(event_frame("thread.run.created", queued))
    else:
        frames.append(event_frame("thread.run.step.completed", run.steps[-1]))
    frames.append(event_frame("thread.run.queued", queued))
    frames.append(event_frame("thread.run.in_progress", {**queued, "status": "in_progress"}))
    run.settle(thread, at_once=True)
    frames.extend(_step(run.steps[-1], thread))
    frames.append(event_frame(f"thread.run.{run.status}", run.described))
    return [*frames, FINISHED]


def _step(step: Mapping[str, Any], thread: Thread) -> Iterator[Frame]:
    is_message = step["type"] == "message_creation"
    details: dict[str, Any] = step["step_details"] if is_message else {"type": "tool_calls", "tool_calls": []}
    opened = {**step, "status": "in_progress", "completed_at": None, "step_details": details}
    yield event_frame("thread.run.step.created", opened)
    yield event_frame("thread.run.step.in_progress", opened)
    if is_message:
        yield from _message(thread.messages.get(details["message_creation"]["message_id"]))
        yield event_frame("thread.run.step.completed", step)
    else:
        yield from _calls(step)


def _message(message: Mapping[str, Any]) -> Iterator[Frame]:
    opened = {**message, "status": "in_progress", "completed_at": None, "content": []}
    yield event_frame("thread.message.created", opened)
    yield event_frame("thread.message.in_progress", opened)
    for number, word in enumerate(words(message["content"][0]["text"]["value"])):
        text = {"value": word, "annotations": []} if number == 0 else {"value": word}
        delta = {"content": [{"index": 0, "type": "text", "text": text}]}
        told = {"id": message["id"], "object": "thread.message.delta", "delta": delta}
        yield event_frame("thread.message.delta", told, content=True)
    yield event_frame("thread.message.completed", message)


def _calls(step: Mapping[str, Any]) -> Iterator[Frame]:
    for index, call in enumerate(step["step_details"]["tool_calls"]):
        opening = {**call, "function": {"name": call["function"]["name"], "arguments": "", "output": None}}
        yield _call_delta(step, {"index": index, **opening})
        for piece in pieces(call["function"]["arguments"]):
            yield _call_delta(step, {"index": index, "type": "function", "function": {"arguments": piece}})


def _call_delta(step: Mapping[str, Any], call: Mapping[str, Any]) -> Frame:
    delta = {"step_details": {"type": "tool_calls", "tool_calls": [call]}}
    told = {"id": step["id"], "object": "thread.run.step.delta", "delta": delta}
    return event_frame("thread.run.step.delta", told, content=True)
