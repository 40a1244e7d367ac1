"""The table of libcurl's errors."""

from __future__ import annotations

from typing import get_args

import pytest

from monorelay.upstream.curl_faults import TABLE, explain
from monorelay.upstream.interface import Phase


@pytest.mark.parametrize("number", sorted(TABLE))
def test_every_row_is_a_sentence(number: int) -> None:
    """A phase of the interface, or the one where the exchange stood; a capital letter, one full stop at the end."""
    failure = explain(number, "", "idle")
    assert failure.phase == (TABLE[number].phase or "idle") and failure.phase in get_args(Phase)
    assert failure.reason[0].isupper() and failure.reason.endswith(".") and not failure.reason.endswith("..")


def test_libcurls_text_is_quoted_only_where_it_is_harmless() -> None:
    """A proxy's password, which libcurl quotes in some errors, never gets into a reason; a host name does."""
    assert "secret" not in explain(5, "Unsupported proxy syntax in 'user:secret@proxy'", "connect").reason
    assert "no-such.example" in explain(6, "Could not resolve host: no-such.example", "connect").reason
    assert len(explain(60, "x" * 10_000, "connect").reason) < 300


def test_an_error_that_the_table_does_not_know() -> None:
    """New numbers of newer versions are told by number, at the phase where the exchange stood."""
    failure = explain(999, "secret", "body")
    assert (failure.phase, failure.reason) == ("body", "libcurl gave up (error 999).")
