"""What `monorelay doctor` looks at of the machine: versions, libcurl, clock, limits, the port."""

from __future__ import annotations

import re
import resource
import shutil
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from monorelay.cli.findings import Finding, ok, problem, warning
from monorelay.daemon.descriptors import ENOUGH
from monorelay.upstream.curl_build import build, ca_trouble

FLOORS = {"tornado": (6, 2), "pycurl": (7, 45, 2), "cerberus": (1, 3, 2), "PyYAML": (6, 0), "Jinja2": (3, 1)}
PYTHON = (3, 11)
FEW_DESCRIPTORS = 4096
BUILT = 2026  # no clock that is right says less
TCP_LISTEN = "0A"  # /proc/net/tcp


def machine(environ: Mapping[str, str]) -> Iterator[Finding]:
    yield from versions()
    yield from libcurl(environ)
    yield from clock()
    yield descriptors()


def versions() -> Iterator[Finding]:
    python = ".".join(map(str, sys.version_info[:3]))
    old = [] if sys.version_info[:2] >= PYTHON else [f"Python {python} (needs {PYTHON[0]}.{PYTHON[1]})"]
    found = [f"Python {python}"]
    for name, floor in FLOORS.items():
        try:
            has = version(name)
        except PackageNotFoundError:
            continue  # it runs, so the library is there: only what its package would say of it is missing
        found.append(f"{name} {has}")
        if tuple(int(part) for part in re.findall(r"\d+", has)[: len(floor)]) < floor:
            old.append(f"{name} {has} (needs {'.'.join(map(str, floor))})")
    if old:
        yield problem("versions", f"too old: {', '.join(old)}", "upgrade them, or use the distribution's packages")
    else:
        yield ok("versions", ", ".join(found))


def libcurl(environ: Mapping[str, str]) -> Iterator[Finding]:
    has = build()
    told = f"libcurl {has.version}, {has.tls or 'no TLS'}, HTTP/2 {'yes' if has.http2 else 'no'}"
    if not has.tls:
        yield problem("libcurl", f"{told}: no provider can be reached over https", "install a libcurl with TLS")
    elif not has.async_dns:
        yield problem("libcurl", f"{told}: a slow name server stops everything", "install a libcurl with asynchronous DNS")
    elif not has.http2:
        yield warning("libcurl", f"{told}: each stream takes a connection of its own")
    else:
        yield ok("libcurl", told)
    trouble = ca_trouble(environ)
    trusted = ssl.create_default_context().cert_store_stats()["x509_ca"]
    if trouble:
        yield problem("certificates", trouble, "unset SSL_CERT_FILE or CURL_CA_BUNDLE, or install ca-certificates")
    elif not trusted and not list(Path("/etc/ssl/certs").glob("*.pem")):
        yield warning("certificates", "no trusted certificate was found on this machine", "install ca-certificates")
    else:
        yield ok("certificates", "libcurl finds those it trusts")


def clock() -> Iterator[Finding]:
    year = time.gmtime().tm_year
    if not BUILT <= year < BUILT + 50:
        yield problem("clock", f"it is {year}, says this machine: certificates will not be valid", "set the clock")
        return
    synchronised = _synchronised()
    if synchronised is False:
        yield warning("clock", "it is not synchronised: cooldowns that a provider dates will be wrong", "timedatectl set-ntp true")
    else:
        yield ok("clock", time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime()) + (", synchronised" if synchronised else ""))


def _synchronised() -> bool | None:
    """None where nobody knows."""
    if shutil.which("timedatectl") is None:
        return None
    try:
        command = ["timedatectl", "show", "--property=NTPSynchronized", "--value"]
        said = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None
    return {"yes": True, "no": False}.get(said)


def descriptors() -> Finding:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard == resource.RLIM_INFINITY or hard >= FEW_DESCRIPTORS:
        return ok("open files", f"up to {ENOUGH if hard == resource.RLIM_INFINITY else hard} (in this shell)")
    text = f"at most {hard} (in this shell), and each stream takes two"
    return warning("open files", text, "LimitNOFILE=65536 in the unit, or ulimit -Hn")


# ---------------------------------------------------------------------------------------------------- the port


def port_of(host: str, port: int) -> Finding:
    """Whether the address is free, or who has it."""
    where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    if port == 0:
        return ok("port", "any free one")
    try:
        family, kind, proto, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except socket.gaierror as error:
        return problem("port", f"{host} is no address: {error.strerror}", "server.host")
    with socket.socket(family, kind, proto) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
            return ok("port", f"{where} is free")
        except PermissionError:
            return problem("port", f"{where} needs root", "use a port from 1024 on, or the .socket unit")
        except OSError as error:
            reason = error.strerror or ""
    owner = owner_of(port)
    if owner is None:
        return warning("port", f"{where}: {reason}; by whom cannot be seen", "run this as root, or: ss -ltnp")
    pid, command = owner
    if _is_relay(command):
        return ok("port", f"{where} is served by monorelay, process {pid}")
    if pid == 1:
        advice = "that is well if it is monorelay.socket: systemctl list-sockets"
        return warning("port", f"{where} is kept open by systemd, for a service that does not run", advice)
    return problem("port", f"{where} is in use by process {pid} ({command[:60]})", "end it, or choose another server.port")


def owner_of(port: int) -> tuple[int, str] | None:
    """Process and command line of whoever listens there, as far as this user may see: the relay, if it is among them.

    Under a .socket unit systemd, process 1, has the socket open beside it.
    """
    found = list(_owners(port))
    return next((one for one in found if _is_relay(one[1])), found[0] if found else None)


def _is_relay(command: str) -> bool:
    return any(Path(word).name == "monorelay" for word in command.split()[:3])  # python3 -m monorelay, /usr/bin/monorelay


def _owners(port: int) -> Iterator[tuple[int, str]]:
    wanted = {f"socket:[{inode}]" for inode in _listening(port)}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if wanted.intersection(_held(entry / "fd")):
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
                yield int(entry.name), command
        except OSError:
            continue  # another user's, or gone


def _held(directory: Path) -> Iterator[str]:
    for link in directory.iterdir():
        try:
            yield str(link.readlink())
        except OSError:
            continue  # closed since


def _listening(port: int) -> Iterator[str]:
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if fields[3] == TCP_LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
                yield fields[9]
