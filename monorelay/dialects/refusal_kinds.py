"""What a refusal is about, where another model or another provider could cure it: the dialects' own codes and sentences.

    context_length     the conversation is longer than this model takes
    content_filter     somebody's filter would not let it through
    model_not_found    the provider has no such model, or this key may not use it
    not_offered        nobody there knows the endpoint: a 404 or 405 that no API wrote

How one vendor words such a thing beyond its dialect belongs into its provider file (``refusals:``), to be matched with the words
that ``error_words`` reads. What is on neither list is no kind: the caller's own fault, and so the answer.

Sources: the error guides of platform.openai.com and docs.anthropic.com, the ``code`` enumerations of the published OpenAPI
documents, and the sources of the servers that call themselves OpenAI-compatible.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Literal

from monorelay.errors import ErrorBody

Kind = Literal["context_length", "content_filter", "model_not_found", "not_offered", ""]

# A code (or, where there is none, a type) is decisive whatever the sentence beside it says. Keys are in lower case.
_KIND_BY_CODE: dict[str, Kind] = {
    "context_length_exceeded": "context_length",  # chat, completions, responses
    "context_window_exceeded": "context_length",
    "exceed_context_size_error": "context_length",  # a type that servers of local models say
    "request_too_large": "context_length",  # messages: more bytes than are taken
    "content_filter": "content_filter",
    "content_policy_violation": "content_filter",  # images, and older chat
    "moderation_blocked": "content_filter",
    "invalid_prompt": "content_filter",  # responses: the prompt was flagged; a malformed one has another code
    "image_content_policy_violation": "content_filter",
    "bio_policy": "content_filter",
    "cyber_policy": "content_filter",
    "misalignment_policy_violation": "content_filter",
    "model_not_found": "model_not_found",
    "deploymentnotfound": "model_not_found",  # where a model has to be deployed under a name first
}

# Sentences, where the dialect has no code of its own; only for a request that was refused as wrong.
_SENTENCES: tuple[tuple[re.Pattern[str], Kind], ...] = (
    # anthropic.messages, invalid_request_error: "prompt is too long: 210000 tokens > 200000 maximum"
    (re.compile(r"prompt is too long\b", re.I), "context_length"),
    # the same: "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000, …"
    (re.compile(r"input length and `?max_tokens`? exceed context limit", re.I), "context_length"),
    # openai.chat's sentence, which compatible servers repeat without its code
    (re.compile(r"this model's maximum context length is\b", re.I), "context_length"),
    # anthropic.messages: "Output blocked by content filtering policy"
    (re.compile(r"blocked by content filtering policy", re.I), "content_filter"),
)

# "model: claude-9" is all that anthropic.messages says of a model that it has not; files and batches are named otherwise. The
# other dialect's sentence is repeated by compatible servers, with the name in any quotation marks.
_NO_MODEL = re.compile(
    r"model: \S+|(?:the )?model [`'\"]?[^\s`'\"]+[`'\"]?,? (?:does not exist|(?:is |was )?not found)\b",
    re.I,
)

_ABOUT_THE_KEY = frozenset({401, 402, 429})  # whatever words they come with: such an answer speaks of the key
_WRONG_REQUEST = frozenset({400, 413, 422})
_LONGEST_TEXT = 2000


def kind_of_refusal(capability: str, status: int, body: bytes) -> Kind:
    """The kind of the refusal that an upstream of ``capability`` sent; "" where it is none of them.

    >>> kind_of_refusal("openai.chat", 400, b'{"error": {"code": "context_length_exceeded", "message": "…"}}')
    'context_length'
    """
    error = _error_of(body)
    kind = _kind(capability, status, _word(error, "type"), _word(error, "code"), _message(error), error.get("param"))
    if not kind and status in (404, 405) and not _is_worded(body):
        return "not_offered"
    return kind


def kind_of_error(capability: str, status: int, error: ErrorBody) -> Kind:
    """The same of an error that was read already: one inside a stream."""
    return _kind(capability, status, error.type, error.code or "", error.message, error.param)


def error_words(body: bytes) -> tuple[str, ...]:
    """Type, code and message, those that are there, for globs to match; of a body that is no JSON, its text."""
    error = _error_of(body)
    return tuple(filter(None, (_word(error, "type"), _word(error, "code"), _message(error))))


def is_filtered(capability: str, body: bytes) -> bool:
    """Whether a whole answer, though a success, holds nothing because a filter took it. One that was cut half-way does hold it."""
    mark, reads = _FILTERED.get(capability, (b"", None))
    if reads is None or mark not in body:
        return False
    fields = _parsed(body)
    return isinstance(fields, dict) and reads(fields)


# ---------------------------------------------------------------------------------------------------- kinds


def _kind(capability: str, status: int, kind: str, code: str, message: str, param: object) -> Kind:
    if status in _ABOUT_THE_KEY:
        return ""
    known = _KIND_BY_CODE.get(code.lower()) or _KIND_BY_CODE.get(kind.lower())
    if known:
        return known
    if status == 413:
        return "context_length"
    if status in _WRONG_REQUEST:
        for sentence, named in _SENTENCES:
            if sentence.search(message):
                return named
    # Elsewhere a 404 may be about a file, a response or a batch; only what names a model is about a model.
    if status in (400, 404) and (_NO_MODEL.match(message) or (status == 404 and param == "model")):
        return "model_not_found"
    return ""


# ---------------------------------------------------------------------------------------------------- reading


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _error_of(body: bytes) -> Mapping[str, Any]:
    """The object that tells the error: under ``error``, at the top, in a list of one; plain text is a message."""
    found = _parsed(body)
    if isinstance(found, list) and found:
        found = found[0]
    if isinstance(found, dict):
        error = found.get("error")
        if isinstance(error, dict):
            return error
        return {**found, "message": error} if isinstance(error, str) else found
    return {"message": body[:_LONGEST_TEXT].decode("utf-8", "replace").strip()}


def _is_worded(body: bytes) -> bool:
    """Whether an API of this kind wrote it. A web page, nothing at all, or a framework's ``{"detail": "Not Found"}`` comes from
    in front of it: a wrong base_url, a proxy, a server without this endpoint.
    """
    found = _parsed(body)
    if isinstance(found, list) and found:
        found = found[0]
    return isinstance(found, dict) and any(name in found for name in ("error", "message", "code", "type"))


def _word(error: Mapping[str, Any], name: str) -> str:
    value = error.get(name)
    if type(value) is int:
        return str(value)
    return value[:_LONGEST_TEXT] if isinstance(value, str) else ""


def _message(error: Mapping[str, Any]) -> str:
    return _word(error, "message") or _word(error, "detail")


# ---------------------------------------------------------------------------------------------------- filtered answers


def _objects(value: object) -> list[Mapping[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _choices_filtered(fields: Mapping[str, Any]) -> bool:
    """Every choice ended for the filter, and none says or calls anything. A refusal's text is the filter's own, not the model's."""
    choices = _objects(fields.get("choices"))
    return bool(choices) and all(choice.get("finish_reason") == "content_filter" and _is_empty(choice) for choice in choices)


def _is_empty(choice: Mapping[str, Any]) -> bool:
    message = choice.get("message")
    said = message if isinstance(message, dict) else {"content": choice.get("text")}
    return not (said.get("content") or said.get("tool_calls") or said.get("function_call"))


def _response_filtered(fields: Mapping[str, Any]) -> bool:
    details = fields.get("incomplete_details")
    if not isinstance(details, dict) or details.get("reason") != "content_filter":
        return False
    return not any(
        item.get("type") != "message" or any(part.get("text") for part in _objects(item.get("content")))
        for item in _objects(fields.get("output"))
        if item.get("type") != "reasoning"
    )


def _message_filtered(fields: Mapping[str, Any]) -> bool:
    if fields.get("stop_reason") != "refusal":
        return False
    blocks = _objects(fields.get("content"))
    return not any(block.get("type") == "tool_use" or block.get("text") for block in blocks)


_FILTERED = {
    "openai.chat": (b"content_filter", _choices_filtered),
    "openai.completions": (b"content_filter", _choices_filtered),
    "openai.responses": (b"content_filter", _response_filtered),
    "anthropic.messages": (b'"refusal"', _message_filtered),
}
