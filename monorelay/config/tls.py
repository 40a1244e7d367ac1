"""``server.tls``: the certificate that clients are shown, and its key.

The files are read here, with everything else, so that a reload notices a renewed pair, a worker that is born later serves the same
one, and a file that is only half written is refused while the pair before it goes on serving.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from monorelay.config.fields import Secret
from monorelay.config.reading import Node
from monorelay.config.scalars import choice, filled
from monorelay.config.schema import Schema, field

MinVersion = Literal["1.2", "1.3"]
MIN_VERSION: MinVersion = "1.2"


@dataclass(frozen=True, slots=True)
class TlsSpec:
    """``certificate`` and ``key`` are PEM text; ``key_path`` is where a problem with the two of them is told."""

    certificate: str
    key: Secret
    min_version: MinVersion = MIN_VERSION
    key_path: tuple[str, ...] = ("server", "tls", "key")


_VERSION: Callable[[Any], MinVersion] = choice("1.2", "1.3")


def min_version(value: Any) -> MinVersion:
    return _VERSION(str(value))  # YAML takes 1.2 for a number


TLS: Schema = {
    "certificate": field(
        "string",
        "File with the certificate and the chain above it (PEM), relative to the configuration directory.",
        reads=filled,
        default="required",
        shown="file",
    ),
    "key": field(
        "string", "File with its private key (PEM), without a passphrase.", reads=filled, default="`certificate`", shown="file"
    ),
    "min_version": field(
        ["string", "number"], "The oldest TLS that is spoken: 1.2 or 1.3.", reads=min_version, default="1.2", shown="1.2 or 1.3"
    ),
}


def read_tls(node: Node) -> TlsSpec | None:
    """None where nothing was written, and where a problem was noted."""
    if not isinstance(node.value, dict):
        return None
    if node["certificate"].value is None:
        node.missing("certificate")
    certificate = _pem(node["certificate"])
    own_key = node["key"].value is not None
    key = _pem(node["key"]) if own_key else certificate
    version = node["min_version"].read(min_version, MIN_VERSION)
    where = node["key"] if own_key else node["certificate"]
    if certificate is not None and "-----BEGIN CERTIFICATE-----" not in certificate:
        node["certificate"].wrong("holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)")
        certificate = None
    if key is not None and "PRIVATE KEY-----" not in key:
        where.wrong("holds no private key in PEM form" + ("" if own_key else ": name its file as `key`"))
        key = None
    elif key is not None and "ENCRYPTED" in key:
        where.wrong("is protected by a passphrase, which nobody could type: `openssl pkey -in FILE -out NEWFILE` takes it off")
        key = None
    if certificate is None or key is None:
        return None
    return TlsSpec(certificate, Secret(key), version, ("server", "tls", "key" if own_key else "certificate"))


def _pem(node: Node) -> str | None:
    """The text of the file that is named, or what a reference such as ``${cred:tls-key}`` gave, if that is the text already."""
    resolved = node.resolve()
    if resolved is None or not resolved.text:
        return None
    if "-----BEGIN " in resolved.text:
        return resolved.text
    try:
        return node.reading.references.file(resolved.text)
    except ValueError as error:
        node.wrong(str(error))
    return None
