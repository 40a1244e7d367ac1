"""Every endpoint once or more, called by the official SDKs: a table that runs against any base URL.

Each function takes ``Clients`` and asserts what a user of the SDK would rely on. Answers are validated strictly against the
SDK's own typed models, which the SDKs themselves do not do. Nothing here knows pytest, or whether a relay lies in between.
"""

from __future__ import annotations

import base64
import io
import json
import math
import struct
import time
import warnings
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import anthropic
import openai

MODEL, EMBED, AUDIO, IMAGE, MODERATION, RERANK = "demo", "demo-embed", "demo-audio", "demo-image", "demo-moderation", "demo-rerank"
CLAUDE = "demo-claude"

WEATHER = {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}, "required": ["city", "days"]}
CHAT_TOOL = {"type": "function", "function": {"name": "get_weather", "parameters": WEATHER}}
RESPONSES_TOOL = {"type": "function", "name": "get_weather", "parameters": WEATHER, "strict": False}
CLAUDE_TOOL = {"name": "get_weather", "description": "Weather.", "input_schema": WEATHER}
PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}, "mood": {"enum": ["good", "bad"]}},
    "required": ["name", "age", "mood"],
    "additionalProperties": False,
}


@dataclass(frozen=True)
class Clients:
    """``openai`` has a base URL that ends in /v1, ``anthropic`` one that does not."""

    openai: openai.OpenAI
    anthropic: anthropic.Anthropic

    def close(self) -> None:
        self.openai.close()
        self.anthropic.close()


def connect(origin: str, key: str) -> Clients:
    """Clients of one server (http://host:port), without retries, so that what is sent is what was asked for."""
    return Clients(
        openai.OpenAI(base_url=f"{origin}/v1", api_key=key, max_retries=0, timeout=30),
        anthropic.Anthropic(base_url=origin, api_key=key, max_retries=0, timeout=30),
    )


@dataclass(frozen=True)
class Call:
    """``needs`` is the capability of the route it goes by."""

    name: str
    needs: str
    run: Callable[[Clients], None]

    def __call__(self, clients: Clients) -> None:
        with warnings.catch_warnings():
            # Assistants, translations and variations are marked deprecated in the SDK, and still served.
            warnings.simplefilter("ignore", DeprecationWarning)
            self.run(clients)


CALLS: list[Call] = []
RELAY_CALLS: list[Call] = []  # paths that only the relay has


def call(needs: str, table: list[Call] = CALLS) -> Callable[[Callable[[Clients], None]], Callable[[Clients], None]]:
    """Puts a function in the table, under its own name."""

    def add(function: Callable[[Clients], None]) -> Callable[[Clients], None]:
        table.append(Call(function.__name__, needs, function))
        return function

    return add


def whole(model: Any) -> Any:
    """The model itself, once its JSON is proven to satisfy its type."""
    type(model).model_validate(model.to_dict(mode="json"))
    return model


def wholes(models: Iterable[Any]) -> list[Any]:
    return [whole(model) for model in models]


def patiently(ask: Callable[[], Any], is_done: Callable[[Any], bool]) -> Any:
    """Asks again until it is done; the demo's moments are short."""
    deadline = time.monotonic() + 15
    while True:
        answer = ask()
        if is_done(answer):
            return answer
        assert time.monotonic() < deadline, f"still not done: {answer}"
        time.sleep(0.02)


def user(text: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": text}]


def png() -> bytes:
    """A picture of one black pixel."""

    def part(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + part(b"IHDR", header) + part(b"IDAT", zlib.compress(b"\0\0")) + part(b"IEND", b"")


# Chat


@call("openai.chat")
def chat(clients: Clients) -> None:
    completion = whole(clients.openai.chat.completions.create(model=MODEL, messages=user("good morning")))
    assert completion.choices[0].message.content == "You said: good morning"
    assert completion.choices[0].finish_reason == "stop" and completion.model == MODEL
    assert completion.usage.total_tokens == completion.usage.prompt_tokens + completion.usage.completion_tokens > 0


@call("openai.chat")
def chat_stream(clients: Clients) -> None:
    options = {"include_usage": True}
    messages = user("good morning to you")
    chunks = wholes(clients.openai.chat.completions.create(model=MODEL, messages=messages, stream=True, stream_options=options))
    assert chunks[0].choices[0].delta.role == "assistant"
    texts = [choice.delta.content for chunk in chunks for choice in chunk.choices if choice.delta.content]
    assert "".join(texts) == "You said: good morning to you" and len(texts) == 6
    assert [choice.finish_reason for chunk in chunks for choice in chunk.choices][-1] == "stop"
    assert chunks[-1].choices == [] and chunks[-1].usage.total_tokens > 0


@call("openai.chat")
def chat_tool_loop(clients: Clients) -> None:
    messages = user("How is the weather in Paris?")
    first = whole(clients.openai.chat.completions.create(model=MODEL, messages=messages, tools=[CHAT_TOOL]))
    message = first.choices[0].message
    assert first.choices[0].finish_reason == "tool_calls"
    (tool_call,) = message.tool_calls
    assert tool_call.function.name == "get_weather" and json.loads(tool_call.function.arguments) == {"city": "Paris", "days": 1}
    messages += [message.to_dict(), {"role": "tool", "tool_call_id": tool_call.id, "content": "rain"}]
    second = whole(clients.openai.chat.completions.create(model=MODEL, messages=messages, tools=[CHAT_TOOL]))
    assert second.choices[0].message.content == "The tool get_weather answered: rain"


@call("openai.chat")
def chat_tool_stream(clients: Clients) -> None:
    messages = user("weather?")
    with clients.openai.chat.completions.stream(model=MODEL, messages=messages, tools=[CHAT_TOOL]) as stream:
        completion = whole(stream.get_final_completion())
    (tool_call,) = completion.choices[0].message.tool_calls
    assert json.loads(tool_call.function.arguments) == {"city": "Paris", "days": 1}


@call("openai.chat")
def chat_json_schema(clients: Clients) -> None:
    response_format = {"type": "json_schema", "json_schema": {"name": "person", "strict": True, "schema": PERSON}}
    completion = clients.openai.chat.completions.create(model=MODEL, messages=user("x"), response_format=response_format)
    assert json.loads(whole(completion).choices[0].message.content) == {"name": "Ada", "age": 1, "mood": "good"}
    anything = {"type": "json_object"}
    completion = clients.openai.chat.completions.create(model=MODEL, messages=user("x"), response_format=anything)
    assert isinstance(json.loads(completion.choices[0].message.content), dict)


@call("openai.chat")
def chat_image_and_n(clients: Clients) -> None:
    url = "data:image/png;base64," + base64.b64encode(png()).decode()
    content = [{"type": "text", "text": "look"}, {"type": "image_url", "image_url": {"url": url}}]
    completion = clients.openai.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": content}], n=2)
    assert [choice.message.content for choice in whole(completion).choices] == ["You said: look And you showed 1 image."] * 2


@call("openai.completions")
def completions(clients: Clients) -> None:
    completion = whole(clients.openai.completions.create(model=MODEL, prompt=["one", "two"], max_tokens=16))
    assert [choice.text for choice in completion.choices] == ["You said: one", "You said: two"]


@call("openai.completions")
def completions_stream(clients: Clients) -> None:
    # Not strictly whole: pieces have no finish_reason yet, which the SDK's type does not allow for and the vendor does.
    pieces = list(clients.openai.completions.create(model=MODEL, prompt="one two", stream=True))
    assert "".join(piece.choices[0].text for piece in pieces) == "You said: one two"
    assert pieces[-1].choices[0].finish_reason == "stop"


# Responses


@call("openai.responses")
def responses(clients: Clients) -> None:
    first = whole(clients.openai.responses.create(model=MODEL, input="good morning"))
    assert first.output_text == "You said: good morning" and first.status == "completed"
    second = whole(clients.openai.responses.create(model=MODEL, input="and again", previous_response_id=first.id))
    assert second.previous_response_id == first.id and second.usage.input_tokens > first.usage.input_tokens
    items = wholes(clients.openai.responses.input_items.list(second.id, order="asc"))
    assert [item.type for item in items] == ["message", "message", "message"]
    assert whole(clients.openai.responses.retrieve(first.id)).output_text == first.output_text
    clients.openai.responses.delete(first.id)
    _is_gone(lambda: clients.openai.responses.retrieve(first.id))


@call("openai.responses")
def responses_background(clients: Clients) -> None:
    response = whole(clients.openai.responses.create(model=MODEL, input="later", background=True))
    assert response.status == "queued" and response.output == []
    done = patiently(lambda: clients.openai.responses.retrieve(response.id), lambda answer: answer.status == "completed")
    assert whole(done).output_text == "You said: later"
    assert whole(clients.openai.responses.cancel(response.id)).id == response.id


@call("openai.responses")
def responses_stream(clients: Clients) -> None:
    events = wholes(clients.openai.responses.create(model=MODEL, input="good morning", stream=True))
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert [event.type for event in events if not event.type.endswith(".delta")] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert "".join(event.delta for event in events if event.type.endswith(".delta")) == "You said: good morning"
    assert events[-1].response.output_text == "You said: good morning" and events[-1].response.usage.total_tokens > 0


@call("openai.responses")
def responses_reasoning_and_tool_stream(clients: Clients) -> None:
    reasoning = {"effort": "low", "summary": "auto"}
    asked = {"model": MODEL, "input": "weather?", "tools": [RESPONSES_TOOL], "reasoning": reasoning}
    with clients.openai.responses.stream(**asked) as stream:
        events = list(stream)
        final = whole(stream.get_final_response())
    assert {"response.reasoning_summary_text.delta", "response.function_call_arguments.delta"} <= {event.type for event in events}
    thought, tool_call = final.output
    assert thought.summary[0].text and json.loads(tool_call.arguments) == {"city": "Paris", "days": 1}
    output = {"type": "function_call_output", "call_id": tool_call.call_id, "output": "rain"}
    answer = clients.openai.responses.create(model=MODEL, input=[output], previous_response_id=final.id, tools=[RESPONSES_TOOL])
    assert whole(answer).output_text == "The tool get_weather answered: rain"


# Embeddings, moderations, rerank, credits


@call("openai.embeddings")
def embeddings(clients: Clients) -> None:
    packed = whole(clients.openai.embeddings.create(model=EMBED, input=["the cat sat", "a cat sat", "quantum"]))  # asks for base64
    plain = whole(clients.openai.embeddings.create(model=EMBED, input="the cat sat", encoding_format="float"))
    short = whole(clients.openai.embeddings.create(model=EMBED, input="the cat sat", dimensions=8))
    cat, other_cat, quantum = (item.embedding for item in packed.data)
    assert cat == _closely(plain.data[0].embedding) and len(short.data[0].embedding) == 8
    assert math.isclose(math.hypot(*cat), 1, rel_tol=1e-5)
    assert _cosine(cat, other_cat) > _cosine(cat, quantum)


class _closely(list):  # type: ignore[type-arg]
    """Equal as far as four bytes per number can be."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, list) and all(abs(a - b) < 1e-6 for a, b in zip(self, other, strict=True))


def _cosine(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


@call("openai.moderations")
def moderations(clients: Clients) -> None:
    answer = whole(clients.openai.moderations.create(input=["a fine day", "I will attack you"]))  # no model
    assert [result.flagged for result in answer.results] == [False, True]
    assert answer.results[1].categories.violence
    parts = [{"type": "text", "text": "a fine day"}, {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}]
    assert not whole(clients.openai.moderations.create(model=MODERATION, input=parts)).results[0].flagged


@call("rerank")
def rerank(clients: Clients) -> None:
    body = {"model": RERANK, "query": "black cat", "documents": ["a red car", "my black cat", {"text": "cat"}], "top_n": 2}
    answer: Any = clients.openai.post("/rerank", cast_to=object, body=body)
    assert [result["index"] for result in answer["results"]] == [1, 2]
    assert 1 >= answer["results"][0]["relevance_score"] > answer["results"][1]["relevance_score"] >= 0


@call("credits")
def credits(clients: Clients) -> None:
    answer: Any = clients.openai.get("/credits", cast_to=object)
    assert set(answer) == {"total_credits", "used_credits", "remaining_credits"}


# Audio


def _recording() -> tuple[str, bytes, str]:
    return "hello.wav", b"RIFF" + bytes(48_040), "audio/wav"


@call("openai.audio.transcriptions")
def transcriptions(clients: Clients) -> None:
    create = clients.openai.audio.transcriptions.create
    assert "hello.wav" in whole(create(model=AUDIO, file=_recording())).text
    assert "48044 bytes" in create(model=AUDIO, file=_recording(), response_format="text")
    assert create(model=AUDIO, file=_recording(), response_format="srt").startswith("1\n00:00:00,000 --> ")
    assert create(model=AUDIO, file=_recording(), response_format="vtt").startswith("WEBVTT\n")
    verbose = whole(
        create(model=AUDIO, file=_recording(), response_format="verbose_json", timestamp_granularities=["word", "segment"])
    )
    assert verbose.duration == 1.0 and len(verbose.segments) == 2 and verbose.words[0].word == "This"


@call("openai.audio.transcriptions")
def transcriptions_stream(clients: Clients) -> None:
    events = wholes(clients.openai.audio.transcriptions.create(model=AUDIO, file=_recording(), stream=True))
    assert "".join(event.delta for event in events[:-1]) == events[-1].text
    assert events[-1].type == "transcript.text.done"


@call("openai.audio.translations")
def translations(clients: Clients) -> None:
    assert "hello.wav" in whole(clients.openai.audio.translations.create(model=AUDIO, file=_recording())).text
    verbose = clients.openai.audio.translations.create(model=AUDIO, file=_recording(), response_format="verbose_json")
    assert whole(verbose).language == "en"


@call("openai.audio.speech")
def speech(clients: Clients) -> None:
    sound = clients.openai.audio.speech.create(model=AUDIO, voice="alloy", input="good morning", response_format="wav")
    assert sound.content[:4] == b"RIFF" and struct.unpack("<I", sound.content[40:44])[0] == len(sound.content) - 44 > 4_000
    with clients.openai.audio.speech.with_streaming_response.create(model=AUDIO, voice="alloy", input="good morning") as stream:
        assert b"".join(stream.iter_bytes()) == sound.content


# Images


def _is_png(picture: str, width: int, height: int) -> bool:
    raw = base64.b64decode(picture)
    return raw[:8] == b"\x89PNG\r\n\x1a\n" and struct.unpack(">II", raw[16:24]) == (width, height)


@call("openai.images.generations")
def images(clients: Clients) -> None:
    answer = whole(clients.openai.images.generate(model=IMAGE, prompt="a red cat", n=2, size="64x32"))
    assert [_is_png(image.b64_json, 64, 32) for image in answer.data] == [True, True]
    linked = whole(clients.openai.images.generate(model=IMAGE, prompt="a red cat", response_format="url"))
    assert linked.data[0].url.endswith(".png")


@call("openai.images.generations")
def images_stream(clients: Clients) -> None:
    events = wholes(clients.openai.images.generate(model=IMAGE, prompt="a cat", stream=True, partial_images=2))
    assert [event.type.split(".")[1] for event in events] == ["partial_image", "partial_image", "completed"]
    assert _is_png(events[-1].b64_json, 1024, 1024)


@call("openai.images.edits")
def images_edit(clients: Clients) -> None:
    one = whole(clients.openai.images.edit(model=IMAGE, image=("a.png", png()), prompt="bluer"))
    two = whole(clients.openai.images.edit(model=IMAGE, image=[("a.png", png()), ("b.png", png())], prompt="bluer"))
    assert one.data[0].b64_json and two.data[0].b64_json
    events = wholes(clients.openai.images.edit(image=("a.png", png()), prompt="bluer", stream=True))  # no model
    assert [event.type for event in events] == ["image_edit.completed"]


@call("openai.images.variations")
def images_variation(clients: Clients) -> None:
    answer = whole(clients.openai.images.create_variation(image=("a.png", png()), n=2, response_format="b64_json"))
    assert len(answer.data) == 2 and answer.data[0].b64_json != answer.data[1].b64_json


# Files, batches, fine-tuning


def _lines(*bodies: dict[str, Any]) -> bytes:
    told = [{"custom_id": f"line-{n}", "method": "POST", "url": "/v1/chat/completions", "body": b} for n, b in enumerate(bodies)]
    return "\n".join(map(json.dumps, told)).encode()


@call("openai.files")
def files(clients: Clients) -> None:
    content = bytes(range(256)) * 40 + b"\r\n--boundary\r\n\xff\xfe"
    file = whole(clients.openai.files.create(file=("strange näme.bin", content), purpose="user_data"))
    assert file.bytes == len(content) and file.filename == "strange näme.bin"
    assert file.id in [one.id for one in wholes(clients.openai.files.list(purpose="user_data"))]
    assert whole(clients.openai.files.retrieve(file.id)).id == file.id
    assert clients.openai.files.content(file.id).content == content
    assert whole(clients.openai.files.delete(file.id)).deleted
    _is_gone(lambda: clients.openai.files.retrieve(file.id))


@call("openai.batches")
def batches(clients: Clients) -> None:
    good, bad = {"model": MODEL, "messages": user("batched")}, {"model": MODEL}
    file = clients.openai.files.create(file=("in.jsonl", _lines(good, bad)), purpose="batch")
    batch = whole(clients.openai.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"))
    assert batch.id in [one.id for one in wholes(clients.openai.batches.list())]
    done = whole(patiently(lambda: clients.openai.batches.retrieve(batch.id), lambda answer: answer.status == "completed"))
    assert done.request_counts.to_dict() == {"total": 2, "completed": 1, "failed": 1}
    output = json.loads(clients.openai.files.content(done.output_file_id).text)
    assert output["custom_id"] == "line-0"
    assert output["response"]["body"]["choices"][0]["message"]["content"] == "You said: batched"
    assert json.loads(clients.openai.files.content(done.error_file_id).text)["response"]["status_code"] == 400


@call("openai.batches")
def batches_cancel(clients: Clients) -> None:
    file = clients.openai.files.create(file=("in.jsonl", _lines({"model": MODEL})), purpose="batch")
    batch = clients.openai.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h")
    assert whole(clients.openai.batches.cancel(batch.id)).status == "cancelled"


@call("openai.fine_tuning")
def fine_tuning(clients: Clients) -> None:
    jobs = clients.openai.fine_tuning.jobs
    file = clients.openai.files.create(file=io.BytesIO(b'{"messages": []}\n'), purpose="fine-tune")
    job = whole(jobs.create(model=MODEL, training_file=file.id))
    assert job.id in [one.id for one in wholes(jobs.list())]
    done = whole(patiently(lambda: jobs.retrieve(job.id), lambda answer: answer.status == "succeeded"))
    assert done.fine_tuned_model.startswith(f"ft:{MODEL}:")
    assert len(wholes(jobs.list_events(job.id))) == 3
    assert [checkpoint.step_number for checkpoint in wholes(jobs.checkpoints.list(job.id))] == [3, 2, 1]
    other = jobs.create(model=MODEL, training_file=file.id)
    assert whole(jobs.cancel(other.id)).status == "cancelled"


# Assistants


@call("openai.assistants")
def assistants(clients: Clients) -> None:
    beta = clients.openai.beta.assistants
    assistant = whole(beta.create(model=MODEL, name="Ada", instructions="Be kind."))
    assert assistant.id in [one.id for one in wholes(beta.list(limit=100))]
    assert whole(beta.update(assistant.id, name="Bob")).name == "Bob"
    assert whole(beta.retrieve(assistant.id)).name == "Bob"
    assert whole(beta.delete(assistant.id)).deleted
    _is_gone(lambda: beta.retrieve(assistant.id))


@call("openai.assistants")
def threads(clients: Clients) -> None:
    beta = clients.openai.beta.threads
    thread = whole(beta.create(messages=user("first")))
    assert whole(beta.update(thread.id, metadata={"a": "b"})).metadata == {"a": "b"}
    assert whole(beta.retrieve(thread.id)).id == thread.id
    listed: Any = clients.openai.get("/threads", cast_to=object)  # the SDK has no method for it
    assert thread.id in [one["id"] for one in listed["data"]]
    message = whole(beta.messages.create(thread.id, role="user", content="second"))
    assert [one.content[0].text.value for one in wholes(beta.messages.list(thread.id))] == ["second", "first"]
    assert whole(beta.messages.update(message.id, thread_id=thread.id, metadata={"c": "d"})).metadata == {"c": "d"}
    assert whole(beta.messages.retrieve(message.id, thread_id=thread.id)).id == message.id
    assert whole(beta.messages.delete(message.id, thread_id=thread.id)).deleted
    assert whole(beta.delete(thread.id)).deleted


@call("openai.assistants")
def runs(clients: Clients) -> None:
    beta = clients.openai.beta.threads
    assistant = clients.openai.beta.assistants.create(model=MODEL, instructions="Be kind.")
    thread = beta.create(messages=user("good morning"))
    run = whole(beta.runs.create(thread.id, assistant_id=assistant.id))
    assert run.status == "queued"
    done = patiently(lambda: beta.runs.retrieve(run.id, thread_id=thread.id), lambda answer: answer.status == "completed")
    assert whole(done).usage.total_tokens > 0
    assert [one.id for one in wholes(beta.runs.list(thread.id))] == [run.id]
    assert whole(beta.runs.update(run.id, thread_id=thread.id, metadata={"e": "f"})).metadata == {"e": "f"}
    assert wholes(beta.messages.list(thread.id))[0].content[0].text.value == "You said: good morning"
    (step,) = wholes(beta.runs.steps.list(run.id, thread_id=thread.id))
    assert whole(beta.runs.steps.retrieve(step.id, thread_id=thread.id, run_id=run.id)).type == "message_creation"


@call("openai.assistants")
def runs_with_tools(clients: Clients) -> None:
    beta = clients.openai.beta.threads
    assistant = clients.openai.beta.assistants.create(model=MODEL, instructions="Be kind.", tools=[CHAT_TOOL])
    run = whole(beta.create_and_run(assistant_id=assistant.id, thread={"messages": user("weather?")}))
    at = {"thread_id": run.thread_id}
    run = whole(patiently(lambda: beta.runs.retrieve(run.id, **at), lambda answer: answer.status == "requires_action"))
    (tool_call,) = run.required_action.submit_tool_outputs.tool_calls
    outputs = [{"tool_call_id": tool_call.id, "output": "rain"}]
    assert whole(beta.runs.submit_tool_outputs(run.id, tool_outputs=outputs, **at)).status in ("queued", "in_progress")
    patiently(lambda: beta.runs.retrieve(run.id, **at), lambda answer: answer.status == "completed")
    assert wholes(beta.messages.list(**at))[0].content[0].text.value == "The tool get_weather answered: rain"
    other = beta.create_and_run(assistant_id=assistant.id, thread={"messages": user("weather?")})
    assert whole(beta.runs.cancel(other.id, thread_id=other.thread_id)).status in ("cancelling", "cancelled")


@call("openai.assistants")
def runs_stream(clients: Clients) -> None:
    beta = clients.openai.beta.threads
    assistant = clients.openai.beta.assistants.create(model=MODEL, instructions="Be kind.", tools=[CHAT_TOOL])
    events = wholes(beta.create_and_run(assistant_id=assistant.id, thread={"messages": user("weather?")}, stream=True))
    assert [events[0].event, events[1].event, events[-1].event] == [
        "thread.created",
        "thread.run.created",
        "thread.run.requires_action",
    ]
    run = events[-1].data
    outputs = [{"tool_call_id": run.required_action.submit_tool_outputs.tool_calls[0].id, "output": "rain"}]
    with beta.runs.submit_tool_outputs_stream(run_id=run.id, thread_id=run.thread_id, tool_outputs=outputs) as stream:
        assert "".join(stream.text_deltas) == "The tool get_weather answered: rain"
        assert whole(stream.get_final_run()).status == "completed"
    thread = beta.create(messages=user("weather?"))
    none = {"tool_choice": "none", "stream": True}
    events = wholes(beta.runs.create(thread.id, assistant_id=assistant.id, **none))
    assert events[-1].event == "thread.run.completed"


# Models


@call("openai.models")
def models(clients: Clients) -> None:
    ids = [model.id for model in wholes(clients.openai.models.list())]
    assert MODEL in ids and len(ids) == len(set(ids))
    assert whole(clients.openai.models.retrieve(MODEL)).id == MODEL


@call("anthropic.models")
def anthropic_models(clients: Clients) -> None:
    ids = [model.id for model in clients.anthropic.models.list(limit=1)]  # follows the pages
    assert CLAUDE in ids and len(ids) == len(set(ids)) > 1
    assert clients.anthropic.models.retrieve(CLAUDE).id == CLAUDE


# Messages


@call("anthropic.messages")
def messages(clients: Clients) -> None:
    system = [{"type": "text", "text": "Be kind.", "cache_control": {"type": "ephemeral"}}]
    message = whole(clients.anthropic.messages.create(model=CLAUDE, max_tokens=64, messages=user("good morning"), system=system))
    assert message.content[0].text == "You said: good morning" and message.stop_reason == "end_turn"
    assert message.usage.input_tokens > 0 and message.usage.output_tokens > 0
    said = [*user("first"), {"role": "system", "content": "mid-conversation"}]
    assert clients.anthropic.messages.create(model=CLAUDE, max_tokens=64, messages=said).content[0].text == "You said: first"


@call("anthropic.messages")
def messages_stream(clients: Clients) -> None:
    events = wholes(clients.anthropic.messages.create(model=CLAUDE, max_tokens=64, messages=user("good morning"), stream=True))
    assert [event.type for event in events if event.type != "content_block_delta"] == [
        "message_start",
        "content_block_start",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    assert "".join(e.delta.text for e in events if e.type == "content_block_delta") == "You said: good morning"


@call("anthropic.messages")
def messages_thinking_and_limit(clients: Clients) -> None:
    thinking = {"type": "enabled", "budget_tokens": 1024}
    asked = {"model": CLAUDE, "max_tokens": 2048, "messages": user("good morning"), "thinking": thinking}
    with clients.anthropic.messages.stream(**asked) as stream:
        message = whole(stream.get_final_message())
    assert [block.type for block in message.content] == ["thinking", "text"]
    assert message.content[0].thinking and message.content[0].signature
    short = whole(clients.anthropic.messages.create(model=CLAUDE, max_tokens=3, messages=user("a long story about a cat")))
    assert short.stop_reason == "max_tokens" and short.content[0].text == "You said: a"


@call("anthropic.messages")
def messages_tool_loop(clients: Clients) -> None:
    said = user("How is the weather in Paris?")
    asked = {"model": CLAUDE, "max_tokens": 64, "tools": [CLAUDE_TOOL]}
    with clients.anthropic.messages.stream(messages=said, **asked) as stream:
        first = whole(stream.get_final_message())
    (block,) = first.content
    assert first.stop_reason == "tool_use" and block.name == "get_weather" and block.input == {"city": "Paris", "days": 1}
    result = {"type": "tool_result", "tool_use_id": block.id, "content": [{"type": "text", "text": "rain"}]}
    said += [{"role": "assistant", "content": first.to_dict()["content"]}, {"role": "user", "content": [result]}]
    second = whole(clients.anthropic.messages.create(messages=said, **asked))
    assert second.content[0].text == "The tool get_weather answered: rain"


@call("anthropic.messages")
def messages_beta(clients: Clients) -> None:
    message = clients.anthropic.beta.messages.create(model=CLAUDE, max_tokens=64, messages=user("hi"), betas=["demo-2026-01-01"])
    assert whole(message).content[0].text == "You said: hi"


@call("anthropic.count_tokens")
def count_tokens(clients: Clients) -> None:
    few = whole(clients.anthropic.messages.count_tokens(model=CLAUDE, messages=user("hi")))
    many = clients.anthropic.messages.count_tokens(model=CLAUDE, messages=user("hi " * 100), tools=[CLAUDE_TOOL])
    assert 0 < few.input_tokens < many.input_tokens


@call("anthropic.messages", RELAY_CALLS)
def messages_beta_path(clients: Clients) -> None:
    body = {"model": CLAUDE, "max_tokens": 64, "messages": user("hi")}
    message = clients.anthropic.post("/v1/messages/beta", cast_to=anthropic.types.Message, body=body)
    assert whole(message).content[0].text == "You said: hi"


@call("anthropic.models", RELAY_CALLS)
def anthropic_models_path(clients: Clients) -> None:
    answer: Any = clients.openai.get("/anthropic/models?limit=1", cast_to=object)
    assert len(answer["data"]) == 1 and answer["has_more"] is True and answer["first_id"] == answer["last_id"]


def _is_gone(ask: Callable[[], Any]) -> None:
    try:
        found = ask()
    except openai.NotFoundError as error:
        assert "error" in error.response.json()
    else:
        raise AssertionError(f"still there: {found}")
