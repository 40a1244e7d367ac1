"""The stream: events of anthropic.messages become the events of one response, each as soon as it can be known.

| event | events |
| --- | --- |
| message_start | response.created, response.in_progress |
| text_delta | a message: output_text.delta; text blocks in a row are one text |
| citations_delta | output_text.annotation.added when its block closes and its place is known |
| thinking_delta | a reasoning item: reasoning_summary_text.delta |
| signature_delta, redacted_thinking | encrypted_content of that item, when its block closes |
| tool_use, input_json_delta | an item per call: function_call_arguments.delta, custom_tool_call_input.delta |
| the structured answer's tool | a message |
| message_delta | all items close |
| message_stop | response.completed, response.incomplete |
| error | before any content the attempt fails; later response.failed |
| what the upstream did for itself (server_tool_use and its results) | nothing |

A whole answer is told as a stream, so that the two always agree.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from monorelay.dialects.envelopes import as_json
from monorelay.dialects.openai_responses_to_anthropic_messages.request import AskedMessages
from monorelay.dialects.responses_object import Item, identity
from monorelay.dialects.responses_stream import ResponseStream
from monorelay.dialects.responses_writer import Call
from monorelay.dialects.sealed_thoughts import seal
from monorelay.dialects.sse import Event
from monorelay.dialects.stream_errors import find_error

_UPSTREAM = "anthropic.messages"
# stop_reason → why the response is incomplete; all others complete it.
INCOMPLETE = {
    "max_tokens": "max_output_tokens",
    "model_context_window_exceeded": "max_output_tokens",
    "refusal": "content_filter",
}


class _Block:
    """An open block. Mutable: what of it has been told, and what waits for its end."""

    __slots__ = ("call", "citations", "given", "has_arguments", "kind", "signature", "start", "thought")

    def __init__(self, kind: str, start: int = 0, given: object = None, call: Call | None = None) -> None:
        self.kind = kind  # text, thinking, call, answer, other
        self.start = start  # where a text begins in its part
        self.given = given  # the input that came with a call's beginning
        self.call = call
        self.has_arguments = False
        self.citations: list[object] = []
        self.thought: list[str] = []
        self.signature = ""


class MessagesResponseStream(ResponseStream):
    """Mutable: the open blocks by their index, and the stop reason once it was told."""

    terminal = "message_stop"

    __slots__ = ("_asked", "_blocks", "_stop_reason")

    def __init__(self, asked: AskedMessages) -> None:
        super().__init__(asked.repeated, asked.hints)
        self._asked = asked
        self._blocks: dict[object, _Block] = {}
        self._stop_reason: str | None = None

    def take_whole(self, message: Mapping[str, Any]) -> None:
        """A whole answer."""
        self._take("", {"type": "message_start", "message": message})
        for index, block in enumerate(message.get("content") or ()):
            self._take("", {"type": "content_block_start", "index": index, "content_block": block})
            self._take("", {"type": "content_block_stop", "index": index})
        self._take("", {"type": "message_delta", "delta": message})
        self._take("", {"type": "message_stop"})

    # ------------------------------------------------------------------ events

    def _take(self, name: str, fields: Mapping[str, Any] | None) -> None:
        if fields is None:
            return
        kind = fields.get("type")
        if kind == "content_block_delta":
            delta = fields.get("delta")
            if isinstance(delta, dict):
                self._take_delta(_key(fields.get("index")), delta)
        elif kind == "error" or name == "error" or "error" in fields:
            error = find_error(Event(name, b"", b""), fields)
            if error is not None:
                self._break(error)
        elif kind == "content_block_start":
            block = fields.get("content_block")
            if isinstance(block, dict):
                self._open(_key(fields.get("index")), block)
        elif kind == "content_block_stop":
            self._close(_key(fields.get("index")))
        elif kind == "message_start":
            message = fields.get("message")
            if isinstance(message, dict):
                self._tell(message.get("usage"))
                self._start(message)
        elif kind == "message_delta":
            self._tell(fields.get("usage"))
            self._stop(fields.get("delta"))
        elif kind == "message_stop":
            self._start({})
            self._end()

    def _open(self, index: object, block: Mapping[str, Any]) -> None:
        self._start({})
        kind = block.get("type")
        if kind == "text":
            opened = self._blocks[index] = _Block("text", self._writer.text_length)
            citations = block.get("citations")
            opened.citations += citations if isinstance(citations, list) else []
            self._say(block.get("text"))
        elif kind == "thinking":
            opened = self._blocks[index] = _Block("thinking")
            self._writer.close_words()  # two thoughts are two items
            self._think(opened, block.get("thinking"))
            self._sign(opened, block.get("signature"))
        elif kind == "redacted_thinking":
            self._writer.begin_reasoning()
            self._writer.seal(seal(_UPSTREAM, {"type": "redacted_thinking", "data": block.get("data")}))
            self._writer.close_words()
        elif kind == "tool_use" and block.get("name") == self._asked.answer_tool:
            self._blocks[index] = _Block("answer", given=block.get("input"))
        elif kind == "tool_use":
            name, call_id = block.get("name"), block.get("id")
            own = self._asked.tools.own(name if isinstance(name, str) else "")
            call = self._writer.call(own, call_id if isinstance(call_id, str) else "")
            self._blocks[index] = _Block("call", given=block.get("input"), call=call)
        else:
            self._blocks[index] = _Block("other")

    def _take_delta(self, index: object, delta: Mapping[str, Any]) -> None:
        kind = delta.get("type")
        if kind == "text_delta":
            self._start({})
            self._say(delta.get("text"))
            return
        block = self._blocks.get(index)
        if block is None:
            return
        if kind == "input_json_delta":
            self._give(block, delta.get("partial_json"))
        elif kind == "thinking_delta":
            self._think(block, delta.get("thinking"))
        elif kind == "signature_delta":
            self._sign(block, delta.get("signature"))
        elif kind == "citations_delta":
            block.citations.append(delta.get("citation"))

    def _close(self, index: object) -> None:
        block = self._blocks.pop(index, None)
        if block is None:
            return
        if block.kind == "text":
            for annotation in _annotations(block.citations, block.start, self._writer.text_length):
                self._writer.annotate(annotation)
        elif block.kind == "thinking":
            if block.thought or block.signature:
                thought = {"type": "thinking", "thinking": "".join(block.thought), "signature": block.signature}
                self._writer.seal(seal(_UPSTREAM, thought))
                self._writer.close_words()
        elif block.kind in ("call", "answer"):
            if not block.has_arguments:
                self._give(block, as_json(block.given or {}).decode())
            if block.call is not None:
                self._writer.finish_call(block.call)

    # ------------------------------------------------------------------ pieces

    def _say(self, piece: object) -> None:
        if isinstance(piece, str) and piece:
            self._writer.text(piece)

    def _think(self, block: _Block, piece: object) -> None:
        if isinstance(piece, str) and piece:
            block.thought.append(piece)
            self._writer.reasoning(piece)

    def _sign(self, block: _Block, piece: object) -> None:
        if isinstance(piece, str):
            block.signature += piece

    def _give(self, block: _Block, piece: object) -> None:
        if not isinstance(piece, str) or not piece:
            return
        block.has_arguments = True
        if block.call is not None:
            self._writer.arguments(block.call, piece)
        elif block.kind == "answer":
            self._writer.text(piece)

    # ------------------------------------------------------------------ the end

    @property
    def _incomplete(self) -> str | None:
        return INCOMPLETE.get(self._stop_reason or "")

    def _start(self, message: Mapping[str, Any]) -> None:
        if not self._writer.has_started:
            self._writer.start(identity(message, self._asked.hints))

    def _stop(self, delta: object) -> None:
        reason = delta.get("stop_reason") if isinstance(delta, dict) else None
        if not isinstance(delta, dict) or not isinstance(reason, str):
            return
        self._start({})
        self._stop_reason = reason
        details = delta.get("stop_details")
        explanation = details.get("explanation") if isinstance(details, dict) and reason == "refusal" else None
        if isinstance(explanation, str) and explanation:
            self._writer.refusal(explanation)
        self._writer.close_items(is_cut=self._incomplete is not None)

    def _end(self) -> None:
        self._writer.end(self._incomplete, self.usage)
        self.finished = True


def _key(index: object) -> object:
    """What a block is known by; an index that is no number still names one."""
    return index if isinstance(index, int | str) else None


def _annotations(citations: list[object], start: int, end: int) -> Iterator[Item]:
    """The citations of a text that stands at start:end of its part."""
    for citation in citations:
        if not isinstance(citation, dict):
            continue
        url = citation.get("url") or citation.get("source")
        if isinstance(url, str) and url:
            title = citation.get("title")
            where = {"start_index": start, "end_index": end}
            yield {"type": "url_citation", **where, "title": title if isinstance(title, str) else "", "url": url}
        else:  # a document of the request
            title, file_id = citation.get("document_title"), citation.get("file_id")
            yield {
                "type": "file_citation",
                "file_id": file_id if isinstance(file_id, str) else f"document:{citation.get('document_index', 0)}",
                "filename": title if isinstance(title, str) else "",
                "index": end,
            }
