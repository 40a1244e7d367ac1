"""POST /v1/completions: the legacy text completion, for one prompt or several."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from monorelay.demo import misbehaviour
from monorelay.demo.chat import usage
from monorelay.demo.frames import DONE, Frame, data_frame, words
from monorelay.demo.handler import DemoHandler
from monorelay.demo.mind import Turn, answer, tokens
from monorelay.demo.refusal import Refusal
from monorelay.demo.shelf import new_id

_MOST_CHOICES = 64


class CompletionsHandler(DemoHandler):
    async def post(self) -> None:
        body = await self.read_json("model", "prompt")
        completion = complete(body)
        if not body.get("stream"):
            await self.answer(completion)
            return
        include_usage = bool((body.get("stream_options") or {}).get("include_usage"))
        await self.stream(chunks(completion, include_usage), data_frame(misbehaviour.failure().openai()))


def complete(body: Mapping[str, Any]) -> dict[str, Any]:
    """The text_completion for a request: ``n`` choices for each prompt. Raises Refusal."""
    prompts = read_prompts(body["prompt"], "prompt")
    count = body.get("n") or 1
    if not isinstance(count, int) or not 1 <= count * len(prompts) <= _MOST_CHOICES:
        raise Refusal(400, f"At most {_MOST_CHOICES} choices.", param="n")
    stops = body.get("stop") or ()
    stops = (stops,) if isinstance(stops, str) else stops
    choices: list[dict[str, Any]] = []
    spent = 0
    for prompt in prompts:
        reply = answer(Turn(body["model"], prompt, limit=body.get("max_tokens"), stops=stops))
        text = (prompt if body.get("echo") else "") + reply.text
        for _ in range(count):
            spent += reply.tokens
            finish = "length" if reply.ending == "length" else "stop"
            choices.append({"index": len(choices), "text": text, "logprobs": None, "finish_reason": finish})
    return {
        "id": new_id("cmpl-"),
        "object": "text_completion",
        "created": int(time.time()),
        "model": body["model"],
        "choices": choices,
        "usage": usage(tokens(*prompts), spent),
    }


def chunks(completion: Mapping[str, Any], include_usage: bool) -> list[Frame]:
    """The completion word by word, each piece in the shape of the whole."""
    frames: list[Frame] = []
    head = {name: completion[name] for name in ("id", "object", "created", "model")}
    if include_usage:
        head["usage"] = None
    for choice in completion["choices"]:
        for word in words(choice["text"]):
            piece = {**choice, "text": word, "finish_reason": None}
            frames.append(data_frame({**head, "choices": [piece]}, content=True))
        frames.append(data_frame({**head, "choices": [{**choice, "text": ""}]}))
    if include_usage:
        frames.append(data_frame({**head, "choices": [], "usage": completion["usage"]}))
    return [*frames, DONE]


def read_prompts(value: Any, name: str) -> list[str]:
    """A string, strings, token numbers, or lists of them, as texts. Raises Refusal 400."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, list) and value:
        if all(isinstance(item, int) for item in value):
            return [" ".join(map(str, value))]
        if all(isinstance(item, (str, list)) for item in value):
            return [item if isinstance(item, str) else " ".join(map(str, item)) for item in value]
    raise Refusal(400, f"{name} must be a string, or a list of strings or tokens, and not empty.", param=name)
