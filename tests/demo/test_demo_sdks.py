"""The official SDKs, straight against the demo upstream: every endpoint, streaming included."""

from __future__ import annotations

import pytest

pytest.importorskip("openai")
pytest.importorskip("anthropic")

import calls


@pytest.fixture(scope="module")
def clients(demo):
    clients = calls.connect(demo, "sk-demo-up")
    yield clients
    clients.close()


@pytest.mark.parametrize("call", calls.CALLS, ids=lambda call: call.name)
def test_sdk_call(clients, call):
    """What the SDK makes of the demo's answers is whole by the SDK's own types, and says what was asked for."""
    call(clients)
