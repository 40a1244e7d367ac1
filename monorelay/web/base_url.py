"""Where clients reach this relay: ``server.public_host``, else the public address, else the local interface's."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
from concurrent.futures import Executor
from urllib.parse import urlsplit

from monorelay.config.settings import ServerSpec
from monorelay.upstream.collect import CollectFailed, collect
from monorelay.upstream.interface import Engine, UpstreamRequest

log = logging.getLogger("monorelay.web")

# Says the caller's address as plain text. Asked once, in the background, and only while server.detect_public_ip is on.
ADDRESS_SERVICE = "https://api.ipify.org/"
LIMIT = 2.0  # seconds


class _Limits:
    connect = first_byte = idle = total = LIMIT


class BaseUrl:
    """``is_loud``: of several workers this one logs what all of them would.

    Mutable: ``local_ip`` and ``_public_ip``, each found once in the background.
    """

    def __init__(self, host: str, port: int, *, is_loud: bool = True) -> None:
        self._level = logging.INFO if is_loud else logging.DEBUG
        self._host = host
        self._port = port
        self.local_ip = "127.0.0.1" if host in ("0.0.0.0", "::", "") else host
        self._public_ip: str | None = None
        self._asked = False

    def of(self, server: ServerSpec) -> str:
        """The origin + ``/v1``, whichever way the operator wrote it."""
        scheme = "http" if server.tls is None else "https"
        return origin(server.public_host, self._public_ip or self.local_ip, self._port, scheme) + "/v1"

    async def find_local(self, threads: Executor) -> None:
        """The address of the interface that leads outward; sends nothing."""
        if self._host in ("0.0.0.0", "::", ""):
            self.local_ip = await asyncio.get_running_loop().run_in_executor(threads, _outward_address) or self.local_ip

    async def find_public(self, engine: Engine) -> None:
        """Asks once; a failure leaves the local address."""
        if self._asked:
            return
        self._asked = True
        request = UpstreamRequest("GET", ADDRESS_SERVICE, (), None, _Limits())
        try:
            whole = await asyncio.wait_for(collect(engine, request, 256), LIMIT)
            self._public_ip = str(ipaddress.ip_address(whole.body.decode("ascii").strip()))
        except (CollectFailed, TimeoutError, ValueError) as error:
            log.log(self._level, "the public address could not be found (%s); base_url uses the local one", _why(error))


def _why(error: Exception) -> str:
    """In words; what the service answered instead of an address may be anything, and is not repeated."""
    host = urlsplit(ADDRESS_SERVICE).hostname
    if isinstance(error, CollectFailed):
        return f"{host}, {error}"
    return f"{host}, no answer within {LIMIT:g} s" if isinstance(error, TimeoutError) else f"{host} answered with no address"


def origin(public_host: str, address: str, port: int, scheme: str = "http") -> str:
    """Scheme, host and port, without a trailing ``/v1``: that is added once, by whoever asks."""
    public_host = public_host.strip().rstrip("/")
    if public_host:
        whole = public_host if public_host.startswith(("http://", "https://")) else f"https://{public_host}"
        return whole.removesuffix("/v1")
    return f"{scheme}://[{address}]:{port}" if ":" in address else f"{scheme}://{address}:{port}"


def _outward_address() -> str:
    probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        probe.connect(("192.0.2.1", 9))  # TEST-NET-1 (RFC 5737): connecting a datagram socket only picks a route
        return str(probe.getsockname()[0])
    except OSError:
        return ""
    finally:
        probe.close()
