"""docs/rehearsal.md: its steps and its files work as they stand there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from monorelay.config.load import Places, load

TOP = Path(__file__).resolve().parents[2]
PAGE = (TOP / "docs" / "rehearsal.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```yaml\n# ([\w./-]+)(?::[^\n]*)?\n(.*?)```", PAGE, re.DOTALL)
CONFIG = "server: {access_key: '${file:access}', state_dir: remembered}\n"
OWN = "provider: openai\nextends: openai\nkeys: [{label: main, secret: '${file:main}'}, {label: spare, secret: '${file:spare}'}]\n"


def check(directory: Path, runtime: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "monorelay", "check", "--config-dir", str(directory)]
    environ = {"PATH": os.environ["PATH"], "RUNTIME_DIRECTORY": str(runtime), "MONORELAY_STATE_DIR": str(runtime)}
    return subprocess.run(command, cwd=TOP, env=environ, capture_output=True, text=True, timeout=60)


def test_the_profile_of_the_page_is_served_and_the_operators_own_files_are_not_touched(tmp_path: Path) -> None:
    """Each of its files, one after the other; without the permission each is refused."""
    etc, home = tmp_path / "etc", tmp_path / "home"
    (etc / "providers.d").mkdir(parents=True)
    for name, text in {"config.yml": CONFIG, "providers.d/50-openai.yml": OWN, "access": "k", "main": "m", "spare": "s"}.items():
        (etc / name).write_text(text)
    home.mkdir()
    copy, make = re.search(r"```sh\n(cp .*)\n(mkdir .*)\n```", PAGE).groups()  # type: ignore[union-attr]
    for step in (copy.replace("/etc/monorelay", str(etc)), make):
        subprocess.run(["sh", "-c", step], env={"PATH": os.environ["PATH"], "HOME": str(home)}, check=True, timeout=30)
    profile = home / "rehearsal"
    (permission, text), *faults = BLOCKS
    (profile / permission).write_text(text)
    assert load(Places(TOP, profile, None), {}).startup.state_dir == str(profile / "state")
    assert len(faults) == 5
    for name, text in faults:
        (profile / name).write_text(text)
        said = check(profile, profile / "run")
        assert (said.returncode, said.stderr) == (0, ""), said
        unsaid = check(etc, profile / "run")
        assert unsaid.returncode == 78 and f"{profile / name}:" in unsaid.stderr and "allow_faults" in unsaid.stderr
    assert sorted(path.name for path in etc.rglob("*")) == ["50-openai.yml", "access", "config.yml", "main", "providers.d", "spare"]
