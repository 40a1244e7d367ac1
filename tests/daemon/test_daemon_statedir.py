"""The state directory: named, usual, or temporary, in that order."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from monorelay.daemon.statedir import StateDirError, choose_state_dir


def test_named_in_the_configuration(tmp_path: Path) -> None:
    """server.state_dir wins, and is made, with nothing for other users in it."""
    chosen = choose_state_dir(str(tmp_path / "a/b"), {"MONORELAY_STATE_DIR": str(tmp_path / "c")}, usual=tmp_path)
    assert chosen.path == tmp_path / "a/b" and not chosen.temporary
    assert chosen.path.stat().st_mode & 0o007 == 0


def test_named_in_the_environment(tmp_path: Path) -> None:
    """$MONORELAY_STATE_DIR comes next; an empty one names nothing."""
    assert choose_state_dir(None, {"MONORELAY_STATE_DIR": str(tmp_path / "c")}, usual=tmp_path).path == tmp_path / "c"
    assert choose_state_dir(None, {"MONORELAY_STATE_DIR": ""}, usual=tmp_path).path == tmp_path


def test_temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the usual one is missing it is private, and goes when it is told to."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    chosen = choose_state_dir(None, {}, usual=tmp_path / "missing")
    assert chosen.temporary and chosen.path.stat().st_mode & 0o077 == 0
    chosen.remove_if_temporary()
    assert not chosen.path.exists()


def test_lasting_directory_stays(tmp_path: Path) -> None:
    """A directory that somebody named is never removed."""
    choose_state_dir(str(tmp_path), {}).remove_if_temporary()
    assert tmp_path.exists()


def test_cannot_be_made(tmp_path: Path) -> None:
    """A named directory that cannot be made is refused with its path."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StateDirError, match="file/below cannot be made"):
        choose_state_dir(str(tmp_path / "file/below"), {})


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_cannot_be_written(tmp_path: Path) -> None:
    """A named directory that is not writable is refused with its path."""
    tmp_path.chmod(0o500)
    with pytest.raises(StateDirError, match="is not writable"):
        choose_state_dir(str(tmp_path), {})


def test_on_a_read_only_file_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """To a service of systemd nearly all is: then the mode of the directory is not what has to be changed."""
    status = os.statvfs(tmp_path)
    read_only = os.statvfs_result((*tuple(status)[:8], status.f_flag | os.ST_RDONLY, *tuple(status)[9:]))
    monkeypatch.setattr(os, "access", lambda *_: False)
    monkeypatch.setattr(os, "statvfs", lambda _: read_only)
    with pytest.raises(StateDirError, match="is not writable: it is on a read-only file system .*ReadWritePaths="):
        choose_state_dir(str(tmp_path), {})
