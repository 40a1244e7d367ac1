"""Installs MonoRelay: the package, its command, and the shipped drop-ins as vendor files below share/monorelay.

The three lists of requirements are plain literals: packaging/missing.py reads them without running this file.
"""

from __future__ import annotations

import re
from pathlib import Path

from setuptools import find_packages, setup

# What the relay itself needs. The floors are Debian 12's versions.
REQUIRES = ["tornado>=6.2", "pycurl>=7.45.2", "jinja2>=3.1", "pyyaml>=6.0", "cerberus>=1.3.2", "psutil>=5.9"]
# What the test suite cannot do without. pytest-tornado imports pkg_resources, which setuptools 82 no longer has, and uses a kind
# of hook mark that pytest 10 refuses.
SUITE = ["pytest>=7.2,<10", "pytest-tornado>=0.8.1", "setuptools<82"]
# What the suite and `make lint` use when it is there: tests that need one of these skip without it.
TOOLS = ["openai", "anthropic", "hypothesis", "pytest-xdist", "ruff", "mypy", "types-PyYAML"]

HERE = Path(__file__).resolve().parent


def version() -> str:
    found = re.search(r'^__version__ = "([^"]+)"', (HERE / "monorelay/__init__.py").read_text(encoding="utf-8"), re.MULTILINE)
    assert found, "monorelay/__init__.py has no __version__"
    return found.group(1)


def drop_ins(folder: str) -> tuple[str, list[str]]:
    return f"share/monorelay/{folder}", [str(path.relative_to(HERE)) for path in sorted((HERE / folder).glob("*.yml"))]


setup(
    name="monorelay",
    version=version(),
    description="One OpenAI-compatible and one Anthropic-compatible endpoint in front of every LLM provider",
    license="MIT",
    author="The MonoRelay authors",
    python_requires=">=3.11",
    packages=find_packages(include=["monorelay", "monorelay.*"]),
    package_data={"monorelay.web.pages": ["*.html"]},
    data_files=[drop_ins("routes.d"), drop_ins("providers.d"), drop_ins("config.d")],
    install_requires=REQUIRES,
    extras_require={"test": SUITE + TOOLS},
    entry_points={"console_scripts": ["monorelay = monorelay.cli.main:main"]},
    zip_safe=False,
)
