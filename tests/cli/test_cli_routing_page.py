"""docs/routing.md: its files are one configuration without a warning, and its commands print what stands there."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from story_client import ask
from story_process import KEY, Relay

TOP = Path(__file__).resolve().parents[2]
PAGE = TOP / "docs" / "routing.md"
FILES = re.compile(r"```yaml\n# (\S+)\n(.*?)```", re.DOTALL)
COMMANDS = re.compile(r"```console\n\$ (monorelay explain [^\n]*)\n(.*?)```", re.DOTALL)
REQUEST = re.compile(r"```json\n(.*?)```", re.DOTALL)
CONFIG = 'server: {access_key: "${RELAY_KEY}", detect_public_ip: false}\n'


@pytest.fixture
def page() -> str:
    return PAGE.read_text(encoding="utf-8")


@pytest.fixture
def etc(page: str, tmp_path: Path) -> Path:
    """The page's files, as an operator would have written them."""
    etc = tmp_path / "etc"
    found = FILES.findall(page)
    assert len(found) == page.count("```yaml") == 16
    for name, text in (*found, ("config.yml", CONFIG), ("request.json", REQUEST.findall(page)[0])):
        path = etc / name
        path.parent.mkdir(parents=True, exist_ok=True)
        assert not path.exists(), f"{name} stands there twice"
        path.write_text(text, encoding="utf-8")
    return etc


def environ_of(etc: Path) -> dict[str, str]:
    secrets = {name for path in etc.rglob("*.yml") for name in re.findall(r"\$\{(\w+)\}", path.read_text())}
    state = {"MONORELAY_STATE_DIR": str(etc.parent / "state"), "PYTHONPATH": str(TOP)}
    return {"PATH": os.environ["PATH"], **state, **{name: f"sk-{name.lower()}" for name in secrets}}


def run(etc: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "monorelay", *arguments, "--config-dir", str(etc)]
    return subprocess.run(command, cwd=etc, env=environ_of(etc), capture_output=True, text=True, timeout=60)


def told(text: str, etc: Path) -> str:
    """As it is printed to whoever has these files in /etc/monorelay: columns are as wide as they are there."""
    return re.sub(rf"\s{{2,}}{re.escape(str(etc))}/", "  /etc/monorelay/", text).replace(str(etc), "/etc/monorelay")


def test_the_files_are_one_configuration_without_a_warning(etc: Path) -> None:
    said = run(etc, "check")
    assert (said.returncode, said.stderr) == (0, ""), said


def test_every_explanation_is_what_the_command_prints(page: str, etc: Path) -> None:
    """Word for word, but for blanks between columns."""
    found = COMMANDS.findall(page)
    assert len(found) == 2
    for command, shown in found:
        said = run(etc, *shlex.split(command)[1:])
        assert said.returncode == 0, said.stderr
        squeezed = [re.sub(r" {2,}(?=\S)", "  ", line) for line in told(said.stdout, etc).splitlines()]
        assert squeezed == [re.sub(r" {2,}(?=\S)", "  ", line) for line in shown.splitlines()]


def test_a_running_relay_tells_the_same_and_shows_what_it_sent(page: str, etc: Path, tmp_path: Path) -> None:
    """The page's curl command, and `monorelay curl`; nobody but the loopback's discard port is asked."""
    files = {str(path.relative_to(etc)): path.read_text().replace(":8000", ":9") for path in etc.rglob("*.yml")}
    environ = {**environ_of(etc), "RELAY_KEY": KEY}
    relay = Relay(tmp_path / "live", files.pop("config.yml"), files, environ)
    try:
        (command,) = re.findall(r"```sh\n(curl .*?)```", page, re.DOTALL)
        words = shlex.split(command.replace("$RELAY_KEY", KEY))
        path = "/" + words[1].split("/", 3)[3]
        fields = [tuple(words[at + 1].split(": ")) for at, word in enumerate(words) if word == "-H"]
        body = words[words.index("-d") + 1].encode()
        explained = ask(relay.host, relay.port, "POST", path, *fields, body=body).json  # type: ignore[arg-type]
        shown = json.loads(run(etc, "explain", "assistant", "--route", "chat", "--json").stdout)[0]
        assert [step["text"] for step in explained["steps"]] == [step["text"] for step in shown["steps"]]
        answer = relay.post("/v1/chat/completions", {"model": "llama-3@cellar", "messages": []})
        assert answer.status == 503
        request, lines = re.findall(r"\$ monorelay curl (\w+)\n(.*?)```", page, re.DOTALL)[0]
        known = answer.header("x-monorelay-request-id")
        assert len(request) == len(known)
        command = [sys.executable, "-m", "monorelay", "curl", known, "--config-dir", str(relay.etc)]
        state = {**environ, "MONORELAY_STATE_DIR": str(relay.state)}
        said = subprocess.run(command, cwd=TOP, env=state, capture_output=True, text=True, timeout=60)
        assert said.returncode == 0, said.stderr
        assert set(lines.replace(":8000", ":9").splitlines()) <= set(said.stdout.splitlines())
    finally:
        relay.stop()


def test_the_cascade_of_the_readme_is_served_by_shipped_providers(tmp_path: Path) -> None:
    """As it stands there, with a key for each of the three."""
    readme = (TOP / "README.md").read_text(encoding="utf-8")
    block = re.findall(r"((?:    .*\n)+)\n`monorelay explain smart`", readme)[0]
    etc = tmp_path / "etc"
    etc.mkdir()
    (etc / "config.yml").write_text(textwrap.dedent(block))
    keys = {f"{name}_API_KEY": "sk-x" for name in ("OPENAI", "ANTHROPIC", "OPENROUTER")}
    command = [sys.executable, "-m", "monorelay", "explain", "smart", "--route", "messages", "--json", "--config-dir", str(etc)]
    said = subprocess.run(command, cwd=TOP, env={**environ_of(etc), **keys}, capture_output=True, text=True, timeout=60)
    legs = json.loads(said.stdout)[0]["legs"]
    assert [leg["targets"][0]["provider"] for leg in legs] == ["anthropic", "openai", "openrouter"]


def test_links_of_the_first_pages_lead_somewhere() -> None:
    """Every anchor is a heading of its page, every file is there."""
    pages = [TOP / "README.md", TOP / "CHANGELOG.md", TOP / "docs" / "tour.md", PAGE]
    for path in pages:
        for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text(encoding="utf-8")):
            if "://" in target:
                continue
            name, _, anchor = target.partition("#")
            other = (path.parent / name).resolve() if name else path
            assert other.exists(), f"{path.name}: {target}"
            if anchor:
                titles = re.findall(r"^#+ (.*)$", other.read_text(encoding="utf-8"), re.MULTILINE)
                assert anchor in {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}, target


def test_secrets_are_in_no_explanation(etc: Path) -> None:
    said = run(etc, "explain", "assistant", "--route", "chat", "--json")
    assert json.loads(said.stdout)[0]["cascade"] == "smart" and "sk-acme" not in said.stdout
