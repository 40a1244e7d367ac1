"""A default is stated beside the field (which the reference page and `monorelay dump` show), and again where the field is read, and
in the spec that comes of it. These tests hold the three equal, field by field.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from dataclasses import MISSING, fields, is_dataclass, replace
from typing import Any

import pytest
from config_house import House

from monorelay.config.digest import digest_of
from monorelay.config.effective import NONE, default_of
from monorelay.config.fields import Origin, Origins, Path
from monorelay.config.provider import PROVIDER
from monorelay.config.route import ROUTE
from monorelay.config.schema import Rules, Schema
from monorelay.config.settings import SETTINGS

# Every mapping there is, with what is required in it, so that all its other fields have their defaults.
FILES: dict[str, tuple[Schema, dict[str, Any]]] = {
    "config.yml": (
        SETTINGS,
        {
            "server": {"allow_faults": True},
            "clients": {"ci": {"sha256": "ab" * 32}},
            "key_selection": {},
            "retry": {},
            "tool_calling": {},
            "logging": {},
            "model_routing": {
                "balancing": {"m": {"providers": ["local"]}},
                "cascades": {"both": {"models": ["m@local"]}},
                "fallbacks": {"n": {"models": ["m"]}},
                "models": {"m": {}},
                "payload_transformation": {"rules": [{"remove_params": ["x"]}]},
                "complexity": {"simple": "m", "moderate": "m", "complex": "m", "thresholds": {}},
                "affinity": {},
                "circuit": {},
            },
        },
    ),
    "providers.d/local.yml": (
        PROVIDER,
        {
            "provider": "local",
            "base_url": "http://127.0.0.1:9/v1",
            "auth": {"header": "x-key"},
            "keys": [{"label": "main", "secret": "sk-a", "limits": {}, "usage_window_limits": {}}],
            "offers": {"openai.chat": {"path": "/chat"}, "credits": {"path": "/credits"}},
            "models": {},
            "headers": {"request": {}, "response": {}},
            "quirks": {},
            "limits": {},
            "rate_limits": {"remaining": [{"remaining": "x-left", "reset": "x-reset"}], "wait": [{"header": "x-wait"}]},
            "prices": {"m": {}},
            "retry": {},
            "ignore": {},
            "refusals": {},
            "credits": {"balance": "left"},
            "faults": [{"kind": "status", "share": 0.1}, {"kind": "cut", "share": 0.1}],
        },
    ),
    "routes.d/r.yml": (
        ROUTE,
        {
            "route": "r",
            "path": "/r",
            "methods": ["POST"],
            "needs": "openai.chat",
            "query": {},
            "stream": {},
            "headers": {"request": {}, "response": {}},
        },
    ),
}
# Inherited where nothing is said: the page names what is inherited in the end (and `test_config_effective` looks at that).
INHERITED = {"timeouts"}
MEANINGLESS = {("faults", 0, "after_events"), ("faults", 1, "status")}  # with the kind of fault that is written
WORDS = {"retry_on_status": [500, 502, 503, 504, 529]}  # a default that is a list


def places(schema: Schema, value: dict[str, Any], path: Path = ()) -> Iterator[tuple[Path, Rules]]:
    """Each field that is not written, of each mapping that is."""
    for name, rules in schema.items():
        here = (*path, name)
        if name not in value:
            yield here, rules
        else:
            yield from inner(rules, value[name], here)


def inner(rules: Rules, value: Any, path: Path) -> Iterator[tuple[Path, Rules]]:
    below = rules.get("schema")
    if isinstance(value, dict) and "valuesrules" in rules:
        for name, one in value.items():
            yield from inner(rules["valuesrules"], one, (*path, name))
    elif isinstance(value, dict) and isinstance(below, dict):
        yield from places(below, value, path)
    elif isinstance(value, list) and isinstance(below, dict):
        for index, one in enumerate(value):
            yield from inner(below, one, (*path, index))


def stated() -> Iterator[Any]:
    """(file, path, default) of every default that is a value."""
    for file, (schema, value) in FILES.items():
        for path, rules in places(schema, value):
            default = WORDS.get(str(path[-1]), default_of(rules))
            if default is not NONE and not INHERITED.intersection(map(str, path)) and path not in MEANINGLESS:
                yield pytest.param(file, path, default, id=".".join(map(str, path)))


def house_of(house: House, file: str = "", path: Path = (), value: Any = None) -> House:
    for name, (_, written) in FILES.items():
        content = copy.deepcopy(written)
        if name == file:
            around: Any = content
            for step in path[:-1]:
                around = around[step]
            around[path[-1]] = value
        house.write({f"operator/{name}": json.dumps(content)})
    return house


def digest(house: House) -> str:
    config = house.load()
    return digest_of(config.startup, config.server, config.clients, config.routing, config.tools, config.providers, config.routes)


@pytest.fixture(scope="module")
def unsaid(tmp_path_factory: pytest.TempPathFactory) -> str:
    return digest(house_of(House(tmp_path_factory.mktemp("unsaid"))))


@pytest.mark.parametrize(("file", "path", "default"), list(stated()))
def test_a_default_that_is_written_changes_nothing(house: House, unsaid: str, file: str, path: Path, default: Any) -> None:
    """What the page says is what is read where nothing is said."""
    assert digest(house_of(house, file, path, default)) == unsaid


def specs(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    if is_dataclass(value):
        yield path, value
        for one in fields(value):
            yield from specs(getattr(value, one.name), (*path, one.name))
    elif isinstance(value, tuple):
        for item in value:
            yield from specs(item, path)


WRITTEN = {
    "server": {"allow_faults"},
    "routing": {"cascades", "fallbacks", "balancing", "models", "payload", "complexity"},
    "routing.balancing": {"providers"},
    "routing.payload": {"remove"},
    "routing.complexity": {"enabled", "simple", "moderate", "complex"},  # on, where its three models are named
    "providers": {"auth", "keys", "offers", "rate_limits", "prices", "retry", "credits", "faults"},
    "providers.rate_limits": {"remaining", "wait"},
    "providers.faults": {"share"},
    "routes": {"needs"},
}


def test_specs_have_the_same_defaults(house: House) -> None:
    """What is read where nothing is said is what a spec has of itself."""
    config = replace(house_of(house).load(), warnings=())
    found: dict[str, set[str]] = {}
    for path, spec in specs(config):
        for one in fields(spec) if not isinstance(spec, Origin | Origins) else ():
            usual = one.default_factory() if one.default_factory is not MISSING else one.default
            if usual is not MISSING and getattr(spec, one.name) != usual:
                found.setdefault(".".join(map(str, path)), set()).add(one.name)
    assert found == WRITTEN
