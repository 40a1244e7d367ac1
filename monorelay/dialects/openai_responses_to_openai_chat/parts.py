"""Content parts of openai.responses as parts of an openai.chat message.

| part | becomes |
| --- | --- |
| input_text, output_text, text, refusal, summary_text, reasoning_text | text |
| input_image: image_url | image_url with its detail |
| input_file: file_data, file_id | file; a text file is shown as text |
| input_audio | itself |
| input_image by file_id, input_file by file_url | untranslatable: chat/completions has no such sources |
| anything else | dropped, reported |
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from monorelay.dialects.chat_content import Part, text_part
from monorelay.dialects.data_urls import read_data_url
from monorelay.dialects.interface import Untranslatable
from monorelay.dialects.loss import Losses, plain_word
from monorelay.dialects.openai_responses_to_openai_chat.fields import DROPPED

_TEXTS = {
    "input_text": "text",
    "output_text": "text",
    "text": "text",
    "summary_text": "text",
    "reasoning_text": "text",
    "refusal": "refusal",
}
_DETAILS = {"auto": "auto", "low": "low", "high": "high", "original": "high"}


def parts_of(content: object) -> Sequence[Mapping[str, Any]]:
    """Content in its long form. Raises Untranslatable where it is neither text nor a list of parts."""
    if isinstance(content, str):
        return ({"type": "input_text", "text": content},)
    if content is None:
        return ()
    if not isinstance(content, list) or not all(isinstance(part, dict) for part in content):
        raise Untranslatable("input", "The content of an item in `input` must be text or a list of parts.")
    return content


def text_of(part: Mapping[str, Any]) -> str | None:
    """The text of a part; None when it is of another kind. Raises Untranslatable."""
    field = _TEXTS.get(str(part.get("type")))
    if field is None:
        return None
    text = part.get(field)
    if not isinstance(text, str):
        raise Untranslatable("input", f"A part of the type {part['type']} in `input` must have {field}.")
    return text


def shown(parts: Sequence[Mapping[str, Any]], losses: Losses) -> Iterator[Part]:
    """What a user's message shows of these parts. Raises Untranslatable."""
    for part in parts:
        text = text_of(part)
        if text is not None:
            if text:
                yield text_part(text)
            continue
        kind = part.get("type")
        if kind == "input_image":
            yield _image(part)
        elif kind == "input_file":
            yield _file(part)
        elif kind == "input_audio":
            yield {"type": "input_audio", "input_audio": part.get("input_audio")}
        elif kind in ("image_url", "file"):  # as chat/completions writes them
            yield dict(part)
        else:
            losses.add(f"input.{plain_word(kind)}", DROPPED["input.<type>"])


def _image(part: Mapping[str, Any]) -> Part:
    url = part.get("image_url")
    if isinstance(url, dict):
        url = url.get("url")
    if not isinstance(url, str):
        raise Untranslatable("input.input_image", "chat/completions takes images by their URL or as a data: URL, not by file_id.")
    image = {"url": url}
    if part.get("detail") in _DETAILS:
        image["detail"] = _DETAILS[part["detail"]]
    return {"type": "image_url", "image_url": image}


def _file(part: Mapping[str, Any]) -> Part:
    file = {name: part[name] for name in ("filename", "file_data", "file_id") if isinstance(part.get(name), str)}
    held = read_data_url(file["file_data"]) if "file_data" in file else None
    text = held.text() if held is not None and held.media_type.startswith("text/") else None
    if text is not None:
        title = f' title="{file["filename"]}"' if "filename" in file else ""
        return text_part(f"<document{title}>\n{text}\n</document>")
    if file.keys() <= {"filename"}:
        raise Untranslatable(
            "input.input_file", "chat/completions fetches no files, and neither does the relay: send the file as file_data."
        )
    return {"type": "file", "file": file}
