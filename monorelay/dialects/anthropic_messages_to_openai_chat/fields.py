"""What anthropic.messages says and openai.chat has no word for.

``DROPPED`` is reported to the client, and refused on a strict route. ``UNSAID`` is not: it changes no answer, only cost,
bookkeeping or the vendor's own housekeeping. A name in angle brackets stands for the type that the request gave. A field of the
request that is in neither table and unknown to ``request.py`` is reported under its own name.

References: https://platform.claude.com/docs/en/api/messages (versions 2023-06-01 and 2026-10-21) and
https://platform.openai.com/docs/api-reference/chat/create
"""

from __future__ import annotations

from collections.abc import Mapping

DROPPED: Mapping[str, str] = {
    "top_k": "chat/completions has no such parameter",
    "stop_sequences": "chat/completions takes four; those after the fourth are left out",
    "thinking": "the provider file says that this provider cannot be asked to think (`quirks.reasoning`)",
    "output_config.effort": "this provider can be asked to think, but not how hard (`quirks.reasoning`)",
    "output_config.format": "this provider cannot be held to this schema; it is asked for it in words, or for the best it can do",
    "output_config.task_budget": "chat/completions knows no budget beyond one answer",
    "inference_geo": "where the provider computes cannot be asked for in chat/completions",
    "fallbacks": "other models are the relay's to choose, by a cascade",
    "tools.<type>": "a tool that Anthropic runs or its models were trained on; the upstream has no counterpart",
    "tools.strict": "OpenAI's strict form wants closed objects whose properties are all required",
    "tool_choice": "the tool it names is not among those that were kept",
    "messages.<type>": "a block that belongs to Anthropic's own tools or storage, or that nobody here knows",
    "documents.citations": "chat/completions does not cite what it was given",
}

UNSAID: Mapping[str, str] = {
    "cache_control": "OpenAI-compatible upstreams cache prompts by themselves",
    "context_management": "clears old turns to save tokens; the whole history says the same and more",
    "container": "belongs to Anthropic's code execution, which is dropped with its tool",
    "metadata": "user_id is told as `user`; it has no other field",
    "service_tier": "capacity bought from Anthropic",
    "speed": "a tier of Anthropic's",
    "diagnostics": "about Anthropic's prompt cache",
    "user_profile_id": "an account of Anthropic's",
    "workspace_id": "an account of Anthropic's",
    "billing_policy": "an account of Anthropic's",
    "fallback_credit_token": "an account of Anthropic's",
    "betas": "announces features; those that a request uses are judged one by one",
    "anthropic_beta": "the same, as some clients spell it in the body",
    "anthropic_version": "the same of the version",
    "thinking.display": "the upstream shows its reasoning or does not",
    "messages.thinking": "given to upstreams that want it back (`quirks.echo_reasoning`); the others ignore or refuse it",
    "messages.redacted_thinking": "nobody but its maker can read it",
    "messages.fallback": "tells that another model took over",
    "tools.defer_loading": "all tools are told at once",
    "tools.allowed_callers": "about Anthropic's code execution",
    "tools.eager_input_streaming": "arguments are streamed as they come in any case",
    "images.transformations": "the upstream scales images by its own rule",
}
