"""The listening sockets: bound here before the first fork, or handed over by systemd."""

from __future__ import annotations

import errno
import ipaddress
import socket
from collections.abc import Mapping
from dataclasses import dataclass

BACKLOG = 4096  # the kernel lowers it to net.core.somaxconn
FIRST_HANDED_OVER = 3  # SD_LISTEN_FDS_START


class ListenError(Exception):
    """The address cannot be listened on; the message says why."""


@dataclass(frozen=True, slots=True)
class Listening:
    """``host`` and ``port`` are what clients are told; ``hosts`` every address that is really bound.

    ``scheme`` is that of the configuration at the start.
    """

    sockets: tuple[socket.socket, ...]
    host: str
    port: int
    hosts: tuple[str, ...]
    scheme: str = "http"

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"

    def close(self) -> None:
        for sock in self.sockets:
            sock.close()


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address. A name other than localhost counts as reachable."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def parse_address(text: str) -> tuple[str, int]:
    """``127.0.0.1:8787``, ``[::1]:8787``, ``localhost:0`` (any free port). Raises ValueError."""
    host, _, port = text.rpartition(":")
    if not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ValueError(f"'{text}' is not HOST:PORT, such as 127.0.0.1:8787")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ValueError(f"'{text}': an IPv6 address is written in brackets, [{host}]:{port}")
    return host, int(port)


def bind(host: str, port: int) -> Listening:
    """Listen on every address of the host, all on one port. Raises ListenError."""
    sockets: list[socket.socket] = []
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except socket.gaierror as error:
        raise ListenError(f"cannot listen on {host}:{port}: {error.strerror}") from error
    refusal: OSError | None = None
    for family, kind, proto, _, address in dict.fromkeys(found):
        try:
            # The first socket settles the port when any free one was asked for.
            chosen = sockets[0].getsockname()[1] if sockets else port
            sockets.append(_listening(family, kind, proto, (address[0], chosen, *address[2:]), dual=host == "::"))
        except OSError as error:
            refusal = error
            if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                break  # one address of a name may not exist on this machine; a port that is taken is a refusal
    if not sockets or (refusal is not None and refusal.errno == errno.EADDRINUSE):
        for sock in sockets:
            sock.close()
        assert refusal is not None
        raise ListenError(f"cannot listen on {host}:{port}: {refusal.strerror}") from refusal
    return Listening(tuple(sockets), host, sockets[0].getsockname()[1], tuple(sock.getsockname()[0] for sock in sockets))


def _listening(family: int, kind: int, proto: int, address: tuple[object, ...], *, dual: bool) -> socket.socket:
    sock = socket.socket(family, kind, proto)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if dual else 1)
        sock.setblocking(False)
        sock.bind(address)
        sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock


def handed_over(environ: Mapping[str, str], pid: int) -> Listening | None:
    """The sockets that systemd opened for this process (LISTEN_FDS), or None. Raises ListenError for ones that are not TCP."""
    count = environ.get("LISTEN_FDS", "")
    if environ.get("LISTEN_PID") != str(pid) or not count.isdigit() or int(count) == 0:
        return None
    sockets = tuple(socket.socket(fileno=FIRST_HANDED_OVER + index) for index in range(int(count)))
    for sock in sockets:
        if sock.family not in (socket.AF_INET, socket.AF_INET6) or sock.type != socket.SOCK_STREAM:
            raise ListenError("a socket handed over by systemd is not a TCP socket: use ListenStream= with an address and a port")
        sock.setblocking(False)
        sock.set_inheritable(False)
    hosts = tuple(sock.getsockname()[0] for sock in sockets)
    return Listening(sockets, hosts[0], sockets[0].getsockname()[1], hosts)
