"""Rules that lead to nothing are told when the files are read."""

from __future__ import annotations

from typing import Any

import pytest
from plan_specs import config, provider, route

from monorelay.config.cascades import CascadeSpec
from monorelay.config.complexity import ComplexitySpec
from monorelay.config.problems import ConfigError
from monorelay.plan.compile import compile_plan

PROVIDERS = (
    provider("closed", include=("a-*",), exclude=("a-not",)),
    provider("off", include=("b-*",), enabled=False),
    provider("asleep", include=("c-*",), keys=()),
    provider("files-only", "openai.files"),
)


def judged(**routing: Any) -> list[str]:
    """What is said: errors as they are, warnings with a ? before them."""
    try:
        plan = compile_plan(config(*PROVIDERS, routes=(route(),), **routing), 1)
    except ConfigError as error:
        return [f"{problem.path}: {problem.message}" for problem in error.problems]
    return [f"?{problem.path}: {problem.message}" for problem in plan.warnings if problem.path.startswith("model_routing")]


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("a-1", ""),
        ("a-1@closed", ""),
        ("other", ""),  # another alias
        ("smart", ""),  # a cascade, whose own names are judged where they stand
        ("a-not", "leads to 'a-not', which no provider serves"),
        ("z", "leads to 'z', which no provider serves"),
        ("z@closed", "leads to 'z', which provider closed does not serve"),
        ("x@files-only", "leads to 'x', which provider files-only does not serve"),
        ("mapped", "leads to 'mapped', which provider closed does not serve"),
        ("b-1", "?leads to 'b-1', which nobody serves now: off (is off)"),
        ("c-1@asleep", "?leads to 'c-1', which nobody serves now: asleep (has no key)"),
    ],
)
def test_what_an_alias_leads_to(target: str, said: str) -> None:
    """Nothing at all is refused; what only waits for a key or a switch is a warning."""
    found = judged(
        aliases=(("it", target), ("other", "a-2")),
        cascades=(CascadeSpec("smart", ("a-1",)),),
        provider_mapping=(("mapped", "closed"),),
    )
    mark = "?" if said.startswith("?") else ""
    assert found == ([f"{mark}model_routing.aliases.it: {said.removeprefix('?')}"] if said else [])


def test_every_name_of_a_cascade_is_judged_in_its_place() -> None:
    """All lists, and the models of ``auto``."""
    spec = {"models": ("a-1", "z"), "context_length": ("y",), "content_filter": ("x",)}
    found = judged(
        cascades=(CascadeSpec("smart", **spec),),
        fallbacks=(CascadeSpec("a-*", ("w",)),),
        complexity=ComplexitySpec(True, "a-1", "smart", "v"),
    )
    assert [line.partition(":")[0] for line in found] == [
        "model_routing.cascades.smart.content_filter.0",
        "model_routing.cascades.smart.context_length.0",
        "model_routing.cascades.smart.models.1",
        "model_routing.complexity.complex",
        "model_routing.fallbacks.a-*.models.0",
    ]
