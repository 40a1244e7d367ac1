"""Who serves a model: the rules of the catalogue, over what each provider is known to have.

(a) ``models.include`` holds the exact name; (b) the provider's own list has it; (c) a glob of include matches; (d) (a) or (b) but
for case, ``-`` and ``_``, and then the listed spelling is sent; (e) the first catch-all. Never substrings, and what is excluded is
excluded, whatever rule chose.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from monorelay.dialects.model_lists import ModelEntry
from monorelay.errors import NO_KEYS, PROVIDER_DISABLED, RelayError
from monorelay.plan.near import fold
from monorelay.plan.plan import Provider
from monorelay.plan.steps import Step

_FEW = 3  # names in a sentence


@dataclass(frozen=True, slots=True)
class Served:
    """What one provider is known to serve."""

    provider: Provider
    listed: Mapping[str, ModelEntry]
    folded: Mapping[str, str]  # folded name → listed spelling, of include and list


@dataclass(frozen=True, slots=True)
class Find:
    """A provider that serves a name, and the spelling under which it does."""

    provider: Provider
    model: str
    step: Step


def served_by(provider: Provider, entries: Sequence[ModelEntry]) -> Served:
    folded: dict[str, str] = {}
    for name in [*provider.spec.include, *(entry.id for entry in entries)]:
        if name in provider.included or admits(provider, name):
            folded.setdefault(fold(name), name)
    return Served(provider, {entry.id: entry for entry in entries}, folded)


def admits(provider: Provider, name: str) -> bool:
    """Whether ``models.include`` lets this name through: empty, listed, or matched."""
    if provider.takes_all or name in provider.included:
        return True
    return provider.include is not None and provider.include.fullmatch(name) is not None


def is_excluded(provider: Provider, name: str) -> bool:
    return provider.exclude is not None and provider.exclude.fullmatch(name) is not None


def takers(name: str, providers: Iterable[Provider]) -> tuple[list[Provider], list[Provider]]:
    """All that would take the name, on or not; and of these the ones that somebody has in mind: of a shipped catch-all nobody
    expects any name in particular."""
    taking = [provider for provider in providers if admits(provider, name) and not is_excluded(provider, name)]
    return taking, [provider for provider in taking if not provider.takes_all or provider.spec.layer != "vendor"] or taking


def few(names: Sequence[str]) -> str:
    """Three at most, and how many others.

    >>> few(["a", "b"]), few(["a", "b", "c", "d", "e"])
    ('a, b', 'a, b, c and 2 others')
    """
    others = len(names) - _FEW
    return ", ".join(names[:_FEW]) + (f" and {others} other{'s' * (others > 1)}" if others > 0 else "")


def find_one(name: str, candidates: Iterable[Served]) -> Find | None:
    """The first provider by the first rule that finds any."""
    served = [one for one in candidates if not is_excluded(one.provider, name)]
    for rule in (*_KNOWING, _catch_all):
        for one in served:
            found = rule(one, name)
            if found is not None:
                return found
    return None


def find_all(name: str, candidates: Iterable[Served], *, are_named: bool = False) -> list[Find]:
    """Every provider that knows the model, in their order, each by its own best rule; a catch-all only where nobody does.

    ``are_named``: somebody has written down these providers for this model, so those that take any name know it, too.
    """
    served = [one for one in candidates if not is_excluded(one.provider, name)]
    if are_named:
        return [found for one in served if (found := next(_each(one, name), None) or _catch_all(one, name)) is not None]
    known = [found for one in served if (found := next(_each(one, name), None)) is not None]
    return known or [found for one in served if (found := _catch_all(one, name)) is not None][:1]


def _each(one: Served, name: str) -> Iterator[Find]:
    for rule in _KNOWING:
        found = rule(one, name)
        if found is not None:
            yield found


def _included(one: Served, name: str) -> Find | None:
    return _find(one, name, "include", f"lists '{name}'") if name in one.provider.included else None


def _listed(one: Served, name: str) -> Find | None:
    if name in one.listed and admits(one.provider, name):
        return _find(one, name, "model list", f"has '{name}' in its own list")
    return None


def _matched(one: Served, name: str) -> Find | None:
    if one.provider.include is not None and one.provider.include.fullmatch(name):
        return _find(one, name, "include glob", f"includes '{name}' by a glob")
    return None


def _spelt(one: Served, name: str) -> Find | None:
    spelling = one.folded.get(fold(name))
    if spelling is None or is_excluded(one.provider, spelling):
        return None
    return _find(one, spelling, "spelling", f"lists '{spelling}', which is '{name}' but for case, - and _")


def _catch_all(one: Served, name: str) -> Find | None:
    return _find(one, name, "catch-all", "takes any model") if one.provider.takes_all else None


_KNOWING: tuple[Callable[[Served, str], Find | None], ...] = (_included, _listed, _matched, _spelt)


def _find(one: Served, model: str, rule: str, text: str) -> Find:
    origins = one.provider.spec.origins
    written = rule in ("include", "include glob", "spelling")
    step = Step(rule, f"{one.provider.name} {text}", origins.of("models", "include") if written else origins.root)
    return Find(one.provider, model, step)


def refuse_unusable(provider: Provider) -> None:
    """Raises the error of a provider that somebody named, but that takes no calls."""
    if provider.spec.enabled is False:
        raise RelayError(PROVIDER_DISABLED, f"[{provider.name}] Provider '{provider.name}' is not enabled")
    if not provider.keys:
        text = f"[{provider.name}] No available keys for provider '{provider.name}': none is configured"
        raise RelayError(NO_KEYS, text, curable=False)
