"""The unit files: they name commands that exist, and each other."""

from __future__ import annotations

import configparser
import re
from pathlib import Path

import pytest

from monorelay.cli.main import COMMANDS, parser
from monorelay.daemon.start import BAD_CONFIGURATION

PACKAGING = Path(__file__).resolve().parents[2] / "packaging"
UNITS = sorted((PACKAGING / "systemd").iterdir())


class Settings(configparser.RawConfigParser):
    """A unit file's sections; a setting that stands twice keeps the last."""

    def __init__(self, path: Path) -> None:
        super().__init__(strict=False, delimiters=("=",), comment_prefixes=("#",), interpolation=None)
        self.optionxform = str  # type: ignore[assignment,method-assign]
        self.read(path, encoding="utf-8")


def service() -> Settings:
    return Settings(PACKAGING / "systemd/monorelay.service")


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_a_unit_calls_only_commands_that_are_there(unit: Path) -> None:
    """Every `/usr/bin/monorelay COMMAND --option` of a unit is one that the command line understands."""
    for words in re.findall(r"^Exec\w+=/usr/bin/monorelay (.+)$", unit.read_text(encoding="utf-8"), re.MULTILINE):
        name, *arguments = words.replace("$MAINPID", "1").split()
        assert name in COMMANDS
        assert parser(name).parse_args([name, *arguments]).run


def test_a_refused_configuration_is_not_tried_again() -> None:
    """Exit code 78 ends the service; any other failure starts it again."""
    assert service()["Service"]["RestartPreventExitStatus"] == str(BAD_CONFIGURATION)
    assert service()["Service"]["Restart"] == "on-failure"


def test_a_stop_has_time_for_the_drain() -> None:
    """systemd waits longer than a drain of the usual length, and what the master adds to it."""
    from monorelay.config.settings import ServerSpec
    from monorelay.daemon.master import AFTER_DRAIN

    usual = ServerSpec.__dataclass_fields__["drain"].default
    assert int(service()["Service"]["TimeoutStopSec"]) > usual + 2 * AFTER_DRAIN


def test_a_reload_tells_the_truth() -> None:
    """The reload waits for its outcome, and the unit is not of the type that can only succeed."""
    assert service()["Service"]["Type"] == "notify"
    assert service()["Service"]["ExecReload"] == "/usr/bin/monorelay reload --pid $MAINPID"


def test_the_watched_directories_are_those_that_are_read() -> None:
    """The path unit looks at every directory in which the operator's files lie."""
    text = (PACKAGING / "systemd/monorelay-watch.path").read_text(encoding="utf-8")
    watched = set(re.findall(r"^PathChanged=(.+)$", text, re.MULTILINE))
    etc = Path("/etc/monorelay")
    assert watched == {str(etc), *(str(etc / path.name.removeprefix("README.")) for path in PACKAGING.glob("common/etc/README.*"))}
