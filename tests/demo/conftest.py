"""The demo upstream as a process of its own, without pauses, and the table of SDK calls that tests/story shares."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "story"))


@pytest.fixture(scope="session")
def demo() -> Iterator[str]:
    """The origin of a running demo: http://127.0.0.1:PORT."""
    command = [
        sys.executable,
        "-m",
        "monorelay.demo",
        "--port",
        "0",
        "--word",
        "0",
        "--moment",
        "0",
        "--slow",
        "0.1",
        "--until-eof",
    ]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    line = process.stdout.readline()
    assert line.startswith("demo upstream on http://127.0.0.1:"), process.stderr.read()
    yield line.split()[-1]
    _, said = process.communicate(timeout=10)
    assert (process.returncode, said) == (0, ""), "the demo ends with its standard input, and has nothing to complain about"
