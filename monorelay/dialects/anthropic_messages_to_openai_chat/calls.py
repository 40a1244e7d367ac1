"""Calls of tools, both ways: tool_use blocks and tool_calls.

Ids pass unchanged. An upstream's id that Anthropic's dialect would not take (``functions.weather:0``), or that has more to carry
(``carrying_ids.py``), is written so that it can be read back.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from monorelay.dialects.anthropic_messages_to_openai_chat.parts import Block, text_field
from monorelay.dialects.call_ids import plain_id
from monorelay.dialects.carrying_ids import carrying_id, read_carrying_id
from monorelay.dialects.tool_input import read_arguments
from monorelay.dialects.tool_names import ToolNames


def call_of(block: Block, field: str, names: ToolNames) -> dict[str, Any]:
    """The tool call that this tool_use block tells of. Raises Untranslatable."""
    call_id, carried = read_carrying_id(text_field(block, "id", field))
    arguments = json.dumps(read_arguments(block.get("input")), ensure_ascii=False, separators=(",", ":"))
    call: dict[str, Any] = {
        "id": call_id,
        "type": "function",
        "function": {"name": names.told(text_field(block, "name", field)), "arguments": arguments},
    }
    if carried is not None:
        call["extra_content"] = carried
    return call


def tool_call_id(use_id: str) -> str:
    """The upstream's id of the call that a client names."""
    return read_carrying_id(use_id)[0]


def use_id(call_id: str, call: Mapping[str, Any]) -> str:
    """The id that the client is given for a call of the upstream's."""
    extra = call.get("extra_content")
    return carrying_id(call_id, extra) if extra else plain_id(call_id)
