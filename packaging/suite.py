"""Runs the test suite: on several processors where pytest-xdist is installed, file by file, else on one.

Files share what they start (a relay, an upstream), so a file is never divided. More than four at a time would make those tests wait
for each other that look at the clock.
"""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

MOST = 4


def options() -> list[str]:
    processors = len(os.sched_getaffinity(0))
    if find_spec("xdist") is None or processors < 2:
        return []
    return ["-n", str(min(MOST, processors)), "--dist", "loadfile"]


if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parent.parent)  # as `python -m pytest` has it: the tree, not this folder
    sys.exit(pytest.main([*options(), *sys.argv[1:]]))
