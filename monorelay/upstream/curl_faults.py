"""libcurl's error numbers become an ``UpstreamFailure``: a phase and a sentence. A table, to be read aloud.

libcurl's own text is added only where it is known to name nothing but hosts, ports, certificates and counts: elsewhere it may
quote what the upstream sent, or a proxy's password. https://curl.se/libcurl/c/libcurl-errors.html
"""

from __future__ import annotations

from dataclasses import dataclass

from monorelay.upstream.interface import Phase, UpstreamFailure

LONGEST = 160  # characters of libcurl's own text


@dataclass(frozen=True, slots=True)
class Row:
    """``phase`` None: where the exchange stood decides (send, first_byte or body). ``quoted``: libcurl's text may follow."""

    phase: Phase | None
    sentence: str
    quoted: bool = False


TABLE: dict[int, Row] = {
    1: Row(None, "The upstream's answer is not HTTP"),
    3: Row("connect", "The URL is malformed"),
    5: Row("connect", "The proxy's name is unknown"),
    6: Row("connect", "The host's name is unknown", quoted=True),
    7: Row("connect", "The upstream cannot be reached", quoted=True),
    8: Row(None, "The upstream's answer is not HTTP"),
    16: Row(None, "The HTTP/2 connection broke", quoted=True),
    18: Row("body", "The answer ended early", quoted=True),
    26: Row("send", "The request body could not be read"),
    27: Row(None, "Out of memory"),
    28: Row(None, "The upstream took too long"),
    35: Row("tls", "The TLS handshake failed", quoted=True),
    42: Row("send", "The request body broke off"),
    45: Row("connect", "The outgoing network interface is not usable"),
    52: Row("first_byte", "The upstream closed the connection without an answer"),
    53: Row("tls", "The TLS engine is missing"),
    54: Row("tls", "The TLS engine cannot be used"),
    55: Row("send", "The upstream closed the connection while the request was being sent"),
    56: Row(None, "The connection to the upstream broke"),
    58: Row("tls", "The client certificate cannot be used"),
    59: Row("tls", "No common TLS cipher"),
    60: Row("tls", "The upstream's certificate is not trusted", quoted=True),
    61: Row("body", "The answer's encoding is broken"),
    65: Row("send", "The request body cannot be sent twice"),
    66: Row("tls", "The TLS engine failed to start"),
    77: Row("tls", "The file of trusted certificates cannot be read"),
    80: Row(None, "The TLS connection broke"),
    82: Row("tls", "The certificate revocation list cannot be read"),
    83: Row("tls", "The upstream's certificate has the wrong issuer"),
    88: Row("body", "The answer's chunks are broken"),
    90: Row("tls", "The upstream's public key is not the pinned one"),
    91: Row("tls", "The upstream's certificate status is not valid"),
    92: Row(None, "The HTTP/2 stream broke", quoted=True),
    95: Row(None, "The HTTP/3 connection broke"),
    96: Row("connect", "The QUIC connection failed", quoted=True),
    97: Row("connect", "The proxy refused the connection"),
    98: Row("tls", "The upstream asks for a client certificate"),
    100: Row(None, "The upstream's answer has a part that is too large"),
}


def explain(number: int, text: str, stood: Phase) -> UpstreamFailure:
    """Says what error ``number`` means for an exchange that stood at ``stood`` when it came.

    >>> explain(52, "Empty reply from server", "first_byte").reason
    'The upstream closed the connection without an answer.'
    """
    row = TABLE.get(number) or Row(None, f"libcurl gave up (error {number})")
    quote = f" ({text[:LONGEST]})" if row.quoted and text else ""
    return UpstreamFailure(row.phase or stood, f"{row.sentence}{quote}.")
