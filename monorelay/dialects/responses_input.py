"""The input of an openai.responses request: what was said, thought, called and brought back, item after item.

| told | becomes |
| --- | --- |
| words of the system or the user | a message: its text, or its parts |
| words of the assistant | a message with its text |
| a thought that its maker encrypted | a reasoning item, as it was, before what it led to |
| a call of a function, of a custom tool | function_call, custom_tool_call |
| its result | function_call_output, custom_tool_call_output; text, or parts where it holds more |

The upstream refuses some of what other dialects take, so: a thought that led to nothing is left out; a result that answers no call
is told by the user; an id of a call that comes again gets a number, and one of more than 64 characters is cut down to a digest.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

from monorelay.dialects.interface import Untranslatable
from monorelay.dialects.loss import Losses, plain_word

Item = dict[str, Any]
Part = dict[str, Any]

BETWEEN = "\n\n"  # what keeps texts apart that were told apart
_LONGEST_ID = 64
_TEXTS = {"text": "text", "input_text": "text", "output_text": "text", "refusal": "refusal"}
_DETAILS = frozenset({"low", "high", "auto", "original"})
_OF_A_FILE = ("file_id", "file_data", "file_url", "filename")


class InputItems:
    """Mutable: ``items`` grows; ``_thoughts`` wait for what they led to; ``_calls`` finds the calls that have no result yet, by the
    client's id: their own id and whether they are custom; ``_ids`` counts how often an id was used.

    >>> items = InputItems()
    >>> items.call("a", "f", "{}"); items.bring("a", "12"); [item["type"] for item in items.items]
    ['function_call', 'function_call_output']
    """

    __slots__ = ("_calls", "_ids", "_thoughts", "items")

    def __init__(self) -> None:
        self.items: list[Item] = []
        self._thoughts: list[Item] = []
        self._calls: dict[str, deque[tuple[str, bool]]] = {}
        self._ids: dict[str, int] = {}

    def __repr__(self) -> str:
        return f"<InputItems {len(self.items)}>"

    def say(self, role: str, content: str | Sequence[Part]) -> None:
        """Words of whoever is not the model; what the model thought before them led to nothing."""
        self._thoughts.clear()
        self.items.append({"type": "message", "role": role, "content": content if isinstance(content, str) else _content(content)})

    def answer(self, text: str) -> None:
        """Words of the model."""
        self._put({"type": "message", "role": "assistant", "content": text})

    def think(self, item: Item) -> None:
        self._thoughts.append(item)

    def call(self, given_id: str, name: str, arguments: str) -> None:
        call_id = self._open(given_id, is_custom=False)
        self._put({"type": "function_call", "call_id": call_id, "name": name, "arguments": arguments})

    def call_custom(self, given_id: str, name: str, text: str) -> None:
        call_id = self._open(given_id, is_custom=True)
        self._put({"type": "custom_tool_call", "call_id": call_id, "name": name, "input": text})

    def bring(self, given_id: str, output: str | Sequence[Part]) -> None:
        """The result of a call."""
        waiting = self._calls.get(given_id)
        if not waiting:
            told = [{"type": "input_text", "text": output}] if isinstance(output, str) else list(output)
            return self.say("user", [{"type": "input_text", "text": f"Result of the tool call {given_id}:"}, *told])
        self._thoughts.clear()
        call_id, is_custom = waiting.popleft()
        kind = "custom_tool_call_output" if is_custom else "function_call_output"
        self.items.append({"type": kind, "call_id": call_id, "output": output if isinstance(output, str) else _output(output)})

    def _put(self, item: Item) -> None:
        self.items += self._thoughts
        self._thoughts.clear()
        self.items.append(item)

    def _open(self, given_id: str, is_custom: bool) -> str:
        call_id = given_id or "call"
        if len(call_id) > _LONGEST_ID:
            call_id = f"call_{sha256(call_id.encode('utf-8', 'surrogatepass')).hexdigest()[:40]}"
        told, times = call_id, self._ids.get(call_id, 0)
        while told in self._ids:
            times += 1
            told = f"{call_id[: _LONGEST_ID - 8]}-{times + 1}"
        self._ids[call_id] = times
        self._ids[told] = 0 if told != call_id else times
        self._calls.setdefault(given_id, deque()).append((told, is_custom))
        return told


def reasoning_item(item_id: str, summary: Sequence[str], content: Sequence[str] = (), encrypted: str = "") -> Item:
    """A thought that goes back. ``summary`` is mandatory, and so is an id where nothing is encrypted."""
    if not item_id and not encrypted:
        words = "\0".join((*summary, *content)).encode("utf-8", "surrogatepass")
        item_id = f"rs_{sha256(words).hexdigest()[:32]}"
    item: Item = {"type": "reasoning", "id": item_id} if item_id else {"type": "reasoning"}
    item["summary"] = [{"type": "summary_text", "text": text} for text in summary]
    if content:
        item["content"] = [{"type": "reasoning_text", "text": text} for text in content]
    if encrypted:
        item["encrypted_content"] = encrypted
    return item


def text_part(text: str) -> Part:
    return {"type": "input_text", "text": text}


def _content(parts: Sequence[Part]) -> str | list[Part]:
    if len(parts) == 1 and parts[0].keys() == {"type", "text"}:
        return str(parts[0]["text"])
    return list(parts)


def _output(parts: Sequence[Part]) -> str | list[Part]:
    """Text where it is nothing else: servers took that long before they took parts."""
    if all(part["type"] == "input_text" for part in parts):
        return BETWEEN.join(part["text"] for part in parts)
    return list(parts)


def input_part(part: Mapping[str, Any], losses: Losses) -> Part | None:
    """A part of openai.chat as this dialect has it; None where it says nothing, or has no counterpart, which is reported.

    Raises Untranslatable.
    """
    kind = part.get("type")
    field = _TEXTS.get(kind) if isinstance(kind, str) else None
    found: Part
    if field is not None:
        text = part.get(field)
        if not isinstance(text, str):
            raise Untranslatable("messages.content", f"A part of the type {kind} must have {field}.")
        if not text:
            return None
        found = text_part(text)
    elif kind in ("image_url", "input_image"):
        found = _image(part)
    elif kind in ("file", "input_file"):
        found = _file(part)
    elif kind == "input_audio":
        raise Untranslatable("messages.content.input_audio", "Audio cannot be sent in openai.responses; transcribe it first.")
    else:
        losses.add(f"messages.content.{plain_word(kind)}", "openai.responses has no such part")
        return None
    mark = part.get("prompt_cache_breakpoint")
    return found if mark is None else {**found, "prompt_cache_breakpoint": mark}


def _image(part: Mapping[str, Any]) -> Part:
    image = part.get("image_url")
    inside = image if isinstance(image, dict) else part
    url = image.get("url") if isinstance(image, dict) else image
    detail = inside.get("detail")
    found: Part = {"type": "input_image", "detail": detail if isinstance(detail, str) and detail in _DETAILS else "auto"}
    if isinstance(url, str) and url:
        return {**found, "image_url": url}
    if isinstance(part.get("file_id"), str):
        return {**found, "file_id": part["file_id"]}
    raise Untranslatable("messages.content.image_url", "An image must be a URL, a data: URL, or the id of a file.")


def _file(part: Mapping[str, Any]) -> Part:
    file = part["file"] if isinstance(part.get("file"), dict) else part
    found = {name: file[name] for name in _OF_A_FILE if isinstance(file.get(name), str)}
    if found.keys() <= {"filename"}:
        raise Untranslatable("messages.content.file", "A file part must hold file_data, file_url or file_id.")
    return {"type": "input_file", **found}
