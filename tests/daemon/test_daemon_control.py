"""The control socket of a real process: what can be asked, who may ask, and that nobody who asks badly harms it."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from daemon_process import PATIENCE, Relay, answer_of, eventually

from monorelay.clock import SystemClock
from monorelay.daemon.control import LONGEST_QUESTION, MOST_PEERS, STALL, Control, control_path, open_control

Start = Callable[..., Relay]


@pytest.mark.parametrize(
    ("runtime", "expected"),
    [("/run/one", "/run/one/control.sock"), ("/run/one:/run/two", "/run/one/control.sock"), ("", "/state/control.sock")],
)
def test_where_it_lies(runtime: str, expected: str) -> None:
    """In the first runtime directory that systemd made, else in the state directory."""
    assert control_path(Path("/state"), {"RUNTIME_DIRECTORY": runtime}) == Path(expected)


def test_status(relay: Start) -> None:
    """Who the relay is, what it serves, and what came of the last reload; only its user may ask."""
    one = relay(workers=2)
    one.wait_for("listening on")
    status = one.question(ask="status")
    assert stat.S_IMODE(one.control.stat().st_mode) == 0o600
    assert status["pid"] == one.process.pid and status["state"] == "serving" and status["generation"] == 1
    assert status["listening"] == f"http://127.0.0.1:{one.port}" and status["state_dir"] == str(one.directory / "state")
    assert [worker["seat"] for worker in status["workers"]] == [0, 1] and all(worker["ready"] for worker in status["workers"])
    assert status["last_reload"]["outcome"] == "started"
    one.configure(digest="two", problems=["bad"])
    one.reload(1)
    assert one.question(ask="status")["last_reload"] | {"at": 0} == {
        "attempt": 1,
        "outcome": "refused",
        "generation": 1,
        "at": 0,
        "problems": ["config.yml:2:3: server: bad"],
        "pending": [],
    }


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"digest": "one"}, {"outcome": "unchanged", "generation": 1, "problems": []}),
        ({"digest": "two"}, {"outcome": "taken", "generation": 2, "problems": []}),
        (
            {"digest": "two", "problems": ["bad"]},
            {"outcome": "refused", "generation": 1, "problems": ["config.yml:2:3: server: bad"]},
        ),
        (
            {"digest": "two", "adopt": "refuse"},
            {"outcome": "refused", "generation": 1, "problems": ["config.yml: this worker cannot"]},
        ),
    ],
    ids=["unchanged", "taken", "refused", "refused by a worker"],
)
def test_reload_is_answered_when_it_is_over(relay: Start, said: dict[str, Any], expected: dict[str, Any]) -> None:
    """With what came of it, and then it is in force."""
    one = relay(workers=2)
    one.wait_for("listening on")
    one.configure(**said)
    answer = one.question(ask="reload")
    assert answer | expected == answer and answer["attempt"] == 1
    assert one.ask().split()[0] == str(expected["generation"])


def test_who_asks_during_a_reload_hears_of_the_next_one(relay: Start) -> None:
    """A reading under way may have missed a change: whoever asks after the change is told what came of a reading after that."""
    one = relay()
    one.wait_for("listening on")
    one.configure(digest="two", problems=["bad"], gate=True)
    answers: list[Any] = []
    first = threading.Thread(target=lambda: answers.append(one.question(ask="reload")))
    first.start()
    eventually((one.directory / "read").exists, lambda: "nothing is read")  # the mistake; it is mended before the second asks
    one.configure(digest="three")
    with one.connect() as second, one.connect() as third:
        for sock in (second, third):
            sock.sendall(b'{"ask": "reload"}\n')
        one.question(ask="status")  # who came before it was heard before it
        (one.directory / "gate").touch()
        late = [answer_of(second), answer_of(third)]
    first.join()
    assert [(answer["attempt"], answer["outcome"]) for answer in (*answers, *late)] == [(1, "refused"), (2, "taken"), (2, "taken")]


def test_reload_asked_during_the_start(relay: Start, tmp_path: Path) -> None:
    """It waits for the start, and is answered."""
    (tmp_path / "settings.json").write_text(json.dumps({"digest": "one", "birth": 1.0}))
    one = relay()
    eventually(one.control.exists, lambda: "no socket")
    status = eventually(lambda: ask_if_there(one), lambda: "no answer")
    assert status["state"] == "starting"
    assert one.question(ask="reload")["outcome"] == "unchanged"


def ask_if_there(relay: Relay) -> Any:
    try:
        return relay.question(ask="status")
    except ConnectionRefusedError:
        return None


def test_workers_are_asked(relay: Start) -> None:
    """What each says of itself; and what the one that knows says, if there is one."""
    one = relay(workers=2)
    one.wait_for("listening on")
    answer = one.question(ask="workers")
    pids = [worker["pid"] for worker in one.question(ask="status")["workers"]]
    assert [worker["pid"] for worker in answer["answers"]] == pids and answer["silent"] == 0
    assert one.question(ask="curl", id=str(pids[1])) == {"answer": {"mine": str(pids[1])}, "silent": 0}
    assert one.question(ask="curl", id="nobody's") == {"answer": None, "silent": 0}
    assert one.question(ask="curl", id="long") == {"answer": {"error": "the answer is too long"}, "silent": 0}


def test_a_worker_that_stumbles_over_a_question(relay: Start) -> None:
    """It has nothing to say, logs why, and goes on."""
    one = relay()
    one.wait_for("listening on")
    assert one.question(ask="curl", id="bad") == {"answer": None, "silent": 0}
    one.wait_for("error a question of the control socket")
    assert one.question(ask="workers")["silent"] == 0


def test_a_worker_that_stands_still_is_silent(relay: Start) -> None:
    """It is waited for two seconds, and others are answered meanwhile."""
    one = relay(workers=2)
    one.wait_for("listening on")
    with socket.create_connection(("127.0.0.1", one.port), PATIENCE) as frozen:
        frozen.sendall(b"freeze\n")
        eventually((one.directory / "frozen").exists, lambda: "no worker stands still")
        began = time.monotonic()
        with one.connect() as waiting:
            waiting.sendall(b'{"ask": "workers"}\n')
            one.question(ask="status")
            others = time.monotonic() - began
            answer = answer_of(waiting)
        assert others < 1.5 < time.monotonic() - began < PATIENCE
        assert len(answer["answers"]) == 1 and answer["silent"] == 1
        frozen_pid = ({worker["pid"] for worker in one.question(ask="status")["workers"]} - {answer["answers"][0]["pid"]}).pop()
        with one.connect() as waiting:  # one that dies is not waited for
            waiting.sendall(b'{"ask": "workers"}\n')
            one.question(ask="status")  # the other question was heard before this one
            os.kill(frozen_pid, signal.SIGKILL)
            assert answer_of(waiting)["silent"] == 0


@pytest.mark.parametrize(
    ("said", "error"),
    [
        (b"reload\n", "a question is one line of JSON"),
        (b"[" * 60_000 + b"\n", "a question is one line of JSON"),
        (b'{"ask": 1}\n', "a question is one line of JSON"),
        (b'{"ask": "stop"}\n', "this relay can be asked for status, effective, reload, workers, curl"),
        (b"x" * (LONGEST_QUESTION + 1), "at most 65536 bytes"),
        (b'\xff{"ask": "status"}\n', "a question is one line of JSON"),
    ],
    ids=["no JSON", "nested", "no kind", "unknown", "long", "no text"],
)
def test_a_bad_question_is_told_so(relay: Start, said: bytes, error: str) -> None:
    """With a sentence, and the next one is answered."""
    one = relay()
    one.wait_for("listening on")
    with one.connect() as sock:
        sock.sendall(said)
        assert error in answer_of(sock)["error"]
    assert one.question(ask="status")["generation"] == 1


def test_peers_are_bounded(relay: Start) -> None:
    """Those who say nothing are dropped after a while; while there are too many, others are told to come again."""
    one = relay()
    one.wait_for("listening on")
    silent = [one.connect() for _ in range(MOST_PEERS)]
    began = time.monotonic()
    with one.connect() as late:
        assert "try again" in answer_of(late)["error"]
    assert one.ask().split()[0] == "1"
    for sock in silent:
        assert sock.recv(1) == b""
        sock.close()
    assert time.monotonic() - began < STALL + PATIENCE
    assert one.question(ask="status")["generation"] == 1


def test_many_may_come_at_once(tmp_path: Path) -> None:
    """Before the loop looks for them: each is let in, those who are too many are told so, and the others are heard."""
    control = open_control(tmp_path / "control.sock", SystemClock())
    peers = []
    for _ in range(3 * MOST_PEERS):
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.setblocking(False)
        peers.append(sock)
        sock.connect(str(control.path))
        sock.settimeout(PATIENCE)
    for _ in peers:
        turn_of(control, 0)
    for sock in peers[MOST_PEERS:]:
        assert answer_of(sock) == {"error": f"{MOST_PEERS} others are asking already: try again"}
    for number, sock in enumerate(peers[:MOST_PEERS]):
        sock.sendall(b'{"ask": "%d"}\n' % number)
        turn_of(control, 1)  # of those who have not asked yet, the first
    for peer, question in control.take():
        control.answer(peer, question)
    assert [answer_of(sock)["ask"] for sock in peers[:MOST_PEERS]] == [str(number) for number in range(MOST_PEERS)]
    for sock in peers:
        sock.close()
    control.close()


def turn_of(control: Control, place: int) -> None:
    """What the master's loop does where one source is ready."""
    _, events, act = list(control.sources())[place]
    act(events)


def test_a_peer_that_leaves_while_it_waits(relay: Start) -> None:
    """The reload takes place all the same."""
    one = relay()
    one.wait_for("listening on")
    one.configure(digest="two", reading=0.3)
    with one.connect() as sock:
        sock.sendall(b'{"ask": "reload"}\n')
    assert "outcome=taken" in one.wait_for("reload attempt=1 ")
    assert one.question(ask="status")["generation"] == 2


def test_the_stop(relay: Start) -> None:
    """Whoever waits for a reload hears that there is none; a status says what goes on; at the end the file is gone."""
    one = relay()
    one.wait_for("listening on")
    one.configure(digest="two", drain=60.0, gate=True)
    with socket.create_connection(("127.0.0.1", one.port), PATIENCE) as busy, one.connect() as waiting:
        busy.sendall(b"hold\n")
        one.wait_until_busy()
        waiting.sendall(b'{"ask": "reload"}\n')
        eventually((one.directory / "read").exists, lambda: "nothing is read")
        one.send(signal.SIGTERM)
        assert answer_of(waiting) == {"error": "the relay stops"}
        assert one.question(ask="status")["state"] == "stopping"
        assert one.question(ask="reload") == {"error": "the relay stops"}
        (one.directory / "gate").touch()
    assert one.end() == 0
    assert not one.control.exists()


def test_the_socket_of_a_dead_relay_is_replaced(relay: Start) -> None:
    """What a killed relay left behind is in nobody's way."""
    one = relay()
    one.wait_for("listening on")
    one.process.kill()
    one.end()
    assert one.control.exists()
    two = relay()
    two.wait_for("listening on")
    assert two.question(ask="status")["pid"] == two.process.pid
    assert not [line for line in two.lines if "control" in line]


def test_the_socket_of_a_living_relay_is_left_alone(relay: Start) -> None:
    """A second relay with the same state directory says so and goes without; at its end the first one's is still there."""
    one = relay()
    one.wait_for("listening on")
    two = relay()
    assert two.wait_for("warning no control socket.*control.sock: another relay listens there")
    two.wait_for("listening on")
    assert one.question(ask="status")["pid"] == one.process.pid
    two.send(signal.SIGHUP)
    assert "outcome=unchanged" in two.wait_for("reload attempt=1 ")
    two.send(signal.SIGTERM)
    assert two.end() == 0
    assert one.question(ask="status")["pid"] == one.process.pid


@pytest.mark.parametrize("place", ["missing", "x" * 120], ids=["no directory", "a path longer than a socket's can be"])
def test_a_place_where_none_can_be(tmp_path: Path, place: str, expect_logs: Callable[[str], None]) -> None:
    """It is said, and nothing is watched."""
    if place != "missing":
        (tmp_path / place).mkdir()
    expect_logs("no control socket, so `monorelay reload` will not find this relay")
    control = open_control(tmp_path / place / "control.sock", SystemClock())
    assert not control.is_open and list(control.sources()) == [] and control.take() == [] and control.next_deadline() is None
    control.close()


def test_children_hold_nothing_of_it(relay: Start) -> None:
    """With the master killed nobody listens at its socket, though its workers may still live."""
    one = relay(workers=2)
    one.wait_for("listening on")
    with socket.create_connection(("127.0.0.1", one.port), PATIENCE) as busy:
        busy.sendall(b"wait 2\n")
        one.wait_until_busy()
        one.process.kill()
        one.process.wait(PATIENCE)
        with pytest.raises(ConnectionRefusedError):
            one.connect()
