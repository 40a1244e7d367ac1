"""`monorelay enable`, `disable` and `edit`: the operator's files, written whole, checked, and put back when refused."""

from __future__ import annotations

import getpass
import grp
import io
import os
import pty
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from monorelay.cli import changes as changes_module
from monorelay.cli.changes import CannotWrite, Changes
from monorelay.cli.main import main

TOP = Path(__file__).parents[2]
OWN = 'provider: own\nextends: openai-compatible\nbase_url: http://127.0.0.1:9/v1\nkeys: ["${file:key.txt}"]  # mine\n'


@pytest.fixture
def key_on_stdin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("sk-from-stdin\nmore\n"))


@pytest.fixture
def editor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """An editor that appends these lines, one list after the other."""

    def use(*pieces: str) -> None:
        script = tmp_path / "editor"
        for number, piece in enumerate(pieces):
            (tmp_path / f"piece-{number}").write_text(piece)
        script.write_text(f'#!/bin/sh\ncd {tmp_path}; n=$(ls turn-* 2>/dev/null | wc -l); touch turn-$n; cat piece-$n >> "$1"\n')
        script.chmod(0o755)
        monkeypatch.setenv("VISUAL", str(script))

    return use


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_enable_a_shipped_provider(operator: Callable[..., Path], say: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """The key is asked for, kept for its owner alone, and referred to; the provider is on."""
    asked: list[str] = []
    monkeypatch.setattr(getpass, "getpass", lambda prompt: asked.append(prompt) or " sk-or-typed ")
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    directory = operator()
    said = say("enable", "OpenRouter", "--no-reload", "--config-dir", directory)
    assert (said.code, said.err) == (0, "") and asked == ["key for openrouter (it is not shown): "]
    secret, file = directory / "secrets/openrouter-main", directory / "providers.d/openrouter.yml"
    assert secret.read_text() == "sk-or-typed\n" and mode(secret) == 0o600 and mode(secret.parent) == 0o750
    assert file.read_text().endswith(
        'provider: openrouter\nextends: openrouter\nkeys: [{label: main, secret: "${file:secrets/openrouter-main}"}]\n'
    )
    assert mode(file) == 0o644 and "sk-or-typed" not in said.out
    (row,) = [one for one in say("providers", "--json", "--config-dir", directory).value if one["provider"] == "openrouter"]
    assert row["state"] == "on" and row["offers"]["openai.chat"] == "https://openrouter.ai/api/v1/chat/completions"
    again = say("enable", "openrouter", "--no-reload", "--config-dir", directory)
    assert again.code == 1 and "is on already" in again.err


def test_a_key_is_typed_unseen(tmp_path: Path) -> None:
    """On a real terminal nothing of the key is echoed, and the offer to reload comes only where it can be taken."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(TOP)
        environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "MONORELAY_STATE_DIR": str(tmp_path)}
        os.execve(
            sys.executable,
            [sys.executable, "-m", "monorelay", "enable", "openai", "--no-reload", "--config-dir", str(tmp_path)],
            environ,
        )
    said = b""
    while b"not shown" not in said:
        said += os.read(terminal, 1024)
    os.write(terminal, b"sk-typed\n")
    try:
        while piece := os.read(terminal, 1024):
            said += piece
    except OSError:  # the other end is closed
        pass
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0, said
    os.close(terminal)
    assert b"openai is on" in said and b"sk-typed" not in said
    assert (tmp_path / "secrets/openai-main").read_text() == "sk-typed\n"


def test_enable_one_that_nobody_ships(operator: Callable[..., Path], say: Callable[..., Any], key_on_stdin: None) -> None:
    """A base URL is enough; the template is the usual one."""
    directory = operator()
    said = say("enable", "house", "--base-url", "http://127.0.0.1:9/v1/", "--key-stdin", "--no-reload", "--config-dir", directory)
    assert (said.code, said.err) == (0, "")
    assert "extends: openai-compatible\nbase_url: http://127.0.0.1:9/v1\n" in (directory / "providers.d/house.yml").read_text()
    assert (directory / "secrets/house-main").read_text() == "sk-from-stdin\n"


def test_enable_without_a_key(operator: Callable[..., Path], say: Callable[..., Any]) -> None:
    """One that needs none is not asked for one, and what is shipped as off is switched on."""
    directory = operator()
    assert say("enable", "ollama", "--no-reload", "--config-dir", directory).code == 0
    assert "enabled: true" in (directory / "providers.d/ollama.yml").read_text() and not (directory / "secrets").exists()
    line = ("--base-url", "http://127.0.0.1:9", "--extends", "anthropic-compatible", "--no-key")
    assert say("enable", "house", *line, "--no-reload", "--config-dir", directory).code == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["opnai"], "no provider is called opnai, did you mean openai?: --base-url URL makes one"),
        (["openai"], "nobody is there to be asked for the key"),
        (["openai", "--key-file", "/no/such/file"], "/no/such/file cannot be read: No such file"),
        (["openai", "--extends", "x", "--no-key"], "openai is known already"),
        (["x", "--base-url", "nonsense", "--no-key"], "--base-url must be a URL such as"),
        (["x y", "--base-url", "http://x.example", "--no-key"], "the name is not a name"),
    ],
)
def test_what_cannot_be_enabled(
    operator: Callable[..., Path], say: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str
) -> None:
    """The sentence says what to do, and nothing is written."""
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    directory = operator()
    result = say("enable", *arguments, "--no-reload", "--config-dir", directory)
    assert result.code == 1 and said in result.err
    assert list(directory.rglob("*")) == []


def test_enable_that_would_be_refused(operator: Callable[..., Path], say: Callable[..., Any], key_on_stdin: None) -> None:
    """The problems are told, and every file and directory is as it was."""
    directory = operator()
    said = say("enable", "x", "--base-url", "http://x.example", "--extends", "nonsense", "--key-stdin", "--config-dir", directory)
    assert said.code == 78 and "no template is called nonsense" in said.err
    assert list(directory.rglob("*")) == []


def test_a_file_of_ones_own_is_not_overwritten(operator: Callable[..., Path], say: Callable[..., Any], key_on_stdin: None) -> None:
    """Only its line `enabled` is changed, whatever else it says; a key is only replaced where this command put it."""
    directory = operator(providers__50_mine=OWN)
    (directory / "key.txt").write_text("sk-own\n")
    file = directory / "providers.d/50_mine.yml"
    said = say("enable", "own", "--key-stdin", "--no-reload", "--config-dir", directory)
    assert said.code == 1 and "says itself where its keys are" in said.err
    assert "says itself where its keys are" in say("enable", "own", "--no-key", "--no-reload", "--config-dir", directory).err
    assert say("disable", "own", "--no-reload", "--config-dir", directory).code == 0
    assert file.read_text() == OWN.replace("own\n", "own\nenabled: false\n", 1)
    assert say("enable", "own", "--no-reload", "--config-dir", directory).code == 0
    assert file.read_text() == OWN.replace("own\n", "own\nenabled: true\n", 1)


def test_a_key_is_replaced(operator: Callable[..., Path], say: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Enabling again with a key changes that file, and no other."""
    directory = operator()
    for key in ("sk-one", "sk-two"):
        monkeypatch.setattr(sys, "stdin", io.StringIO(key))
        said = say("enable", "openai", "--key-stdin", "--no-reload", "--config-dir", directory)
        assert said.code == 0, said.err
    assert (directory / "secrets/openai-main").read_text() == "sk-two\n"


def test_disable(operator: Callable[..., Path], say: Callable[..., Any], key_on_stdin: None) -> None:
    """What is only shipped is masked by a file of three lines; keys stay, so that it can be switched on again."""
    directory = operator()
    assert say("enable", "openai", "--key-stdin", "--no-reload", "--config-dir", directory).code == 0
    assert say("disable", "openai", "--no-reload", "--config-dir", directory).code == 0
    assert say("disable", "openai", "--no-reload", "--config-dir", directory).out.startswith("openai is off already")
    assert (directory / "secrets/openai-main").exists()
    assert say("enable", "openai", "--no-reload", "--config-dir", directory).code == 0
    assert say("disable", "anthropic", "--no-reload", "--config-dir", directory).code == 0
    states = {row["provider"]: row["state"] for row in say("providers", "--json", "--config-dir", directory).value}
    assert (states["openai"], states["anthropic"]) == ("on", "off")
    assert say("disable", "antropic", "--config-dir", directory).code == 1


def test_one_that_has_no_key_is_not_said_to_need_none(
    operator: Callable[..., Path], say: Callable[..., Any], key_on_stdin: None
) -> None:
    """Switched off and on again, it still waits for a key; one that is given then takes the place of what `disable` wrote."""
    directory = operator()
    assert say("disable", "openai", "--no-reload", "--config-dir", directory).code == 0
    said = say("enable", "openai", "--no-reload", "--config-dir", directory)
    assert said.code == 0 and "no key of it is seen here" in said.out and "`monorelay enable openai --key-stdin`" in said.out
    said = say("enable", "openai", "--key-stdin", "--no-reload", "--config-dir", directory)
    assert said.code == 0 and "openai is on, with the key main" in said.out
    (directory / "providers.d/openai.yml").write_text("provider: openai\nextends: openai\nenabled: false\npriority: 3\n")
    said = say("enable", "openai", "--no-reload", "--config-dir", directory)
    assert said.code == 0 and "`monorelay edit openai`" in said.out
    said = say("enable", "openai", "--key-stdin", "--no-reload", "--config-dir", directory)
    assert said.code == 1 and "is yours already" in said.err


def test_a_reload_is_offered_where_a_relay_reads_these_files(
    operator: Callable[..., Path], say: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With none running nobody is asked; the command that would do it later names the directory."""
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda prompt: pytest.fail(prompt))
    directory = operator()
    said = say("disable", "openai", "--config-dir", directory)
    assert said.code == 0 and f"monorelay reload --config-dir {directory}\n" in said.out


def test_what_is_written_in_config_yml(operator: Callable[..., Path], say: Callable[..., Any]) -> None:
    """An entry there is the operator's to change, at a place that is named."""
    directory = operator(config="providers:\n  openai: {keys: [sk-x]}\n")
    for command in ("enable", "disable", "edit"):
        said = say(command, "openai", "--config-dir", directory)
        assert said.code == 1 and f"openai is written in {directory}/config.yml:2" in said.err


def test_a_mask_is_taken_away(operator: Callable[..., Path], say: Callable[..., Any], key_on_stdin: None) -> None:
    """A link to /dev/null in the place of the file is replaced: enabling says so."""
    directory = operator()
    (directory / "providers.d").mkdir()
    (directory / "providers.d/openai.yml").symlink_to("/dev/null")
    said = say("enable", "openai", "--key-stdin", "--no-reload", "--config-dir", directory)
    assert said.code == 0 and "took the shipped file away" in said.out


def test_edit(operator: Callable[..., Path], say: Callable[..., Any], editor: Callable[..., None]) -> None:
    """One begins with what is shipped, in comments; what holds is put in place."""
    editor('priority: 3\nkeys: ["${K:-sk-secret}"]\n')
    directory = operator()
    said = say("edit", "openai", "--no-reload", "--config-dir", directory)
    assert said.code == 0, said.err
    text = (directory / "providers.d/openai.yml").read_text()
    assert "\n#   base_url: https://api.openai.com/v1\n" in text and text.endswith('"${K:-sk-secret}"]\n')
    assert sorted(path.name for path in (directory / "providers.d").iterdir()) == ["openai.yml"]


def test_edit_nothing(operator: Callable[..., Path], say: Callable[..., Any], editor: Callable[..., None]) -> None:
    """Closing the editor without a change leaves no file."""
    editor("")
    directory = operator()
    assert say("edit", "openai", "--config-dir", directory).out == "nothing was changed\n"
    assert list((directory / "providers.d").iterdir()) == []


@pytest.mark.parametrize("provider", ["openai", "own"])
def test_what_is_for_a_new_one(provider: str, operator: Callable[..., Path], say: Callable[..., Any]) -> None:
    """An address or a template for one that is known already is refused, not left out."""
    directory = operator(providers__50_mine=OWN.replace("${file:key.txt}", "${K:-sk-x}"))
    for option in ("--base-url", "--extends"):
        said = say("edit", provider, option, "http://127.0.0.1:9/v1", "--config-dir", directory)
        assert said.code == 1 and f"{provider} is no new one" in said.err


def test_edit_again(
    operator: Callable[..., Path], say: Callable[..., Any], editor: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it would be refused one is asked; what is written meanwhile counts for nothing, and is not lost."""
    editor("priority: x\n", "prioritty: 3\n", "")
    directory = operator(providers__50_mine=OWN.replace("${file:key.txt}", "${K:-sk-x}"))
    answers = iter(["y", "n"])
    monkeypatch.setattr("builtins.input", lambda _: next(answers))
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    said = say("edit", "own", "--config-dir", directory)
    assert said.code == 78 and "priority: must be a whole number" in said.err and "did you mean priority?" in said.err
    draft = directory / "providers.d/.50_mine.draft.yml"
    assert draft.read_text().endswith("priority: x\nprioritty: 3\n")
    assert "priority" not in (directory / "providers.d/50_mine.yml").read_text()
    draft.write_text(draft.read_text().replace("priority: x\nprioritty: 3\n", "priority: 3\n"))
    assert say("edit", "own", "--no-reload", "--config-dir", directory).code == 0
    assert (directory / "providers.d/50_mine.yml").read_text().endswith("priority: 3\n") and not draft.exists()


def test_edit_mends_what_is_broken(operator: Callable[..., Path], say: Callable[..., Any], editor: Callable[..., None]) -> None:
    """A file that is refused can be opened all the same."""
    editor("auth: none\n")
    directory = operator(
        providers__50_mine="provider: own\nextends: openai-compatible\nbase_url: http://x.example\nkeys: ['${GONE}']\n"
    )
    assert say("check", "--config-dir", directory).code == 78
    said = say("edit", "own", "--no-reload", "--config-dir", directory)
    assert said.code == 78 and "GONE" in said.err


def test_no_editor(operator: Callable[..., Path], say: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """An editor that is not there is named, before a copy is made that the next one would go on with."""
    monkeypatch.setenv("VISUAL", "no-such-editor -x")
    directory = operator()
    said = say("edit", "openai", "--config-dir", directory)
    assert said.code == 1 and "no-such-editor -x is not there: set VISUAL or EDITOR" in said.err
    assert not (directory / "providers.d").exists()


def test_the_editor_of_the_system(
    operator: Callable[..., Path],
    say: Callable[..., Any],
    editor: Callable[..., None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where nobody has named one, the command `editor` is taken, as on Debian, though there is no vi."""
    editor("priority: 3\n")
    for name in ("VISUAL", "EDITOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    directory = operator()
    assert say("edit", "openai", "--no-reload", "--config-dir", directory).code == 0
    assert (directory / "providers.d/openai.yml").read_text().endswith("priority: 3\n")


def test_a_file_that_cannot_be_written_is_named_itself(tmp_path: Path) -> None:
    """Not what is written beside it first, nor the directory that is none."""
    (tmp_path / "providers.d").write_text("")
    with pytest.raises(CannotWrite, match=r"^\S+/providers.d/openai.yml cannot be written: "):
        Changes().write(tmp_path / "providers.d/openai.yml", "")


def test_the_end_of_input_is_no_key(
    operator: Callable[..., Path], say: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-D at the question: it says so, and nothing is written."""

    def end(prompt: str) -> str:
        raise EOFError

    monkeypatch.setattr(getpass, "getpass", end)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    directory = operator()
    said = say("enable", "openai", "--config-dir", directory)
    assert (said.code, said.err) == (1, "\nno key was given\n") and not (directory / "secrets").exists()


def test_what_cannot_be_written(
    tmp_path: Path, operator: Callable[..., Path], say: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A directory where a file should be is told, not overwritten, and what was written before it is gone again."""
    monkeypatch.setattr(sys, "stdin", io.StringIO("sk-x"))
    directory = operator()
    (directory / "providers.d/openai.yml").mkdir(parents=True)
    said = say("enable", "openai", "--key-stdin", "--config-dir", directory)
    assert said.code in (1, 78) and not (directory / "secrets").exists()


def test_changes_are_put_back(tmp_path: Path) -> None:
    """Contents, modes, links and missing files, in the reverse order."""
    kept, link = tmp_path / "kept", tmp_path / "link"
    kept.write_text("old")
    kept.chmod(0o600)
    link.symlink_to("kept")
    changes = Changes()
    changes.write(kept, "new")
    changes.write(link, "no link")
    changes.write_secret(tmp_path / "a/b/c", "secret")
    assert kept.read_text() == "new" and mode(kept) == 0o600 and mode(tmp_path / "a/b/c") in (0o600, 0o640)
    changes.undo()
    assert kept.read_text() == "old" and mode(kept) == 0o600 and os.readlink(link) == "kept" and not (tmp_path / "a").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to a group")
def test_the_service_may_read_the_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where root writes and the service has a group, the key and its directory are the group's to read, and nobody else's."""
    group = next(one for one in grp.getgrall() if one.gr_gid)
    monkeypatch.setattr(changes_module, "GROUP", group.gr_name)
    secret = tmp_path / "secrets/x-main"
    Changes().write_secret(secret, "sk-x")
    for path, expected in ((secret, 0o640), (secret.parent, 0o750)):
        assert (path.stat().st_gid, path.stat().st_uid, mode(path)) == (group.gr_gid, 0, expected)


def test_the_key_is_never_an_argument(capsys: pytest.CaptureFixture[str]) -> None:
    """Other users could read it in the list of processes."""
    with pytest.raises(SystemExit):
        main(["enable", "openai", "--key", "sk-x"])


def test_what_holds_a_key_is_nobody_elses(
    operator: Callable[..., Path], say: Callable[..., Any], editor: Callable[..., None], key_on_stdin: None
) -> None:
    """Neither the draft of a file that is edited, nor a key's file that everybody could read until now."""
    editor("priority: x\n")
    directory = operator(providers__mine=OWN.replace("${file:key.txt}", "sk-inline"), config="server: {drain: 5}\n")
    (directory / "providers.d/mine.yml").chmod(0o600)
    assert say("edit", "own", "--no-reload", "--config-dir", directory).code == 78
    assert mode(directory / "providers.d/.mine.draft.yml") == 0o600
    key = directory / "secrets/openai-main"
    key.parent.mkdir()
    key.write_text("sk-from-stdin\n")
    key.chmod(0o644)
    assert say("enable", "openai", "--key-stdin", "--no-reload", "--config-dir", directory).code == 0
    assert mode(key) & 0o007 == 0


@pytest.mark.parametrize("command", ["enable", "edit"])
def test_a_name_is_no_path(
    command: str, operator: Callable[..., Path], say: Callable[..., Any], editor: Callable[..., None]
) -> None:
    """Nothing is written outside of providers.d."""
    editor("priority: 3\n")
    directory = operator()
    said = say(command, "../../out", "--base-url", "http://x.example", "--no-reload", "--config-dir", directory)
    assert said.code == 1 and said.err.startswith("the name is not a name")
    assert not list(directory.parent.parent.glob("out*")) and not list(directory.parent.parent.glob(".out*"))
