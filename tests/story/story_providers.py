"""Configurations for the stories: providers that all lead to one recording upstream, told apart by the first segment of the path.

Secrets come by environment variable, as an operator is advised to write them.
"""

from __future__ import annotations

from typing import Any

from story_process import KEY

SECRETS = {"UP_A": "sk-up-a", "UP_B": "sk-up-b", "UP_C": "sk-up-c", "ACCESS": KEY}
SERVER = {"access_key": "${ACCESS}", "detect_public_ip": False}


def keys(*names: str) -> list[dict[str, Any]]:
    """``keys("a", "b")``: the keys sk-up-a and sk-up-b, labelled a and b."""
    return [{"label": name, "secret": f"${{UP_{name.upper()}}}"} for name in names]


def openai_like(origin: str, name: str, *models: str, **more: Any) -> dict[str, Any]:
    """A provider of the one dialect at ORIGIN/name/v1, with credits besides all that the template offers."""
    return {
        "extends": "openai-compatible",
        "base_url": f"{origin}/{name}/v1",
        "keys": keys("a"),
        "models": {"include": list(models)},
        "offers": {"credits": "/credits"},
        **more,
    }


def anthropic_like(origin: str, name: str, *models: str, **more: Any) -> dict[str, Any]:
    """A provider of the other dialect at ORIGIN/name."""
    return {
        "extends": "anthropic-compatible",
        "base_url": f"{origin}/{name}",
        "keys": keys("b"),
        "models": {"include": list(models)},
        **more,
    }


def both(origin: str) -> dict[str, Any]:
    """``acme`` serves gpt-acme and vendor/gpt-acme; ``claudia`` serves claude-acme."""
    return {
        "acme": openai_like(origin, "acme", "gpt-acme", "vendor/gpt-acme"),
        "claudia": anthropic_like(origin, "claudia", "claude-acme"),
    }
