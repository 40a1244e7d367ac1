"""What runs the suite: tests that failed get a second chance where one was asked for, and only they, and it is told."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SUITE = Path(__file__).resolve().parents[2] / "packaging" / "suite.py"
ONCE = """
from pathlib import Path
import pytest

@pytest.mark.parametrize("number", range({count}))
def test_it(number):
    with Path(f"runs-{{number}}").open("a") as runs:
        runs.write("x")
    assert len(Path(f"runs-{{number}}").read_text()) >= {needed}[number]
"""


def suite(folder: Path, chance: str, tests: str = "test_it.py") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SUITE), "-q", "-p", "no:cacheprovider", "--rootdir", str(folder), tests],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "SECOND_CHANCE": chance},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def write(folder: Path, needed: list[int]) -> None:
    """A file of tests, each of which passes from its n-th run on."""
    (folder / "test_it.py").write_text(ONCE.format(count=len(needed), needed=needed))


def runs(folder: Path) -> list[int]:
    return [len(path.read_text()) for path in sorted(folder.glob("runs-*"))]


def test_what_fails_is_run_once_more_and_named(tmp_path: Path) -> None:
    """It alone; and the exit code is that of its second run."""
    write(tmp_path, [1, 2])
    done = suite(tmp_path, chance="yes")
    assert (done.returncode, runs(tmp_path)) == (0, [1, 2])
    assert done.stdout.splitlines()[-1] == "== passed only when run alone, which is a bug of the test: test_it.py::test_it[1]"


@pytest.mark.parametrize(
    ("needed", "chance", "expected"),
    [
        ([1, 3], "yes", [1, 2]),  # it fails again
        ([1, 2], "", [1, 1]),  # nobody asked for a second chance
        ([2, 2, 2, 2], "yes", [1, 1, 1, 1]),  # too many
    ],
)
def test_a_failure_stays_one(tmp_path: Path, needed: list[int], chance: str, expected: list[int]) -> None:
    write(tmp_path, needed)
    done = suite(tmp_path, chance)
    assert (done.returncode, runs(tmp_path)) == (1, expected)


@pytest.mark.parametrize("text", ["", "import nothing_of_that_name"])
def test_what_is_no_failure_of_a_test_is_not_run_again(tmp_path: Path, text: str) -> None:
    """A file without tests, and one that cannot be imported, end as pytest ends them, whatever else failed."""
    (tmp_path / "test_it.py").write_text(text)
    assert suite(tmp_path, chance="yes").returncode != 0
    if text:
        write(tmp_path, [2])
        (tmp_path / "test_other.py").write_text(text)
        done = suite(tmp_path, chance="yes", tests=".")
        assert done.returncode != 0 and "once more" not in done.stdout
