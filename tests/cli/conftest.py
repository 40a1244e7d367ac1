"""A command run in this process, on files of an operator that nothing of this machine's environment reaches."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from monorelay.cli.main import main

TOP = Path(__file__).resolve().parent.parent.parent
Write = Callable[..., Path]


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str

    @property
    def value(self) -> Any:
        return json.loads(self.out)


Say = Callable[..., Said]


@pytest.fixture
def operator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Writes files of the operator layer; nothing of the machine's own environment counts."""
    for path in (TOP / "providers.d").glob("*.yml"):
        for name in re.findall(r"\$\{([A-Z0-9_]+)", path.read_text()):
            monkeypatch.delenv(name, raising=False)
    for name in ("RUNTIME_DIRECTORY", "MONORELAY_VENDOR_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MONORELAY_STATE_DIR", str(tmp_path / "state"))
    directory = tmp_path / "etc"

    def write(**files: str) -> Path:
        for name, text in files.items():
            path = directory / (name.replace("__", ".d/") + ".yml")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        directory.mkdir(exist_ok=True)
        return directory

    return write


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Say:
    def run(*arguments: str | Path) -> Said:
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Said(code, captured.out, captured.err)

    return run
