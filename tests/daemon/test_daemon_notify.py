"""Reports to systemd: the right datagrams, and nothing at all where there is no systemd."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from monorelay.daemon.notify import Notifier


@pytest.mark.parametrize("abstract", [False, True], ids=["path", "abstract"])
def test_datagrams(tmp_path: Path, abstract: bool) -> None:
    """Each state is one datagram; a status is one line, whatever it quotes."""
    name = f"@{tmp_path}" if abstract else str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind("\0" + name[1:] if abstract else name)
        sock.settimeout(5)
        notifier = Notifier({"NOTIFY_SOCKET": name})
        notifier.ready("generation 1\nREADY=0")
        notifier.reloading()
        notifier.watchdog()
        notifier.stopping()
        heard = [sock.recv(1000).decode() for _ in range(4)]
    assert heard[0] == "READY=1\nSTATUS=generation 1 READY=0"
    assert heard[1].startswith("RELOADING=1\nMONOTONIC_USEC=") and heard[1].rpartition("=")[2].isdigit()
    assert heard[2] == "WATCHDOG=1"
    assert heard[3].startswith("STOPPING=1\n")


def test_nobody_listens(tmp_path: Path) -> None:
    """No socket, or one that nobody reads, is no reason to fail."""
    for environ in ({}, {"NOTIFY_SOCKET": str(tmp_path / "gone")}):
        notifier = Notifier(environ)
        notifier.ready("x")
        assert notifier.watchdog_interval is None


@pytest.mark.parametrize(
    ("environ", "interval"),
    [
        ({"WATCHDOG_USEC": "30000000"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "x"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
    ],
)
def test_watchdog_interval(environ: dict[str, str], interval: float | None) -> None:
    """Half the limit that systemd set for this process."""
    assert Notifier({"NOTIFY_SOCKET": "/nowhere", **environ}).watchdog_interval == interval
