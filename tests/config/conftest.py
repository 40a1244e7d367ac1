"""The fixture of this folder: a house of configuration (``config_house.py``)."""

from __future__ import annotations

from pathlib import Path

import pytest
from config_house import House


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)
