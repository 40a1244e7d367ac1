"""What openai.responses says and anthropic.messages has no word for; and what our words for it are.

The request goes by way of openai.chat, whose fields mean the same under other names. ``NAMES`` turns those names back, so that a
client is told of losses in its own words.

References: https://platform.openai.com/docs/api-reference/responses/create and https://platform.claude.com/docs/en/api/messages
"""

from __future__ import annotations

from collections.abc import Mapping

DROPPED: Mapping[str, str] = {
    "access_programs": "an arrangement with OpenAI",
    "context_management": "the relay keeps no conversation that could be compacted",
    "frequency_penalty": "the upstream has no such setting",
    "image": "about images that OpenAI makes",
    "input.<type>": "an item or part of a tool that the vendor runs, or one that nobody here knows",
    "input.function_call.arguments": "they are no JSON object, and are sent as text inside one",
    "logit_bias": "it names tokens of another vocabulary",
    "max_tool_calls": "counts calls of tools that the vendor runs, and there are none",
    "moderation": "the upstream moderates in its own way",
    "min_p": "the upstream has no such setting",
    "presence_penalty": "the upstream has no such setting",
    "reasoning.effort": "the conversation, the limit of tokens or the forced answer leaves no room for thinking",
    "reasoning.mode": "the upstream has no such setting",
    "repetition_penalty": "the upstream has no such setting",
    "seed": "the upstream cannot repeat an answer",
    "stop": "a stop sequence must hold a visible character",
    "store": "the relay keeps no responses; the answer says `store: false`",
    "temperature": "the highest is 1, and thinking allows no other value",
    "text.format": "the model is told to answer in JSON; nothing holds it to that",
    "text.verbosity": "the upstream has no such setting; say it in the instructions",
    "tool_choice": "a model that thinks cannot be forced to call a tool, and one that was left out cannot be chosen",
    "tools.<type>": "it is run by the vendor, or only its models know it",
    "tools.custom.format": "a grammar is only described to the model, not enforced",
    "tools.strict": "this schema, or this provider, knows no strict tools",
    "top_k": "thinking does not allow it",
    "top_logprobs": "the upstream tells no probabilities",
    "top_p": "thinking allows nothing below 0.95",
    "truncation": "the upstream cuts no conversation; one that is too long is refused",
}

# Fields of openai.chat, or the beginnings of their names → the client's. All others are called the same.
NAMES: Mapping[str, str] = {
    "logprobs": "top_logprobs",
    "max_completion_tokens": "max_output_tokens",
    "max_tokens": "max_output_tokens",
    "messages": "input",
    "messages.reasoning_content": "input.reasoning",
    "messages.tool_calls": "input.function_call",
    "messages.tool_calls.function.arguments": "input.function_call.arguments",
    "reasoning_effort": "reasoning.effort",
    "response_format": "text.format",
    "tools.function.strict": "tools.strict",
    "verbosity": "text.verbosity",
}


def clients_name(field: str) -> str:
    """What the client called a field of openai.chat.

    >>> clients_name("reasoning_effort"), clients_name("messages.content.input_audio"), clients_name("seed")
    ('reasoning.effort', 'input.input_audio', 'seed')
    """
    if field in NAMES:
        return NAMES[field]
    if field.startswith("messages."):
        return "input." + field.rpartition(".")[2]
    return field
