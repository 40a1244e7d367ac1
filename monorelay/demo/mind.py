"""What the demo answers: one rule for chat, responses, messages and runs, told in the package's docstring.

Each dialect turns its request into a ``Turn`` and the ``Reply`` into its own shape. Deterministic: the same turn gets the same
reply.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from monorelay.demo import misbehaviour
from monorelay.demo.frames import words
from monorelay.demo.invent import invent

_FEW = 3  # so many tools are given on purpose; more are an agent's toolbox
_LONGEST_ECHO = 2_000  # words


@dataclass(frozen=True, slots=True)
class Tool:
    name: str
    schema: Any


@dataclass(frozen=True, slots=True)
class ToolCall:
    name: str
    arguments: Mapping[str, Any]

    @property
    def json(self) -> str:
        return json.dumps(self.arguments, ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Turn:
    """What the demo is to answer. ``results`` are (tool's name, its output) when the last word was a tool's.

    ``json_schema`` is set when the answer is to be JSON; ``{}`` allows any object. ``limit`` is in tokens, which are words here.
    """

    model: str
    text: str = ""
    images: int = 0
    results: tuple[tuple[str, str], ...] = ()
    tools: tuple[Tool, ...] = ()
    choice: Literal["auto", "none", "required"] = "auto"
    forced: str | None = None
    parallel: bool = True
    json_schema: Mapping[str, Any] | None = None
    limit: int | None = None
    stops: Sequence[str] = ()
    thinks: bool = False


@dataclass(frozen=True, slots=True)
class Reply:
    text: str = ""
    calls: tuple[ToolCall, ...] = ()
    thinking: str = ""
    ending: Literal["stop", "length", "tools", "stop_sequence"] = "stop"
    stopped_by: str | None = None
    tokens: int = field(default=0)


def tokens(*texts: str) -> int:
    """A count that is stable and about right: four characters to the token."""
    return sum(-(-len(text) // 4) for text in texts)


def answer(turn: Turn) -> Reply:
    """The reply to a turn."""
    thinking = f"The user said {len(turn.text.split())} words. I shall repeat them." if turn.thinks else ""
    calls = tuple(ToolCall(tool.name, _arguments(tool)) for tool in _called(turn))
    if calls:
        return Reply("", calls, thinking, "tools", None, tokens(thinking, *(call.name + call.json for call in calls)))
    text, stopped_by = _stopped(_say(turn), turn.stops)
    said = words(text)
    if turn.limit is not None and len(said) > turn.limit:
        text = "".join(said[: turn.limit]).rstrip()
        return Reply(text, (), thinking, "length", None, turn.limit)
    return Reply(text, (), thinking, "stop_sequence" if stopped_by else "stop", stopped_by, tokens(text, thinking))


def _called(turn: Turn) -> list[Tool]:
    """The tools to call, by the rule of the package's docstring."""
    if turn.results or turn.choice == "none" or turn.model in misbehaviour.NAMES:
        return []
    if turn.forced is not None:
        return [tool for tool in turn.tools if tool.name == turn.forced][:1]
    mentioned = [tool for tool in turn.tools if re.search(rf"(?<!\w){re.escape(tool.name)}(?!\w)", turn.text)]
    if mentioned:
        return mentioned if turn.parallel else mentioned[:1]
    if turn.choice == "required" or len(turn.tools) <= _FEW:
        return list(turn.tools[:1])
    return []


def _arguments(tool: Tool) -> dict[str, Any]:
    value = invent(tool.schema)
    return value if isinstance(value, dict) else {}


def _say(turn: Turn) -> str:
    if turn.model == misbehaviour.LONG:
        return " ".join(f"word{number}" for number in range(1, 2_001))
    if turn.json_schema is not None:
        schema = turn.json_schema or {"properties": {"you_said": {}}}
        return json.dumps(invent(schema, say=turn.text[:200] or "demo"), ensure_ascii=False)
    if turn.results:
        return " ".join(f"The tool {name} answered: {_shortened(output)}" for name, output in turn.results)
    said = f"You said: {_shortened(turn.text)}" if turn.text else "You said nothing."
    if turn.images:
        said += f" And you showed {turn.images} image{'s' * (turn.images > 1)}."
    if turn.model in misbehaviour.BREAKING_OFF:
        said += " And now, on purpose, something is going to go wrong."
    return said


def _shortened(text: str) -> str:
    said = words(text)
    return text if len(said) <= _LONGEST_ECHO else "".join(said[:_LONGEST_ECHO]) + "…"


def _stopped(text: str, stops: Sequence[str]) -> tuple[str, str | None]:
    """The text up to the first stop sequence in it, and which one that was."""
    found = [(text.find(stop), stop) for stop in stops if stop and stop in text]
    if not found:
        return text, None
    position, stop = min(found)
    return text[:position], stop
