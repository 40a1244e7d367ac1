"""What the engine asks of libcurl: options set once on every handle, and the request lines in the form that libcurl wants.

Everything here follows from one promise: what the request says is what goes out, and nothing else. So there are no redirects, no
decompression, no path clean-up, no netrc, no default header lines, and no protocol but HTTP. (Newer versions of libcurl write the
escapes of the path, not of the query, with capital letters: there is no way to stop them that a proxy survives.)

Proxies: libcurl reads ``http_proxy``, ``https_proxy``, ``all_proxy`` and ``no_proxy`` from the environment, as everywhere;
loopback upstreams are never sent through one.

Certificates: ``SSL_CERT_FILE`` names the trusted ones, else it is the system's bundle; only where there is none, libcurl's build
decides. Debian's build would read a directory of 400 files for every new connection (measured: 26 ms of CPU, with the bundle 8).
A handle with its own file and one without cannot share a connection, so the answer is found once and set on all.
"""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Iterable, Mapping
from urllib.parse import quote

import pycurl

SUPPRESS_CONNECT_HEADERS = 265  # PycURL has no names for these two
QUICK_EXIT = 322

MAX_IDLE_AGE = 55  # seconds; many servers close at 60, and a request on a connection just closed has to be repeated

# libcurl 8 keeps this buffer for every request in flight: its default of 64 KiB doubles what a stream costs, and is hardly faster.
UPLOAD_BUFFER = 16 * 1024

LOOPBACK = "localhost,127.0.0.0/8,::1"

# Debian, Fedora, SUSE, BSD and macOS
BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)

# Lines that libcurl would add by itself. An empty one takes it away; a full one of the request's own is sent nevertheless.
OWN_LINES = (b"Expect:", b"Accept:", b"User-Agent:", b"Content-Type:")


NOT_IN_URLS = re.compile("[\0- \x7f]")
NOT_ASCII = re.compile("[^\0-\x7f]+")


class Unsendable(Exception):
    """A request that cannot be put on the wire; the text says why, and quotes nothing."""


def common_options(ca_file: str | None, environ: Mapping[str, str]) -> list[tuple[int, object]]:
    """Set on every handle when it is made, and never changed."""
    options: list[tuple[int, object]] = [
        (pycurl.TCP_NODELAY, 1),
        (pycurl.TCP_KEEPALIVE, 1),
        (pycurl.PATH_AS_IS, 1),
        (pycurl.FOLLOWLOCATION, 0),
        (pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS),
        (pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_2TLS),  # by ALPN for https; http stays at 1.1
        (SUPPRESS_CONNECT_HEADERS, 1),  # else a proxy's answer to CONNECT would be taken for the upstream's
    ]
    return options + fetch_options(ca_file, environ)


def fetch_options(ca_file: str | None, environ: Mapping[str, str]) -> list[tuple[int, object]]:
    """Those of them that Tornado's own ``fetch`` needs too, as it shares the connections."""
    return [
        (pycurl.NOSIGNAL, 1),
        (pycurl.MAXAGE_CONN, MAX_IDLE_AGE),
        (pycurl.UPLOAD_BUFFERSIZE, UPLOAD_BUFFER),
        (pycurl.NOPROXY, direct_hosts(environ)),
        (QUICK_EXIT, 1),  # a handle removed while its host name is looked up must not wait for the look-up's thread
        *certificate_options(ca_file, environ),
    ]


def certificate_options(ca_file: str | None, environ: Mapping[str, str]) -> list[tuple[int, object]]:
    """The file of trusted certificates. The directory of libcurl's build is taken away: it would be trusted beside the file."""
    path = ca_file or environ.get("SSL_CERT_FILE")
    if not path:
        bundles = (*BUNDLES, ssl.get_default_verify_paths().cafile)
        path = next((bundle for bundle in bundles if bundle and os.path.exists(bundle)), None)
    return [] if path is None else [(pycurl.CAINFO, path), (pycurl.CAPATH, None)]


def direct_hosts(environ: Mapping[str, str]) -> str:
    """Hosts that no proxy is used for. The option hides the environment's list, so that one is repeated."""
    listed = environ.get("no_proxy") or environ.get("NO_PROXY") or ""
    if listed.strip() == "*":
        return "*"
    return f"{LOOPBACK},{listed}" if listed else LOOPBACK


def header_lines(headers: Iterable[str]) -> list[bytes]:
    """The request's lines as libcurl takes them. Raises Unsendable.

    >>> header_lines(("Accept: */*", "X-Empty:"))[-2:]
    [b'Accept: */*', b'X-Empty;']
    """
    lines = list(OWN_LINES)
    for header in headers:
        try:
            line = header.encode("latin-1")
        except UnicodeEncodeError:
            raise Unsendable("A request header holds a character that headers cannot carry (outside Latin-1).") from None
        if b"\n" in line or b"\r" in line or b"\0" in line:
            raise Unsendable("A request header holds a line break.")
        name, _, value = line.partition(b":")
        lines.append(line if value.strip() else name + b";")  # libcurl's spelling of a field without a value
    return lines


def url_bytes(url: str) -> bytes:
    """The URL as libcurl takes it; characters outside ASCII go out as escaped UTF-8 (as some versions of libcurl would have it).

    Raises Unsendable.
    """
    if not url.startswith(("http://", "https://")):
        raise Unsendable("The URL is neither http:// nor https://.")
    if NOT_IN_URLS.search(url):
        raise Unsendable("The URL holds a blank or a control character.")
    if not url.isascii():
        url = NOT_ASCII.sub(lambda found: quote(found[0], errors="surrogatepass"), url)
    return url.encode("ascii")
