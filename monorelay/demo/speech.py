"""POST /v1/audio/speech: a real sound, one short tone for each word, sent in pieces.

The demo can make WAV and raw PCM. Whoever asks for mp3, opus, aac or flac gets WAV, and a Content-Type that says so.
"""

from __future__ import annotations

import base64
import math
import struct
from array import array

from tornado.iostream import StreamClosedError

from monorelay.demo import misbehaviour
from monorelay.demo.frames import Frame, event_frame
from monorelay.demo.handler import DemoHandler
from monorelay.demo.mind import tokens

RATE = 24_000  # samples per second, 16 bits, one channel: what pcm means to the SDKs
_TONE = 0.06  # seconds
_MOST_WORDS = 200
_NOTES = (262, 294, 330, 392, 440)
_PIECE = 4_096


class SpeechHandler(DemoHandler):
    async def post(self) -> None:
        body = await self.read_json("model", "input", "voice")
        text = str(body["input"])
        samples = speak(text)
        is_pcm = body.get("response_format") == "pcm"
        sound = samples if is_pcm else wav(samples)
        if body.get("stream_format") == "sse":
            failure = event_frame("error", {"type": "error", **misbehaviour.failure().openai()})
            await self.stream(_frames(sound, tokens(text)), failure)
            return
        self.set_header("Content-Type", "audio/pcm" if is_pcm else "audio/wav")
        if self.model in misbehaviour.NAMES:
            await self.send_whole(sound)
            return
        try:
            for start in range(0, len(sound), _PIECE):
                self.write(sound[start : start + _PIECE])
                await self.flush()
        except StreamClosedError:
            return


def speak(text: str) -> bytes:
    """Samples: a tone per word, its height by the word's length, with soft edges."""
    samples = array("h")
    length = int(RATE * _TONE)
    for word in text.split()[:_MOST_WORDS] or [text]:
        step = 2 * math.pi * _NOTES[len(word) % len(_NOTES)] / RATE
        samples.extend(int(8_000 * math.sin(step * i) * math.sin(math.pi * i / length)) for i in range(length))
    return struct.pack(f"<{len(samples)}h", *samples)


def wav(samples: bytes) -> bytes:
    """The samples with a header that says their length."""
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, RATE, RATE * 2, 2, 16)
    return b"RIFF" + struct.pack("<I", 36 + len(samples)) + b"WAVE" + form + struct.pack("<4sI", b"data", len(samples)) + samples


def _frames(sound: bytes, spent: int) -> list[Frame]:
    frames = []
    for start in range(0, len(sound), _PIECE):
        audio = base64.b64encode(sound[start : start + _PIECE]).decode()
        frames.append(event_frame("speech.audio.delta", {"type": "speech.audio.delta", "audio": audio}, content=True))
    usage = {"input_tokens": spent, "output_tokens": len(frames), "total_tokens": spent + len(frames)}
    return [*frames, event_frame("speech.audio.done", {"type": "speech.audio.done", "usage": usage})]
