"""``model_routing.complexity``: the virtual model ``auto``, which looks at the request. Schema, spec and one-line help."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

from monorelay.config.problems import did_you_mean
from monorelay.config.reading import Node
from monorelay.config.scalars import filled, flag, model, number
from monorelay.config.schema import Schema, field

AUTO = "auto"  # what that model is called
Level = Literal["simple", "moderate", "complex"]
LEVELS: tuple[Level, ...] = ("simple", "moderate", "complex")
# What the relay measures, and which of it by a list of words. A list of any other name is a part of its own, once it has a weight.
PARTS = (
    "length",
    "history",
    "system",
    "images",
    "tools",
    "tool_turns",
    "code",
    "reasoning",
    "constraints",
    "questions",
    "output",
    "simple",
)
BY_WORDS = ("code", "reasoning", "constraints", "simple")


@dataclass(frozen=True, slots=True)
class Thresholds:
    """From these scores on, a request is moderate, or complex."""

    moderate: float = 0.35
    complex: float = 0.65


@dataclass(frozen=True, slots=True)
class ComplexitySpec:
    """``simple``, ``moderate`` and ``complex`` are models (or cascades); all three are there if it is enabled."""

    enabled: bool = False
    simple: str = ""
    moderate: str = ""
    complex: str = ""
    thresholds: Thresholds = Thresholds()
    weights: tuple[tuple[str, float], ...] = ()
    words: tuple[tuple[str, tuple[str, ...]], ...] = ()


_SCORE = number(0, 1)
_WEIGHT = number(-1000, 1000)


def part(value: Any) -> str:
    """What a part of the score is called."""
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,63}", str(value)):
        raise ValueError("is not the name of a part: lower-case letters, digits and _")
    return str(value)


COMPLEXITY: Schema = {
    "enabled": field(
        "boolean", "`true`: there is a model called `auto`.", reads=flag, default="true, if one of the three is named"
    ),
    "simple": field("string", "The model, or cascade, of simple requests …", reads=model, default="required"),
    "moderate": field("string", "… of moderate ones …", reads=model, default="required"),
    "complex": field("string", "… and of complex ones.", reads=model, default="required"),
    "thresholds": field(
        "dict",
        "Which score is what.",
        schema={
            "moderate": field("number", "From this score on it is moderate …", reads=_SCORE, default="0.35", shown="0 … 1"),
            "complex": field("number", "… and from this on complex.", reads=_SCORE, default="0.65", shown="0 … 1"),
        },
    ),
    "weights": field(
        "dict",
        "How much each part of the score counts.",
        shown="part → number",
        default="see config.d",
        keysrules=field("string", reads=part),
        valuesrules=field("number", reads=_WEIGHT, nullable=True),
    ),
    "words": field(
        "dict",
        "The words that each part looks for.",
        shown="part → list of words",
        default="see config.d",
        keysrules=field("string", reads=part),
        valuesrules=field("list", nullable=True, texts=field("string", reads=filled)),
    ),
}


def read_complexity(node: Node) -> ComplexitySpec | None:
    if not isinstance(node.value, dict):
        return None
    models = {which: node[which].read(model, None) for which in LEVELS}
    enabled = node["enabled"].read(flag, any(node[which].value is not None for which in models))
    for which in models:
        if enabled and node[which].value is None:
            node.missing(which, ": auto chooses among three")
    usual = Thresholds()
    thresholds = Thresholds(
        node["thresholds"]["moderate"].read(_SCORE, usual.moderate), node["thresholds"]["complex"].read(_SCORE, usual.complex)
    )
    if thresholds.moderate >= thresholds.complex:
        which = "complex" if node["thresholds"]["complex"].value is not None else "moderate"
        node["thresholds"][which].wrong("moderate must be less than complex")
    _check_parts(node["weights"], node["words"])
    weights = ((name, entry.read(_WEIGHT, None)) for name, entry in node["weights"].entries())
    return ComplexitySpec(
        enabled=enabled,
        **{which: name or "" for which, name in models.items()},
        thresholds=thresholds,
        weights=tuple((name, weight) for name, weight in weights if weight is not None),
        words=tuple((name, _read_words(entry)) for name, entry in node["words"].entries() if isinstance(entry.value, list)),
    )


def _check_parts(weights: Node, words: Node) -> None:
    """Nothing is weighed that is not measured, and no list is written that nothing reads."""
    weighed = {name: entry for name, entry in weights.entries() if entry.value is not None}
    lists = {name: entry for name, entry in words.entries() if entry.value is not None}
    for name, entry in weighed.items():
        if name not in PARTS and name not in lists:
            hint = did_you_mean(name, [*PARTS, *lists])
            entry.wrong(f"is no part of the score, and words has no list of this name{hint}")
    for name, entry in lists.items():
        if name in PARTS and name not in BY_WORDS:
            entry.wrong("is a part that looks for no words")
        elif name not in PARTS and name not in weighed:
            entry.wrong("does not count: weights has no such name", "warning")


def _read_words(node: Node) -> tuple[str, ...]:
    words = (entry.read(filled, None) for entry in node.items())
    return tuple(word for word in words if word is not None)
