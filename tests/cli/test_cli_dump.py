"""`monorelay dump`: what a start would serve, whole or in part, for people and for scripts, and never a secret."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

LOCAL = """\
provider: local
extends: openai-compatible
base_url: http://127.0.0.1:9/v1
keys: [{label: main, secret: "${LOCAL_KEY:-sk-secret-local}"}]
"""


def test_dump(operator: Callable[..., Path], say: Callable[..., Any]) -> None:
    """Every part under the file's name, every value with its place."""
    directory = operator(config="server: {port: 1}\n", providers__50_local=LOCAL)
    said = say("dump", "--config-dir", directory)
    assert said.code == 0 and "sk-secret" not in said.out
    config, *others = said.out.split("\n---\n")
    assert config.startswith("# config.yml\nserver:\n") and f"  # {directory}/config.yml:1\n" in config and "# built in\n" in config
    heads = [part.splitlines()[0] for part in others]
    assert "# providers.d/local.yml" in heads and "# routes.d/chat.yml" in heads


def test_dump_a_part(operator: Callable[..., Path], say: Callable[..., Any]) -> None:
    """Only what was asked for; a name that nobody has is refused with one that was meant."""
    directory = operator(providers__50_local=LOCAL)
    said = say("dump", "--providers", "local", "--routes", "chat", "messages", "--config-dir", directory)
    heads = [part.splitlines()[0] for part in said.out.split("\n---\n")]
    assert heads == ["# providers.d/local.yml", "# routes.d/chat.yml", "# routes.d/messages.yml"]
    said = say("dump", "--providers", "locla", "--config-dir", directory)
    assert said.code == 2 and said.err == "no provider is called 'locla', did you mean local?\n"


def test_dump_for_scripts(operator: Callable[..., Path], say: Callable[..., Any]) -> None:
    """A list of values, each with part, path and place; keys by fingerprint."""
    directory = operator(providers__50_local=LOCAL)
    entries = say("dump", "--json", "--providers", "local", "--config-dir", directory).value
    (secret,) = [entry for entry in entries if entry["path"] == ["keys", 0, "secret"]]
    assert secret["fingerprint"] and secret["line"] == 4 and secret["file"] == f"{directory}/providers.d/50_local.yml"
    (priority,) = [entry for entry in entries if entry["path"] == ["priority"]]
    assert priority == {"part": "providers.d/local.yml", "path": ["priority"], "value": 50, "file": None, "line": None}


def test_dump_of_what_would_be_refused(operator: Callable[..., Path], say: Callable[..., Any]) -> None:
    """There is nothing in force then: the problems, and 78."""
    said = say("dump", "--config-dir", operator(config="server: {prot: 1}\n"))
    assert said.code == 78 and "server.prot" in said.err and said.out == ""
