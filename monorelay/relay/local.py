"""Calls that the relay answers itself, because no upstream does: see ``dialects/local.py``."""

from __future__ import annotations

from monorelay.dialects.local import LocalAnswer
from monorelay.relay.call import Asked, Call, Reply
from monorelay.relay.refusal import JSON
from monorelay.relay.trail import Trail


def answer_locally(call: Call, asked: Asked, local: LocalAnswer, reply: Reply, trail: Trail) -> int:
    """Returns the status."""
    ids = [("x-request-id", call.id), ("x-monorelay-request-id", call.id)]
    reply.whole(200, [JSON, local.mark, *ids, *trail.headers()], local.answer(asked.json))
    return 200
