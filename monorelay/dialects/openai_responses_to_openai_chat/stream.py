"""The stream: chunks of openai.chat become the events of one response, each as soon as it can be known.

| chunk | events |
| --- | --- |
| the first with a choice | response.created, response.in_progress |
| delta.reasoning_content and its other spellings | a reasoning item: reasoning_summary_text.delta; sealed for who wants it back |
| delta.content, delta.refusal | a message: output_text.delta, refusal.delta |
| delta.annotations | output_text.annotation.added |
| delta.tool_calls | an item per call: function_call_arguments.delta, custom_tool_call_input.delta |
| finish_reason | all items close |
| usage behind it, or [DONE] | response.completed, response.incomplete |
| an error | before any content the attempt fails; later response.failed |

A whole answer is told as a stream of one chunk, so that the two always agree.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from monorelay.dialects.call_deltas import CallDeltas
from monorelay.dialects.carrying_ids import carrying_id
from monorelay.dialects.chat_answers import calls_of, reasoning_of, text_of
from monorelay.dialects.openai_responses_to_openai_chat.request import Asked
from monorelay.dialects.responses_object import Item, identity
from monorelay.dialects.responses_stream import ResponseStream
from monorelay.dialects.responses_writer import Call
from monorelay.dialects.sealed_thoughts import seal
from monorelay.dialects.sse import Event
from monorelay.dialects.stream_errors import find_error, read_error

# finish_reason → why the response is incomplete; all others complete it. The second half: words of nearly compatible servers.
INCOMPLETE = {
    "length": "max_output_tokens",
    "content_filter": "content_filter",
    "max_tokens": "max_output_tokens",
    "model_length": "max_output_tokens",
    "safety": "content_filter",
    "refusal": "content_filter",
}


class ChatResponseStream(ResponseStream):
    """Mutable: ``_finish`` is the finish reason, once it was told."""

    terminal = "[DONE] or a finish_reason"

    __slots__ = ("_asked", "_calls", "_finish", "_tier")

    def __init__(self, asked: Asked) -> None:
        super().__init__(asked.repeated, asked.hints, _seal if asked.hints.quirks.echo_reasoning else None)
        self._asked = asked
        self._calls = CallDeltas(self._begin_call, self._writer.arguments)
        self._finish: str | None = None
        self._tier: object = None

    def take_whole(self, fields: Mapping[str, Any]) -> None:
        """A whole answer; its calls have no indexes."""
        choices = fields.get("choices")
        choice = choices[0] if isinstance(choices, list) and choices else None
        told = choice.get("message") if isinstance(choice, dict) else None
        if isinstance(choice, dict) and isinstance(told, dict):
            calls = [{**call, "index": at} for at, call in enumerate(calls_of(told))]
            fields = {**fields, "choices": [{**choice, "delta": {**told, "tool_calls": calls}}]}
        self._take("", fields)
        self._take("", None)

    # ------------------------------------------------------------------ chunks

    def _take(self, name: str, fields: Mapping[str, Any] | None) -> None:
        if fields is None:  # [DONE]
            self._start({})
            self._finish = self._finish or ""
            self._end()
            return
        if name == "error" or "error" in fields or "type" in fields or fields.get("object") == "error":
            error = find_error(Event(name, b"", b""), fields)
            if error is not None:
                return self._break(error)
        is_behind_the_end = self._finish is not None
        usage = fields.get("usage")
        if usage:
            self._tell(usage)
        choices = fields.get("choices")
        if isinstance(choices, list) and choices and isinstance(choices[0], dict):
            self._take_choice(fields, choices[0])
        if usage and is_behind_the_end and not self.finished:
            self._end()

    def _take_choice(self, fields: Mapping[str, Any], choice: Mapping[str, Any]) -> None:
        if choice.get("index"):
            return  # the relay asks for one answer; there is no place for a second
        self._start(fields)
        told = choice.get("delta") or choice.get("message")
        if isinstance(told, dict):
            self._take_delta(told, choice)
        if choice.get("usage"):
            self._tell(choice["usage"])
        finish = choice.get("finish_reason")
        error = choice.get("error")
        if finish == "error" or isinstance(error, dict):
            self._break(read_error(error if isinstance(error, dict) else {}))
        elif finish and isinstance(finish, str):
            self._finish = finish
            self._writer.close_items(is_cut=self._incomplete is not None)

    def _take_delta(self, told: Mapping[str, Any], choice: Mapping[str, Any]) -> None:
        writer = self._writer
        thoughts = reasoning_of(told)
        if thoughts:
            writer.reasoning(thoughts)
        content = told.get("content")
        if content:
            text = content if isinstance(content, str) else text_of(content)
            if text:
                writer.text(text, _logprobs(choice))
            if len(told) == 1:  # nearly always
                return
        refusal = told.get("refusal")
        if isinstance(refusal, str) and refusal:
            writer.refusal(refusal)
        for annotation in _annotations(told.get("annotations")):
            writer.annotate(annotation)
        for call in calls_of(told):
            self._calls.take(call)

    def _begin_call(self, told: Mapping[str, Any], name: str) -> Call:
        call_id = told.get("id")
        carried = carrying_id(call_id, told.get("extra_content")) if isinstance(call_id, str) and call_id else ""
        return self._writer.call(self._asked.tools.own(name), carried)

    # ------------------------------------------------------------------ the end

    @property
    def _is_all_told(self) -> bool:
        return self._finish is not None

    @property
    def _incomplete(self) -> str | None:
        return INCOMPLETE.get((self._finish or "").lower())

    def _start(self, fields: Mapping[str, Any]) -> None:
        if "service_tier" in fields:
            self._tier = fields["service_tier"]
        if not self._writer.has_started:
            self._writer.start(identity(fields, self._asked.hints))

    def _end(self) -> None:
        self._writer.end(self._incomplete, self.usage, self._tier)
        self.finished = True


def _seal(thought: str) -> str:
    """What takes a thought back: some clients return none without."""
    return seal("openai.chat", {"reasoning_content": thought})


def _logprobs(choice: Mapping[str, Any]) -> list[Item]:
    told = choice.get("logprobs")
    content = told.get("content") if isinstance(told, dict) else None
    return [_logprob(each) for each in content if isinstance(each, dict)] if isinstance(content, list) else []


def _logprob(told: Mapping[str, Any]) -> Item:
    """The same with the lists that this dialect demands."""
    token, top = told.get("token"), told.get("top_logprobs")
    found: Item = {"token": token, "bytes": told.get("bytes"), "logprob": told.get("logprob")}
    if not isinstance(found["bytes"], list):
        found["bytes"] = list(token.encode("utf-8", "replace")) if isinstance(token, str) else []
    found["top_logprobs"] = [_logprob(each) for each in top if isinstance(each, dict)] if isinstance(top, list) else []
    return found


def _annotations(told: object) -> Iterator[Item]:
    for each in told if isinstance(told, list) else ():
        cited = each.get("url_citation") if isinstance(each, dict) else None
        if isinstance(cited, dict) and isinstance(cited.get("url"), str):
            start, end = cited.get("start_index"), cited.get("end_index")
            yield {
                "type": "url_citation",
                "start_index": start if type(start) is int else 0,
                "end_index": end if type(end) is int else 0,
                "title": cited["title"] if isinstance(cited.get("title"), str) else "",
                "url": cited["url"],
            }
