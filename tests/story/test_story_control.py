"""`monorelay reload` and `monorelay status`, as an operator types them, against a relay that runs."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from story_process import KEY, PATIENCE, TOP, Relay
from story_providers import SECRETS, SERVER, both, keys
from story_upstream import Recorder, ok


class Said:
    def __init__(self, done: subprocess.CompletedProcess[str]) -> None:
        self.code, self.out, self.err = done.returncode, done.stdout, done.stderr

    def __repr__(self) -> str:
        return f"<{self.code} {self.out!r} {self.err!r}>"


def monorelay(*arguments: str | Path, home: Path, program: Sequence[str] = ("-m", "monorelay"), **environ: str) -> Said:
    command = [sys.executable, *program, *map(str, arguments)]
    env = {"PATH": os.environ["PATH"], "HOME": str(home), "TMPDIR": str(home), **environ}
    return Said(subprocess.run(command, cwd=TOP, env=env, capture_output=True, text=True, timeout=PATIENCE))


# Everything is loaded before the change: the program itself may lie where others cannot look.
AS_NOBODY = """
import os, sys
from monorelay.cli import main, reload, status
from monorelay.config import load
os.setgroups([]); os.setgid(65534); os.setuid(65534)
sys.exit(main.main(sys.argv[1:]))
"""


@pytest.fixture(scope="module")
def relay(start: Callable[..., Relay], upstream: Recorder) -> Relay:
    return start(settings(upstream), environ=SECRETS, arguments=("--listen", "127.0.0.1:0", "--workers", "2"))


@pytest.fixture
def say(relay: Relay, upstream: Recorder) -> Iterator[Callable[..., Said]]:
    """A command with this relay's state directory in the environment; afterwards the relay serves what it served at first."""
    yield lambda *arguments, **environ: monorelay(
        *arguments, home=relay.directory, **{"MONORELAY_STATE_DIR": str(relay.state), **environ}
    )
    relay.afresh(settings(upstream))


def settings(upstream: Recorder, **server: Any) -> dict[str, Any]:
    return {"server": {**SERVER, **server}, "providers": both(upstream.origin)}


def generation(relay: Relay) -> int:
    served: int = relay.ask("GET", "/health").json["generation"]
    return served


# The ways to say which relay is meant: arguments, and the environment.
WAYS: list[tuple[str, Callable[[Relay], tuple[list[str], dict[str, str]]]]] = [
    ("state directory", lambda relay: ([], {})),
    ("runtime directory", lambda relay: ([], {"RUNTIME_DIRECTORY": str(relay.state), "MONORELAY_STATE_DIR": ""})),
    ("socket", lambda relay: (["--socket", str(relay.state / "control.sock")], {"MONORELAY_STATE_DIR": ""})),
    ("pid", lambda relay: (["--pid", str(relay.pid)], {"MONORELAY_STATE_DIR": ""})),
    ("configuration", lambda relay: (["--config-dir", str(relay.etc)], {"MONORELAY_STATE_DIR": ""})),
]


@pytest.mark.parametrize("way", [way for _, way in WAYS], ids=[name for name, _ in WAYS])
def test_a_reload_is_in_force_when_the_command_ends(
    relay: Relay, upstream: Recorder, say: Callable[..., Said], way: Callable[[Relay], tuple[list[str], dict[str, str]]]
) -> None:
    """However the relay is found: the generation is printed, served by every worker, and the same again is unchanged."""
    arguments, environ = way(relay)
    before = generation(relay)
    relay.write(settings(upstream, drain=before + 1.5))
    said = say("reload", *arguments, **environ)
    assert (said.code, said.out, said.err) == (0, f"generation {before + 1}, taken\n", ""), said
    assert {generation(relay) for _ in range(10)} == {before + 1}
    assert say("reload", *arguments, **environ).out == f"generation {before + 1}, unchanged\n"


def test_a_refused_reload_is_a_failure_with_every_problem(relay: Relay, say: Callable[..., Said]) -> None:
    """Exit code 1, each problem with its place; what was served is served on. The relay is found though its files are broken."""
    before = generation(relay)
    relay.expect_log(r"bad\.yml|outcome=refused")
    relay.write(files={"config.d/bad.yml": "server: {drian: 1}\nlogging: {levle: info}\n"})
    for arguments in ((), ("--config-dir", str(relay.etc))):
        said = say("reload", *arguments)
        assert said.code == 1 and said.out == "", said
        assert f"{relay.etc}/config.d/bad.yml:1:10: server.drian: unknown field, did you mean drain?" in said.err
        assert f"{relay.etc}/config.d/bad.yml:2:11: logging.levle: unknown field, did you mean level?" in said.err
        assert said.err.endswith(f"refused: generation {before} is served on\n")
    assert generation(relay) == before
    status = say("status")
    assert status.code == 0 and "last reload  refused, " in status.out and "bad.yml:1:10" in status.out


def test_settings_for_the_next_start_are_told(relay: Relay, upstream: Recorder, say: Callable[..., Said]) -> None:
    """What only a restart changes is a warning, beside the success."""
    relay.expect_log("takes effect at next restart")
    relay.write(settings(upstream, state_dir=str(relay.directory / "other")))
    said = say("reload")
    assert said.code == 0 and "taken" in said.out
    assert said.err.startswith("warning: server.state_dir was None") and "takes effect at next restart" in said.err


def test_reloads_at_once_all_tell_the_truth(relay: Relay, upstream: Recorder, say: Callable[..., Said]) -> None:
    """Each of several that are asked for at once reports a generation that has the change it was asked for."""
    before = generation(relay)
    relay.write(settings(upstream, drain=7.25))
    said: list[Said] = []
    askers = [threading.Thread(target=lambda: said.append(say("reload"))) for _ in range(4)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    assert {one.code for one in said} == {0}, said
    assert {one.out.split(",")[0] for one in said} == {f"generation {before + 1}"}, said
    assert 1 <= sum("taken" in one.out for one in said)


def test_a_reload_that_takes_too_long_is_not_a_success(relay: Relay, say: Callable[..., Said]) -> None:
    """After --timeout the command fails, and does not claim that there is no reload."""
    begin = len(relay.log())
    os.kill(relay.pid, signal.SIGSTOP)
    try:
        said = say("reload", "--timeout", "0.5")
        status = say("status")
    finally:
        os.kill(relay.pid, signal.SIGCONT)
    assert said.code == 1 and said.out == "" and said.err.startswith("no outcome within 0.5 s: the reload goes on"), said
    assert status.code == 1 and status.err == "the relay does not answer within 5 s\n", status
    relay.wait_for("reload attempt=", begin)


def test_status(relay: Relay, upstream: Recorder, say: Callable[..., Said]) -> None:
    """For people and as JSON: the relay, its generation, where it listens and remembers, and what each worker has in flight."""
    gate = threading.Event()
    upstream.answer((gate, *ok(b"{}")))
    with relay.wire() as busy:
        busy.request("POST", "/v1/chat/completions", ("x-api-key", KEY), body={"model": "gpt-acme"})
        upstream.wait(1)
        said = say("status")
        value = json.loads(say("status", "--json").out)
        gate.set()
        busy.answer()
    assert f", process {relay.pid}: serving\n" in said.out and f"generation   {generation(relay)}, " in said.out
    assert f"listening    {relay.url}\n" in said.out and f"state        {relay.state}\n" in said.out
    assert sorted(line.rsplit(", ")[1] for line in said.out.splitlines() if "in flight" in line) == ["0 in flight", "1 in flight"]
    assert value["pid"] == relay.pid and sorted(worker["pid"] for worker in value["workers"]) == sorted(relay.workers())
    assert value["config_dir"] == str(relay.etc)


def test_no_relay(tmp_path: Path) -> None:
    """Where none is found, or not the one that was meant, the command says so and fails."""
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(tmp_path / "control.sock"))
    for arguments, sentence in (
        (("--config-dir", tmp_path), f"no running relay that serves {tmp_path} was found"),
        (("--socket", tmp_path / "control.sock"), "no relay listens at"),
        (("--socket", tmp_path / "none"), "no relay listens at"),
    ):
        for command in ("reload", "status"):
            said = monorelay(command, *arguments, home=tmp_path)
            assert said.code == 1 and said.out == "" and sentence in said.err, said
    said = monorelay("reload", "--config-dir", tmp_path / "missing", home=tmp_path)
    assert said.code == 78 and "missing: does not exist (--config-dir names it)" in said.err, said
    for timeout in ("0", "soon", "-1", "nan"):
        assert monorelay("reload", f"--timeout={timeout}", home=tmp_path).code == 2


def test_a_pid_is_never_another_one(relay: Relay, say: Callable[..., Said]) -> None:
    """A socket of another process is not taken, and a process that is no relay gets no signal."""
    with subprocess.Popen(["sleep", "60"]) as other:
        said = say("reload", "--pid", str(other.pid), "--socket", str(relay.state / "control.sock"))
        assert said.code == 1 and f"belongs to process {relay.pid}, not to {other.pid}" in said.err
        said = say("reload", "--pid", str(other.pid))
        assert said.code == 1 and f"process {other.pid} is no relay" in said.err
        assert other.poll() is None
        other.kill()
    gone = say("reload", "--pid", str(other.pid))
    assert gone.code == 1 and f"there is no process {other.pid}" in gone.err


def test_a_relay_without_a_socket_is_sent_a_signal(
    start: Callable[..., Relay], relay: Relay, upstream: Recorder, say: Callable[..., Said], tmp_path: Path
) -> None:
    """It reloads, and the command does not claim to know what came of it."""
    silent = start(
        settings(upstream),
        directory=tmp_path,
        environ={**SECRETS, "MONORELAY_STATE_DIR": str(relay.state)},
        expected=["no control socket"],
    )
    said = say("reload", "--pid", str(silent.pid))
    assert said.code == 1 and said.out == "" and "it was sent SIGHUP, and its log says what came of that" in said.err, said
    silent.wait_for("reload attempt=1 outcome=unchanged")
    assert say("status", "--pid", str(silent.pid)).code == 1
    silent.stop()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become somebody else")
def test_another_user_may_not(upstream: Recorder) -> None:
    """Neither ask nor send a signal; the command says who may. A relay is not offered to others, either."""
    nobody = ("-c", AS_NOBODY)
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        directory.chmod(0o755)  # pytest's own directories are closed to others
        one = Relay(directory, settings(upstream), environ=SECRETS)
        place = str(one.state / "control.sock")
        try:
            for arguments, environ in (((), {"MONORELAY_STATE_DIR": str(one.state)}), (("--socket", place), {})):
                for command in ("reload", "status"):
                    said = monorelay(command, *arguments, home=directory, program=nobody, **environ)
                    assert (said.code, said.err) == (1, f"{place}: permission denied: run this as root\n"), said
            said = monorelay("reload", "--pid", str(one.pid), home=directory, program=nobody)
            assert said.code == 1 and said.err == f"process {one.pid} is another user's: run this as root or as that user\n", said
            said = monorelay("status", home=directory, program=nobody)
            assert said.code == 1 and said.err.startswith("no running relay was found"), said
        finally:
            one.stop()
        assert not one.surprises()


def test_a_recent_request_can_be_shown_as_curl(relay: Relay, upstream: Recorder, say: Callable[..., Said]) -> None:
    """Whichever worker served it; every attempt, no key; and one that was never made is told as such."""
    changed = settings(upstream)
    changed["providers"]["acme"]["keys"] = keys("a", "c")
    relay.reload(changed)
    upstream.answer(ok({"error": {"message": "slow"}}, "Retry-After: 1", status="429 Too Many Requests"), ok())
    answer = relay.post("/v1/chat/completions", {"model": "gpt-acme", "messages": [{"role": "user", "content": "it's me"}]})
    assert answer.status == 200, answer
    said = say("curl", answer.header("x-monorelay-request-id") or "")
    assert said.code == 0 and said.out.count("curl -sS -X POST") == 2, said
    assert '-H "authorization: $AUTHORIZATION"' in said.out and not any(secret in said.out for secret in SECRETS.values())
    assert "it'\"'\"'s me" in said.out
    assert say("curl", "unknown").code == 1


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (b'{"pid": 1}\n', f"no running relay that serves {TOP} was found"),
        (b"[1]\n", "does not answer as a relay does"),
        (b"hello\n", "does not answer as a relay does"),
        (b"", "ended before it answered"),
    ],
    ids=["another version", "no answer of ours", "no JSON", "nothing"],
)
def test_something_else_behind_a_socket(tmp_path: Path, line: bytes, sentence: str) -> None:
    """A process that answers otherwise is told about in a sentence, and is passed over while a relay is looked for."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "control.sock"))
        listening.listen()

        def serve() -> None:
            while True:
                try:
                    peer, _ = listening.accept()
                except OSError:
                    return
                with peer:
                    if peer.recv(1000):
                        peer.sendall(line)

        server = threading.Thread(target=serve)
        server.start()
        try:
            which = ("--config-dir", TOP) if "no running" in sentence else ("--socket", tmp_path / "control.sock")
            said = monorelay("reload", *which, home=tmp_path, MONORELAY_STATE_DIR=str(tmp_path))
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            server.join()
    assert said.code == 1 and said.out == "" and sentence in said.err and "Traceback" not in said.err, said
