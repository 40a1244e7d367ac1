"""What the operator puts into bodies: defaults, rules and instructions, compiled once and applied to each request.

In this order, which is also the order of the steps that ``monorelay explain`` prints:

1. ``global_params``, then ``parameters`` of every entry of ``models`` whose glob matches: defaults, added where the client said
   nothing. Of one path the last word counts; null takes it back.
2. the rules of ``payload_transformation`` as they are written; within a rule what is injected, then overridden, then removed.
3. ``system`` of the matching entries of ``models``, of each of its two fields the last one.

| what | applies to |
| --- | --- |
| defaults, and rules that name no routes | requests that carry messages and are answered by a model: no count_tokens |
| rules that name routes | every route of a JSON body that they name |
| system | requests that have a place for it, count_tokens among them |

``body_paths.py`` tells what a path is, and what injecting, overriding and removing mean. A body is never changed in place.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from monorelay.config.config import Config
from monorelay.config.models import ModelSpec, SystemSpec
from monorelay.config.payload import PayloadRule
from monorelay.config.route import RouteSpec
from monorelay.dialects.conversation import carries_messages
from monorelay.dialects.openai_chat import OTHER_NAMES
from monorelay.dialects.system_prompt import with_system
from monorelay.plan.body_paths import Edit, Path, inject, override, path_of, remove
from monorelay.plan.globs import compile_glob, compile_globs
from monorelay.plan.steps import Step

_REMEMBERED = 8192  # programs of one route and model that are kept; a plain bound, since names come from clients
_SHOWN = 80


@dataclass(frozen=True, slots=True)
class Changes:
    """Top-level fields to be set, those to be taken out, and the rules that did it. False where there is nothing to do."""

    fields: Mapping[str, Any]
    removed: tuple[str, ...]
    steps: tuple[Step, ...]

    def __bool__(self) -> bool:
        return bool(self.fields or self.removed)


UNCHANGED = Changes({}, (), ())


@dataclass(frozen=True, slots=True)
class _Edit:
    apply: Edit
    path: Path
    value: Any
    step: Step


@dataclass(frozen=True, slots=True)
class _Recipe:
    """All that happens to the bodies of one route and model."""

    edits: tuple[_Edit, ...]
    prepend: str | None
    replace: str | None
    system_steps: tuple[Step, ...]


_NO_RECIPE = _Recipe((), None, None, ())


class PayloadProgram:
    """The operator's changes of one configuration.

    Mutable: only ``_memory``, of what applies to a route (by name) and model.

    >>> compile_payload(config).changes(route, "openai.chat", "gpt-4o", {"model": "gpt-4o", "messages": []}).fields
    {'temperature': 0.2}
    """

    __slots__ = ("_config", "_is_idle", "_memory", "_models", "_rules")

    def __init__(self, config: Config) -> None:
        routing = config.routing
        self._config = config
        self._models = [(compile_glob(spec.models), spec) for spec in routing.models if spec.parameters or spec.system]
        self._rules = [(compile_globs(rule.models), compile_globs(rule.routes), rule) for rule in routing.payload]
        self._is_idle = not (self._models or self._rules or routing.global_params)
        self._memory: dict[tuple[str, str], _Recipe] = {}

    def __repr__(self) -> str:
        return f"<PayloadProgram of {len(self._models)} models and {len(self._rules)} rules>"

    def changes(self, route: RouteSpec, capability: str, model: str, body: Mapping[str, Any]) -> Changes:
        """What becomes of ``body``, a request of ``capability`` on ``route``; ``model`` is its name before model_overrides."""
        if self._is_idle:
            return UNCHANGED
        recipe = self._memory.get((route.name, model))
        if recipe is None:
            if len(self._memory) >= _REMEMBERED:
                self._memory.clear()
            recipe = self._memory[route.name, model] = self._recipe(route, capability, model)
        return UNCHANGED if recipe is _NO_RECIPE else _applied(recipe, capability, body)

    # ------------------------------------------------------------------ compiling

    def _recipe(self, route: RouteSpec, capability: str, model: str) -> _Recipe:
        if route.body != "json":
            return _NO_RECIPE
        carries = route.model != "none" and carries_messages(capability)
        answers = carries and capability != "anthropic.count_tokens"
        specs = [spec for pattern, spec in self._models if pattern.fullmatch(model)]
        edits = list(self._defaults(specs, capability)) if answers else []
        for models, routes, rule in self._rules:
            if (models is None or models.fullmatch(model)) and (routes.fullmatch(route.name) if routes else answers):
                edits += self._rule(rule)
        prepend, replace, steps = self._system(specs) if carries else (None, None, ())
        return _Recipe(tuple(edits), prepend, replace, steps) if edits or steps else _NO_RECIPE

    def _defaults(self, specs: list[ModelSpec], capability: str) -> Iterator[_Edit]:
        origins = self._config.routing.origins
        found: dict[str, tuple[Any, str, tuple[str | int, ...]]] = {}
        for path, value in self._config.routing.global_params:
            found[path] = value, "global_params", ("model_routing", "global_params", path)
        for spec in specs:
            for path, value in spec.parameters:
                found.pop(path, None)
                found[path] = value, "parameters", ("model_routing", "models", spec.models, "parameters", path)
        for path, (value, rule, place) in found.items():
            if value is not None:
                text = f"{path}: {_shown(value)}, where the client said nothing"
                yield _Edit(_unless_said_otherwise(capability, path), path_of(path), value, Step(rule, text, origins.of(*place)))

    def _rule(self, rule: PayloadRule) -> Iterator[_Edit]:
        place = ("model_routing", "payload_transformation", "rules", rule.index)
        origins = self._config.routing.origins
        for path, value in rule.inject:
            step = Step(
                "inject_params", f"{path}: {_shown(value)}, where it was missing", origins.of(*place, "inject_params", path)
            )
            yield _Edit(inject, path_of(path), value, step)
        for path, value in rule.override:
            step = Step("override_params", f"{path} becomes {_shown(value)}", origins.of(*place, "override_params", path))
            yield _Edit(override, path_of(path), value, step)
        for at, path in enumerate(rule.remove):
            step = Step("remove_params", f"{path} is taken out", origins.of(*place, "remove_params", at))
            yield _Edit(remove, path_of(path), None, step)

    def _system(self, specs: list[ModelSpec]) -> tuple[str | None, str | None, tuple[Step, ...]]:
        origins = self._config.routing.origins
        said: dict[str, tuple[str, Step]] = {}
        for spec in specs:
            system = spec.system or SystemSpec()
            for name, text, meaning in (
                ("replace", system.replace, "takes the place of the client's instructions"),
                ("prepend", system.prepend, "stands before the instructions"),
            ):
                if text is not None:
                    origin = origins.of("model_routing", "models", spec.models, "system", name)
                    said[name] = text, Step("system", f"{_shown(text)} {meaning}", origin)
        prepend, replace = (said[name][0] if name in said else None for name in ("prepend", "replace"))
        return prepend, replace, tuple(said[name][1] for name in ("replace", "prepend") if name in said)


def compile_payload(config: Config) -> PayloadProgram:
    return PayloadProgram(config)


# ---------------------------------------------------------------------------------------------------- applying


def _applied(recipe: _Recipe, capability: str, body: Mapping[str, Any]) -> Changes:
    now: Any = body
    steps: list[Step] = []
    for edit in recipe.edits:
        after = edit.apply(now, edit.path, edit.value)
        if after is not now:
            now = after
            steps.append(edit.step)
    if recipe.system_steps:
        instructed = with_system(capability, now, recipe.prepend, recipe.replace)
        if instructed:
            now = {**now, **instructed}
            steps += recipe.system_steps
    if now is body:
        return UNCHANGED
    fields = {name: value for name, value in now.items() if name not in body or value is not body[name]}
    return Changes(fields, tuple(name for name in body if name not in now), tuple(steps))


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


def _unless_said_otherwise(capability: str, path: str) -> Edit:
    """A dialect may have two names for one thing, and refuse a request that says both."""
    other = OTHER_NAMES.get(path) if capability == "openai.chat" else None
    if other is None:
        return inject
    return lambda body, names, value: body if other in body else inject(body, names, value)
