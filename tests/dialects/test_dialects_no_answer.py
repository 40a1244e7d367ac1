"""A stream of chat chunks that ends before there was any answer: an error in whichever dialect the client speaks."""

from __future__ import annotations

from typing import Any

import pytest

from monorelay.dialects.interface import Hints
from monorelay.dialects.quirks import Quirks
from monorelay.dialects.table import translator_for

BODIES: dict[str, dict[str, Any]] = {
    "openai.chat": {"messages": [{"role": "user", "content": "hi"}]},
    "openai.completions": {"prompt": "hi"},
    "openai.responses": {"input": "hi"},
    "anthropic.messages": {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 9},
}


@pytest.mark.parametrize("client", BODIES)
def test_done_and_nothing_else_is_no_answer(client: str) -> None:
    """Nothing is told of it, so that the attempt fails and somebody else can be asked."""
    translator = translator_for(client, "openai.chat")
    assert translator is not None
    hints = Hints("m", 1_700_000_000, lambda prefix: f"{prefix}made", Quirks(), False)
    transducer = translator.begin({"model": "m", "stream": True, **BODIES[client]}, b"", hints).stream()
    told = transducer.feed(b": processing\n\n") + transducer.feed(b"data: [DO") + transducer.feed(b"NE]\n\n")
    assert transducer.error is not None and transducer.error.status == 500 and not transducer.opened
    assert "before there was any answer" in transducer.error.body.message
    assert client == "openai.chat" or told == b""  # where bytes are relayed, the relay holds them
