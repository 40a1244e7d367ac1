"""One function per kind of scalar: what was written → the value, or a ValueError whose text is the sentence for the operator.

The schemas use them to check a file, the readers to build a spec. A sentence never repeats the value: it may have come from a
reference, and the place says where to look. Numbers and booleans are understood as text too, since that is what a reference gives.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import urlsplit

from monorelay.config.problems import did_you_mean

_YEAR = 365 * 24 * 3600.0


def flag(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if value in ("true", "false"):
        return bool(value == "true")
    raise ValueError("must be true or false")


def whole(least: int | None = None, most: int | None = None) -> Callable[[Any], int]:
    """A reader of whole numbers within limits."""

    def read(value: Any) -> int:
        if isinstance(value, str) and re.fullmatch(r"\s*[-+]?[0-9]{1,18}\s*", value):
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool):
            raise ValueError("must be a whole number")
        if least is not None and value < least:
            raise ValueError(f"must be {least} or more")
        if most is not None and value > most:
            raise ValueError(f"must be {most} or less")
        return value

    return read


def number(least: float = 0, most: float | None = None) -> Callable[[Any], float]:
    """A reader of numbers within limits."""

    def read(value: Any) -> float:
        if isinstance(value, str) and re.fullmatch(r"\s*[-+]?[0-9]{1,18}(\.[0-9]{1,18})?\s*", value):
            value = float(value)
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise ValueError("must be a number")
        if value < least:
            raise ValueError(f"must be {least:g} or more")
        if most is not None and value > most:
            raise ValueError(f"must be {most:g} or less")
        return float(value)

    return read


_DURATION = re.compile(r"\s*([0-9]{1,18}(?:\.[0-9]{1,9})?)\s*(ms|s|m|h)?\s*")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, None: 1.0}


def duration(value: Any) -> float:
    """Seconds, from a number or from 500ms, 15s, 2m, 1h; not negative, a year at most."""
    if isinstance(value, str):
        match = _DURATION.fullmatch(value)
        if match is None:
            raise ValueError("is not a duration: write seconds, or 500ms, 15s, 2m, 1h")
        seconds = float(match[1]) * _SECONDS[match[2]]
    else:
        seconds = float(value)
    if seconds < 0:
        raise ValueError("must not be negative")
    if seconds > _YEAR:
        raise ValueError("must not be longer than a year")
    return seconds


def limit(value: Any) -> float:
    """A duration that something may take: nothing can be done in no time."""
    seconds = duration(value)
    if not seconds:
        raise ValueError("must be more than 0")
    return seconds


def moment(value: Any) -> float | None:
    """Seconds since 1970, from ISO 8601; a date is its beginning, and what names no zone is UTC. Empty text is no moment."""
    written = str(value).strip()
    if not written:
        return None
    try:
        found = datetime.fromisoformat(written)
        return (found if found.tzinfo is not None else found.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise ValueError("is not a time: write it as 2027-01-31 or 2027-01-31T18:00:00Z") from None


_SIZE = re.compile(r"\s*([0-9]{1,15})\s*(B|KB|MB|GB|KiB|MiB|GiB)?\s*")
_BYTES = {None: 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}


def size(value: Any) -> int:
    """Bytes, from a number or from 64KiB, 10MB, 2GiB; at least 1, a TiB at most."""
    if isinstance(value, str):
        match = _SIZE.fullmatch(value)
        if match is None:
            raise ValueError("is not a size: write bytes, or 64KiB, 10MB, 2GiB")
        value = int(match[1]) * _BYTES[match[2]]
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError("must be a whole number of bytes, 1 or more")
    if value > 2**40:
        raise ValueError("must not be larger than 1024GiB")
    return value


Word = TypeVar("Word", bound=str)


def choice(*words: Word) -> Callable[[Any], Word]:
    """A reader of one of a few words."""

    def read(value: Any) -> Word:
        for word in words:
            if value == word:
                return word
        raise ValueError(f"must be one of {', '.join(words)}" + did_you_mean(value, words))

    return read


def text(value: Any) -> str:
    return str(value)


def filled(value: Any) -> str:
    """Text that says something."""
    if not str(value).strip():
        raise ValueError("must not be empty")
    return str(value)


_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def name(value: Any) -> str:
    """What routes, providers and clients are called."""
    if not _NAME.fullmatch(str(value)):
        raise ValueError("is not a name: up to 64 letters, digits, '.', '_' and '-', a letter or digit first")
    return str(value)


_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}")


def label(value: Any) -> str:
    """What a key is called in logs and trails; an e-mail address will do."""
    if not _LABEL.fullmatch(str(value)):
        raise ValueError("is not a label: up to 64 letters, digits and any of . _ @ + -, a letter or digit first")
    return str(value)


_CAPABILITY = re.compile(r"[a-z0-9][a-z0-9_-]*(?:\.[a-z0-9][a-z0-9_-]*)*")


def capability(value: Any) -> str:
    if not _CAPABILITY.fullmatch(str(value)) or len(str(value)) > 100:
        raise ValueError("is not a capability: lower-case words joined by dots, such as openai.chat")
    return str(value)


def glob(value: Any) -> str:
    """A model's name, or a pattern of names."""
    if not _is_bare(str(value)):
        raise ValueError("must be a model's name or a glob such as gpt-4*, without spaces around it")
    return str(value)


def model(value: Any) -> str:
    """The name of one model, or ``model@provider``."""
    if "*" in str(value) or "?" in str(value):
        raise ValueError("must be one model's name: * and ? have no meaning here")
    if not _is_bare(str(value)):
        raise ValueError("must be a model's name, without spaces around it")
    return str(value)


def _is_bare(text: str) -> bool:
    return bool(text) and text.isprintable() and text == text.strip()


_TEMPLATE = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", re.DOTALL)


def is_template(value: str) -> bool:
    return any(mark in value for mark in ("{{", "{%", "{#"))


def base_url(value: Any) -> str:
    """``http(s)://host[:port][/path]`` without its last slashes; parts of it may be a Jinja2 template."""
    url = str(value).strip()
    plain = _TEMPLATE.sub("x", url)
    if not plain.isascii() or not re.fullmatch(r"[!-~]*", plain):
        raise ValueError("must be plain ASCII without spaces")
    try:
        parts = urlsplit(plain)
        has_host = bool(parts.hostname) and parts.port != 0
    except ValueError:
        has_host = False
    if not has_host or parts.scheme not in ("http", "https"):
        raise ValueError("must be a URL such as https://api.example.com/v1")
    if "?" in plain or "#" in plain:
        raise ValueError("must end with the path: parameters go to `query: {set: …}` of an offer")
    if "@" in parts.netloc:
        raise ValueError("must not hold credentials: they go to `keys` and `auth`")
    if not _FIXED.search(_TEMPLATE.sub("\0", url).split("/")[2]):
        raise ValueError("has a template at the end of its host: a fixed domain must follow it, such as .example.com")
    return url.rstrip("/")


# Clients choose a model, and must not choose who gets the key with it.
_FIXED = re.compile(r"^[^\0]*$|\.[A-Za-z0-9-]+\.[A-Za-z0-9-]+\.?(:[0-9]+)?$")


def offer_path(value: Any) -> str:
    """What follows base_url: empty, or from a slash on; parts of it may be a Jinja2 template."""
    path = str(value)
    plain = _TEMPLATE.sub("x", path)
    if path and not path.startswith("/"):
        raise ValueError("must begin with / (it follows base_url), or be empty")
    if not re.fullmatch(r"[!-~]*", plain):
        raise ValueError("must be plain ASCII without spaces")
    if "?" in plain or "#" in plain:
        raise ValueError("must be a path only: parameters go to `query: {set: …}`")
    return path


_OF_NOTHING = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def sha256(value: Any) -> str:
    if not re.fullmatch(r"[0-9a-fA-F]{64}", str(value)):
        raise ValueError("must be the SHA-256 of the token: 64 hex digits, as `printf %s TOKEN | sha256sum` prints them")
    digest = str(value).lower()
    if digest == _OF_NOTHING:
        raise ValueError("is the SHA-256 of an empty token, which nobody can send: was the variable not set?")
    return digest
