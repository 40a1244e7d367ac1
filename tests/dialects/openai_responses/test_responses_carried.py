"""What travels through a client in ids and encrypted contents comes back as it was, and nothing that a client sends breaks it."""

from __future__ import annotations

import pytest

from monorelay.dialects.call_arguments import CallArguments
from monorelay.dialects.call_ids import plain_id
from monorelay.dialects.carrying_ids import carrying_id, read_carrying_id
from monorelay.dialects.sealed_thoughts import seal, unseal


@pytest.mark.parametrize("call_id", ["call_1", "functions.f:0", "b64-x", "ü \ud800", ""])
@pytest.mark.parametrize("extra", [None, {"google": {"thought_signature": "s" * 99}}, ["x"]])
def test_ids(call_id: str, extra: object) -> None:
    """An id that carries something is read back with it; one that carries nothing stays as it is."""
    given = carrying_id(call_id, extra)
    assert read_carrying_id(given) == (call_id, extra)
    if extra is None and not call_id.startswith("b64-"):
        assert given == call_id


@pytest.mark.parametrize("given", ["b64-", "b64-!", "b64-AA", plain_id("x\x00{"), plain_id("x\x00" + "[" * 99999)])
def test_ids_of_others(given: str) -> None:
    """That look like ours are read as far as they can be."""
    assert read_carrying_id(given)[1] is None


def test_thoughts() -> None:
    """Are given back to the dialect that sealed them, and to no other."""
    thought = {"type": "thinking", "thinking": "ü\ud800", "signature": "s"}
    sealed = seal("anthropic.messages", thought)
    assert unseal("anthropic.messages", sealed) == thought and unseal("openai.chat", sealed) is None
    for other in (None, 5, "", "gAAAA", "anthropic.messages:", "anthropic.messages:!", "anthropic.messages:" + "W10="):
        assert unseal("anthropic.messages", other) is None


@pytest.mark.parametrize("size", [1, 2, 3, 99])
@pytest.mark.parametrize(
    "text, told",
    [
        ("", "{}"),
        (" { } ", "{}"),
        ('{"a":"}"}', '{"a":"}"}'),
        ('{}{"a":1}', '{"a":1}'),
        ('{"a":1}{"a":1}', '{"a":1}'),
        ('{"a":{"b":[1,{}]}} tail', '{"a":{"b":[1,{}]}}'),
        ("null", "{}"),
        ("plain", "plain"),
        ('"{\\"a\\":1}"', '{"a":1}'),
        ('{"cut', '{"cut'),
    ],
)
def test_arguments(text: str, told: str, size: int) -> None:
    """However they are cut: one object, or what the model wrote instead."""
    arguments = CallArguments()
    pieces = [arguments.feed(text[at : at + size]) for at in range(0, len(text), size)]
    assert "".join(pieces) + arguments.finish() == told
    assert arguments.feed("more") == "" or told.startswith('{"cut')
