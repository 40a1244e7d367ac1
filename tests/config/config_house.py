"""A house of configuration in a temporary directory: write its files, load it, read its problems."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from monorelay.config.config import Config
from monorelay.config.load import DocumentCache, Places, load
from monorelay.config.problems import ConfigError
from monorelay.config.provider import ProviderSpec
from monorelay.config.route import RouteSpec

TEMPLATE = """\
provider: openai-compatible
template: true
offers:
  openai.chat: /chat/completions
  openai.models: /models
"""
LOCAL = """\
provider: local
extends: openai-compatible
base_url: http://127.0.0.1:8000/v1
"""


class House:
    """Three layers below one directory: ``vendor``, ``operator`` and ``runtime``. The vendor's template is there already.

    >>> house.write({"operator/providers.d/local.yml": LOCAL}).provider("local").base_url
    'http://127.0.0.1:8000/v1'
    """

    # Mutable: ``environ``, which tests may fill.

    def __init__(self, root: Path) -> None:
        self.root = root
        self.environ: dict[str, str] = {}
        self.places = Places(root / "vendor", root / "operator", root / "runtime")
        self.write({"vendor/providers.d/openai-compatible.yml": TEMPLATE})

    def write(self, files: Mapping[str, str | bytes]) -> House:
        for name, content in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return self

    def local(self, more: str) -> House:
        """The operator's own provider, with more lines: line 4 is the first of them."""
        return self.write({"operator/providers.d/local.yml": LOCAL + more})

    def route(self, text: str) -> House:
        return self.write({"operator/routes.d/10-r.yml": text})

    def settings(self, text: str) -> House:
        return self.write({"operator/config.yml": text})

    def load(self, cache: DocumentCache | None = None) -> Config:
        return load(self.places, self.environ, cache)

    def provider(self, name: str = "local") -> ProviderSpec:
        return next(spec for spec in self.load().providers if spec.name == name)

    def routes(self) -> tuple[RouteSpec, ...]:
        return self.load().routes

    def problems(self) -> list[str]:
        """What is wrong, without the temporary directory in front."""
        with pytest.raises(ConfigError) as caught:
            self.load()
        assert caught.value.problems == tuple(sorted(caught.value.problems))
        return [str(problem).replace(f"{self.root}/", "") for problem in caught.value.problems]

    def warnings(self) -> list[str]:
        return [str(problem).replace(f"{self.root}/", "") for problem in self.load().warnings]
