"""The one envelope in both families: what every error answer must look like."""

from __future__ import annotations

from story_client import Answer
from story_process import KEY

# family: an endpoint, a model that it serves, the provider of that model
FAMILIES = {"openai": ("/v1/chat/completions", "gpt-acme", "acme"), "anthropic": ("/v1/messages", "claude-acme", "claudia")}


def is_error(answer: Answer, status: int, kind: str, family: str = "openai") -> str:
    """The one envelope, in either family; its message."""
    assert (answer.status, answer.error["type"]) == (status, kind), answer
    assert answer.header("content-type") == "application/json"
    assert set(answer.json) == ({"error"} if family == "openai" else {"type", "error"})
    assert family == "openai" or answer.json["type"] == "error"
    assert set(answer.error) <= {"message", "type", "code", "param"}
    assert answer.header("x-monorelay-request-id")
    message = answer.error["message"]
    for secret in ("sk-up", KEY, "Traceback", "/work", "pycurl", "tornado"):
        assert secret not in message
    return str(message)
