"""tmp"""

from __future__ import annotations

from pathlib import Path
from typing import Any


def glance(path: Path) -> dict[str, Any]:
    return {}
