"""``refusals`` of a provider: the words by which it says why, beyond its dialect's own codes. Schema, spec and one-line help."""

from __future__ import annotations

from dataclasses import dataclass

from monorelay.config.reading import Node
from monorelay.config.scalars import filled
from monorelay.config.schema import Rules, Schema, field


@dataclass(frozen=True, slots=True)
class RefusalsSpec:
    """Globs of an error's code, type or message, by what they mean."""

    context_length: tuple[str, ...] = ()
    content_filter: tuple[str, ...] = ()
    model_not_found: tuple[str, ...] = ()


def _globs(meaning: str) -> Rules:
    return field("list", meaning, shown="list of globs", texts=field("string", reads=filled))


REFUSALS: Schema = {
    "context_length": _globs("The request is too long for the model."),
    "content_filter": _globs("Its filter does not let the content pass."),
    "model_not_found": _globs("It does not have the model."),
}


def read_refusals(node: Node) -> RefusalsSpec:
    return RefusalsSpec(*(_read_globs(node[name]) for name in REFUSALS))


def _read_globs(node: Node) -> tuple[str, ...]:
    globs = (entry.read(filled, None) for entry in node.items())
    return tuple(glob for glob in globs if glob is not None)
