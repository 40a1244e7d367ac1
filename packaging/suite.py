"""Runs the test suite: on several processors where pytest-xdist is installed, file by file, else on one.

Files share what they start (a relay, an upstream), so a file is never divided. More than four at a time would make those tests wait
for each other that look at the clock.

With SECOND_CHANCE set, as continuous integration has it, tests that failed are run once more, alone: a few that depend on how busy
a machine is must not hide what all the others say. What passes only then is named at the end, and is a bug of that test. Everything
else that pytest can end with stands: CPython's ``-m test --rerun`` is the model.
"""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

MOST = 4
MOST_AGAIN = 3  # where more fail, the machine is not to blame


class Failed:
    """A plugin of pytest: the ids of the tests that failed, wherever they ran. ``beyond``: what is no test failed, too."""

    def __init__(self) -> None:
        self.tests: list[str] = []
        self.beyond = False

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and report.nodeid not in self.tests:
            self.tests.append(report.nodeid)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self.beyond = self.beyond or report.failed


def options() -> list[str]:
    processors = len(os.sched_getaffinity(0))
    if find_spec("xdist") is None or processors < 2:
        return []
    return ["-n", str(min(MOST, processors)), "--dist", "loadfile"]


def run(arguments: list[str]) -> int:
    """pytest's exit code: 0 when everything passed, at last."""
    failed = Failed()
    code = int(pytest.main([*options(), *arguments], plugins=[failed]))
    curable = code == pytest.ExitCode.TESTS_FAILED and not failed.beyond and 0 < len(failed.tests) <= MOST_AGAIN
    if not curable or not os.environ.get("SECOND_CHANCE"):
        return code
    print(f"== once more, alone: {', '.join(failed.tests)}", flush=True)
    again = subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *failed.tests], check=False)
    if again.returncode == 0:
        print(f"== passed only when run alone, which is a bug of the test: {', '.join(failed.tests)}", flush=True)
    return again.returncode


if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parent.parent)  # as `python -m pytest` has it: the tree, not this folder
    sys.exit(run(sys.argv[1:]))
