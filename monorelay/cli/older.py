"""A configuration in one file, of the earlier system, in the words of this one: files to write, and what has no counterpart.

Pure: it is given the parsed file and what is shipped, and gives texts. Nothing is guessed: what is not known here, and what a
schema of ours refuses, is told with its line and left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

from monorelay.cli.older_fields import LOST, LOST_OF_KEYS, LOST_OF_PROVIDERS, LOST_OF_ROUTING, LOST_OF_SERVER
from monorelay.cli.older_outcome import Outcome
from monorelay.config.checker import checker_of, faults
from monorelay.config.complexity import LEVELS
from monorelay.config.crossrefs import squeezed
from monorelay.config.document import Document
from monorelay.config.fields import Path
from monorelay.config.globs import shadowed
from monorelay.config.headers import CREDENTIALS, NEVER
from monorelay.config.problems import did_you_mean
from monorelay.config.provider import PROVIDER
from monorelay.config.schema import FAULTY, Rules, Schema
from monorelay.config.settings import SERVER, SETTINGS

DISGUISES = ("user_agent", "referer", "origin", "accept", "accept_language")
_LEVELS = {"warn": "warning", "critical": "error", "fatal": "error", "trace": "debug"}
_REFERENCE = re.compile(r"\$\{[A-Za-z_][A-Za-z0-9_]*(?::-[^}$]*)?\}")
KEYS = ("keys", "api_keys", "api_key")  # where a provider's credentials stand
_SECTIONS = ("server", "providers", "model_routing", "key_selection", "tool_calling", "logging")


@dataclass(frozen=True, slots=True)
class Shipped:
    """A provider of the package."""

    name: str
    base_url: str


def translate(old: Document, shipped: Sequence[Shipped], templates: Sequence[str]) -> Outcome:
    return _Translation(old, shipped, templates).run()


class _Translation:
    """One file on its way. Mutable: ``out``, and ``names``: what each provider of the old file is called here."""

    def __init__(self, old: Document, shipped: Sequence[Shipped], templates: Sequence[str]) -> None:
        self.old = old
        self.value: dict[str, Any] = old.value or {}
        self.shipped = shipped
        self.templates = templates
        self.out = Outcome(old)
        self.names: dict[str, str] = {}

    def run(self) -> Outcome:
        providers = self.section("providers")
        for name, entry in providers.items():
            self.names[name] = self.new_name(name, entry, providers)
        for name, entry in providers.items():
            if isinstance(entry, dict):
                self.provider(name, entry)
            else:
                self.lost(("providers", name), "is no mapping")
        self.server()
        self.tools_and_keys()
        self.routing()
        for name, value in self.value.items():
            if name not in _SECTIONS and not is_empty(value):
                self.lost((name,), LOST.get(name) or unknown(name, _SECTIONS))
        self.out.settings = {name: section for name, section in self.out.settings.items() if section}
        self.validate(self.out.settings, SETTINGS, ())
        self.out.notes.sort(key=lambda note: note.line)
        return self.out

    # ---- small steps

    def section(self, name: str) -> dict[str, Any]:
        value = self.value.get(name)
        if value is not None and not isinstance(value, dict):
            self.lost((name,), "is no mapping")
        return value if isinstance(value, dict) else {}

    def lost(self, path: Path, text: str) -> None:
        self.out.note(path, text)

    def keep(self, value: Mapping[str, Any], path: Path, known: Schema, lost: Mapping[str, str]) -> Iterator[tuple[str, Any]]:
        """The entries that mean here what they meant there; others are noted."""
        for name, inside in value.items():
            if is_empty(inside):
                continue
            if name in lost:
                self.lost((*path, name), lost[name])
            elif name in known:
                yield name, self.pruned(inside, (*path, name), known[name])
            else:
                self.lost((*path, name), unknown(name, known))

    def pruned(self, value: Any, path: Path, rules: Rules) -> Any:
        """Without what was left empty, and without fields that a fixed schema of ours does not have. A $ stays what it was."""
        if isinstance(value, str):
            return escaped(value)
        if isinstance(value, list):
            inner = rules.get("schema") or {}
            return [self.pruned(item, (*path, index), inner if "meta" in inner else {}) for index, item in enumerate(value)]
        if not isinstance(value, dict):
            return value
        schema = rules.get("schema")
        if isinstance(schema, dict) and "valuesrules" not in rules:
            return dict(self.keep(value, path, schema, {}))
        within = rules.get("valuesrules") or {}
        return {escaped(str(name)): self.pruned(inside, (*path, name), within) for name, inside in value.items()}

    def validate(self, value: dict[str, Any], schema: Schema, at: Path) -> None:
        """Takes out what our schema refuses. Places in the old file are told as well as they can be found."""
        for path, sentence in list(faults(checker_of(schema), value)):
            self.lost((*at, *path), f"is left out: {sentence}")
        without_faults(value)

    # ---- server, tools, keys, logging

    def server(self) -> None:
        old = self.section("server")
        server = dict(
            self.keep({name: one for name, one in old.items() if name != "log_level"}, ("server",), SERVER, LOST_OF_SERVER)
        )
        key = old.get("access_key")
        if isinstance(key, str) and key.strip():
            server["access_key"] = self.secret("access_key", key, in_use=old.get("access_key_enabled") is not False)
        level = self.section("logging").get("level") or old.get("log_level")
        if level:
            if not self.section("logging").get("level"):
                self.out.came_from["logging",] = ("server", "log_level")
            level = str(level).lower()
            self.out.settings["logging"] = {"level": _LEVELS.get(level, level)}
        for name, value in self.section("logging").items():
            if name != "level" and not is_empty(value):
                self.lost(("logging", name), "the log is lines on stderr: the journal keeps, rotates and filters them")
        self.out.settings = {"server": server, **self.out.settings}

    def tools_and_keys(self) -> None:
        for name in ("tool_calling", "key_selection"):
            schema = SETTINGS[name]["schema"]
            self.out.settings[name] = dict(self.keep(self.section(name), (name,), schema, {}))

    def secret(self, name: str, text: str, *, in_use: bool = True) -> str:
        """The text goes to a file of its own, whatever the old names were; what is a reference already stays one, and may lead
        to nothing where it is not in use."""
        if _REFERENCE.fullmatch(text.strip()):
            return text.strip() if in_use or ":-" in text else text.strip().replace("}", ":-}")
        file = free(re.sub(r"[^A-Za-z0-9._@+-]+", "-", name)[:128], self.out.secrets)
        self.out.secrets[file] = text.strip()
        return f"${{file:secrets/{file}}}"

    # ---- routing

    def routing(self) -> None:
        path: Path = ("model_routing",)
        old = self.section("model_routing")
        if old.get("enabled") is False:
            if len(old) > 1:
                self.lost(path, "was switched off, so nothing of it is taken over")
            return
        schema: Schema = SETTINGS["model_routing"]["schema"]
        rest = {name: value for name, value in old.items() if name not in ("enabled", "cascade")}
        new = dict(self.keep(rest, path, schema, LOST_OF_ROUTING))
        for name, target in new.get("aliases", {}).items():
            new["aliases"][name] = self.target(target, (*path, "aliases", name))
        for glob, provider in list(new.get("provider_mapping", {}).items()):
            real = self.names.get(provider) or next((one.name for one in self.shipped if one.name == provider), None)
            if real is None:
                self.lost((*path, "provider_mapping", glob), f"is left out: no provider is called {provider}")
                del new["provider_mapping"][glob]
            else:
                new["provider_mapping"][glob] = real
        for first_match in ("provider_mapping", "model_overrides"):
            for glob, earlier in list(shadowed(list(new.get(first_match, {})))):
                self.lost((*path, first_match, glob), f"never counted: {earlier} takes all of it")
                del new[first_match][glob]
        for level in LEVELS:
            if isinstance(new.get("complexity"), dict) and isinstance(new["complexity"].get(level), str):
                new["complexity"][level] = self.target(new["complexity"][level], (*path, "complexity", level))
        self.cascade(old.get("cascade"), (*path, "cascade"), new)
        self.out.settings["model_routing"] = new

    def cascade(self, old: Any, path: Path, new: dict[str, Any]) -> None:
        if not isinstance(old, dict) or not isinstance(old.get("models"), list) or not old["models"]:
            return
        if old.get("enabled") is False:
            self.lost(path, "was switched off, so it is not taken over")
            return
        self.out.came_from[*path[:1], "cascades", "cascade"] = (*path, "models")
        models = [self.target(escaped(str(model)), (*path, "models", index)) for index, model in enumerate(old["models"])]
        new.setdefault("cascades", {})["cascade"] = models
        self.lost(path, 'is the virtual model `cascade` here; `fallbacks: {"*": [...]}` would stand behind every model')
        if not is_empty(old.get("max_retries")):
            self.lost((*path, "max_retries"), "each model of a cascade is asked once; `retry` of a provider tries again")

    def target(self, name: Any, path: Path) -> Any:
        """``provider/model`` as ``model@provider``, where there is such a provider."""
        provider, slash, model = str(name).partition("/")
        real = next((new for old, new in self.names.items() if squeezed(old) == squeezed(provider)), None)
        if not slash or not model or real is None:
            return name
        self.lost(path, f"{name} is {model}@{real} here; write it back if the slash belongs to the model's name")
        return f"{model}@{real}"

    # ---- providers

    def new_name(self, name: str, entry: Any, all_old: Mapping[str, Any]) -> str:
        by_name = next((one.name for one in self.shipped if squeezed(one.name) == squeezed(name)), None)
        if by_name is not None and by_name not in self.names.values():
            return by_name
        url = str(entry.get("base_url") or "").strip().rstrip("/") if isinstance(entry, dict) else ""
        by_url = next((one.name for one in self.shipped if url and one.base_url == url), None)
        taken = {squeezed(other) for other in all_old} | {squeezed(other) for other in self.names.values()}
        if by_url is not None and squeezed(by_url) not in taken:
            self.lost(("providers", name), f"is called {by_url} here, after the shipped provider at this address")
            return by_url
        plain = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-._")[:60] or "provider"
        own = free(plain, [*self.names.values(), *(other for other in all_old if other != name), *([by_name] if by_name else [])])
        if own != name:
            why = "a name is letters, digits and . _ -" if plain != name else f"another one is called {plain}"
            self.lost(("providers", name), f"is called {own} here: {why}")
        return own

    def provider(self, old_name: str, old: Mapping[str, Any]) -> None:
        path: Path = ("providers", old_name)
        name = self.names[old_name]
        shipped = next((one for one in self.shipped if one.name == name), None)
        new: dict[str, Any] = {"provider": name, "extends": name if shipped is not None else self.template(old, path)}
        known = {
            word: rules for word, rules in PROVIDER.items() if word not in ("provider", "extends", "keys", "headers", "template")
        }
        self.out.came_from["providers", name] = path
        rest = {word: value for word, value in old.items() if word not in (*KEYS, "headers", "cloaking", "provider_type")}
        new.update(self.keep(rest, path, known, LOST_OF_PROVIDERS))
        if shipped is not None and str(new.get("base_url", "")).strip().rstrip("/") == shipped.base_url:
            del new["base_url"]
        costs = {side: old.get(f"cost_per_m_{side}") for side in ("input", "output")}
        if any(isinstance(cost, int | float) and cost for cost in costs.values()):
            self.out.came_from["providers", name, "prices"] = (*path, "cost_per_m_input")
            new["prices"] = {"*": {side: cost for side, cost in costs.items() if isinstance(cost, int | float)}}
        keys = self.keys(name, old, path)
        if keys or old.get("keys"):  # none of a list that was written is none, whatever is shipped
            new["keys"] = keys
        if set_headers := dict(self.headers(name, old, path)):
            new["headers"] = {"request": {"set": set_headers}}
            self.out.came_from["providers", name, "headers", "request", "set"] = (*path, "headers")
        self.validate(new, PROVIDER, path)
        self.out.providers[name] = new

    def template(self, old: Mapping[str, Any], path: Path) -> str:
        kind = str(old.get("provider_type") or "openai").lower()
        dialect = "anthropic" if "anthropic" in kind or "claude" in kind else "openai"
        if dialect not in kind:
            self.lost((*path, "provider_type"), f"{kind} is taken for a server of OpenAI's dialect")
        return next((one for one in self.templates if one.startswith(dialect)), f"{dialect}-compatible")

    def keys(self, provider: str, old: Mapping[str, Any], path: Path) -> list[dict[str, Any]]:
        """Those of the list, and what stands beside it; a single one may stand where a list could."""
        found: list[dict[str, Any]] = []
        labels: set[str] = set()
        texts: set[str] = set()
        written = [(place, one) for word in KEYS for place, one in entries(old.get(word), (*path, word))]
        for place, one in written:
            text = str(one.get("key") or one.get("secret") if isinstance(one, dict) else one).strip()
            if place[2] != "keys" and text in texts:
                self.lost(place, "is among `keys` already")
            elif (key := self.key(provider, one, place, labels)) is not None:
                here: Path = ("providers", provider, "keys", len(found))
                self.out.came_from[here] = place
                if isinstance(one, dict) and one.get("key"):
                    self.out.came_from[*here, "secret"] = (*place, "key")
                texts.add(text)
                found.append(key)
        return found

    def key(self, provider: str, old: Any, path: Path, labels: set[str]) -> dict[str, Any] | None:
        entry = old if isinstance(old, dict) else {"key": old}
        text = entry.get("key") or entry.get("secret")
        if not isinstance(text, str) or not text.strip():
            self.lost(path, "holds no key")
            return None
        usual = f"key-{path[-1] + 1}" if isinstance(path[-1], int) else "main"
        written = str(entry.get("label") or usual)
        label = re.sub(r"[^A-Za-z0-9._@+-]+", "-", written).strip("-._@+")[:64] or usual
        while label in labels:
            label += "-2"
        if entry.get("label") and label != written:
            self.lost((*path, "label"), f"is called {label} here")
        labels.add(label)
        known: Schema = PROVIDER["keys"]["schema"]["schema"]
        said = {word: value for word, value in entry.items() if word not in ("key", "secret", "label")}
        rest = {word: value for word, value in said.items() if value is False or value != 0}  # 0 was no limit; False is its switch
        kept = dict(self.keep(rest, path, known, LOST_OF_KEYS))
        windows = kept.get("usage_window_limits")
        if isinstance(windows, dict):
            kept["usage_window_limits"] = {window: most for window, most in windows.items() if most}
        kept = {word: value for word, value in kept.items() if not is_empty(value)}
        return {"label": label, "secret": self.secret(f"{provider}-{label}", text, in_use=kept.get("enabled") is not False), **kept}

    def headers(self, provider: str, old: Mapping[str, Any], path: Path) -> Iterator[tuple[str, str]]:
        cloaking = old.get("cloaking")
        for word, value in cloaking.items() if isinstance(cloaking, dict) else ():
            if word in DISGUISES and value:
                yield word.replace("_", "-"), escaped(str(value))
            elif not is_empty(value):
                self.lost((*path, "cloaking", word), "the relay does not imitate another program's connections")
        headers = old.get("headers")
        for name, value in headers.items() if isinstance(headers, dict) else ():
            lower = str(name).lower()
            if lower in NEVER:
                self.lost((*path, "headers", name), "belongs to the connection, which is the relay's own")
            elif lower in CREDENTIALS or lower == "api-key":
                self.lost((*path, "headers", name), "carries the key, which `auth` sends: bearer, x-api-key or {header: NAME}")
            elif re.search(r"key|token|secret|auth", lower) and value:
                yield lower, self.secret(f"{provider}-{lower}", str(value))
            elif not is_empty(value):
                yield lower, escaped(str(value))


def free(name: str, taken: Iterable[str]) -> str:
    """The name itself, or the first one with a number behind it that differs from all others in more than its spelling."""
    known = {squeezed(other) for other in taken}
    names = (name if number == 1 else f"{name}-{number}" for number in count(1))
    return next(one for one in names if squeezed(one) not in known)


def entries(value: Any, path: Path) -> list[tuple[Path, Any]]:
    """The items of a list, or what stands in the place of one, each with its path."""
    if isinstance(value, list):
        return [((*path, index), item) for index, item in enumerate(value)]
    return [] if is_empty(value) else [(path, value)]


def unknown(name: str, known: Iterable[str]) -> str:
    return "is not known here" + did_you_mean(name, known)


def is_empty(value: Any) -> bool:
    return value is None or value == "" or value == [] or value == {}


def escaped(text: str) -> str:
    """The old system's text in ours: only what looks like a reference stays one."""
    return re.sub(r"\$(?!\{[A-Za-z_][A-Za-z0-9_]*\})", "$$", text)


def without_faults(value: Any) -> None:
    """Takes out what the checker marked, in place."""
    if isinstance(value, dict):
        for name in [name for name, inside in value.items() if inside is FAULTY]:
            del value[name]
    elif isinstance(value, list):
        value[:] = [item for item in value if item is not FAULTY]
    for inside in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        without_faults(inside)
