"""What an operator changes while a relay runs: `diff` tells it beforehand, `enable --reload` puts it in force."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from story_process import PATIENCE, TOP, Relay
from story_providers import SECRETS, SERVER, both
from story_upstream import Recorder, ok


@pytest.fixture(scope="module")
def relay(start: Callable[..., Relay], upstream: Recorder) -> Relay:
    return start({"server": SERVER, "providers": both(upstream.origin)}, environ=SECRETS)


def say(relay: Relay, *arguments: str | Path, given: str = "") -> tuple[int, str, str]:
    command = [sys.executable, "-m", "monorelay", arguments[0], "--config-dir", str(relay.etc), *map(str, arguments[1:])]
    env = {"PATH": os.environ["PATH"], "HOME": str(relay.directory), "MONORELAY_STATE_DIR": str(relay.state), **SECRETS}
    done = subprocess.run(command, cwd=TOP, env=env, input=given, capture_output=True, text=True, timeout=PATIENCE)
    return done.returncode, done.stdout, done.stderr


def test_diff_with_a_running_relay(relay: Relay, upstream: Recorder) -> None:
    """Nothing, then what was written, then nothing again once it is in force; no credential comes over the socket."""
    assert say(relay, "diff") == (0, "nothing would change\n", "")
    config = {"server": {**SERVER, "drain": 7}, "providers": both(upstream.origin)}
    config["providers"]["acme"]["priority"] = 9
    relay.write(config)
    code, out, err = say(relay, "diff")
    assert (code, err) == (1, "") and "~ provider acme\n    ~ priority: " in out and "→ 9  " in out
    assert "~ server.drain: " in out and f"→ 7  {relay.etc}/config.yml:" in out
    assert not [secret for secret in SECRETS.values() if secret in out]
    relay.reload()
    assert say(relay, "diff") == (0, "nothing would change\n", "")


def test_what_is_only_written_otherwise(relay: Relay) -> None:
    """A reload that finds nothing to change leaves nothing to be compared either."""
    served = json.loads((relay.etc / "config.yml").read_text())
    relay.reload({**served, "model_routing": {"model_overrides": {"x": SECRETS["UP_C"]}}})
    relay.write({**served, "model_routing": {"model_overrides": {"x": "${UP_C}"}}})
    assert say(relay, "diff")[0] == 1
    relay.reload(outcome="unchanged")
    assert say(relay, "diff")[0] == 0
    relay.reload(served)


def test_diff_when_the_last_reload_was_refused(relay: Relay, upstream: Recorder) -> None:
    """What is compared with is what is served, not what was refused."""
    served = json.loads((relay.etc / "config.yml").read_text())
    relay.reload({**served, "server": {**served["server"], "prot": 1}}, outcome="refused")
    code, _, err = say(relay, "diff")
    assert code == 78 and "server.prot" in err
    relay.write(served)
    assert say(relay, "diff")[0] == 0


def test_diff_without_a_relay(tmp_path: Path, relay: Relay) -> None:
    """There is nothing to compare with: 2, and what to do."""
    code, _, err = say(relay, "diff", "--socket", tmp_path / "none.sock")
    assert code == 2 and "no relay listens at" in err


def test_a_provider_is_enabled_and_serves(relay: Relay, upstream: Recorder) -> None:
    """From the command to the first call; the key that was given goes up, and disabling takes it off the air."""
    upstream.standing("/house/models", ok({"data": []}))
    line = ("house", "--base-url", f"{upstream.origin}/house", "--key-stdin", "--reload")
    code, out, err = say(relay, "enable", *line, given="sk-house\n")
    assert (code, err) == (0, "") and "house is on" in out and "taken" in out
    upstream.answer(ok(b'{"id": "1"}'))
    asked = relay.post("/v1/chat/completions", {"model": "llama3@house"})
    assert asked.status == 200, asked
    request = upstream.taken()
    assert request.target == "/house/chat/completions" and request.header("authorization") == "Bearer sk-house"
    assert say(relay, "disable", "house", "--reload")[0] == 0
    assert relay.post("/v1/chat/completions", {"model": "llama3@house"}).json["error"]["type"] == "provider_disabled"
