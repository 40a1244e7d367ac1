"""The real ``monorelay run``, started as an operator starts it: a configuration directory, a state directory, a port of its own.

relay = Relay(tmp_path, {"server": {"access_key": "k"}}, files={"routes.d/50-ocr.yml": "route: ocr\\n…"})
relay.ask("GET", "/health").json["generation"]
relay.reload(config={…})
relay.stop()

Configurations are written as JSON, which is YAML. What the log says at WARNING or above must have been expected: ``surprises``
tells what was not.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from story_client import Answer, Wire, ask

TOP = Path(__file__).resolve().parents[2]
PATIENCE = 30.0
KEY = "sk-story-access-key"
_LOUD = re.compile(r"^(warning|error|critical) |^Traceback |^\s+File \"")


class Relay:
    """Mutable: ``expected`` (patterns of log lines that may come), how far the log was judged, and the process until ``stop``."""

    def __init__(
        self,
        directory: Path,
        config: Mapping[str, Any] | str,
        files: Mapping[str, Any] = {},
        environ: Mapping[str, str] = {},
        arguments: Sequence[str] = (),
        expected: Sequence[str] = (),
    ) -> None:
        self.directory = directory
        self.etc = directory / "etc"
        self.state = directory / "state"
        self.log_path = directory / "log"
        self.expected = list(expected)
        self._judged = 0
        self._told = False
        self.state.mkdir(parents=True, exist_ok=True)
        self.write(config, files)
        begin = self.log_path.stat().st_size if self.log_path.exists() else 0
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "monorelay",
                    "run",
                    "--config-dir",
                    str(self.etc),
                    *(arguments or ("--listen", "127.0.0.1:0")),
                ],
                cwd=TOP,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={
                    "PATH": os.environ["PATH"],
                    "HOME": str(directory),
                    "TMPDIR": str(directory),
                    "MONORELAY_STATE_DIR": str(self.state),
                    **environ,
                },
            )
        self.pid = self._process.pid
        match = self.wait_for(r"listening on (https?://(\S+):(\d+)) ", begin)
        self.url, self.host, self.port = match[1], match[2].strip("[]"), int(match[3])

    def __repr__(self) -> str:
        return f"<Relay {self.url} pid {self.pid}>"

    # ------------------------------------------------------------------ its configuration

    def write(self, config: Mapping[str, Any] | str | None = None, files: Mapping[str, Any] = {}) -> None:
        """Texts are written as they are, mappings as JSON; a file that is None is taken away."""
        if config is not None:
            files = {"config.yml": config, **files}
        for name, content in files.items():
            path = self.etc / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if content is None:
                path.unlink()
            else:
                path.write_text(content if isinstance(content, str) else json.dumps(content, indent=1))

    def reload(self, config: Mapping[str, Any] | str | None = None, files: Mapping[str, Any] = {}, outcome: str = "taken") -> str:
        """SIGHUP, and wait for what came of it; the log of this reload."""
        self.write(config, files)
        begin = self.log_path.stat().st_size
        os.kill(self.pid, signal.SIGHUP)
        match = self.wait_for(r"reload attempt=\d+ outcome=(\w+)", begin)
        said = self.log_path.read_bytes()[begin:].decode()
        assert re.fullmatch(outcome, match[1]), said
        if outcome == "refused":
            self._judged = len(self.log())
        return said

    def afresh(self, config: Mapping[str, Any] | str) -> None:
        """Nothing but this configuration is left, and in force."""
        for path in self.etc.rglob("*.yml"):
            path.unlink()
        self.reload(config, outcome=r"taken|unchanged")

    # ------------------------------------------------------------------ its log

    def log(self) -> str:
        return self.log_path.read_bytes().decode("latin-1")  # a byte is a character: offsets stay true

    def wait_for(self, pattern: str, begin: int = 0) -> re.Match[str]:
        """The first match in the log from ``begin`` on."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            match = re.compile(pattern).search(self.log(), begin)
            if match is not None:
                return match
            if self._process.poll() is not None:
                break
            time.sleep(0.005)
        raise AssertionError(f"{pattern!r} is not in the log (process {self._process.poll()}):\n{self.log()[-4000:]}")

    def expect_log(self, pattern: str) -> None:
        """A warning or an error that this relay may log."""
        self.expected.append(pattern)

    def surprises(self) -> list[str]:
        """Lines at WARNING or above that nobody expected, since the last look."""
        with self.log_path.open("rb") as log:
            log.seek(self._judged)
            fresh = log.read().decode("latin-1")
        fresh = fresh[: fresh.rfind("\n") + 1]
        self._judged += len(fresh)
        loud = [line for line in fresh.splitlines() if _LOUD.search(line)]
        return [line for line in loud if not any(re.search(pattern, line) for pattern in self.expected)]

    # ------------------------------------------------------------------ using it

    def ask(self, method: str, target: str, *headers: tuple[str, str], body: Any = None, key: str | None = KEY) -> Answer:
        """One request on a connection of its own, with the access key. A body that is no bytes goes as JSON."""
        if key is not None:
            headers = (("Authorization", f"Bearer {key}"), *headers)
        return ask(self.host, self.port, method, target, *headers, body=body)

    def post(self, path: str, body: Any, *headers: tuple[str, str]) -> Answer:
        """JSON, also where it is given as bytes."""
        kind = (("Content-Type", "application/json"),) if isinstance(body, bytes) else ()
        return self.ask("POST", path, *kind, *headers, body=body)

    def wire(self) -> Wire:
        return Wire(self.host, self.port)

    def workers(self) -> list[int]:
        return [int(child) for child in Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()]

    # ------------------------------------------------------------------ its end

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def tell_to_stop(self) -> None:
        if self.running and not self._told:
            self._told = True
            self._process.send_signal(signal.SIGTERM)

    def stop(self) -> int:
        """Its exit code."""
        self.tell_to_stop()
        try:
            return self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise


def refused(directory: Path, *cases: tuple[Mapping[str, Any], tuple[str, ...]]) -> list[tuple[int, str]]:
    """Starts relays that are not to start, side by side: the exit code of each, and what it said."""
    started: list[subprocess.Popen[str]] = []
    for number, (config, arguments) in enumerate(cases):
        etc = directory / str(number)
        etc.mkdir(parents=True)
        (etc / "config.yml").write_text(json.dumps(config, indent=1))
        started.append(
            subprocess.Popen(
                [sys.executable, "-m", "monorelay", "run", "--config-dir", str(etc), *arguments],
                cwd=TOP,
                stdin=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                env={"PATH": os.environ["PATH"], "HOME": str(directory), "MONORELAY_STATE_DIR": str(directory)},
            )
        )
    said = [process.communicate(timeout=PATIENCE)[1] for process in started]
    return [(process.returncode, text) for process, text in zip(started, said, strict=True)]
