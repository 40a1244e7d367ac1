"""One relay process with the front of fake_relay.py, what it printed, and a way to talk to it and to its control socket."""

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

HERE = Path(__file__).resolve().parent
TOP = HERE.parents[1]
PATIENCE = 20.0


class Relay:
    """One relay process, what it printed, and a way to talk to it."""

    def __init__(self, tmp_path: Path, workers: int = 1, address: str = "127.0.0.1:0", **environ: str) -> None:
        self.directory = tmp_path
        self.settings = tmp_path / "settings.json"
        if not self.settings.exists():
            self.configure(digest="one")
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / "fake_relay.py"), str(self.settings), address, str(workers)],
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(TOP), "MONORELAY_STATE_DIR": str(tmp_path / "state"), **environ},
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line.rstrip("\n"))

    def configure(self, **said: Any) -> None:
        new = self.settings.with_suffix(".new")
        new.write_text(json.dumps(said))
        new.rename(self.settings)

    def wait_for(self, pattern: str, count: int = 1) -> str:
        """The count-th line that matches."""

        def found() -> str | None:
            matches = [line for line in list(self.lines) if re.search(pattern, line)]
            return matches[count - 1] if len(matches) >= count else None

        line: str = eventually(found, lambda: f"{pattern!r} not in:\n" + "\n".join(self.lines))
        return line

    @property
    def port(self) -> int:
        return int(self.wait_for("listening on").split("http://127.0.0.1:")[1].split(" ")[0])

    def ask(self, line: str = "who", timeout: float = PATIENCE) -> str:
        with socket.create_connection(("127.0.0.1", self.port), timeout) as sock:
            sock.sendall(f"{line}\n".encode())
            return sock.makefile().readline().strip()

    @property
    def control(self) -> Path:
        return self.directory / "state/control.sock"

    def connect(self) -> socket.socket:
        """To the control socket."""
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(PATIENCE)
        try:
            sock.connect(str(self.control))
        except OSError:
            sock.close()
            raise
        return sock

    def question(self, **question: Any) -> Any:
        """One question at the control socket, and its answer."""
        with self.connect() as sock:
            sock.sendall(json.dumps(question).encode() + b"\n")
            return answer_of(sock)

    def wait_until_busy(self) -> None:
        """Until a worker has a line that it did not answer yet."""

        def busy() -> bool:
            return any(worker["in_flight"] for worker in self.question(ask="workers")["answers"])

        eventually(busy, lambda: "no worker is busy")

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def reload(self, attempt: int) -> str:
        self.send(signal.SIGHUP)
        return self.wait_for(rf"reload attempt={attempt} ")

    def end(self) -> int:
        """The exit code, once the process is gone and all it printed is read."""
        code = self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        assert self.process.stderr is not None
        self.process.stderr.close()
        return code


def eventually(check: Callable[[], Any], complaint: Callable[[], str]) -> Any:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if result := check():
            return result
        time.sleep(0.01)
    pytest.fail(complaint())


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


def answer_of(sock: socket.socket) -> Any:
    """The line that is sent, read up to the end of the connection."""
    said = b""
    while piece := sock.recv(1 << 16):
        said += piece
    assert said.endswith(b"\n") and said.count(b"\n") == 1, said
    return json.loads(said)
