"""A certificate and its key, made into what a TLS connection is accepted with; and until when the certificate is valid."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

from monorelay.config.tls import TlsSpec
from monorelay.plan.templates import private_key

_NO_CHECK_TIME = 0x200000  # X509_V_FLAG_NO_CHECK_TIME, which Python's ssl does not name
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


def end_of(spec: TlsSpec, *, even_if_over: bool = False) -> float:
    """When the certificate ends, in seconds since 1970: shown to a client in memory, since Python reads no certificate else.

    Raises SSLCertVerificationError where a client would not take it; ``even_if_over``: its dates are no reason for that.
    """
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # whoever signed it is not in question
    if even_if_over:
        client.verify_flags |= _NO_CHECK_TIME
    client.load_verify_locations(cadata=spec.certificate[spec.certificate.index("-----BEGIN CERTIFICATE-----") :])
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [client.wrap_bio(down, up), server_context(spec).wrap_bio(up, down, server_side=True)]
    for _ in range(4):
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                pass
    shown = ends[0].getpeercert() or {}
    return float(ssl.cert_time_to_seconds(str(shown["notAfter"])))


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
