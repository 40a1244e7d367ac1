"""``keys`` of a provider: its credentials, and how much each may be used. Schema, spec and one-line help of each field."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from monorelay.config.fields import Path, Secret
from monorelay.config.limits import FLAT_LIMITS, LIMITS, LimitsSpec, read_limits, unfold_limits
from monorelay.config.reading import Node, Place
from monorelay.config.scalars import flag, label, moment, whole
from monorelay.config.schema import Schema, field, holds_reference


@dataclass(frozen=True, slots=True)
class KeySpec:
    """One credential. ``label`` is what logs, errors and trails say; unique within its provider."""

    label: str
    secret: Secret
    weight: int = 1
    enabled: bool = True
    expires_at: float | None = None  # seconds since 1970, UTC
    limits: LimitsSpec = LimitsSpec()


KEY: Schema = {
    "label": field("string", "What logs, errors and trails call it.", reads=label, default="`key-1`, `key-2`, … by position"),
    "secret": field("string", "The key itself, best as a reference; an empty one is no key.", default="required"),
    "weight": field("integer", "Its share under the strategy `weighted`.", reads=whole(1, 1000), default="1"),
    "enabled": field("boolean", "`false` keeps it out of use.", reads=flag, default="true"),
    "expires_at": field(
        "string",
        "From then on it is out of use: a date or time in ISO 8601, in UTC if it does not say otherwise.",
        reads=moment,
        default="never",
    ),
    "limits": field("dict", "How much it may be used; laid upon the provider's, entry by entry.", schema=LIMITS),
    "key": field("string", "Short for `secret`."),
    **FLAT_LIMITS,
}


def unfold_key(key: dict[str, Any], places: dict[Path, Place], at: Path) -> None:
    unfold_limits(key, places, at)
    if "key" in key and "secret" not in key:
        key["secret"] = key.pop("key")
        if (*at, "key") in places:
            places[(*at, "secret")] = places[(*at, "key")]


def label_of(key: Node) -> str:
    return key["label"].read(label, f"key-{int(key.path[-1]) + 1}")


def read_keys(node: Node, usual: LimitsSpec, now: float) -> tuple[KeySpec, ...]:
    keys: list[KeySpec] = []
    labels: set[str] = set()
    for entry in node.items():
        own_label = label_of(entry)
        if own_label in labels:
            entry["label"].wrong(f"two keys are called {own_label}")
        labels.add(own_label)
        written = entry if isinstance(entry.value, str) else entry["secret"]
        if written.value is None:
            entry.missing("secret")
        if entry["key"].value is not None:
            entry["key"].wrong("stands beside secret, which says the same: keep one of them")
        secret = read_secret(written, f"the secret of key {own_label}")
        enabled = entry["enabled"].read(flag, True)
        weight = entry["weight"].read(whole(1, 1000), 1)
        expires_at = entry["expires_at"].read(moment, None)
        limits = read_limits(entry["limits"], usual)
        if not secret:
            continue
        if not holds_reference(written.value):
            written.wrong(f"the secret of key {own_label} stands in the file: a ${{reference}} keeps it out of it", "warning")
        twin = next((key for key in keys if key.secret == secret and key.enabled and enabled), None)
        if twin is not None:
            entry.wrong(f"key {own_label} has the same secret as {twin.label} and is left out", "warning")
        else:
            keys.append(KeySpec(own_label, secret, weight, enabled, expires_at, limits))
            if expires_at is not None and expires_at <= now and enabled:
                entry["expires_at"].wrong(f"key {own_label} has expired, and is not used", "warning")
    return tuple(keys)


def read_secret(node: Node, what: str) -> Secret | None:
    """A credential without the blanks around it. The problem names it by ``what``, and never shows it."""
    resolved = node.resolve()
    if resolved is None:
        return None
    value = resolved.text.strip()
    if any(character.isspace() or not character.isprintable() for character in value):
        node.wrong(f"{what} holds a space, a line break or a control character")
        return None
    if not value.isascii():
        node.wrong(f"{what} holds a character that no header can carry")
        return None
    return Secret(value)
