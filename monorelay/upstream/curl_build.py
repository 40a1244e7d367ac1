"""The libcurl that was found on this machine: which one, what it can, and whether it finds the certificates it trusts."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass

import pycurl

from monorelay.upstream.curl_options import certificate_options

_ASYNC_DNS = 1 << 7  # curl/curl.h: CURL_VERSION_ASYNCHDNS, CURL_VERSION_HTTP2
_HTTP2 = 1 << 16


@dataclass(frozen=True, slots=True)
class Build:
    version: str
    tls: str
    http2: bool
    async_dns: bool


def build() -> Build:
    _, version, _, _, features, tls, *_ = pycurl.version_info()
    return Build(str(version), str(tls or ""), bool(features & _HTTP2), bool(features & _ASYNC_DNS))


def ca_trouble(environ: Mapping[str, str]) -> str:
    """Why the file of trusted certificates cannot be used; "" where it can. Opens a connection to this process, and no other.

    libcurl reads the file when a connection is there, and before it says anything; nobody answers this one, so that it ends by
    its time limit, unless the file ends it.
    """
    options = dict(certificate_options(None, environ))
    curl = pycurl.Curl()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        try:
            for option, value in options.items():
                if value is not None:
                    curl.setopt(option, value)
            curl.setopt(pycurl.URL, f"https://127.0.0.1:{listening.getsockname()[1]}/")
            curl.setopt(pycurl.NOPROXY, "*")
            curl.setopt(pycurl.TIMEOUT_MS, 500)
            curl.perform()
        except pycurl.error as error:
            code, text = error.args
            return f"{options.get(pycurl.CAINFO)}: {text or 'cannot be read'}" if code == pycurl.E_SSL_CACERT_BADFILE else ""
        finally:
            curl.close()
    return ""
