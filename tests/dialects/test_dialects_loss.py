"""What a translation cannot keep: named, or refused."""

from __future__ import annotations

import pytest

from monorelay.dialects.interface import Untranslatable
from monorelay.dialects.loss import Losses


def test_a_loss_is_named_once() -> None:
    losses = Losses(strict=False, reasons={})
    losses.add("seed")
    losses.add("seed")
    assert losses.names == ("seed",)


def test_where_nothing_may_be_lost_the_refusal_names_the_field_and_why() -> None:
    """Whoever said so, the route or the provider's file."""
    with pytest.raises(Untranslatable, match=r"`seed` would be lost, and nothing may be lost on this way \(strict\): it varies\."):
        Losses(strict=True, reasons={"seed": "it varies"}).add("seed")
