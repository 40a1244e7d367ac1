"""`monorelay run` and `monorelay demo` as a user starts them: real processes, the real front, an empty environment."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

TOP = Path(__file__).resolve().parents[2]
PATIENCE = 30.0
Start = Callable[..., "Command"]


class Command:
    """``python -m monorelay …``; its lines are read as they are waited for."""

    def __init__(self, home: Path, *arguments: str, **environ: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "monorelay", *arguments],
            cwd=TOP,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={"PATH": os.environ["PATH"], "HOME": str(home), "TMPDIR": str(home), **environ},
        )
        self.stderr: list[str] = []

    def wait_for(self, text: str) -> str:
        """The next line on stderr that holds the text."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.stderr.append(line.rstrip("\n"))
            if text in line:
                return line
        pytest.fail(f"{text!r} was never said:\n" + "\n".join(self.stderr))

    @property
    def url(self) -> str:
        return self.wait_for("listening on").split("listening on ")[1].split(" ")[0]

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.ended()

    def ended(self) -> int:
        rest = self.process.communicate(timeout=PATIENCE)
        self.stderr += rest[1].splitlines()
        return self.process.returncode


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    started: list[Command] = []

    def begin(*arguments: str | Path, **environ: str) -> Command:
        started.append(Command(tmp_path, *map(str, arguments), **environ))
        return started[-1]

    yield begin
    for command in started:
        if command.process.poll() is None:
            command.process.kill()
            command.process.communicate()


def get(url: str, *, key: str | None = None, body: Any = None) -> tuple[int, Any]:
    headers = {"authorization": f"Bearer {key}"} if key else {}
    data = json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(url, data, {"content-type": "application/json", **headers})
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def test_demo(start: Start, tmp_path: Path) -> None:
    """The demo answers in both dialects with the key it prints, and leaves neither process nor file behind."""
    demo = start("demo", "--listen", "127.0.0.1:0")
    url = demo.url
    assert demo.process.stdout is not None
    printed = ""
    while "kill -HUP" not in printed:
        printed += demo.process.stdout.readline()
    assert f"curl {url}/v1/chat/completions" in printed
    assert f"OPENAI_BASE_URL={url}/v1 OPENAI_API_KEY=sk-demo" in printed
    assert f"ANTHROPIC_BASE_URL={url} ANTHROPIC_API_KEY=sk-demo" in printed
    chat = {"model": "demo", "messages": [{"role": "user", "content": "Hello!"}]}
    status, answer = get(f"{url}/v1/chat/completions", key="sk-demo", body=chat)
    assert status == 200 and "Hello!" in answer["choices"][0]["message"]["content"]
    status, answer = get(f"{url}/v1/messages", key="sk-demo", body={**chat, "model": "demo-claude", "max_tokens": 9})
    assert status == 200 and "Hello!" in answer["content"][0]["text"]
    assert get(f"{url}/v1/chat/completions", body=chat)[0] == 401
    assert get(f"{url}/v1/credits", key="sk-demo")[0] == 200
    assert demo.end(signal.SIGINT) == 0
    assert not list(tmp_path.glob("monorelay-*"))


def test_demo_ends_with_its_upstream(start: Start) -> None:
    """When the built-in upstream dies the relay ends too, and says that it did not mean to."""
    demo = start("demo", "--listen", "127.0.0.1:0")
    url = demo.url
    for child in Path(f"/proc/{demo.process.pid}/task/{demo.process.pid}/children").read_text().split():
        if b"monorelay.demo" in Path(f"/proc/{child}/cmdline").read_bytes():
            os.kill(int(child), signal.SIGKILL)
    assert demo.ended() == 1
    assert any("stopping reason=lifeline" in line for line in demo.stderr)
    with pytest.raises(urllib.error.URLError):
        get(f"{url}/health")


def test_run_serves_and_reloads(start: Start, tmp_path: Path) -> None:
    """run answers /health; SIGHUP puts a new provider file in force, a bad one is refused and told by /health."""
    directory = tmp_path / "etc"
    (directory / "providers.d").mkdir(parents=True)
    (directory / "config.yml").write_text("server: {access_key: '${KEY}', detect_public_ip: false}\n")
    relay = start("run", "--config-dir", directory, "--listen", "127.0.0.1:0", KEY="sk-test")
    url = relay.url
    assert get(f"{url}/health")[1]["generation"] == 1
    local = directory / "providers.d/50-local.yml"
    local.write_text("provider: local\nextends: openai-compatible\nbase_url: http://127.0.0.1:9/v1\nauth: none\n")
    relay.process.send_signal(signal.SIGHUP)
    assert "outcome=taken generation=2" in relay.wait_for("reload attempt=1")
    assert get(f"{url}/health")[1]["providers"]["local"]["enabled"] is True
    local.write_text("provider: local\nbase_ulr: x\n")
    relay.process.send_signal(signal.SIGHUP)
    assert f"error {local}:2:1: base_ulr" in relay.wait_for("base_ulr")
    assert "outcome=refused generation=2" in relay.wait_for("reload attempt=2")
    deadline = time.monotonic() + PATIENCE
    while get(f"{url}/health")[1]["last_reload"]["attempt"] != 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    outcome = get(f"{url}/health")[1]["last_reload"]
    assert outcome["ok"] is False and outcome["generation"] == 2 and f"{local}:2:1" in outcome["problems"][0]
    assert relay.end() == 0


def test_run_refuses_to_be_open_to_others(start: Start, tmp_path: Path) -> None:
    """Without any credential a wider --listen ends with 78 and says what to do."""
    (tmp_path / "etc").mkdir()
    relay = start("run", "--config-dir", tmp_path / "etc", "--listen", "0.0.0.0:0")
    assert relay.ended() == 78
    assert "there is no access key" in relay.stderr[-1] and "0.0.0.0" in relay.stderr[-1]


def test_run_refuses_bad_files(start: Start, tmp_path: Path) -> None:
    """A start with bad files ends with 78, one problem per line."""
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/config.yml").write_text("server:\n  prot: 1\n  workers: many\n")
    relay = start("run", "--config-dir", tmp_path / "etc")
    assert relay.ended() == 78
    assert [line.partition(": ")[0] for line in relay.stderr] == [f"{tmp_path}/etc/config.yml:{line}" for line in ("2:3", "3:3")]


def test_run_refuses_a_missing_directory(start: Start, tmp_path: Path) -> None:
    """A directory that was named has to be there."""
    relay = start("run", "--config-dir", tmp_path / "missing")
    assert relay.ended() == 78
    assert f"{tmp_path}/missing" in relay.stderr[-1]


def test_run_with_nothing_but_a_key(start: Start, tmp_path: Path) -> None:
    """A provider whose usual variable is set is served with no file written; the relay says that it is open."""
    relay = start(
        "run", "--listen", "127.0.0.1:0", "--workers", "2", OPENROUTER_API_KEY="sk-or-x", MONORELAY_STATE_DIR=str(tmp_path)
    )
    relay.wait_for("warning open: ")
    url = relay.url
    assert "1 provider," in relay.stderr[-1]
    assert get(f"{url}/health")[1]["providers"]["openrouter"]["enabled"] is True
    assert relay.end() == 0
