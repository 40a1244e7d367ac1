"""The streams of clients' connections, plain and over TLS, as Tornado reads and writes them.

A handshake that fails is the client's affair: it ends with the connection and a line for who looks for it, where Tornado warns of
each. Whoever speaks plain HTTP to a port that serves TLS is told so, in plain HTTP.
"""

from __future__ import annotations

import json
import logging
import socket
import ssl
from typing import Any

from tornado.iostream import IOStream, SSLIOStream, StreamClosedError

from monorelay.web.head_reading import LinearSearch

log = logging.getLogger("monorelay.web")

_HANDSHAKE = b"\x16"  # the first byte of a TLS connection (RFC 8446, section 5.1)
_PLAIN_TEXT = json.dumps(
    {"error": {"message": "This port serves https: use https:// in the URL.", "type": "invalid_request_error", "code": 400}}
).encode()
PLAIN_ANSWER = (
    b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: %d\r\n\r\n%b"
    % (len(_PLAIN_TEXT), _PLAIN_TEXT)
)


class PlainStream(LinearSearch, IOStream):
    """A client's connection over TCP."""


class SecureStream(LinearSearch, SSLIOStream):
    """A client's connection over TLS. Mutable: ``_seen``, once its first byte was looked at."""

    _seen = False

    def _do_ssl_handshake(self) -> None:
        """Takes the place of Tornado's, which logs a warning for whatever a stranger sends."""
        self._handshake_reading = self._handshake_writing = False
        try:
            if not self._seen and not self._begins_well():
                return
            self.socket.do_handshake()
        except (ssl.SSLWantReadError, BlockingIOError):
            self._handshake_reading = True
        except ssl.SSLWantWriteError:
            self._handshake_writing = True
        except (OSError, AttributeError, ValueError) as error:  # AttributeError: reset before it was wrapped
            reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or type(error).__name__
            log.info("a TLS handshake failed: %s", str(reason).lower().replace("_", " "))
            self.close(exc_info=error)
        else:
            self._ssl_accepting = False

    def _begins_well(self) -> bool:
        """Whether a handshake has begun; raises BlockingIOError where nothing has come. Others are answered, or not, and closed."""
        # The socket below the TLS: SSLSocket.recv knows no flags.
        first = socket.socket.recv(self.socket, 1, socket.MSG_PEEK)
        self._seen = True
        if first == _HANDSHAKE:
            return True
        if first.isalpha():  # the first letter of a method
            socket.socket.send(self.socket, PLAIN_ANSWER)
        self.close()
        return False


def stream_of(connection: socket.socket, tls: ssl.SSLContext | None, **options: Any) -> IOStream:
    """The stream of a connection that was just accepted. Raises StreamClosedError for one that is gone already."""
    if tls is None:
        return PlainStream(connection, **options)
    try:
        wrapped = tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
    except (OSError, ValueError) as error:
        connection.close()
        raise StreamClosedError(error) from error
    return SecureStream(wrapped, ssl_options=tls, **options)
