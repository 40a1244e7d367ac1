"""Root asks about the relay of the packages: with the rights of its user, and with the credentials of its service."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import monorelay.config.load as load_module
from monorelay.cli import relay_user
from monorelay.cli.file_findings import permissions, state
from monorelay.cli.relay_user import as_relay_user, with_credentials
from monorelay.config.load import Places
from monorelay.daemon import statedir

NOBODY = 65534
HOUSE = "provider: house\nextends: openai-compatible\nbase_url: http://127.0.0.1:9/v1\nkeys: ['%s']\n"
TOP = Path(__file__).parents[2]
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root can look as another user")


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that everybody may enter, which pytest's own is not."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def installed(place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """/etc/monorelay and /var/lib/monorelay as the packages leave them, in another place; the latter is nobody's."""
    etc, var = place / "etc", place / "var"
    for directory in (etc / "secrets", etc / "providers.d", var):
        directory.mkdir(parents=True)
        directory.chmod(0o755)
    if os.geteuid() == 0:
        os.chown(var, NOBODY, NOBODY)
    for folder in ("routes.d", "providers.d", "config.d"):
        shutil.copytree(TOP / folder, place / "share" / folder)
    monkeypatch.setattr(load_module, "OPERATOR", etc)
    monkeypatch.setattr(statedir, "USUAL", var)
    monkeypatch.setenv("MONORELAY_VENDOR_DIR", str(place / "share"))
    monkeypatch.setenv("MONORELAY_STATE_DIR", str(var))
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)
    return etc


def closed(path: Path, text: str = "sk-x\n") -> Path:
    path.write_text(text)
    path.chmod(0o600)
    return path


@root_only
def test_check_reads_as_the_relay_would(installed: Path, say: Callable[..., Any]) -> None:
    """A key for root alone would be refused at the reload, so it is refused here, and whose rights are missing is said."""
    key = closed(installed / "secrets/house")
    (installed / "providers.d/house.yml").write_text(HOUSE % "${file:secrets/house}")
    assert say("check", "--config-dir", installed).code == 0  # somebody's own directory: read as oneself
    said = say("check")
    assert said.code == 78 and "secrets/house cannot be read: Permission denied (for the user nobody)" in said.err
    os.chown(key, -1, NOBODY)
    key.chmod(0o640)
    assert say("check").code == 0
    assert os.geteuid() == 0 and os.getegid() == 0


@root_only
def test_nothing_stays_of_the_other_user(installed: Path) -> None:
    """User, group and further groups are those of before, whatever happened within."""
    before = os.geteuid(), os.getegid(), os.getgroups()
    with pytest.raises(KeyError), as_relay_user(None):
        assert (os.geteuid(), os.getegid()) == (NOBODY, NOBODY) and 0 not in os.getgroups()
        raise KeyError
    assert (os.geteuid(), os.getegid(), os.getgroups()) == before
    with as_relay_user(installed):
        assert os.geteuid() == 0


@root_only
def test_root_stays_root_where_there_is_no_relay_user(installed: Path) -> None:
    """No state directory, or one of root's own."""
    os.chown(statedir.USUAL, 0, 0)
    with as_relay_user(None):
        assert os.geteuid() == 0
    statedir.USUAL.rmdir()
    with as_relay_user(None):
        assert os.geteuid() == 0


@root_only
def test_doctor_sees_what_the_relay_may_not(installed: Path, place: Path) -> None:
    """A secret that it may not read, a state directory that it may not look into: and whose rights those are."""
    closed(installed / "secrets/house")
    shut = place / "shut"
    shut.mkdir(mode=0o700)
    with as_relay_user(None):
        secrets = list(permissions(Places(place / "share", installed, None)))
        states = list(state(str(shut), {}))
    assert [(one.grade, one.subject) for one in (*secrets, *states)] == [("problem", "secrets"), ("problem", "state")]
    assert "the user nobody may not read house in " in secrets[0].text
    assert states[0].text == f"the user nobody may not write to {shut}"


def test_credentials_of_the_service(installed: Path, place: Path, say: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """What systemd gave to the running service is read by a check, too; not for another directory, nor over the caller's own."""
    credentials = place / "credentials"
    credentials.mkdir()
    (credentials / "house").write_text("sk-x")
    (installed / "providers.d/house.yml").write_text(HOUSE % "${cred:house}")
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    monkeypatch.setattr(relay_user, "CREDENTIALS", credentials / "gone")
    assert say("check", "--config-dir", installed).code == 78
    said = say("check")
    assert said.code == 78 and "the credential house is missing" in said.err
    credentials.chmod(0o755)
    monkeypatch.setattr(relay_user, "CREDENTIALS", credentials)
    assert say("check").code == 0
    assert say("check", "--config-dir", installed).code == 78
    assert with_credentials(None, {"CREDENTIALS_DIRECTORY": "/own"}) == {"CREDENTIALS_DIRECTORY": "/own"}


@root_only
@pytest.mark.parametrize("step", ["setegid", "seteuid"])
def test_rights_that_cannot_be_taken_leave_root_as_it_was(installed: Path, step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of the relay's rights are nobody's."""
    real = getattr(os, step)

    def refuse(number: int) -> None:
        if number == NOBODY:
            raise PermissionError("refused")
        real(number)

    before = os.getgroups(), os.getresgid(), os.getresuid()
    monkeypatch.setattr(os, step, refuse)
    with pytest.raises(PermissionError, match="refused"), as_relay_user(None):
        pass
    assert (os.getgroups(), os.getresgid(), os.getresuid()) == before
