"""Coding agents from npm, run headless: Claude Code and Codex, installed once into the user's cache.

Where node or npm is missing, or the packages cannot be installed, whoever asks for them is skipped with a notice that says why.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from story_process import KEY

PACKAGES = {"claude": "@anthropic-ai/claude-code", "codex": "@openai/codex"}
INSTALLING = 120.0  # seconds
RUNNING = 60.0


@dataclass(frozen=True)
class Ended:
    code: int
    said: str
    told: str  # on its standard error


def installed() -> Path:
    """The folder of the agents' commands. Skips the test where there cannot be one."""
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            pytest.skip(f"agents need {program}, which is not installed")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "monorelay-tests" / "npm"
    commands = cache / "node_modules" / ".bin"
    if all((commands / name).exists() for name in PACKAGES):
        return commands
    try:
        cache.mkdir(parents=True, exist_ok=True)
        _run(cache, "npm", "install", "--no-audit", "--no-fund", "--no-save", *PACKAGES.values())
        # npm may withhold a package's own step after the installation; it fetches nothing more.
        _run(cache, "node", f"node_modules/{PACKAGES['claude']}/install.cjs")
    except (OSError, subprocess.SubprocessError) as error:
        said = getattr(error, "stderr", None) or str(error)
        pytest.skip(f"the agents could not be installed from npm: {str(said).strip()[-300:]}")
    return commands


def _run(folder: Path, *command: str) -> None:
    subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True, timeout=INSTALLING, stdin=subprocess.DEVNULL)


def claude(url: str, model: str, work: Path, home: Path, question: str, *options: str) -> Ended:
    """``claude -p``, which may read files and run commands."""
    environ = {"ANTHROPIC_BASE_URL": url, "ANTHROPIC_API_KEY": KEY}
    command = [str(installed() / "claude"), "-p", question, "--model", model, "--allowedTools", "Read,Bash", *options]
    return _ended(command, environ, work, home)


def codex(url: str, model: str, work: Path, home: Path, question: str) -> Ended:
    """``codex exec`` with a provider of its own, which is the relay."""
    (home / ".codex").mkdir()
    lines = [
        f'model = "{model}"',
        'model_provider = "relay"',
        "[model_providers.relay]",
        'name = "relay"',
        f'base_url = "{url}/v1"',
        'env_key = "RELAY_KEY"',
        'wire_api = "responses"',
    ]
    (home / ".codex" / "config.toml").write_text("\n".join([*lines, ""]))
    command = [str(installed() / "codex"), "exec", "--skip-git-repo-check", "--sandbox", "danger-full-access", question]
    return _ended(command, {"RELAY_KEY": KEY}, work, home)


def _ended(command: list[str], environ: dict[str, str], work: Path, home: Path) -> Ended:
    done = subprocess.run(
        command,
        cwd=work,
        env={"PATH": os.environ["PATH"], "HOME": str(home), "TMPDIR": str(home), **environ},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=RUNNING,
    )
    return Ended(done.returncode, done.stdout, done.stderr)
