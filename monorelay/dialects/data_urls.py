"""``data:`` URLs (RFC 2397): what they hold, without decoding the bulk of it."""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

_HEAD = re.compile(r"data:([^,;]*)((?:;[^,;]*)*),", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Data:
    """``base64`` is the payload as it stood in the URL, or encoded where it did not."""

    media_type: str
    base64: str

    def text(self) -> str | None:
        """The payload as UTF-8 text; None when it is none."""
        try:
            return b64decode(self.base64).decode()
        except ValueError:
            return None


def read_data_url(url: str) -> Data | None:
    """None when this is no ``data:`` URL.

    >>> read_data_url("data:image/png;base64,iVBO")
    Data(media_type='image/png', base64='iVBO')
    """
    head = _HEAD.match(url)
    if head is None:
        return None
    payload = url[head.end() :]
    if ";base64" not in head[2].lower():
        payload = b64encode(unquote_to_bytes(payload)).decode("ascii")
    return Data(head[1].strip().lower() or "text/plain", payload)


def data_url(media_type: str, base64: str) -> str:
    return f"data:{media_type};base64,{base64}"
