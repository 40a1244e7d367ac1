"""Why a model stopped: anthropic.messages' words in those of openai.chat and openai.completions."""

from __future__ import annotations

FINISH_REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "content_filter",
}


def finish_reason_for(stop_reason: object) -> str:
    """Total: a reason that nobody knows is an ordinary end."""
    return FINISH_REASONS.get(stop_reason, "stop") if isinstance(stop_reason, str) else "stop"
