"""What a worker that is born later still has to hear."""

from __future__ import annotations

from monorelay.daemon.channel import Fact
from monorelay.daemon.noticeboard import Noticeboard


def test_facts_are_read_in_their_order_until_they_are_over() -> None:
    """A fact that ends sooner is not read sooner; one that is over, or was never to last, is not read."""
    board = Noticeboard()
    for until, body in ((60.0, b"long"), (10.0, b"short"), (0.0, b"for now"), (30.0, b"last")):
        board.put(Fact(until, body), now=5.0)
    assert board.read(now=5.0) == (b"long", b"short", b"last")
    assert board.read(now=10.0) == (b"long", b"last")
    assert board.read(now=60.0) == ()


def test_the_board_is_bounded() -> None:
    """Where there are too many, those that are over go, and then those that end soonest."""
    board = Noticeboard(most=3)
    board.put(Fact(1000.0, b"a long rest"), now=0.0)
    board.put(Fact(1.0, b"over"), now=0.0)
    for number in range(10):
        board.put(Fact(100.0 + number, str(number).encode()), now=2.0)
        assert len(board) <= 3
    assert board.read(now=2.0) == (b"a long rest", b"8", b"9")
