"""What can become of an attempt. The line reads it, ``verdict.py`` judges it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from monorelay.dialects.interface import StreamError
from monorelay.errors import ErrorBody
from monorelay.upstream.interface import UpstreamFailure

Headers = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Answered:
    """The upstream's success has gone to the client, whole or (``broken``) ended by an error after the commit."""

    status: int
    broken: str = ""
    made: tuple[str, ...] = ()  # ids of objects that the answer names, to be remembered
    error: StreamError | None = None  # with which the upstream itself ended it


@dataclass(frozen=True, slots=True)
class Refused:
    """The upstream said no. ``body`` is cut at REFUSAL_HELD."""

    status: int
    headers: Headers
    body: bytes


@dataclass(frozen=True, slots=True)
class RefusedInStream:
    """A 200 that is an error, or whose stream began with one: a refusal by another way."""

    error: StreamError
    headers: Headers


@dataclass(frozen=True, slots=True)
class Broke:
    """No whole answer came, and nothing of it has reached the client."""

    failure: UpstreamFailure
    status: int | None = None


@dataclass(frozen=True, slots=True)
class Left:
    """The client went away; the exchange is closed."""


Outcome = Answered | Refused | RefusedInStream | Broke | Left

# What an answer is taken for that holds nothing because of a filter, where there is somebody else to ask.
FILTERED = StreamError(400, ErrorBody("invalid_request_error", "The answer was filtered.", "content_filter"))
STUMBLED = UpstreamFailure("body", "the relay could not take the answer")
UNTOLD = UpstreamFailure("body", "a stream was asked for, and the answer is JSON that could not be told as one")
