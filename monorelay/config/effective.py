"""What is in force, value by value: as it was written, laid together from all layers, with what nobody wrote from the schemas.

Each value knows its origin; None = built in. A secret is never among them: a reference stays a reference, a literal is masked, and
both come with the fingerprint by which logs know the credential. What is shown can be written to files again, and then means the
same; a test holds that.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from monorelay.config.fields import Origin, Path, Secret
from monorelay.config.reading import Sheet
from monorelay.config.references import References
from monorelay.config.schema import Rules, Schema, holds_reference


@dataclass(frozen=True, slots=True)
class Value:
    """A scalar, or an empty mapping or list.

    ``fingerprint`` is that of what a reference gave, or of what a mask hides; ``resolved`` what it gave, if that may be shown.
    """

    value: Any
    origin: Origin | None
    fingerprint: str = ""
    resolved: str = ""


Tree = Value | dict[str, "Tree"] | list["Tree"]

# Sections whose fields have their defaults although nobody wrote the section; of others the presence alone says something.
_ALWAYS = {
    ("server",),
    ("logging",),
    ("key_selection",),
    ("tool_calling",),
    ("model_routing",),
    ("model_routing", "circuit"),
    ("quirks",),
    ("stream",),
    ("timeouts",),
}
# References whose outcome may be shown: nobody would keep a credential there.
_HARMLESS = {"base_url", "host", "listen", "port", "public_host", "state_dir", "level", "enabled", "priority", "workers"}
_CREDENTIAL = re.compile(r"auth|key|token|secret|password|cookie|credential|signature", re.IGNORECASE)
# One of these says what the others say, too.
_INSTEAD = {
    "listen": ("host", "port"),
    "host": ("listen",),
    "port": ("listen",),
    "enabled": ("max_retries",),
    "max_retries": ("enabled",),
}


def effective(sheet: Sheet, schema: Schema, references: References) -> dict[str, Tree]:
    """All values of a sheet that was read without a problem, and the defaults of its schema."""
    return _Walk(sheet, references).mapping(sheet.value, (), schema, fill=True)


def flat(tree: Tree, path: Path = ()) -> Iterator[tuple[Path, Value]]:
    """Every value with its path."""
    if isinstance(tree, Value):
        yield path, tree
        return
    for name, inside in tree.items() if isinstance(tree, dict) else enumerate(tree):
        yield from flat(inside, (*path, name))


@dataclass(frozen=True, slots=True)
class _Walk:
    sheet: Sheet
    references: References

    def tree(self, value: Any, path: Path, rules: Rules, fill: bool) -> Tree:
        if isinstance(value, dict) and value:
            inner = rules.get("schema")
            if "valuesrules" in rules:
                return {name: self.tree(one, (*path, name), rules["valuesrules"], False) for name, one in value.items()}
            return self.mapping(value, path, inner if isinstance(inner, dict) else {}, fill)
        if isinstance(value, list) and value:
            inner = rules.get("schema") or {}
            item = inner if "meta" in inner else {}
            return [self.tree(one, (*path, index), item, fill) for index, one in enumerate(value)]
        return self.leaf(value, path)

    def mapping(self, value: dict[str, Any], path: Path, schema: Schema, fill: bool) -> dict[str, Tree]:
        """In the order of the schema where there is one, as the reference page has it; else as it was written."""
        found: dict[str, Tree] = {}
        for name in (*schema, *(name for name in value if name not in schema)):
            rules = schema.get(name, {})
            if name in value:
                found[name] = self.tree(value[name], (*path, name), rules, fill)
            elif not fill or any(other in value for other in _INSTEAD.get(name, ())):
                continue
            elif (*path, name) in _ALWAYS:
                if inside := self.mapping({}, (*path, name), rules.get("schema", {}), True):
                    found[name] = inside
            elif name != "listen" and (default := default_of(rules)) is not NONE:
                found[name] = Value(default, None)
        return found

    def leaf(self, value: Any, path: Path) -> Value:
        origin = self._origin(path)
        if not isinstance(value, str) or not value:
            return Value(value, origin)
        if not holds_reference(value):
            if _holds_secret(path):
                fingerprint = Secret(value.strip()).fingerprint
                return Value(f"<secret {fingerprint}>", origin, fingerprint)
            return Value(value, origin)
        try:
            given = self.references.resolve(value).text.strip()
        except ValueError:  # only where a warning was enough: the drop-in is switched off
            return Value(value, origin)
        fingerprint = Secret(given).fingerprint if given else ""
        if path[-1] in _HARMLESS:
            return Value(value, origin, resolved=given)
        if _holds_secret(path) and _DEFAULT.search(value):
            return Value(f"<secret {fingerprint}>" if given else "", origin, fingerprint)
        return Value(value, origin, fingerprint)

    def _origin(self, path: Path) -> Origin:
        while path not in self.sheet.places:
            path = path[:-1]
        return self.sheet.places[path].origin


_DEFAULT = re.compile(r":-[^}]")  # a default that may be a credential itself


def _holds_secret(path: Path) -> bool:
    if path[-1] == "access_key" or path[:1] == ("keys",):
        return path[-1] in ("access_key", "secret", "key") or len(path) == 2
    return (
        ("headers" in path or "query" in path) and _CREDENTIAL.search(str(path[-1])) is not None and path[-2] in ("set", "default")
    )


NONE = object()


def default_of(rules: Rules) -> Any:
    """The default of a field as a value; NONE where there is none that could be written."""
    text = str((rules.get("meta") or {}).get("default", ""))
    kinds = [rules["type"]] if isinstance(rules["type"], str) else rules["type"]
    if text == "off" and rules.get("nullable"):
        return None
    if "boolean" in kinds and text in ("true", "false"):
        return text == "true"
    if {"integer", "number"}.intersection(kinds) and re.fullmatch(r"[0-9]+(\.[0-9]+)?", text):
        return float(text) if "." in text else int(text)
    check = rules.get("check_with")
    if not text or "string" not in kinds or check is None or not _takes(check, text):
        return NONE
    # What takes any word does not say that this one is a value: it may be English, such as "nothing".
    return text if re.search("[0-9]", text) or not _takes(check, "no-such-word") else NONE


def _takes(check: Any, text: str) -> bool:
    complaints: list[str] = []
    check("", text, lambda _, complaint: complaints.append(complaint))
    return not complaints
