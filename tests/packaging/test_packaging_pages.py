"""The man pages and completions say what the program says."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from monorelay.cli.main import COMMANDS
from monorelay.config.reference import TABLES, fields
from monorelay.config.reference import page as reference

PACKAGING = Path(__file__).resolve().parents[2] / "packaging"


def script(name: str) -> ModuleType:
    """A script of packaging/, as a module; it puts directories on the path, which is taken back."""
    spec = importlib.util.spec_from_file_location(name, PACKAGING / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    before = list(sys.path)
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path[:] = before
    return module


manual = script("manual")
completion = script("completion")


def test_the_manual_tells_every_command_and_option() -> None:
    """monorelay(1) has a section for each command, and each of its options in it."""
    page = manual.page("monorelay.1")
    for name in COMMANDS:
        section = page.split(f"\n.SS {name}\n")[1].split("\n.SS ")[0]
        for action in manual.command(name)._actions:
            for word in action.option_strings:
                assert action.dest == "help" or manual.plain(word) in section


@pytest.fixture(scope="module")
def entries() -> str:
    """All pages of section 5."""
    return "".join(manual.page(name) for name in manual.CHAPTERS)


@pytest.mark.parametrize("table", TABLES)
def test_the_manual_tells_every_field(table: str, entries: str) -> None:
    """A page of section 5 has an entry for every field of the schema, with what it is for."""
    for field, rules in fields(TABLES[table]):
        assert f".TP\n\\fB{manual.plain(field)}\\fR\n{manual.prose(rules['meta']['help'])}" in entries, field


def test_every_chapter_of_the_reference_is_on_a_page() -> None:
    """A chapter that is added to docs/drop-ins.md reaches the manual by itself."""
    known = tuple(manual.chapters(reference()))
    assert {title for name in manual.CHAPTERS for title in manual.titles(name, known)} == set(known)


@pytest.mark.parametrize("page", manual.PAGES)
def test_the_manual_is_sound_troff(page: str) -> None:
    """No markup of the reference is left over, and groff, where it is there, has nothing to say."""
    text = manual.page(page)
    assert "```" not in text and "| ---" not in text and "<<" not in text.replace("\\fB<<\\fR", "")
    if shutil.which("groff") is None:
        pytest.skip("groff is not installed")
    done = subprocess.run(["groff", "-man", "-Kutf8", "-Tutf8", "-ww", "-z"], input=text.encode(), capture_output=True, timeout=60)
    assert done.stderr.decode() == ""


@pytest.mark.parametrize("shell", completion.FILES)
def test_a_completion_knows_every_command_and_option(shell: str) -> None:
    """Each shell is told every command, and every long option with the command it belongs to."""
    text = completion.FILES[shell]()
    for name in COMMANDS:
        lines = [line for line in text.splitlines() if name in line]
        assert lines
        for action in completion.options(name):
            for word in action.option_strings:
                assert word in text or f"-l {word[2:]}" in text


@pytest.mark.parametrize(("file", "shell"), [("monorelay", "bash"), ("_monorelay", "zsh"), ("monorelay.fish", "fish")])
def test_a_completion_is_sound(file: str, shell: str, tmp_path: Path) -> None:
    """The shell itself, where it is there, can read it."""
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    (tmp_path / file).write_text(completion.FILES[file](), encoding="utf-8")
    subprocess.run([shell, "-n", str(tmp_path / file)], check=True, timeout=60)


def test_bash_completes_a_command_and_its_options(tmp_path: Path) -> None:
    """`monorelay che<Tab>` is check, and `monorelay run --li<Tab>` is --listen."""
    if shutil.which("bash") is None:
        pytest.skip("bash is not installed")
    (tmp_path / "monorelay").write_text(completion.bash(), encoding="utf-8")
    script = f"""
        source {tmp_path}/monorelay
        COMP_WORDS=(monorelay che) COMP_CWORD=1; _monorelay; echo "${{COMPREPLY[@]}}"
        COMP_WORDS=(monorelay run --li) COMP_CWORD=2; _monorelay; echo "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == ["check", "--listen"]
