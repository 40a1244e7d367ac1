"""docs/providers.md: its pieces, put together as one file, hold what its own tests say."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

PAGE = Path(__file__).resolve().parent.parent.parent / "docs" / "providers.md"


def test_the_file_of_the_page_passes_its_own_tests(operator: Callable[..., Path], say: Callable[..., Any]) -> None:
    """A reader who writes down each piece has a file that works; of `offers` each piece adds its own."""
    whole: dict[str, Any] = {}
    for block in re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL):
        for name, value in yaml.safe_load(block).items():
            whole[name] = {**whole[name], **value} if name == "offers" and name in whole else value
    said = say("check", "--fixtures", "--config-dir", operator(providers__50_acme=yaml.safe_dump(whole)))
    assert (said.code, said.err) == (0, "") and len(whole["tests"]) == 6
