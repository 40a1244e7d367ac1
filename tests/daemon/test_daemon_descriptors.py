"""The limit of open files, in processes of their own: it cannot be raised again once it was lowered for all."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
SCRIPT = """
import resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[1]), int(sys.argv[2])))
from monorelay.daemon.descriptors import raise_limit
raise_limit()
print(*resource.getrlimit(resource.RLIMIT_NOFILE))
"""


@pytest.mark.parametrize(("soft", "hard", "after"), [(256, 4096, "4096 4096"), (512, 512, "512 512")])
def test_the_soft_limit_becomes_the_hard_one(soft: int, hard: int, after: str) -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT, str(soft), str(hard)], cwd=TOP, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == after
