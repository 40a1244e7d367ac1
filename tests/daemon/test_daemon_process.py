"""The master as a real process: start, reload, replacement, stop. The front is the one of fake_relay.py."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from daemon_process import HERE, PATIENCE, TOP, Relay, eventually, is_alive


def test_ready_line_and_stop(relay: Callable[..., Relay]) -> None:
    """The ready line tells address, generation and counts; SIGTERM ends with 0 and nobody listens any more."""
    one = relay()
    line = one.wait_for("listening on")
    assert re.fullmatch(r"monorelay \S+ listening on http://127\.0\.0\.1:\d+ \(generation 1, 0 providers, 0 routes\)", line), line
    assert one.ask().split()[0] == "1"
    port = one.port
    one.send(signal.SIGTERM)
    assert one.end() == 0
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), 1).close()


def test_a_reload_asked_for_during_the_start_waits_for_its_end(relay: Callable[..., Relay], tmp_path: Path) -> None:
    """SIGHUP ends nobody, and is not lost: what changed on disk meanwhile is read."""
    (tmp_path / "settings.json").write_text(json.dumps({"digest": "one", "gate": True}))
    one = relay()
    status = Path(f"/proc/{one.process.pid}/status")
    eventually(lambda: re.search(r"SigBlk:\t\w*[13579bdf]\n", status.read_text()), lambda: "SIGHUP is not held back")
    eventually((tmp_path / "read").exists, lambda: "nothing is read")
    one.send(signal.SIGHUP)
    one.configure(digest="two")
    (tmp_path / "gate").touch()
    assert "outcome=taken generation=2" in one.wait_for("reload attempt=1 ")
    assert one.ask().split()[0] == "2"
    assert not re.search(r"SigBlk:\t\w*[13579bdf]\n", status.read_text())


def test_reload_in_place(relay: Callable[..., Relay]) -> None:
    """SIGHUP with a changed configuration: every worker serves the next generation, and is the process it was."""
    one = relay(workers=2)
    pid = one.ask().split()[1]
    one.configure(digest="two")
    assert "outcome=taken generation=2" in one.reload(1)
    answers = {tuple(one.ask().split()) for _ in range(20)}
    assert {generation for generation, _ in answers} == {"2"}
    assert pid in {worker for _, worker in answers} or len(answers) == 1
    assert one.ask("outcome") == "1 True False"


def test_reload_of_the_same(relay: Callable[..., Relay]) -> None:
    """Nothing changed: noticed, reported, and the generation stays."""
    one = relay()
    assert one.ask().split()[0] == "1"
    assert "outcome=unchanged generation=1" in one.reload(1)
    assert one.ask("outcome") == "1 True True"


def test_reload_refused(relay: Callable[..., Relay]) -> None:
    """Every problem is logged with its place, the old generation goes on, the workers know; mended files are taken."""
    one = relay()
    assert one.ask().split()[0] == "1"
    one.configure(digest="two", problems=["unknown field", "must be an integer"])
    assert "outcome=refused generation=1" in one.reload(1)
    assert "error config.yml:2:3: server: unknown field" in one.lines
    assert "error config.yml:2:3: server: must be an integer" in one.lines
    assert one.ask().split()[0] == "1"
    assert one.ask("outcome") == "1 False False config.yml:2:3: server: unknown field; config.yml:2:3: server: must be an integer"
    one.configure(digest="two")
    assert "outcome=taken generation=2" in one.reload(2)


def test_reload_that_breaks_the_reader(relay: Callable[..., Relay]) -> None:
    """Whatever reading the files raises, the running generation does not suffer."""
    one = relay()
    assert one.ask().split()[0] == "1"
    one.settings.write_text("not json")
    assert "outcome=refused generation=1" in one.reload(1)
    assert one.ask().split()[0] == "1"


def test_reload_that_one_worker_refuses(relay: Callable[..., Relay]) -> None:
    """A worker that cannot take what the master compiled makes the reload a refused one."""
    one = relay()
    assert one.ask().split()[0] == "1"
    one.configure(digest="two", adopt="refuse")
    assert "outcome=refused generation=1" in one.reload(1)
    assert "error config.yml: this worker cannot" in one.lines
    assert one.ask().split()[0] == "1"


def test_reload_would_open_the_relay(relay: Callable[..., Relay]) -> None:
    """A reload that takes the last credential away is refused while others than this machine can connect."""
    one = relay(address="0.0.0.0:0")
    one.wait_for("listening on http://0.0.0.0:")
    one.configure(digest="two", open=True)
    assert "outcome=refused generation=1" in one.reload(1)
    one.wait_for("error config.yml:1:1: server.access_key: there is no access key .* 0.0.0.0")


def test_startup_settings_wait_for_a_restart(relay: Callable[..., Relay]) -> None:
    """What only a start can change is reported; what the command line decided is not."""
    one = relay()
    assert one.ask().split()[0] == "1"
    one.configure(digest="two", startup={"port": 9999, "state_dir": "/elsewhere"})
    one.reload(1)
    one.wait_for("warning server.state_dir was None .*, is '/elsewhere' now: takes effect at next restart")
    assert not [line for line in one.lines if "server.port" in line]


def test_storm_of_reloads_loses_nothing(relay: Callable[..., Relay]) -> None:
    """A hundred SIGHUPs under load, good and bad in turn: every question is answered, the last good state serves."""
    one = relay(workers=2)
    port = one.port
    stop = threading.Event()
    answers: list[str] = []
    failures: list[str] = []

    def ask_on() -> None:
        while not stop.is_set():
            try:
                answers.append(one.ask("wait 0.01"))
            except OSError as error:
                failures.append(repr(error))

    askers = [threading.Thread(target=ask_on) for _ in range(4)]
    for asker in askers:
        asker.start()
    for number in range(100):
        one.configure(digest=str(number), problems=["bad"] if number % 2 else [])
        one.send(signal.SIGHUP)
        time.sleep(0.002)
    one.configure(digest="last")
    concluded: int = one.question(ask="status")["last_reload"]["attempt"]

    def settled() -> str | None:
        """The line of a reload that found nothing new, and that began after the last edit, as the one under way then did not."""
        one.send(signal.SIGHUP)
        line = reloads(one)[-1]
        return line if int(line.split("attempt=")[1].split()[0]) > concluded + 1 and "outcome=unchanged" in line else None

    last = eventually(settled, lambda: "\n".join(one.lines))
    generation = re.search(r"generation=(\d+)", last)
    assert generation is not None
    eventually(lambda: len(answers) > 20 or failures, lambda: f"only {len(answers)} answers")
    stop.set()
    for asker in askers:
        asker.join()
    assert port == one.port and not failures
    assert "" not in answers
    assert {one.ask().split()[0] for _ in range(10)} == {generation.group(1)}


def reloads(relay: Relay) -> list[str]:
    return [line for line in list(relay.lines) if "reload attempt=" in line]


def test_drain(relay: Callable[..., Relay]) -> None:
    """SIGTERM: what is in flight is finished, newcomers are refused, the end waits for no more."""
    one = relay()
    port = one.port
    late: list[str] = []
    asker = threading.Thread(target=lambda: late.append(one.ask("wait 1")))
    asker.start()
    one.wait_until_busy()
    one.send(signal.SIGTERM)
    one.wait_for("stopping")
    eventually(lambda: refused(port), lambda: "newcomers are still accepted")
    asker.join()
    assert late[0].split()[0] == "1"
    assert one.end() == 0


def refused(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return False
    except ConnectionRefusedError:
        return True


@pytest.mark.parametrize(("drain", "signals"), [(0.3, 1), (60.0, 2)], ids=["the limit is over", "asked again"])
def test_drain_has_an_end(relay: Callable[..., Relay], tmp_path: Path, drain: float, signals: int) -> None:
    """What is still in flight at the limit is cut, or at once when the stop is asked for a second time."""
    (tmp_path / "settings.json").write_text(json.dumps({"digest": "one", "drain": drain}))
    one = relay()
    with socket.create_connection(("127.0.0.1", one.port), PATIENCE) as sock:
        sock.sendall(b"wait 60\n")
        one.wait_until_busy()
        for number in range(signals):
            one.send(signal.SIGINT)
            one.wait_for("stopping", number + 1)
        assert sock.recv(100) == b""
    assert one.end() == 0


def test_worker_is_replaced(relay: Callable[..., Relay]) -> None:
    """A worker that dies has a successor, which serves the generation in force."""
    one = relay()
    one.wait_for("listening on")
    one.configure(digest="two")
    one.reload(1)
    _, pid = one.ask().split()
    one.ask("die")
    assert one.wait_for(rf"warning worker=0 pid={pid} ended with exit code 9 .*replaced in")
    generation, successor = one.ask().split()
    assert generation == "2" and successor != pid


def test_worker_that_does_not_acknowledge_is_replaced(relay: Callable[..., Relay]) -> None:
    """A worker that stands still during a reload is ended; its successor is born with the new configuration."""
    one = relay(ACK_LIMIT="0.3")
    _, pid = one.ask().split()
    one.configure(digest="two", adopt="stall")
    one.send(signal.SIGHUP)
    assert one.wait_for(rf"error worker=0 pid={pid} did not acknowledge")
    assert "outcome=taken generation=2" in one.wait_for("reload attempt=1 ")
    assert one.ask().split()[0] == "2"


def test_start_fails_when_a_worker_cannot_live(relay: Callable[..., Relay], tmp_path: Path) -> None:
    """A worker that ends before it was ready ends the start, with exit code 1 and the reason."""
    (tmp_path / "settings.json").write_text(json.dumps({"digest": "one", "stillborn": True}))
    one = relay()
    assert one.end() == 1
    assert one.wait_for("error worker")
    assert one.wait_for("error cannot start: a worker ended before it was ready")


@pytest.mark.parametrize(
    ("said", "address", "message"),
    [
        ({"digest": "x", "problems": ["unknown field"]}, "127.0.0.1:0", "config.yml:2:3: server: unknown field"),
        ({"digest": "x", "open": True}, "0.0.0.0:0", "config.yml:1:1: server.access_key: there is no access key"),
        ({"digest": "x", "startup": {"state_dir": "/proc/no"}}, "127.0.0.1:0", "the state directory /proc/no cannot be made"),
    ],
    ids=["problems", "open to others", "state directory"],
)
def test_start_refused(relay: Callable[..., Relay], tmp_path: Path, said: dict[str, Any], address: str, message: str) -> None:
    """A configuration that is at fault ends the start with exit code 78, one line per problem."""
    (tmp_path / "settings.json").write_text(json.dumps(said))
    one = relay(address=address, MONORELAY_STATE_DIR="")
    assert one.end() == 78
    assert [line for line in one.lines if line.startswith(message)], one.lines


def test_address_in_use(relay: Callable[..., Relay]) -> None:
    """A port that is taken is said so, with exit code 1."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        one = relay(address=f"127.0.0.1:{other.getsockname()[1]}")
        assert one.end() == 1
    assert "Address already in use" in one.lines[-1]


def test_open_mode_is_said(relay: Callable[..., Relay], tmp_path: Path) -> None:
    """A relay without any credential says at start that it is open."""
    (tmp_path / "settings.json").write_text(json.dumps({"digest": "x", "open": True}))
    assert relay().wait_for("warning open: no access key")


def test_workers_end_with_their_master(relay: Callable[..., Relay]) -> None:
    """When the master is killed its workers notice and end."""
    one = relay(workers=2)
    pids = {int(one.ask().split()[1]) for _ in range(20)}
    one.process.kill()
    eventually(lambda: not any(map(is_alive, pids)), lambda: f"still alive: {pids}")


def test_temporary_state_directory_goes_with_the_process(relay: Callable[..., Relay], tmp_path: Path) -> None:
    """Without a state directory a private one is made, announced, and removed at the end."""
    one = relay(MONORELAY_STATE_DIR="", TMPDIR=str(tmp_path))
    line = one.wait_for("state_dir=.* is temporary") if not os.access("/var/lib/monorelay", os.W_OK) else ""
    one.wait_for("listening on")
    made = [path for path in tmp_path.iterdir() if path.name.startswith("monorelay-")]
    assert [str(path) for path in made if str(path) in line] == [str(path) for path in made]
    one.send(signal.SIGTERM)
    assert one.end() == 0
    assert not [path for path in made if path.exists()]


def test_systemd_hears_of_everything(relay: Callable[..., Relay], tmp_path: Path) -> None:
    """READY, RELOADING with a time stamp, the refusal in STATUS, the watchdog, STOPPING: as sd_notify wants them."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal:
        journal.bind(str(tmp_path / "notify"))
        journal.settimeout(PATIENCE)
        one = relay(NOTIFY_SOCKET=str(tmp_path / "notify"), WATCHDOG_USEC="200000")
        heard: list[str] = []

        def hear(pattern: str) -> None:
            while not (heard and re.search(pattern, heard[-1], re.DOTALL)):
                heard.append(journal.recv(4096).decode())

        hear("READY=1\nSTATUS=generation 1, 0 providers, 0 routes")
        hear("WATCHDOG=1")
        one.configure(digest="two", problems=["bad"])
        one.send(signal.SIGHUP)
        hear(r"RELOADING=1\nMONOTONIC_USEC=\d+")
        hear(r"READY=1\nSTATUS=generation 1, .*; LAST RELOAD REFUSED: config.yml:2:3: server: bad")
        one.send(signal.SIGTERM)
        hear("STOPPING=1")
    assert one.end() == 0


def test_socket_of_systemd_is_used(tmp_path: Path) -> None:
    """A socket handed over by LISTEN_FDS is served, and --listen is not needed."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
        (tmp_path / "settings.json").write_text(json.dumps({"digest": "one"}))
        command = [sys.executable, str(HERE / "fake_relay.py"), str(tmp_path / "settings.json"), "127.0.0.1:1", "1"]
        # What systemd does between fork and exec: the socket becomes descriptor 3, and LISTEN_PID names the process.
        code = (
            f"import os; os.dup2({sock.fileno()}, 3); os.environ['LISTEN_PID'] = str(os.getpid()); "
            f"os.execv({command[0]!r}, {command!r})"
        )
        process = subprocess.Popen(
            [sys.executable, "-c", code],
            pass_fds=(sock.fileno(),),
            stderr=subprocess.PIPE,
            text=True,
            env={"PYTHONPATH": str(TOP), "LISTEN_FDS": "1", "MONORELAY_STATE_DIR": str(tmp_path / "state")},
        )
    try:
        assert process.stderr is not None
        assert any(f"listening on http://127.0.0.1:{port} " in line for line in process.stderr)
        with socket.create_connection(("127.0.0.1", port), PATIENCE) as client:
            client.sendall(b"who\n")
            assert client.makefile().readline().startswith("1 ")
    finally:
        process.terminate()
        process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
