"""Settings that OpenAI's dialects share, as fields of an anthropic.messages request: stop, sampling, user.

Each takes the request that is being built, the client's body, and the losses; the reasons of these are in the pair's table.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from monorelay.dialects.loss import Losses


def put_stop(out: dict[str, Any], body: Mapping[str, Any], losses: Losses) -> None:
    """``stop``, one or several. A sequence without a visible character is refused upstream."""
    stop = body.get("stop")
    words = [stop] if isinstance(stop, str) else stop if isinstance(stop, list) else []
    kept = [word for word in words if isinstance(word, str) and word.strip()]
    if len(kept) < len(words):
        losses.add("stop")
    if kept:
        out["stop_sequences"] = kept


def put_sampling(out: dict[str, Any], body: Mapping[str, Any], losses: Losses) -> None:
    """``temperature``, which goes up to 1 here and to 2 there, and ``top_p``."""
    temperature = body.get("temperature")
    if isinstance(temperature, int | float) and temperature > 1:
        losses.add("temperature")
        temperature = 1
    if temperature is not None:
        out["temperature"] = temperature
    if body.get("top_p") is not None:
        out["top_p"] = body["top_p"]


def put_user(out: dict[str, Any], body: Mapping[str, Any], losses: Losses) -> None:
    """Whoever the client names as its user: ``safety_identifier``, ``user``, or ``metadata.user_id``."""
    told = body.get("metadata")
    metadata = told if isinstance(told, dict) else {}
    for user in (body.get("safety_identifier"), body.get("user"), metadata.get("user_id")):
        if isinstance(user, str) and user:
            out["metadata"] = {"user_id": user}
            break
    if metadata.keys() - {"user_id"}:
        losses.add("metadata")
