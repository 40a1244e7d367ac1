"""openai.completions for translators: its prompt read, its answers and chunks written.

The dialect is older than conversations. One prompt becomes the user's words; ``echo`` is done here, since the upstream never sees
it. What asks for another thing than an answer to a text is refused: several prompts or tokens, a text to be filled in before a
``suffix``, and the probabilities of the prompt's own tokens (``echo`` with ``logprobs``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from monorelay.dialects.envelopes import as_json
from monorelay.dialects.interface import Untranslatable

DONE_EVENT = b"data: [DONE]\n\n"
_encode = json.JSONEncoder(ensure_ascii=False).encode


def read_prompt(body: Mapping[str, Any]) -> str:
    """The one prompt of a request. Raises Untranslatable."""
    prompt = body.get("prompt")
    if isinstance(prompt, list) and len(prompt) == 1 and isinstance(prompt[0], str):
        prompt = prompt[0]
    if isinstance(prompt, list) and prompt:
        if all(isinstance(each, str) for each in prompt):
            raise Untranslatable("prompt", "Several prompts cannot be sent to a chat model at once: send one request for each.")
        raise Untranslatable("prompt", "A prompt of tokens cannot be sent to a chat model: send it as text.")
    if not isinstance(prompt, str) or not prompt.strip():
        raise Untranslatable("prompt", "A chat model needs a prompt with text in it.")
    if body.get("suffix"):
        raise Untranslatable("suffix", "A chat model cannot fill in the text before a suffix.")
    if body.get("echo") and body.get("logprobs") is not None:
        raise Untranslatable("echo", "A chat model does not tell the probabilities of the prompt's own tokens.")
    return prompt


def asks_for_usage(body: Mapping[str, Any]) -> bool:
    options = body.get("stream_options")
    return isinstance(options, dict) and options.get("include_usage") is True


def chooses_best(body: Mapping[str, Any]) -> bool:
    """Whether more are to be generated than returned."""
    best_of, n = body.get("best_of"), body.get("n")
    return isinstance(best_of, int) and best_of > (n if isinstance(n, int) else 1)


def completion_id(given: object) -> str | None:
    """The upstream's id with this dialect's prefix; None when there is none."""
    if not isinstance(given, str) or not given:
        return None
    return given if given.startswith("cmpl-") else f"cmpl-{given}"


def choice(index: object, text: str, finish_reason: str | None, logprobs: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """One choice, of an answer or of a chunk."""
    return {"text": text, "index": index, "logprobs": logprobs, "finish_reason": finish_reason}


def completion(start: Mapping[str, Any], choices: list[dict[str, Any]], usage: object) -> bytes:
    """A whole answer. ``start`` holds the fields before the choices: see ``opening``."""
    told = {} if usage is None else {"usage": usage}
    return as_json({**start, "choices": choices, **told})


def opening(own_id: str, created: int, model: str) -> dict[str, Any]:
    """The fields that an answer and every chunk begin with."""
    return {"id": own_id, "object": "text_completion", "created": created, "model": model}


class Chunks:
    """Writes the chunks of one stream, which all begin alike."""

    __slots__ = ("_head",)

    def __init__(self, start: Mapping[str, Any]) -> None:
        self._head = b"data: " + as_json(start)[:-1] + b',"choices":['

    def text(self, text: str) -> bytes:
        """The next piece of the only choice."""
        piece = _encode(text).encode("utf-8", "backslashreplace")
        return self._head + b'{"text":' + piece + b',"index":0,"logprobs":null,"finish_reason":null}]}\n\n'

    def choices(self, choices: list[dict[str, Any]]) -> bytes:
        return self._head + as_json(choices)[1:] + b"}\n\n"

    def usage(self, usage: object) -> bytes:
        return self._head + b'],"usage":' + as_json(usage) + b"}\n\n"
