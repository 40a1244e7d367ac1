"""Messages between master and worker arrive whole, in order, however the socket cuts them."""

from __future__ import annotations

import pickle
import socket

import pytest

from monorelay.daemon.channel import LENGTH, Channel, Message


def test_messages_arrive_in_order() -> None:
    """Several messages sent at once are received at once; when there is nothing, nothing is received."""
    ours, theirs = map(Channel, socket.socketpair())
    assert theirs.receive() == []
    for number in range(3):
        ours.send(Message("config", number))
    assert [message.body for message in theirs.receive()] == [0, 1, 2]
    ours.close()
    theirs.close()


def test_message_cut_anywhere() -> None:
    """A message is received once its last byte is there, never earlier."""
    sock, other = socket.socketpair()
    channel = Channel(other)
    pickled = pickle.dumps(Message("ready", "body"))
    wire = LENGTH.pack(len(pickled)) + pickled
    for byte in wire[:-1]:
        sock.send(bytes([byte]))
        assert channel.receive() == []
    sock.send(wire[-1:])
    assert channel.receive() == [Message("ready", "body")]
    sock.close()
    channel.close()


def test_message_larger_than_the_socket_takes() -> None:
    """What does not fit waits in ``unsent``, and goes on with ``flush``; nothing blocks."""
    ours, theirs = map(Channel, socket.socketpair())
    body = b"x" * 5_000_000
    ours.send(Message("config", body))
    assert ours.unsent
    received: list[Message] = []
    while not received:
        received = theirs.receive()
        ours.flush()
    assert received == [Message("config", body)] and not ours.unsent
    ours.close()
    theirs.close()


def test_peer_that_is_gone() -> None:
    """What it said last is received first, then EOFError; sending to it is harmless."""
    ours, theirs = map(Channel, socket.socketpair())
    theirs.send(Message("ready"))
    theirs.close()
    assert ours.receive() == [Message("ready")]
    with pytest.raises(EOFError):
        ours.receive()
    ours.send(Message("drain", 1.0))
    assert not ours.unsent
    ours.close()
