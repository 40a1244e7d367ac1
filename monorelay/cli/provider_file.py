"""The operator's own file of one provider: where it is, what it says on its first level, and what the shipped one says."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from monorelay.config import scalars
from monorelay.config.crossrefs import Directory
from monorelay.config.dropins import drop_ins
from monorelay.config.load import Places, Survey, survey
from monorelay.config.problems import did_you_mean
from monorelay.config.provider import ProviderSpec
from monorelay.config.writing import scalar


class Unclear(Exception):
    """The command cannot do that by itself; the message says what the operator can do."""


@dataclass(frozen=True, slots=True)
class Provider:
    """``file`` is the operator's, if there is one; ``spec`` what is in force, ``shipped`` what the package says."""

    name: str
    file: Path | None
    spec: ProviderSpec | None
    shipped: ProviderSpec | None

    @property
    def shipped_text(self) -> str:
        if self.shipped is None:
            return ""
        return Path(self.shipped.origins.root.file).read_text(encoding="utf-8")


def provider_of(name: str, places: Places, environ: Mapping[str, str], now: Survey | None) -> Provider:
    """``now`` is what is in force, where it can be read. A name counts as clients may spell it. Raises Unclear."""
    shipped = survey(Places(places.vendor, None, None), environ).config.providers
    known = [*(now.config.providers if now is not None else ()), *shipped]
    real = Directory(spec.name for spec in known).real(name) or name
    spec = next((one for one in known if one.name == real), None) if now is not None else None
    if spec is not None and spec.layer == "operator" and Path(spec.origins.root.file).parent.name != "providers.d":
        place = spec.origins.root
        raise Unclear(f"{real} is written in {place}: change it there, or move it to a file of its own in providers.d/")
    return Provider(real, _file_of(real, places), spec, next((one for one in shipped if one.name == real), None))


def unknown(name: str, now: Survey | None) -> Unclear:
    names = [spec.name for spec in now.config.providers] if now is not None else []
    return Unclear(f"no provider is called {name}{did_you_mean(name, names)}: --base-url URL makes one")


def _file_of(name: str, places: Places) -> Path | None:
    if places.operator is None:
        return None
    begins = re.compile(rf"^provider:[ \t]*[\"']?{re.escape(name)}[\"']?[ \t]*(#.*)?$", re.MULTILINE)
    for path in drop_ins(places.operator / "providers.d", []):
        if path.is_file() and begins.search(path.read_text(encoding="utf-8", errors="replace")):
            return path
    return None


def new_file(name: str, places: Places) -> Path:
    """Where a file of one's own goes. Raises Unclear for what is no name, and where it is taken by something else."""
    assert places.operator is not None
    try:
        scalars.name(name)
    except ValueError as error:
        raise Unclear(f"the name {error}") from error
    path = places.operator / "providers.d" / f"{name}.yml"
    if path.exists() and not masks(path):
        raise Unclear(f"{path} exists, and defines something else: rename it first")
    return path


def switch_only(name: str, word: str) -> str:
    """A whole file that says nothing but whether the shipped provider is on."""
    return f"# Written by `monorelay disable`.\nprovider: {scalar(name)}\nextends: {scalar(name)}\nenabled: {word}\n"


def is_switch_only(path: Path, name: str) -> bool:
    """Whether there is nothing of the operator's in it that a new file would lose."""
    return path.read_text(encoding="utf-8", errors="replace") in (switch_only(name, "false"), switch_only(name, "true"))


def masks(path: Path) -> bool:
    """Whether the file takes a lower one away: a link to /dev/null, or nothing but blanks and comments."""
    if os.path.exists(path) and os.path.samefile(path, os.devnull):
        return True
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else "x"
    return all(not line.strip() or line.lstrip().startswith("#") for line in text.splitlines())


_ENABLED = re.compile(r"^enabled[ \t]*:[ \t]*([^\s#]*)", re.MULTILINE)
_PROVIDER = re.compile(r"^provider[ \t]*:.*\n?", re.MULTILINE)


def switched(text: str, word: str) -> str:
    """The text of a provider's file with ``enabled: word``, and all else as it is. Raises Unclear where the place is not plain."""
    found = _ENABLED.search(text)
    if found is not None:
        return text[: found.start(1)] + word + text[found.end(1) :]
    head = _PROVIDER.search(text)
    if head is None:
        raise Unclear("is not written as lines of `key: value`, so the place for `enabled` is yours to find")
    begin = text[: head.end()]
    return begin + ("" if begin.endswith("\n") else "\n") + f"enabled: {word}\n" + text[head.end() :]
