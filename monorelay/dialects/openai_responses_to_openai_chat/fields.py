"""What openai.responses says and a stateless upstream, or openai.chat, has no word for.

``DROPPED`` is reported to the client, and refused on a strict route. ``UNSAID`` is not: it changes no answer, only its cost, some
bookkeeping, or what is told about it. ``REFUSED`` cannot be left out without answering another question. A name in angle brackets
stands for the type that the request gave. A field of the request that is in none of these tables and unknown to ``request.py`` is
reported under its own name.

References: https://platform.openai.com/docs/api-reference/responses/create and
https://platform.openai.com/docs/api-reference/chat/create
"""

from __future__ import annotations

from collections.abc import Mapping

DROPPED: Mapping[str, str] = {
    "access_programs": "an arrangement with OpenAI",
    "context_management": "the relay keeps no conversation that could be compacted",
    "image": "about images that OpenAI makes",
    "input.<type>": "an item or part of a tool that the vendor runs, or one that nobody here knows",
    "max_tool_calls": "counts calls of tools that the vendor runs, and there are none",
    "moderation": "the upstream moderates in its own way",
    "reasoning.effort": "this provider cannot be told how hard to think (`quirks.reasoning`)",
    "reasoning.mode": "chat/completions has no such parameter",
    "store": "the relay keeps no responses; the answer says `store: false`",
    "text.format": "this provider cannot be held to a schema; it is asked for it in words (`quirks.json_schema`)",
    "tool_choice": "the tool it names is not among those that were kept",
    "tools.<type>": "it is run by the vendor, or only its models know it",
    "tools.custom.format": "a grammar is only described to the model, not enforced",
    "truncation": "chat/completions cuts no conversation; one that is too long is refused",
}

UNSAID: Mapping[str, str] = {
    "client_metadata": "bookkeeping of the client",
    "include": "logprobs are asked for, encrypted reasoning comes where there is any, and the rest has no source",
    "input.reasoning": "given to an upstream that wants its reasoning back (`quirks.echo_reasoning`); others ignore or refuse it",
    "metadata": "repeated in the response; the upstream has no use for it",
    "prompt_cache_key": "a hint for OpenAI's prompt cache, and a field that many compatible servers refuse",
    "prompt_cache_options": "the same",
    "prompt_cache_retention": "the same",
    "reasoning.context": "the client's history says what the upstream sees",
    "reasoning.summary": "the upstream shows its reasoning or does not",
    "stream_options": "about OpenAI's own padding of streams",
}

REFUSED: Mapping[str, str] = {
    "background": "`background` needs a server that keeps responses, and this provider speaks another dialect.",
    "conversation": "`conversation` is kept by OpenAI, and this provider speaks another dialect: send all of it in `input`.",
    "previous_response_id": "`previous_response_id` refers to a response that nobody kept, because this provider speaks another"
    " dialect: send the whole history in `input`.",
    "prompt": "`prompt` refers to a template that OpenAI keeps: send its text in `instructions` and `input`.",
}

# The same for items of the input.
REFUSED_ITEMS: Mapping[str, str] = {
    "item_reference": "An item_reference refers to an item that nobody kept, because this provider speaks another dialect: send the"
    " item itself (most clients do with `store: false`).",
    "compaction": "A compaction item can only be read by its maker, and it holds all that was said before.",
    "compaction_trigger": "A compaction_trigger asks for a summary that only OpenAI's servers make.",
}
