"""Token figures as each dialect writes them; ``usage.py`` reads them.

``Usage.input`` leaves out what came from or went to the prompt cache. OpenAI's figures include it, Anthropic's do not. A figure
that nobody told is left out where the dialect allows that; inside a sum it counts as nothing.
"""

from __future__ import annotations

from typing import Any

from monorelay.dialects.interface import Usage


def chat_usage(usage: Usage | None) -> dict[str, Any] | None:
    """``usage`` of openai.chat and openai.completions; None when nothing is known."""
    if usage is None:
        return None
    prompt, completion = _input(usage), usage.output or 0
    found: dict[str, Any] = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
    details = {"cached_tokens": usage.cache_read, "cache_write_tokens": usage.cache_write}
    _put(found, "prompt_tokens_details", details)
    _put(found, "completion_tokens_details", {"reasoning_tokens": usage.reasoning})
    return found


def responses_usage(usage: Usage | None) -> dict[str, Any] | None:
    """``usage`` of openai.responses, whose details are mandatory; None when nothing is known."""
    if usage is None:
        return None
    prompt, output = _input(usage), usage.output or 0
    return {
        "input_tokens": prompt,
        "input_tokens_details": {"cached_tokens": usage.cache_read or 0, "cache_write_tokens": usage.cache_write or 0},
        "output_tokens": output,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning or 0},
        "total_tokens": prompt + output,
    }


def messages_usage(usage: Usage | None) -> dict[str, Any]:
    """``usage`` of anthropic.messages, where it is mandatory."""
    known = usage or Usage()
    found: dict[str, Any] = {"input_tokens": known.input or 0}
    if known.cache_write is not None:
        found["cache_creation_input_tokens"] = known.cache_write
    if known.cache_read is not None:
        found["cache_read_input_tokens"] = known.cache_read
    found["output_tokens"] = known.output or 0
    if known.reasoning is not None:
        found["output_tokens_details"] = {"thinking_tokens": known.reasoning}
    return found


def _input(usage: Usage) -> int:
    return (usage.input or 0) + (usage.cache_read or 0) + (usage.cache_write or 0)


def _put(found: dict[str, Any], name: str, details: dict[str, int | None]) -> None:
    known = {key: value for key, value in details.items() if value is not None}
    if known:
        found[name] = known
