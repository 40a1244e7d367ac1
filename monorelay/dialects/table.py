"""Which capability can serve which: the table of translators, and the words that are known.

A client's capability is served best by itself, and else by one that a translator reaches.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType

from monorelay.dialects.interface import Translator
from monorelay.dialects.passthrough import Passthrough

# (client, upstream) → the module that holds its TRANSLATOR. Where a provider offers several, the first in this order is taken.
# Loaded when a configuration brings the two together: most need few of them.
PAIRS: Mapping[tuple[str, str], str] = MappingProxyType(
    {
        ("anthropic.messages", "openai.chat"): "anthropic_messages_to_openai_chat",
        ("openai.responses", "openai.chat"): "openai_responses_to_openai_chat",
        ("openai.chat", "anthropic.messages"): "openai_chat_to_anthropic_messages",
        ("openai.responses", "anthropic.messages"): "openai_responses_to_anthropic_messages",
        ("anthropic.messages", "openai.responses"): "anthropic_messages_to_openai_responses",
        ("openai.chat", "openai.responses"): "openai_chat_to_openai_responses",
        ("openai.completions", "openai.chat"): "openai_completions_to_openai_chat",
        ("openai.completions", "anthropic.messages"): "openai_completions_to_anthropic_messages",
    }
)

_STREAMING = frozenset(
    {
        "openai.chat",
        "openai.completions",
        "openai.responses",
        "openai.audio.transcriptions",
        "openai.audio.translations",
        "openai.audio.speech",
        "openai.images.generations",
        "openai.images.edits",
        "openai.assistants",
        "anthropic.messages",
    }
)
_WHOLE = frozenset(
    {
        "openai.embeddings",
        "openai.moderations",
        "openai.images.variations",
        "openai.files",
        "openai.fine_tuning",
        "openai.batches",
        "openai.models",
        "anthropic.count_tokens",
        "anthropic.models",
        "credits",
        "rerank",
    }
)


def translator_for(client: str, upstream: str) -> Translator | None:
    """Total over all words: a capability nobody here knows still passes through to itself."""
    if client == upstream:
        return Passthrough(client)
    module = PAIRS.get((client, upstream))
    if module is None:
        return None
    translator: Translator = import_module(f"{__package__}.{module}").TRANSLATOR
    return translator


def upstreams_for(client: str) -> tuple[str, ...]:
    """The capabilities that can serve a client's, in order of preference: itself first, then the table's order."""
    return (client, *(upstream for wanted, upstream in PAIRS if wanted == client))


def known_capabilities() -> tuple[str, ...]:
    """All words with a meaning of their own, sorted; an operator may use others."""
    return tuple(sorted(_STREAMING | _WHOLE))


def has_event_stream(capability: str) -> bool:
    """Whether its answers may be event streams; of an operator's own word nobody knows, so they may."""
    return capability not in _WHOLE
