"""The table: who can serve whom, and which words are known."""

from __future__ import annotations

import pytest

from monorelay.dialects.table import has_event_stream, known_capabilities, translator_for

WORDS = """
openai.chat openai.completions openai.responses openai.embeddings openai.moderations openai.audio.transcriptions
openai.audio.translations openai.audio.speech openai.images.generations openai.images.edits openai.images.variations
openai.files openai.fine_tuning openai.batches openai.assistants openai.models
anthropic.messages anthropic.count_tokens anthropic.models credits rerank
""".split()


def test_known_words() -> None:
    """Exactly the words of the vocabulary, each once."""
    assert list(known_capabilities()) == sorted(WORDS)


@pytest.mark.parametrize("capability", [*WORDS, "acme.ocr"])
def test_every_capability_serves_itself(capability: str) -> None:
    """Natively, an operator's own word too."""
    translator = translator_for(capability, capability)
    assert translator is not None
    assert translator.native
    assert (translator.client, translator.upstream) == (capability, capability)


def test_no_pair_is_promised_that_does_not_exist() -> None:
    """Different words without a translator between them do not match."""
    assert translator_for("openai.embeddings", "anthropic.messages") is None
    assert translator_for("acme.ocr", "acme.other") is None


def test_event_streams() -> None:
    """Chat and its like may stream, files and lists may not; of an unknown word nobody can tell, so it may."""
    assert has_event_stream("openai.chat") and has_event_stream("anthropic.messages") and has_event_stream("acme.ocr")
    assert not has_event_stream("openai.embeddings") and not has_event_stream("credits") and not has_event_stream("openai.files")
