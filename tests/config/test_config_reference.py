"""docs/drop-ins.md: current, complete, and its examples work."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from config_house import TEMPLATE, House
from test_config_schema import SCHEMAS, fields_of

import monorelay
from monorelay.config import reference

PAGE = Path(monorelay.__file__).resolve().parent.parent / "docs" / "drop-ins.md"


def test_the_page_is_current() -> None:
    """`make docs` writes it again."""
    assert PAGE.read_text(encoding="utf-8") == reference.page()


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_field_is_on_the_page(name: str) -> None:
    """A field without a line in one of the tables does not exist for operators."""
    lines = set(re.findall(r"^\| `([^`]+)` \|", reference.page(), re.MULTILINE))
    known = {line.rpartition(".")[2] for line in lines}
    wanted = {path.rpartition(".")[2] for path, _ in fields_of(SCHEMAS[name])} - {"request", "response", "routes"}
    assert wanted <= known
    assert {"reply.error.type", "models.include", "stream.keepalive", "logging.level"} <= lines


def test_every_row_has_four_cells() -> None:
    """A pipe inside a cell would break its table."""
    rows = [line for line in reference.page().splitlines() if line.startswith("| ") and "layer" not in line]
    tables = reference.page().count("| --- | --- | --- | --- |")
    assert tables == len(reference.TABLES)
    assert {
        len(re.findall(r"(?<!\\)\|", row)) for row in rows if row.startswith("| `") and "${" not in row and "$$" not in row
    } == {5}


def test_the_examples_work_together(house: House) -> None:
    """Each example of the page is a file; all of them together are a configuration without a warning."""
    examples = re.findall(r"```yaml\n# (\S+)\n(.*?)```", reference.page(), re.DOTALL)
    assert len(examples) == 15
    house.write({f"operator/{name}": text for name, text in examples})
    house.write(
        {
            "operator/secrets/access_key": "sk-x\n",
            "vendor/providers.d/openai.yml": "provider: openai\nextends: openai-compatible\nbase_url: https://o/v1\n",
            "vendor/providers.d/anthropic.yml": "provider: anthropic\nextends: openai-compatible\nbase_url: https://a/v1\n",
            "vendor/providers.d/openai-compatible.yml": TEMPLATE,
        }
    )
    config = house.load()
    assert config.warnings == ()
    assert {"local", "acme", "anthropic", "metered", "moody", "market", "stage", "known"} <= {
        spec.name for spec in config.providers
    }
    assert {spec.name for spec in config.routes} == {"ocr", "retired", "messages-strict"}
    assert next(spec for spec in config.providers if spec.name == "openai").rate_limit_cooldown == 20.0


def test_links_inside_the_page_lead_somewhere() -> None:
    """Every anchor is a heading."""
    page = reference.page()
    headings = {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in re.findall(r"^#+ (.*)$", page, re.MULTILINE)}
    assert set(re.findall(r"\]\(#([^)]+)\)", page)) <= headings
