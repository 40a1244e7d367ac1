"""POST /v1/audio/transcriptions and /v1/audio/translations: what the demo claims to have heard, in every format.

It hears nothing: its transcript names the file and its size, and continues the prompt when there is one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from monorelay.demo import misbehaviour
from monorelay.demo.frames import Frame, data_frame, words
from monorelay.demo.handler import DemoHandler
from monorelay.demo.mind import tokens
from monorelay.demo.refusal import Refusal
from monorelay.demo.speech import RATE

_WORD = 0.25  # seconds


@dataclass(frozen=True, slots=True)
class Heard:
    """``segments`` are sentences."""

    segments: Sequence[str]
    language: str
    seconds: float

    @property
    def text(self) -> str:
        return " ".join(self.segments)


class TranscriptsHandler(DemoHandler):
    """Only transcriptions stream."""

    task: Literal["transcribe", "translate"] = "transcribe"

    async def post(self) -> None:
        await self.misbehave(self.form("model"))
        if not self.model:
            raise Refusal(400, "Missing required parameter: 'model'.", code="missing_required_parameter", param="model")
        ((name, content), *_) = self.uploads("file")
        heard = _listen(name, content, self.form("prompt"), self.form("language") if self.task == "transcribe" else "en")
        form = self.form("response_format") or "json"
        if form not in _FORMATS:
            raise Refusal(400, f"response_format must be one of {', '.join(_FORMATS)}.", param="response_format")
        if self.task == "transcribe" and self.form("stream") == "true":
            await self.stream(_frames(heard), data_frame(misbehaviour.failure().openai()))
        elif form == "json":
            usage = {"type": "duration", "seconds": heard.seconds}
            await self.answer({"text": heard.text, **({"usage": usage} if self.task == "transcribe" else {})})
        elif form == "verbose_json":
            wants_words = b"word" in self.request.body_arguments.get("timestamp_granularities[]", ())
            await self.answer(_verbose(heard, self.task, wants_words))
        else:
            self.set_header("Content-Type", "text/plain; charset=utf-8")
            await self.send_whole(_FORMATS[form](heard).encode())


class TranslationsHandler(TranscriptsHandler):
    task = "translate"


def _listen(name: str, content: bytes, prompt: str | None, language: str | None) -> Heard:
    segments = [f"This is what the demo heard in {name}.", f"It is {len(content)} bytes long."]
    if prompt:
        segments.append(f"The prompt was: {prompt}")
    seconds = round(max(len(content) - 44, 0) / (2 * RATE), 3)
    return Heard(segments, language or "english", seconds)


def _spans(texts: Sequence[str]) -> list[tuple[float, float, str]]:
    """Start and end in seconds for each text."""
    spans, start = [], 0.0
    for text in texts:
        end = start + _WORD * len(text.split())
        spans.append((round(start, 3), round(end, 3), text))
        start = end
    return spans


def _verbose(heard: Heard, task: str, wants_words: bool) -> dict[str, Any]:
    segments = [
        {
            "id": number,
            "seek": 0,
            "start": start,
            "end": end,
            "text": text,
            "tokens": [len(word) for word in text.split()],
            "temperature": 0.0,
            "avg_logprob": -0.1,
            "compression_ratio": 1.0,
            "no_speech_prob": 0.01,
        }
        for number, (start, end, text) in enumerate(_spans(heard.segments))
    ]
    told: dict[str, Any] = {"task": task, "language": heard.language, "duration": heard.seconds, "text": heard.text}
    told["segments"] = segments
    if wants_words:
        told["words"] = [{"word": word, "start": start, "end": end} for start, end, word in _spans(heard.text.split())]
    return told


def _srt(heard: Heard) -> str:
    blocks = enumerate(_spans(heard.segments), start=1)
    return "".join(f"{n}\n{_clock(start, ',')} --> {_clock(end, ',')}\n{text}\n\n" for n, (start, end, text) in blocks)


def _vtt(heard: Heard) -> str:
    cues = (f"{_clock(start, '.')} --> {_clock(end, '.')}\n{text}\n\n" for start, end, text in _spans(heard.segments))
    return "WEBVTT\n\n" + "".join(cues)


def _clock(seconds: float, point: str) -> str:
    milliseconds = round(seconds * 1000)
    minutes, milliseconds = divmod(milliseconds, 60_000)
    whole, milliseconds = divmod(milliseconds, 1_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{whole:02}{point}{milliseconds:03}"


_FORMATS: dict[str, Callable[[Heard], str]] = {
    "json": lambda heard: heard.text,
    "verbose_json": lambda heard: heard.text,
    "text": lambda heard: heard.text + "\n",
    "srt": _srt,
    "vtt": _vtt,
}


def _frames(heard: Heard) -> list[Frame]:
    frames = [data_frame({"type": "transcript.text.delta", "delta": word}, content=True) for word in words(heard.text)]
    spent = tokens(heard.text)
    usage = {"type": "tokens", "input_tokens": 10, "output_tokens": spent, "total_tokens": 10 + spent}
    return [*frames, data_frame({"type": "transcript.text.done", "text": heard.text, "usage": usage})]
