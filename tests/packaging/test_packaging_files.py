"""What the packages hold: it agrees with setup.py, with the program's version, and with itself."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import monorelay
from monorelay.cli.main import main

TREE = Path(__file__).resolve().parents[2]
PACKAGING = TREE / "packaging"
# Distributions call two of them differently.
DEBIAN = {"pyyaml": "python3-yaml"}


def requires() -> dict[str, str]:
    """What setup.py says the relay needs: name → floor."""
    done = subprocess.run(
        [sys.executable, str(PACKAGING / "missing.py"), "--list", "REQUIRES"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return dict(line.split(">=") for line in done.stdout.split())


def read(name: str) -> str:
    return (PACKAGING / name).read_text(encoding="utf-8")


@pytest.mark.parametrize(("name", "floor"), requires().items())
def test_packages_demand_what_setup_demands(name: str, floor: str) -> None:
    """Both packages, and the container, have every library at its floor."""
    debian = DEBIAN.get(name, f"python3-{name}")
    assert read("debian/control").count(f" {debian} (>= {floor}),") == 2  # to build with, and to run with
    assert f"Requires: python3-{name} >= {floor}\n" in read("rpm/monorelay.spec")
    assert f" {debian} " in read("Dockerfile") or f" {debian}\n" in read("Dockerfile")


def test_versions_agree() -> None:
    """The packages carry the program's own version."""
    assert read("debian/changelog").startswith(f"monorelay ({monorelay.__version__}-")
    spec = read("rpm/monorelay.spec")
    assert f"%{{!?ver:{monorelay.__version__}}}" in spec
    assert re.search(rf"(?m)^\* \w+ \w+ \d+ \d+ .* - {re.escape(monorelay.__version__)}-1$", spec)


def scripts() -> list[Path]:
    found = [path for path in PACKAGING.rglob("*") if path.is_file() and path.read_bytes().startswith(b"#!/bin/sh")]
    return [*sorted(found), PACKAGING / "source.sh", TREE / ".ci/run"]


@pytest.mark.parametrize("path", scripts(), ids=lambda path: str(path.relative_to(TREE)))
def test_shell_scripts_are_sound(path: Path) -> None:
    """sh can read them, and shellcheck, where it is there, finds no error in them."""
    subprocess.run(["sh", "-n", str(path)], check=True, timeout=60)
    if shutil.which("shellcheck") is not None:
        done = subprocess.run(
            ["shellcheck", "-s", "sh", "-S", "warning", "-e", "SC2034,SC2154", str(path)],
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.stdout == ""


def installed(directory: Path) -> Path:
    """/etc/monorelay as a package leaves it, but for where the access key is."""
    key = directory / "access_key"
    key.write_text("sesame-sesame-sesame\n", encoding="utf-8")
    etc = directory / "etc"
    for readme in sorted((PACKAGING / "common/etc").glob("README.*")):
        folder = (
            etc / readme.suffix[1:]
            if readme.suffix == ".d" and readme.name.count(".") == 1
            else etc / readme.name[len("README.") :]
        )
        folder.mkdir(parents=True)
        shutil.copy(readme, folder / "README")
    config = read("common/etc/config.yml")
    assert "${file:/var/lib/monorelay/access_key}" in config
    (etc / "config.yml").write_text(config.replace("/var/lib/monorelay/access_key", str(key)), encoding="utf-8")
    return etc


def test_the_configuration_as_installed_is_accepted(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A fresh installation has nothing that `monorelay check` would call wrong or odd, the READMEs included."""
    assert main(["check", "--config-dir", str(installed(tmp_path))]) == 0
    assert capfd.readouterr().err == ""


def test_the_examples_are_accepted(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Whoever copies the examples, and writes the keys that they refer to, has a configuration that works."""
    etc = installed(tmp_path)
    shutil.copytree(PACKAGING / "common/examples", etc, dirs_exist_ok=True, ignore=shutil.ignore_patterns("config.yml"))
    shutil.copy(PACKAGING / "common/examples/config.yml", etc / "config.d/50-mine.yml")
    for name in ("openrouter-work", "openrouter-spare"):
        (etc / "secrets" / name).write_text(f"sk-{name}\n", encoding="utf-8")
    assert main(["check", "--config-dir", str(etc)]) == 0
    assert capfd.readouterr().err == ""


def test_everything_that_is_shipped_is_installed() -> None:
    """Every folder of shipped drop-ins reaches both packages and the container."""
    folders = sorted(path.name for path in TREE.glob("*.d") if path.is_dir())
    assert {"providers.d", "routes.d"} <= set(folders)
    for folder in folders:
        assert f'drop_ins("{folder}")' in (TREE / "setup.py").read_text(encoding="utf-8")
        assert folder in read("rpm/monorelay.spec").split("%install")[1].split("%pre")[0]
        assert f"COPY {folder} " in read("Dockerfile")


def test_the_container_is_built_of_what_is_there() -> None:
    """The Dockerfile copies existing files, uses known instructions, and does not run as root."""
    lines = re.sub(r"\\\n", " ", read("Dockerfile")).splitlines()
    words = [line.split(None, 1) for line in lines if line and not line.startswith("#")]
    known = {
        "FROM",
        "RUN",
        "COPY",
        "ENV",
        "USER",
        "EXPOSE",
        "VOLUME",
        "ENTRYPOINT",
        "CMD",
        "HEALTHCHECK",
        "LABEL",
        "STOPSIGNAL",
        "WORKDIR",
    }
    assert {word for word, *_ in words} <= known
    for word, rest in words:
        if word == "COPY":
            *sources, _ = [part for part in rest.split() if not part.startswith("--")]
            assert all((TREE / source).exists() for source in sources), rest
    assert ["USER", "monorelay"] in words


def test_the_user_of_the_container_has_a_number_that_stays() -> None:
    """Whoever mounts a secret has to know for whom it must be readable: the compose file and the page name the same number."""
    (number,) = set(re.findall(r"--[ug]id (\d+)", read("Dockerfile")))
    assert f"chown {number} access_key" in read("compose.yml")
    assert f"the number {number};" in (TREE / "docs/install.md").read_text(encoding="utf-8")


def test_the_compose_file_mounts_and_publishes_what_the_container_has() -> None:
    """compose.yml is YAML with one service built from the Dockerfile; the port is published on this machine only."""
    compose = yaml.safe_load(read("compose.yml"))
    (service,) = compose["services"].values()
    assert (PACKAGING / service["build"]["context"]).resolve() == TREE
    assert (TREE / service["build"]["dockerfile"]).is_file()
    assert service["ports"] == ["127.0.0.1:8787:8787"]
    assert service["read_only"] and service["cap_drop"] == ["ALL"]


@pytest.mark.skipif(os.name != "posix", reason="file modes")
def test_what_is_run_may_be_run() -> None:
    """Scripts that are started by name carry their execute bit."""
    for name in ("debian/rules", "common/prepare", "common/monorelay", "build-deb.sh", "build-rpm.sh", "test-packages.sh"):
        assert os.access(PACKAGING / name, os.X_OK), name


def test_the_access_key_is_made_wherever_root_is(tmp_path: Path) -> None:
    """What lies in the current directory is not run, with root's terminal at hand."""
    (tmp_path / "secrets.py").write_text("raise SystemExit('not the one that was meant')")
    program = re.search(r'python3 (.*)-c "(.*)" >', read("common/prepare"))
    assert program is not None
    command = [sys.executable, *program[1].split(), "-c", program[2]]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and len(done.stdout.strip()) == 43, done.stderr
