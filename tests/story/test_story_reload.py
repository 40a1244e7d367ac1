"""Reloads, restarts and the end: what is kept, what is finished, and what a mistake in a file changes (nothing)."""

from __future__ import annotations

import concurrent.futures
import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from story_process import KEY, Relay
from story_providers import SECRETS, SERVER, both, keys, openai_like
from story_upstream import Recorder, ok

CHAT = {"model": "gpt-acme"}
PAGE = "https://chat.example.com"


@pytest.fixture(scope="module")
def relay(start: Callable[..., Relay], upstream: Recorder) -> Relay:
    return start(settings(upstream), environ=SECRETS)


@pytest.fixture(scope="module")
def another(start: Callable[..., Relay], upstream: Recorder) -> Relay:
    return start(settings(upstream), environ=SECRETS)


@pytest.fixture
def changing(another: Relay, upstream: Recorder) -> Relay:
    """A relay whose configuration a test may change as it likes."""
    another.afresh(settings(upstream))
    return another


def settings(upstream: Recorder, **server: Any) -> dict[str, Any]:
    return {"server": {**SERVER, **server}, "providers": both(upstream.origin)}


def all_secrets() -> list[bytes]:
    return [secret.encode() for secret in (*SECRETS.values(), "sk-up")]


def test_a_reload_serves_the_new_configuration_and_drops_nothing(relay: Relay, upstream: Recorder) -> None:
    """A request under way ends as it began; an idle connection is kept; the next request takes the new generation."""
    gate = threading.Event()
    upstream.answer((gate, *ok(b'{"old": 1}')))
    before = relay.ask("GET", "/health").json["generation"]
    with relay.wire() as busy, relay.wire() as idle:
        idle.request("GET", "/health")
        idle.answer()
        busy.request("POST", "/v1/chat/completions", ("x-api-key", KEY), body=CHAT)
        upstream.wait(1)
        moved = settings(upstream)
        moved["providers"]["acme"]["base_url"] = f"{upstream.origin}/moved/v1"
        relay.reload(moved)
        idle.request("POST", "/v1/chat/completions", ("x-api-key", KEY), body=CHAT)
        assert idle.answer().status == 200
        assert upstream.wait(2)[1].target == "/moved/v1/chat/completions"
        gate.set()
        assert busy.answer().json == {"old": 1}
        busy.request("GET", "/health")
        assert busy.answer().json["generation"] == before + 1
    relay.reload(settings(upstream))


# Files that cannot be read, or not by themselves: (name, text, what is said behind the name), all told by one reload.
BAD_FILES = [
    ("config.d/01.yml", "server: {access_key: k\n", ":"),
    ("config.d/02.yml", "server:\n  acess_key: k\n", ":2:3: server.acess_key: unknown field, did you mean access_key?"),
    ("config.d/03.yml", "server: {}\nserver: {}\n", ":2:1: "),
    ("config.d/04.yml", "server:\n\taccess_key: k\n", ":2:"),
    ("config.d/05.yml", "key_selection: [1]\n", ":1:1: key_selection"),
    ("config.d/06.yml", "- a\n", ":1:1: "),
    ("config.d/07.yml", "logging: &a [*a]\n", ":"),
    ("config.d/08.yml", "logging: !!python/object:os.system {}\n", ":1:"),
    ("config.d/09.yml", "\x00\x01\x02", ":"),
    ("providers.d/10.yml", "provider: p10\nextends: openai-compatibel\nbase_url: http://x\n", ":2:1: extends: "),
    ("providers.d/11.yml", "provider: p11\nextends: openai-compatible\nbase_url: ftp://x\nauth: none\n", ":3:1: base_url: "),
    ("providers.d/12.yml", "provider: p12\nextends: openai-compatible\nbase_url: ${NOT_SET}\nauth: none\n", ":3:1: base_url: "),
    (
        "routes.d/13.yml",
        "route: r13\npath: /x\nmethods: [POST]\nneds: openai.chat\n",
        ":4:1: neds: unknown field, did you mean needs?",
    ),
    ("routes.d/14.yml", "route: r14\npath: /x/{a\nmethods: [POST]\nneeds: openai.chat\n", ":2:1: path: "),
    ("routes.d/15.yml", "route: r15\npath: /y\nmethods: [FETCH]\nneeds: openai.chat\n", ":3:"),
]
# Files that do not go together, or hold a template that nobody can fill.
BAD_TOGETHER = [
    ("routes.d/20.yml", "route: r20\npath: /v1/chat/completions\nmethods: [POST]\nneeds: openai.chat\n", ":"),
    ("config.d/21.yml", "model_routing: {aliases: {a: b, b: a}}\n", ":1:"),
]
BAD_TEMPLATES = [
    (
        "providers.d/30.yml",
        "provider: p30\nextends: openai-compatible\nbase_url: http://x/{{ nope }}\nauth: none\n",
        ":3:1: base_url: ",
    ),
    (
        "routes.d/31.yml",
        "route: r31\npath: /x\nmethods: [GET]\nneeds: a.b\nheaders:\n  request:\n    set:\n      x-y: '{{ nope }}'\n",
        ":8:7: headers.request.set.x-y: unknown variable 'nope'",
    ),
]


@pytest.mark.parametrize("bad", [BAD_FILES, BAD_TOGETHER, BAD_TEMPLATES], ids=["files", "together", "templates"])
def test_bad_files_change_nothing_and_are_all_reported_with_their_places(
    changing: Relay, upstream: Recorder, bad: list[tuple[str, str, str]]
) -> None:
    """file:line:col: dotted.path: text, all problems at once, in the log and in /health; the old generation goes on serving."""
    relay = changing
    before = relay.ask("GET", "/health").json["generation"]
    log = relay.reload(files={name: text for name, text, _ in bad}, outcome="refused")
    problems = [line for line in log.splitlines() if line.startswith("error ") and "reload attempt" not in line]
    for name, _, said in bad:
        assert any(line.startswith(f"error {relay.etc}/{name}{said}") for line in problems), (name, said, problems)
    assert len(problems) <= len(bad) + 2 and "Traceback" not in log
    health = wait_for_attempt(relay, log)
    assert health["generation"] == before and health["last_reload"]["ok"] is False
    assert [f"error {problem}" for problem in health["last_reload"]["problems"]] == problems
    assert relay.ask("POST", "/v1/chat/completions", body=CHAT).status == 200
    log = relay.reload(files=dict.fromkeys([name for name, _, _ in bad]), outcome="unchanged")
    assert wait_for_attempt(relay, log)["last_reload"]["ok"] is True


def wait_for_attempt(relay: Relay, log: str) -> Any:
    attempt = int(log.partition("attempt=")[2].split()[0])
    deadline = time.monotonic() + 5
    while (health := relay.ask("GET", "/health").json)["last_reload"]["attempt"] != attempt:
        assert time.monotonic() < deadline
    return health


def test_cooldowns_survive_a_reload(changing: Relay, upstream: Recorder) -> None:
    """The same key keeps its rest, also over a change of its provider; a new key beside it is used at once."""
    provider = openai_like(upstream.origin, "acme", "gpt-acme", keys=keys("c"))
    relay = changing
    relay.reload({"server": SERVER, "providers": {"acme": provider}})
    upstream.answer(ok(b'{"error": {}}', "Retry-After: 50", status="429 Too Many Requests"))
    assert relay.ask("POST", "/v1/chat/completions", body=CHAT).error["type"] == "no_keys"
    relay.reload({"server": SERVER, "providers": {"acme": {**provider, "priority": 7}}})
    assert relay.ask("POST", "/v1/chat/completions", body=CHAT).error["type"] == "no_keys"
    assert len(upstream.requests) == 1
    relay.reload({"server": SERVER, "providers": {"acme": {**provider, "keys": keys("c", "b")}}})
    assert relay.ask("POST", "/v1/chat/completions", body=CHAT).status == 200
    assert upstream.wait(2)[1].header("authorization") == "Bearer sk-up-b"
    assert relay.ask("GET", "/health").json["providers"]["acme"]["available"] == 1


def test_reloads_under_load_drop_nothing(relay: Relay, upstream: Recorder) -> None:
    """SIGHUPs that alternate between good, bad and unchanged, while clients ask without a pause."""
    stop = time.monotonic() + 1.2

    def ask_on() -> int:
        count = 0
        with relay.wire() as wire:
            while time.monotonic() < stop:
                wire.request("POST", "/v1/chat/completions", ("x-api-key", KEY), body=CHAT)
                assert wire.answer().status == 200
                count += 1
        return count

    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        clients = [pool.submit(ask_on) for _ in range(6)]
        number = 0
        while time.monotonic() < stop:
            number += 1
            relay.write(
                files={
                    "config.d/90.yml": ("logging: {level: info}\n", "logging: {level: shout}\n", f"server: {{drain: {number}}}\n")[
                        number % 3
                    ]
                }
            )
            os.kill(relay.pid, signal.SIGHUP)
            time.sleep(0.06)
        counts = [client.result() for client in clients]
    assert min(counts) > 10
    relay.expect_log(r"level")
    relay.expect_log(r"outcome=refused")
    relay.write(files={"config.d/90.yml": None})
    deadline = time.monotonic() + 10
    while relay.ask("GET", "/health").json["last_reload"]["problems"]:
        os.kill(relay.pid, signal.SIGHUP)
        assert time.monotonic() < deadline
        time.sleep(0.3)


def test_ids_are_remembered_over_a_restart(start: Callable[..., Relay], upstream: Recorder) -> None:
    """Who made a file, a batch, a response, a thread: the provider, and its key, also after a restart with the same state_dir."""
    names = ("near", "far")
    providers = {
        name: openai_like(
            upstream.origin, name, f"{name}-model", keys=keys("a", "b", "c"), priority=number, offers={"credits": None}
        )
        for number, name in enumerate(names)
    }
    config = {"server": SERVER, "providers": providers}
    first = start(config, environ=SECRETS)
    made: list[tuple[str, str, str | None]] = []
    for number, (path, target) in enumerate(
        [
            ("/v1/files?provider=far", "/v1/files/{}"),
            ("/v1/files?provider=far", "/v1/files/{}/content"),
            ("/v1/batches?provider=far", "/v1/batches/{}"),
            ("/v1/assistants?provider=far", "/v1/assistants/{}"),
            ("/v1/threads?provider=far", "/v1/threads/{}/messages"),
        ]
    ):
        upstream.reset()
        upstream.answer(ok({"id": f"made-{number}", "object": "x"}))
        assert first.ask("POST", path, ("Content-Type", "application/json"), body=b"{}").status == 200
        made.append((f"made-{number}", target, upstream.taken().header("authorization")))
    upstream.reset()
    upstream.answer(ok({"id": "resp-9", "object": "response"}))
    first.ask("POST", "/v1/responses", body={"model": "far-model"})
    made.append(("resp-9", "/v1/responses/{}", upstream.taken().header("authorization")))
    assert len({key for _, _, key in made}) == 3, "the keys took turns"

    def finds_its_way(relay: Relay) -> None:
        for name, target, key in made:
            upstream.reset()
            assert relay.ask("GET", target.format(name)).header("x-monorelay-provider") == "far", (name, target)
            assert upstream.taken().header("authorization") == key, name
        upstream.reset()
        for field, path in (
            ("input_file_id", "/v1/batches"),
            ("training_file", "/v1/fine_tuning/jobs"),
            ("previous_response_id", "/v1/responses"),
            ("assistant_id", "/v1/threads/runs"),
        ):
            name, _, key = next(
                one for one in made if one[0] == {"assistant_id": "made-3", "previous_response_id": "resp-9"}.get(field, "made-0")
            )
            upstream.reset()
            answer = relay.ask("POST", path, body={field: name, **({"model": "far-model"} if "batch" not in path else {})})
            assert answer.header("x-monorelay-provider") == "far", field
            assert upstream.taken().header("authorization") == key, field
        upstream.reset()
        answer = relay.ask("POST", "/v1/fine_tuning/jobs", body={"training_file": "made-0", "model": "near-model@near"})
        assert (answer.status, answer.error["type"]) == (400, "invalid_request_error") and upstream.requests == []
        assert relay.ask("GET", "/v1/files/unknown").header("x-monorelay-provider") == "near"

    finds_its_way(first)
    time.sleep(0.3)
    assert first.stop() == 0
    second = start(config, environ=SECRETS, directory=first.directory)
    finds_its_way(second)
    assert second.ask("DELETE", "/v1/files/made-0").header("x-monorelay-provider") == "far"
    assert second.ask("GET", "/v1/files/made-0").header("x-monorelay-provider") == "near"


def test_a_stop_finishes_what_is_in_flight(start: Callable[..., Relay], upstream: Recorder) -> None:
    """SIGTERM: newcomers are refused, the answer under way is completed, the exit code is 0."""
    relay = start(settings(upstream), environ=SECRETS)
    upstream.answer((0.6, *ok(b'{"late": 1}')))
    with relay.wire() as wire:
        wire.request("POST", "/v1/chat/completions", ("x-api-key", KEY), body=CHAT)
        upstream.wait(1)
        os.kill(relay.pid, signal.SIGTERM)
        assert wire.answer().json == {"late": 1}
    assert relay.stop() == 0
    with pytest.raises(OSError):
        relay.wire()


def test_the_state_directory_is_private_and_holds_no_secret(relay: Relay) -> None:
    """Whatever is written there is the relay's own business."""
    time.sleep(0.2)
    for path in relay.state.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert not any(secret in content for secret in all_secrets()), path
            assert path.stat().st_mode & 0o077 == 0, f"{path} is readable by others"
