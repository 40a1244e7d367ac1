"""Blocks that are shown to a model become parts of a user's message: text, images, documents, search results.

| block | part |
| --- | --- |
| text | text |
| image: base64, url | image_url, as a data URL or as it is |
| image, document: file | file, by its id: it was uploaded through this relay or it does not exist up there |
| document: base64 | file, as a data URL |
| document: text, content | text between tags that name its title; images in it follow |
| document: url | untranslatable: chat/completions fetches no documents, and neither does the relay |
| search_result | text between tags that name its source |
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from monorelay.dialects.anthropic_messages_to_openai_chat.fields import DROPPED
from monorelay.dialects.chat_content import BETWEEN, Part, text_part
from monorelay.dialects.data_urls import data_url
from monorelay.dialects.interface import Untranslatable
from monorelay.dialects.loss import Losses, plain_word

Block = Mapping[str, Any]


def blocks_of(content: object, field: str) -> Sequence[Block]:
    """Content in its long form. Raises Untranslatable where it is neither text nor a list of blocks."""
    if isinstance(content, str):
        return ({"type": "text", "text": content},)
    if content is None:
        return ()
    if not isinstance(content, list):
        raise Untranslatable(field, f"`{field}` must be text or a list of blocks.")
    for block in content:
        if not isinstance(block, dict):
            raise Untranslatable(field, f"`{field}` holds something that is no block: {json.dumps(block)[:80]}")
    return content


def text_field(block: Block, name: str, field: str) -> str:
    """A field that must be text. Raises Untranslatable."""
    value = block.get(name)
    if not isinstance(value, str):
        raise Untranslatable(field, f"`{field}.{name}` must be text.")
    return value


def shown(block: Block, field: str, losses: Losses) -> Iterator[Part]:
    """The parts that show this block; none where it is of a kind that cannot be shown, which is reported."""
    kind = block.get("type")
    if kind == "text":
        text = text_field(block, "text", field)
        if text:
            yield text_part(text)
    elif kind == "image":
        yield _image(_source(block, field), field)
    elif kind == "document":
        yield from _document(block, field, losses)
    elif kind == "search_result":
        yield _search_result(block, field)
    elif kind == "tool_reference":
        yield text_part(f"The tool {block.get('tool_name')} is available.")
    elif kind == "browser_state":
        yield text_part(json.dumps({"tabs": block.get("tabs"), "state_changes": block.get("state_changes")}, ensure_ascii=False))
    elif kind == "compaction":  # a summary of what was said before
        if block.get("content"):
            yield text_part(text_field(block, "content", field))
    else:
        drop(block, losses)


def drop(block: Block, losses: Losses) -> None:
    """Reports a block that is left out."""
    losses.add(f"messages.{plain_word(block.get('type'))}", DROPPED["messages.<type>"])


def _source(block: Block, field: str) -> Mapping[str, Any]:
    source = block.get("source")
    if not isinstance(source, dict):
        raise Untranslatable(f"{field}.source", f"`{field}.source` must be an object.")
    return source


def _image(source: Mapping[str, Any], field: str) -> Part:
    kind = source.get("type")
    if kind == "base64":
        url = data_url(str(source.get("media_type") or "image/png"), text_field(source, "data", f"{field}.source"))
    elif kind == "url":
        url = text_field(source, "url", f"{field}.source")
    elif kind == "file":
        return _file_by_id(source, field)
    else:
        raise Untranslatable(f"{field}.source", f"An image from a source of the type {kind!r} cannot be told in openai.chat.")
    return {"type": "image_url", "image_url": {"url": url}}


def _file_by_id(source: Mapping[str, Any], field: str) -> Part:
    return {"type": "file", "file": {"file_id": text_field(source, "file_id", f"{field}.source")}}


def _document(block: Block, field: str, losses: Losses) -> Iterator[Part]:
    source = _source(block, field)
    citations = block.get("citations")
    if isinstance(citations, dict) and citations.get("enabled"):
        losses.add("documents.citations")
    kind = source.get("type")
    if kind == "base64":
        if isinstance(block.get("context"), str) and block["context"]:
            yield text_part(block["context"])
        media_type = str(source.get("media_type") or "application/pdf")
        name = str(block.get("title") or "document")
        if media_type == "application/pdf" and not name.lower().endswith(".pdf"):
            name += ".pdf"
        data = data_url(media_type, text_field(source, "data", f"{field}.source"))
        yield {"type": "file", "file": {"filename": name, "file_data": data}}
    elif kind == "file":
        yield _file_by_id(source, field)
    elif kind == "text":
        yield text_part(_enclosed(block, text_field(source, "data", f"{field}.source")))
    elif kind == "content":
        inside = blocks_of(source.get("content"), f"{field}.source.content")
        parts = [part for each in inside for part in shown(each, f"{field}.source.content", losses)]
        yield text_part(_enclosed(block, BETWEEN.join(part["text"] for part in parts if part["type"] == "text")))
        yield from (part for part in parts if part["type"] != "text")
    else:
        what = "by its URL: it fetches none, and neither does the relay. Send it as base64" if kind == "url" else f"as {kind!r}"
        raise Untranslatable(f"{field}.source", f"openai.chat takes no document {what}.")


def _enclosed(block: Block, text: str) -> str:
    title = f' title="{block["title"]}"' if block.get("title") else ""
    context = f"{block['context']}\n" if block.get("context") else ""
    return f"<document{title}>\n{context}{text}\n</document>"


def _search_result(block: Block, field: str) -> Part:
    texts = [text_field(each, "text", field) for each in blocks_of(block.get("content"), field)]
    named = "".join(f' {name}="{block[name]}"' for name in ("source", "title") if block.get(name))
    return text_part(f"<search_result{named}>\n{BETWEEN.join(texts)}\n</search_result>")
