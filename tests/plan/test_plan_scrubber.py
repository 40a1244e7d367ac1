"""Taking a provider's own credentials out of what its upstream says."""

from __future__ import annotations

from monorelay.config.fields import Secret
from monorelay.plan.templates import Scrubber


def test_a_key_that_begins_like_another_hides_no_part_of_it() -> None:
    """The longest goes first, whatever the order of the keys."""
    scrubber = Scrubber({"short": Secret("sk-12345678"), "long": Secret("sk-12345678-and-more")})
    assert scrubber.clean(b"no: sk-12345678-and-more, sk-12345678.") == b"no: [key long], [key short]."
    assert "12345678" not in repr(scrubber)
