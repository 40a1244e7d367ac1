"""Chunked request bodies, where Tornado is older than 6.5.

Those versions take ``-2`` for the size of a chunk, and then read it for ever without giving the loop back: one request, even one
without a credential, would stop the worker. They take ``0x2``, ``+2`` and ``0_2`` too, about which a proxy may think otherwise.
From 6.5 on Tornado is strict by itself, and nothing is done here.
"""

from __future__ import annotations

import re
from functools import partial
from typing import Any

import tornado
from tornado.httputil import HTTPInputError, HTTPMessageDelegate

TORNADO_IS_STRICT = tornado.version_info >= (6, 5)
PIECE = 64 * 1024

_SIZE_LINE = re.compile(rb"([0-9a-fA-F]{1,16})\r\n")


def read_strictly(connection: Any) -> None:
    """``connection``, whose head has just arrived, will read the chunks of this request with the reader below."""
    if not TORNADO_IS_STRICT:
        connection._read_chunked_body = partial(read_chunks, connection)


async def read_chunks(connection: Any, delegate: HTTPMessageDelegate) -> None:
    """Gives the body to the delegate as it comes. Raises HTTPInputError, upon which Tornado answers 400 and closes."""
    stream = connection.stream
    size = -1
    while size:
        line = _SIZE_LINE.fullmatch(await stream.read_until(b"\r\n", max_bytes=64))
        if line is None:
            raise HTTPInputError("the size of a chunk is not a plain number")
        left = size = int(line[1], 16)
        while left:
            piece = await stream.read_bytes(min(left, PIECE), partial=True)
            left -= len(piece)
            if not connection._write_finished:
                waits: Any = delegate.data_received(piece)
                if waits is not None:
                    await waits
        if await stream.read_bytes(2) != b"\r\n":
            raise HTTPInputError("a chunk does not end where its size says")
