"""What is bound is what was asked for, and who can reach it is known."""

from __future__ import annotations

import socket

import pytest

from monorelay.daemon.listen import ListenError, bind, handed_over, is_loopback, parse_address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:8787", ("127.0.0.1", 8787)),
        ("localhost:0", ("localhost", 0)),
        ("[::1]:80", ("::1", 80)),
        ("relay.example.com:443", ("relay.example.com", 443)),
    ],
)
def test_address(text: str, address: tuple[str, int]) -> None:
    """HOST:PORT, with brackets round an IPv6 address."""
    assert parse_address(text) == address


@pytest.mark.parametrize("text", ["", "8787", ":8787", "localhost", "localhost:", "h:http", "h:65536", "::1:80", "h:-1", "h:²"])
def test_address_refused(text: str) -> None:
    """What is not an address is refused with what was written."""
    with pytest.raises(ValueError, match="HOST:PORT|brackets"):
        parse_address(text)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.8.0.1", True),
        ("::1", True),
        ("localhost", True),
        ("LOCALHOST", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.1", False),
        ("example.com", False),
    ],
)
def test_loopback(host: str, loopback: bool) -> None:
    """Only addresses that nobody else can reach count; a name is not trusted to be one."""
    assert is_loopback(host) is loopback


def test_free_port_is_told() -> None:
    """Port 0 takes a free one, and says which."""
    listening = bind("127.0.0.1", 0)
    assert listening.port > 0 and listening.url == f"http://127.0.0.1:{listening.port}"
    assert listening.sockets[0].getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)
    socket.create_connection(("127.0.0.1", listening.port)).close()
    listening.close()


def test_every_address_of_a_name_has_one_port() -> None:
    """localhost may be two addresses; both get the same port, and 127.0.0.1 is among them."""
    listening = bind("localhost", 0)
    assert {sock.getsockname()[1] for sock in listening.sockets} == {listening.port}
    assert "127.0.0.1" in listening.hosts
    assert all(map(is_loopback, listening.hosts))
    listening.close()


def test_port_in_use() -> None:
    """A port that is taken is refused with the address and the reason."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(ListenError, match=f"cannot listen on 127.0.0.1:{port}: Address already in use"):
            bind("127.0.0.1", port)


def test_unknown_host() -> None:
    """A host that does not exist is refused with its name."""
    with pytest.raises(ListenError, match="cannot listen on no.such.host.invalid:80"):
        bind("no.such.host.invalid", 80)


@pytest.mark.parametrize(
    "environ", [{}, {"LISTEN_FDS": "1"}, {"LISTEN_FDS": "1", "LISTEN_PID": "1"}, {"LISTEN_PID": "42", "LISTEN_FDS": "x"}]
)
def test_nothing_handed_over(environ: dict[str, str]) -> None:
    """Sockets that were meant for another process, or for none, are left alone."""
    assert handed_over(environ, 42) is None
