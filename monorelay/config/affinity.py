"""``model_routing.affinity``: a conversation stays where it was answered last. Schema, spec and one-line help."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from monorelay.config.headers import CREDENTIALS, header_name
from monorelay.config.reading import Node
from monorelay.config.scalars import flag, limit
from monorelay.config.schema import Schema, field


@dataclass(frozen=True, slots=True)
class AffinitySpec:
    """``headers``, in lower case, name the conversation; ``content`` lets its first words do so where none of them was sent."""

    enabled: bool = False
    ttl: float = 3600.0
    headers: tuple[str, ...] = ()
    content: bool = True


def session_header(value: Any) -> str:
    """A header that names a conversation, on either side of the relay."""
    name = header_name(value)
    if name in CREDENTIALS:
        raise ValueError("carries a credential, which is no conversation's name")
    return name


AFFINITY: Schema = {
    "enabled": field("boolean", "`true`: what the provider has cached is found again.", reads=flag, default="false"),
    "ttl": field(["number", "string"], "How long after its last answer.", reads=limit, default="1h", shown="duration"),
    "headers": field(
        "list",
        "The request's headers that name its conversation; the first that is there counts.",
        shown="list of headers",
        default="see config.d",
        texts=field("string", reads=session_header),
    ),
    "content": field("boolean", "Without such a header, its instructions and first turn do.", reads=flag, default="true"),
}


def read_affinity(node: Node) -> AffinitySpec:
    names = (entry.read(session_header, None) for entry in node["headers"].items())
    return AffinitySpec(
        enabled=node["enabled"].read(flag, False),
        ttl=node["ttl"].read(limit, 3600.0),
        headers=tuple(name for name in names if name is not None),
        content=node["content"].read(flag, True),
    )
