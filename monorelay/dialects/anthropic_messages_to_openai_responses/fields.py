"""What anthropic.messages says and openai.responses has no word for.

``DROPPED`` is reported to the client, and refused on a strict route. ``UNSAID`` is not: it changes no answer, only cost,
bookkeeping or the vendor's own housekeeping. ``REFUSED`` cannot be left out without answering another question. A name in angle
brackets stands for the type that the request gave. A field of the request that is in none of these tables and unknown to
``request.py`` is reported under its own name.

References: https://platform.claude.com/docs/en/api/messages (versions 2023-06-01 and 2026-10-21) and
https://platform.openai.com/docs/api-reference/responses/create
"""

from __future__ import annotations

from collections.abc import Mapping

DROPPED: Mapping[str, str] = {
    "max_tokens": "the upstream takes no limit below 16 tokens",
    "stop_sequences": "the upstream knows no stop sequences",
    "top_k": "the upstream has no such setting",
    "thinking": "the provider file says that this provider cannot be asked to think (`quirks.reasoning`)",
    "output_config.effort": "the same",
    "output_config.format": "this provider cannot be held to this schema; it is asked for it in words, or for the best it can do",
    "output_config.task_budget": "the upstream knows no budget beyond one answer",
    "inference_geo": "where the provider computes cannot be asked for",
    "fallbacks": "other models are the relay's to choose, by a cascade",
    "tools.<type>": "a tool that Anthropic runs or its models were trained on; the upstream has no counterpart",
    "tools.strict": "OpenAI's strict form wants closed objects whose properties are all required",
    "tools.web_search.blocked_domains": "the upstream's search takes domains that are allowed, and none that are not",
    "tool_choice": "the tool it names is not among those that were kept",
    "messages.<type>": "a block that belongs to Anthropic's own tools or storage, or that nobody here knows",
    "documents.citations": "the upstream does not cite what it was given",
}

UNSAID: Mapping[str, str] = {
    "cache_control": "the upstream caches prompts by itself",
    "context_management": "clears old turns to save tokens; the whole history says the same and more",
    "container": "belongs to Anthropic's code execution, which is dropped with its tool",
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
    "messages.thinking": "given to upstreams that want it back (`quirks.echo_reasoning`) unless one of them sealed it",
    "messages.redacted_thinking": "nobody but its maker can read it",
    "messages.fallback": "tells that another model took over",
    "tools.defer_loading": "all tools are told at once",
    "tools.allowed_callers": "about Anthropic's code execution",
    "tools.eager_input_streaming": "arguments are streamed as they come in any case",
    "images.transformations": "the upstream scales images by its own rule",
}

REFUSED: Mapping[str, str] = {
    "mcp_servers": "`mcp_servers` asks Anthropic to call MCP servers for you, and this provider speaks another dialect.",
    "thread": "`thread` continues a conversation that Anthropic keeps; this provider wants all of it in `messages`.",
    "compaction": "`compaction` asks for a signed summary, which only Anthropic can sign.",
}
