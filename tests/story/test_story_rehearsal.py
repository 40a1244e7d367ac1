"""An operator rehearses: faults in a provider's file, and what clients see of them; balances, and the keys that have none."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from story_process import TOP, Relay, refused
from story_providers import SECRETS, SERVER, keys, openai_like
from story_upstream import Recorder, ok, streamed

REHEARSAL = {**SERVER, "allow_faults": True}
HELLO = b'data: {"choices":[{"delta":{"content":"hello"}}]}\n\n'
DONE = b"data: [DONE]\n\n"
FAULTS: dict[str, list[dict[str, Any]]] = {
    "storm": [{"kind": "rate_limit", "retry_after": 0.4, "keys": ["a"]}],
    "cut": [{"kind": "cut", "after_events": 2}],
    "stall": [{"kind": "stall", "after_events": 1}],
    "late": [{"kind": "latency", "seconds": 0.2}],
    "hanging": [{"kind": "latency", "seconds": 600}],
    "broken": [{"kind": "bad_json"}],
    "down": [{"kind": "status", "status": 502}],
}


@pytest.fixture(scope="module")
def relay(start: Callable[..., Relay], upstream: Recorder) -> Relay:
    providers: dict[str, Any] = {
        name: openai_like(
            upstream.origin,
            name,
            f"{name}-model",
            keys=keys("a", "b"),
            faults=faults,
            offers={"credits": None},
            timeouts={"first_byte": 0.5, "idle": 0.3},
        )
        for name, faults in FAULTS.items()
    }
    return start({"server": REHEARSAL, "providers": providers}, environ=SECRETS)


def chat(relay: Relay, name: str, **more: Any) -> Any:
    return relay.post("/v1/chat/completions", {"model": f"{name}-model", "messages": [], **more})


def test_a_storm_of_429s_on_one_key_of_two_is_seen_by_no_client(relay: Relay, upstream: Recorder) -> None:
    """Every call is answered; the upstream never sees the key that is staged to be limited, and what it says of the wait holds."""
    began = time.monotonic()
    answers = [chat(relay, "storm")]
    while time.monotonic() < began + 1.2:
        answers.append(chat(relay, "storm"))
    assert {answer.status for answer in answers} == {200}
    assert {request.header("authorization") for request in upstream.requests} == {"Bearer sk-up-b"}
    attempts = [answer.header("x-monorelay-attempts") for answer in answers]
    assert 2 <= attempts.count("2") <= 1 + (time.monotonic() - began) / 0.4
    assert "provider=storm key=a rehearsal: rate_limit" in relay.log()


def test_a_stream_that_is_cut_ends_with_an_error_in_band(relay: Relay, upstream: Recorder) -> None:
    """Two events arrive as the upstream sent them, then the client's own kind of error; the upstream is left."""
    upstream.answer(streamed(HELLO, HELLO + HELLO, 10.0, DONE))
    answer = chat(relay, "cut", stream=True)
    assert (answer.status, answer.whole) == (200, True)
    assert answer.body.startswith(HELLO * 2) and HELLO * 3 not in answer.body
    (told,) = [json.loads(line[6:]) for line in answer.body[len(HELLO) * 2 :].splitlines() if line.startswith(b"data: {")]
    assert told["error"]["message"] == "[cut] The stream broke off: rehearsal: the answer was cut after 2 events"
    assert upstream.taken().gone.wait(5)


def test_a_stream_that_stalls_meets_the_idle_limit(relay: Relay, upstream: Recorder) -> None:
    """The limit of the provider's own file."""
    upstream.answer(streamed(HELLO, HELLO, DONE))
    began = time.monotonic()
    answer = chat(relay, "stall", stream=True)
    assert 0.25 < time.monotonic() - began < 5
    assert answer.body.startswith(HELLO) and b"rehearsal: the upstream fell silent for 0.3 s after 1 event" in answer.body


@pytest.mark.parametrize(
    ("name", "asked", "text"),
    [
        ("down", 0, "[down] The upstream answered with status 502: rehearsal: a staged refusal with status 502"),
        ("hanging", 0, "(first_byte): rehearsal: no answer within 0.5 s, for the upstream is 600 s late"),
        ("broken", 1, "[broken] No whole answer from the upstream (body): "),
    ],
)
def test_a_failure_before_the_commit_is_an_upstream_error(
    relay: Relay, upstream: Recorder, name: str, asked: int, text: str
) -> None:
    """As it would be with a real one; whether the upstream was asked depends on the kind."""
    answer = chat(relay, name)
    assert (answer.status, answer.error["type"]) == (503, "upstream_error")
    assert text in answer.error["message"] and len(upstream.requests) == asked


def test_a_late_upstream_is_only_late(relay: Relay, upstream: Recorder) -> None:
    """The answer comes as it is."""
    upstream.answer(ok(b'{"n": 1}'))
    began = time.monotonic()
    answer = chat(relay, "late")
    assert (answer.status, answer.json) == (200, {"n": 1}) and time.monotonic() - began > 0.19


def test_faults_are_refused_where_they_are_not_allowed(relay: Relay, tmp_path: Path) -> None:
    """By a start and by a reload, with the place; a reload keeps what was served."""
    acme = openai_like("http://127.0.0.1:9", "acme", "m", keys=[{"label": "a", "secret": "sk-a"}], faults=FAULTS["cut"])
    config = {"server": {"access_key": "k", "detect_public_ip": False}, "providers": {"acme": acme}}
    ((code, said),) = refused(tmp_path, (config, ()))
    assert code == 78
    assert "config.yml" in said and "providers.acme.faults: " in said and "allow_faults: true" in said
    generation = relay.ask("GET", "/health").json["generation"]
    text = (relay.etc / "config.yml").read_text()
    assert "allow_faults" in relay.reload(text.replace('"allow_faults": true', '"allow_faults": false'), outcome="refused")
    assert relay.ask("GET", "/health").json["generation"] == generation
    relay.reload(text, outcome="unchanged")


def left(upstream: Recorder, amount: float) -> None:
    upstream.standing("/purse/v1/credits", ok({"data": {"total": 20, "used": 20 - amount}}))


def test_a_provider_without_credit_is_left_alone_until_it_has_some(start: Callable[..., Relay], upstream: Recorder) -> None:
    """Clients are told why there is no key; ``monorelay providers`` shows what is left, of a relay that runs or ran."""
    left(upstream, 0.5)
    credits = {"balance": "data.total", "minus": "data.used", "every": 1, "skip_below": 1}
    purse = openai_like(upstream.origin, "purse", "purse-model", credits=credits)
    relay = start({"server": SERVER, "providers": {"purse": purse}}, environ=SECRETS)
    relay.wait_for("provider=purse key=a has less than skip_below")
    answer = chat(relay, "purse")
    assert (answer.status, answer.error["type"]) == (503, "no_keys") and "the only one is out of credit" in answer.error["message"]
    assert upstream.requests == [] and upstream.background[-1].header("authorization") == "Bearer sk-up-a"
    until(lambda: "a 0.50 (low)" in providers(relay))
    left(upstream, 7.65)
    relay.wait_for("provider=purse key=a is no longer left out")
    assert chat(relay, "purse").status == 200
    until(lambda: "a 7.65 " in providers(relay))
    (told,) = [one for one in json.loads(providers(relay, "--json")) if one["provider"] == "purse"]
    assert [(key["label"], key["balance"]["amount"]) for key in told["keys"]] == [("a", 7.65)]
    assert "sk-up" not in providers(relay, "--json")


def providers(relay: Relay, *options: str) -> str:
    command = [sys.executable, "-m", "monorelay", "providers", "--config-dir", str(relay.etc), *options]
    environ = {"MONORELAY_STATE_DIR": str(relay.state), **SECRETS}
    return subprocess.run(command, cwd=TOP, env=environ, capture_output=True, text=True, check=True, timeout=30).stdout


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 15
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
