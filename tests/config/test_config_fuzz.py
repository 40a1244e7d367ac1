"""Whatever a file holds: a Config, or a ConfigError with places. Never another exception, never a hang."""

from __future__ import annotations

import json
import pickle
import re
import tempfile
from pathlib import Path
from typing import Any

import pytest
from config_house import LOCAL, House

from monorelay.config.document import parse
from monorelay.config.problems import ConfigError
from monorelay.config.references import References

pytest.importorskip("hypothesis")

from hypothesis import given, settings
from hypothesis import strategies as st

from monorelay.config.provider import PROVIDER
from monorelay.config.route import ROUTE
from monorelay.config.settings import SERVER, SETTINGS

QUICK = settings(max_examples=150, deadline=None)
PIECES = st.sampled_from(
    ["a", "b: ", "- ", "\n", "\n  ", "\n    ", "{", "}", "[", "]", ", ", ": ", "'", '"', "&a ", "*a", "<<: ", "!t ",
     "${X}", "${file:/}",
     "$", "~", "|\n", ">-\n", "# ", "? ", "---\n", "...\n", "%YAML 1.1\n", "\t", "\\u0000", "\ufeff", "é", "1e9", "0x", "true"]
)  # fmt: skip
TEXT = st.one_of(st.text(max_size=200), st.lists(PIECES, max_size=60).map("".join))


@QUICK
@given(TEXT)
def test_any_text_is_a_document_or_a_problem(text: str) -> None:
    """Each problem has a place inside the text."""
    try:
        document = parse(text, "f.yml")
    except ConfigError as error:
        assert error.problems
        for problem in error.problems:
            assert 1 <= problem.line <= len(re.split("\r\n|[\n\r\x85\u2028\u2029]", text)) + 1
    else:
        assert document.value is None or () in document.marks


@QUICK
@given(TEXT)
def test_any_text_is_resolved_or_refused(text: str) -> None:
    """References raise ValueError and nothing else."""
    try:
        References({"X": "y"}, Path("/nonexistent")).resolve(text)
    except ValueError:
        pass


WORDS = st.sampled_from(
    ["", "a", "a b", "/a/{b}", "http://x/v1", "${X}", "${NOPE:-}", "$", "auto", "json", "5s", "64MiB", "x-a", "é\n", "10" * 30]
)
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-5, 10**18), st.floats(-1e6, 1e6), WORDS)
NAMES = st.sampled_from(
    sorted({*PROVIDER, *ROUTE, *SERVER, *SETTINGS, "request", "set", "forward", "only", "path", "a", "openai.chat"})
)
VALUES: Any = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4), max_leaves=12
)


def shaped(names: Any) -> Any:
    return st.dictionaries(st.sampled_from(sorted(names)), VALUES, max_size=6)


def written(value: Any) -> str:
    """JSON is YAML, but for numbers that YAML would read as text; here it does not matter which."""
    return json.dumps(value, ensure_ascii=False)


@QUICK
@given(shaped(PROVIDER), shaped(ROUTE), shaped(SETTINGS), shaped(SERVER))
def test_any_shape_is_a_config_or_a_problem(provider: Any, route: Any, config: Any, server: Any) -> None:
    """Fields in their places, with values of every kind in them, through all of loading."""
    with tempfile.TemporaryDirectory() as directory:
        house = House(Path(directory))
        house.environ = {"X": "value"}
        files = {"operator/providers.d/p.yml": {"provider": "p", "extends": "openai-compatible", **provider}}
        files["operator/routes.d/r.yml"] = {"route": "r", "path": "/r", "methods": ["GET"], **route}
        files["operator/config.yml"] = {**config, "server": server}
        house.write({name: written(value) for name, value in files.items()} | {"vendor/providers.d/local.yml": LOCAL})
        try:
            loaded = house.load()
        except ConfigError as error:
            assert all(problem.severity == "error" for problem in error.problems)
            assert len({(p.file, p.line, p.column, p.path, p.message) for p in error.problems}) == len(error.problems)
        else:
            assert pickle.loads(pickle.dumps(loaded)) == loaded
            assert repr(loaded)
