"""Telling systemd how the process is (sd_notify), in pure Python; without $NOTIFY_SOCKET everything here does nothing."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping


class Notifier:
    """Sends states to the socket that systemd named.

    >>> Notifier({}).ready("generation 1")
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._address = environ.get("NOTIFY_SOCKET", "")
        self.watchdog_interval = _interval(environ) if self._address else None

    def ready(self, status: str) -> None:
        self._send("READY=1", f"STATUS={status}")

    def reloading(self) -> None:
        # systemd compares the time stamp with its own when it waits for the reload; it is harmless where it does not.
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def stopping(self) -> None:
        self._send("STOPPING=1", "STATUS=waiting for requests in flight")

    def watchdog(self) -> None:
        self._send("WATCHDOG=1")

    def _send(self, *lines: str) -> None:
        if not self._address:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        payload = "\n".join(line.replace("\n", " ") for line in lines).encode()
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
                sock.setblocking(False)
                sock.sendto(payload, address)
        except OSError:
            pass  # systemd may be restarting itself; serving goes on


def _interval(environ: Mapping[str, str]) -> float | None:
    """Half the time after which systemd would take a silent process for dead; None where nobody watches this process."""
    watched = environ.get("WATCHDOG_PID")
    limit = environ.get("WATCHDOG_USEC", "")
    if not limit.isdigit() or int(limit) == 0 or (watched and watched != str(os.getpid())):
        return None
    return int(limit) / 2_000_000
