"""Content parts of openai.chat as content blocks of anthropic.messages.

| part | block |
| --- | --- |
| text, input_text, output_text, refusal | text; one without a visible character is refused upstream, so it is left out |
| image_url, input_image | image: a data: URL as base64, any other by its URL, detail ignored; a PDF in a data: URL is a document |
| file, input_file | document (PDF, text) or image, by the type of its data; by URL; by id |
| input_audio | Untranslatable |
| a block of the upstream's own dialect | itself |
| anything else | dropped, reported |

``cache_control`` stays where it was; ``prompt_cache_breakpoint`` becomes one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from monorelay.dialects.data_urls import Data, read_data_url
from monorelay.dialects.interface import Untranslatable
from monorelay.dialects.loss import Losses

Block = dict[str, Any]

# Blocks that a client may already have written in the upstream's dialect, and the field that tells them from parts.
_OWN = {
    "image": "source",
    "document": "source",
    "search_result": "content",
    "tool_use": "id",
    "tool_result": "tool_use_id",
    "server_tool_use": "id",
    "web_search_tool_result": "tool_use_id",
    "thinking": "signature",
    "redacted_thinking": "data",
}
_IMAGE_TYPES = {"image/jpg": "image/jpeg", "image/pjpeg": "image/jpeg", "image/x-png": "image/png"}
_TYPE_BY_SUFFIX = {
    "pdf": "application/pdf",
    "txt": "text/plain",
    "md": "text/markdown",
    "csv": "text/csv",
    "html": "text/html",
    "json": "application/json",
    "xml": "application/xml",
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "gif": "image/gif",
    "webp": "image/webp",
}
_TEXT_TYPES = frozenset({"application/json", "application/xml", "application/yaml", "application/x-yaml", "application/javascript"})


def text_block(text: str) -> Block:
    return {"type": "text", "text": text}


def translate_content(content: object, losses: Losses) -> list[Block]:
    """All blocks of one message's content: a string, a list of parts, or nothing."""
    if isinstance(content, str):
        return [text_block(content)] if content.strip() else []
    if content is None:
        return []
    blocks: list[Block] = []
    for part in content if isinstance(content, list) else [content]:
        if isinstance(part, str):
            blocks += translate_content(part, losses)
        elif isinstance(part, dict):
            block = _translate_part(part, losses)
            if block is not None:
                blocks.append(_with_cache_control(block, part))
        else:
            losses.add("messages.content")
    return blocks


def cache_control(holder: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The mark that ends a cached prefix, in either family's spelling."""
    own = holder.get("cache_control")
    if isinstance(own, dict):
        return own
    breakpoint_ = holder.get("prompt_cache_breakpoint")
    if not isinstance(breakpoint_, dict):
        return None
    return {"type": "ephemeral", "ttl": "1h"} if breakpoint_.get("ttl") else {"type": "ephemeral"}


def _with_cache_control(block: Block, part: Mapping[str, Any]) -> Block:
    mark = cache_control(part)
    return block if mark is None or "cache_control" in block else {**block, "cache_control": mark}


def _translate_part(part: Mapping[str, Any], losses: Losses) -> Block | None:
    kind = part.get("type")
    translate = _PARTS.get(kind) if isinstance(kind, str) else None
    if translate is not None:
        return translate(part)
    if isinstance(kind, str) and _OWN.get(kind) in part:
        return dict(part)
    losses.add(f"messages.content.{kind}", "the upstream's dialect has no such part")  # a name that DROPPED cannot list
    return None


def _text(part: Mapping[str, Any]) -> Block | None:
    text = part.get("text", part.get("refusal"))
    return text_block(text) if isinstance(text, str) and text.strip() else None


def _image(part: Mapping[str, Any]) -> Block | None:
    image = part.get("image_url")
    url = image.get("url") if isinstance(image, dict) else image
    if isinstance(url, str):
        data = read_data_url(url)
        if data is not None:
            return _inline(data, None, "messages.content.image_url")
        if url.startswith(("http://", "https://")):
            return {"type": "image", "source": {"type": "url", "url": url}}
    elif isinstance(part.get("file_id"), str):
        return {"type": "image", "source": {"type": "file", "file_id": part["file_id"]}}
    raise Untranslatable("messages.content.image_url", "An image must be a data: URL or an http(s) URL.")


def _file(part: Mapping[str, Any]) -> Block | None:
    file = part["file"] if isinstance(part.get("file"), dict) else part
    name = file.get("filename")
    title = name if isinstance(name, str) and name else None
    payload, url, file_id = file.get("file_data"), file.get("file_url"), file.get("file_id")
    if isinstance(payload, str):
        data = read_data_url(payload) or Data(_type_by_name(title or ""), payload)
        return _inline(data, title, "messages.content.file")
    if isinstance(url, str):
        return _titled({"type": "document", "source": {"type": "url", "url": url}}, title)
    if isinstance(file_id, str):
        return _titled({"type": "document", "source": {"type": "file", "file_id": file_id}}, title)
    raise Untranslatable("messages.content.file", "A file part must hold file_data, file_url or file_id.")


def _audio(part: Mapping[str, Any]) -> Block | None:
    raise Untranslatable("messages.content.input_audio", "Audio cannot be sent in anthropic.messages; transcribe it first.")


def _inline(data: Data, title: str | None, field: str) -> Block:
    """A block for what a data: URL holds, by its media type."""
    kind = _IMAGE_TYPES.get(data.media_type, data.media_type)
    if kind.startswith("image/"):
        return {"type": "image", "source": {"type": "base64", "media_type": kind, "data": data.base64}}
    if kind == "application/pdf":
        return _titled({"type": "document", "source": {"type": "base64", "media_type": kind, "data": data.base64}}, title)
    text = data.text() if kind.startswith("text/") or kind in _TEXT_TYPES else None
    if text is None:
        raise Untranslatable(field, f"A file of type {kind} cannot be sent in anthropic.messages: it takes images, PDF and text.")
    return _titled({"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": text}}, title)


def _type_by_name(name: str) -> str:
    """Bare base64 says nothing of itself; what has no telling name is taken for what is sent most."""
    return _TYPE_BY_SUFFIX.get(name.rpartition(".")[2].lower(), "application/pdf")


def _titled(block: Block, title: str | None) -> Block:
    return block if title is None else {**block, "title": title}


_PARTS: Mapping[str, Callable[[Mapping[str, Any]], Block | None]] = {
    "text": _text,
    "input_text": _text,
    "output_text": _text,
    "refusal": _text,
    "image_url": _image,
    "input_image": _image,
    "file": _file,
    "input_file": _file,
    "input_audio": _audio,
}
