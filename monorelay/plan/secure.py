"""A certificate and its key, made into what a TLS connection is accepted with."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

from monorelay.config.tls import TlsSpec
from monorelay.plan.templates import private_key

_VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
# What OpenSSL calls the usual mistakes → what to tell the operator.
_REASONS = {
    "KEY_VALUES_MISMATCH": "does not belong to the certificate beside it",
    "EE_KEY_TOO_SMALL": "is too short for what this machine's OpenSSL allows",
    "CA_MD_TOO_WEAK": "is signed with a digest that this machine's OpenSSL does not allow",
}


class CertificateError(Exception):
    """The pair cannot be served; the message is the end of a sentence about it."""


def server_context(spec: TlsSpec) -> ssl.SSLContext:
    """HTTP/1.1 over TLS. Raises CertificateError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = _VERSIONS[spec.min_version]
    context.options |= ssl.OP_NO_RENEGOTIATION  # with 1.2 a client could otherwise make the relay compute without end
    context.set_alpn_protocols(["http/1.1"])
    try:
        with _nameless(spec.certificate.encode()) as certificate, _nameless(private_key(spec.key)) as key:
            context.load_cert_chain(certificate, key)
    except ssl.SSLError as error:
        reason = error.reason or ""
        text = _REASONS.get(reason) or f"cannot be served with its certificate ({reason.lower().replace('_', ' ') or 'unreadable'})"
        raise CertificateError(text) from error
    return context


@contextmanager
def _nameless(content: bytes) -> Iterator[str]:
    """A file for OpenSSL, which only reads files. It lies in memory and has no name: a key is written nowhere else."""
    descriptor = os.memfd_create("pem")
    try:
        with open(descriptor, "wb", closefd=False) as file:
            file.write(content)
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)
