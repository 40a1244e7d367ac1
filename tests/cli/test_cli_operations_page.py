"""docs/operations.md: its commands exist, its table knows every error, its files would be served."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from monorelay import errors
from monorelay.cli.main import COMMANDS, main, parser

TOP = Path(__file__).parents[2]
PAGE = (TOP / "docs/operations.md").read_text(encoding="utf-8")


def test_every_command_exists() -> None:
    """Each `monorelay WORD` of the page is a command."""
    named = set(re.findall(r"(?:^ {4}|[`&(;] ?|-u monorelay )monorelay ([a-z]+)", PAGE, re.MULTILINE))
    assert {"enable", "disable", "edit", "import", "dump", "diff", "check", "doctor", "reload"} <= named <= set(COMMANDS)


def test_every_option_exists() -> None:
    """Each line of commands can be understood; the files it names need not be there."""
    lines = re.findall(r"^ {4}monorelay ([^#\n]*)", PAGE, re.MULTILINE)
    assert len(lines) > 5
    for line in lines:
        words = line.split("<")[0].split()
        parser(words[0]).parse_args(words)


def test_every_error_is_explained() -> None:
    """Each type, and each status of it, has a row."""
    rows = re.findall(r"^\| `(\w+)` \| ([0-9 …]+) \|", PAGE, re.MULTILINE)
    kinds = [value for value in vars(errors).values() if isinstance(value, errors.Kind)]
    assert kinds
    for kind in kinds:
        spans = [[int(number) for number in status.split("…")] for name, status in rows if name == kind.type]
        assert any(span[0] <= kind.status <= span[-1] for span in spans), kind


def test_its_files_would_be_served(operator: Callable[..., Path], say: Callable[..., Any]) -> None:
    """The drop-in of `enable`, and the settings of TLS with a certificate beside them."""
    provider, settings = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    directory = operator(providers__openai=provider, config__50_tls=settings)
    for name in ("secrets/openai-main", "secrets/access_key"):
        (directory / name).parent.mkdir(exist_ok=True)
        (directory / name).write_text("sk-x\n")
    (directory / "tls").mkdir()
    for name in ("fullchain.pem", "privkey.pem"):
        (directory / "tls" / name).write_text((TOP / "tests/web/renewed.pem").read_text())
    said = say("check", "--config-dir", directory)
    assert (said.code, said.err) == (0, "")


@pytest.mark.parametrize("command", ["enable", "disable", "edit", "import", "dump", "diff", "doctor"])
def test_help_fits(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """No line of a help text is longer than a wide terminal."""
    with pytest.raises(SystemExit):
        main([command, "--help"])
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 132
