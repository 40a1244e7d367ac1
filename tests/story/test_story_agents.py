"""Real agents across dialects: each asks, calls tools, gets their results, and finishes, on an upstream that speaks another tongue.

The upstream is scripted, but it looks at what it is sent: as long as the agent has not shown it what the tools brought, it calls
for them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("openai")
pytest.importorskip("anthropic")

import story_agents as agents
from story_agents import Ended
from story_process import Relay
from story_providers import SECRETS, SERVER
from story_upstream import Recorded, Recorder, Step, ok, streamed
from translation_answers import Said, call, chat_says, messages_say, text, thinking, use
from translation_stage import providers

QUESTION = "Which passwords are in the two notes? Add the numbers in them, too."
FINAL = "They are swordfish and trout; the sum is 42."
NOTES = {"one.txt": "swordfish 17\n", "two.txt": "trout 25\n"}

# What the upstream thinks and says before its first calls; the second time it calls once, and then it is done.
THOUGHT, LOOKING, ADDING = "Two files. I need both.", "Let me read them.", "Now the sum."


class Mind(Recorder):
    """An upstream that answers by what it was sent. Mutable: ``plan`` is the calls of each round, set by a test."""

    def __init__(self) -> None:
        super().__init__()
        self.plan: list[list[tuple[str, dict[str, Any], str]]] = []

    def script_for(self, request: Recorded) -> tuple[Step, ...]:
        body = request.json
        with self._news:
            self.requests.append(request)
            self._news.notify_all()
        is_chat = request.target.endswith("/chat/completions")
        if not body.get("tools"):  # Claude Code asks for a title of its session
            title = '{"title": "Passwords in notes"}'
            said = chat_says({"content": title}) if is_chat else messages_say([text(title)])
        else:
            seen = results(body)
            rounds = [number for number, calls in enumerate(self.plan) if not {use_id for _, _, use_id in calls} <= seen.keys()]
            said = self._say(is_chat, rounds[0] if rounds else None)
        if body.get("stream"):
            # Each answer has an id of its own: Claude Code takes two of the same for one.
            return streamed(*(each.replace(b"B9MBs8", b"%06d" % len(self.requests)) for each in said.events))
        return ok(said.whole)

    def _say(self, is_chat: bool, number: int | None) -> Said:
        if number is None:
            return chat_says({"content": FINAL}) if is_chat else messages_say([text(FINAL)])
        words, calls = (LOOKING, ADDING)[number], self.plan[number]
        if is_chat:
            told = [call(name, json.dumps(given), use_id) for name, given, use_id in calls]
            return chat_says({"reasoning_content": THOUGHT, "content": words, "tool_calls": told}, "tool_calls")
        return messages_say([thinking(THOUGHT), text(words), *(use(*each) for each in calls)], "tool_use")


def results(body: dict[str, Any]) -> dict[str, str]:
    """What the tools brought, by the id of their calls, in either dialect."""
    found: dict[str, str] = {}
    for message in body["messages"]:
        if message["role"] == "tool":
            found[message["tool_call_id"]] = str(message["content"])
        elif isinstance(message["content"], list):
            blocks = [block for block in message["content"] if block["type"] == "tool_result"]
            found |= {block["tool_use_id"]: json.dumps(block.get("content")) for block in blocks}
    return found


@pytest.fixture(scope="module")
def mind() -> Iterator[Mind]:
    upstream = Mind()
    yield upstream
    upstream.close()


@pytest.fixture(scope="module")
def relay(start: Callable[..., Relay], mind: Mind) -> Relay:
    agents.installed()
    return start({"server": SERVER, "providers": providers(mind.origin)}, environ=SECRETS)


@pytest.fixture
def work(tmp_path: Path, mind: Mind) -> Path:
    """A folder with two notes; the upstream has forgotten everything."""
    mind.reset()
    folder = tmp_path / "work"
    folder.mkdir()
    for name, content in NOTES.items():
        (folder / name).write_text(content)
    return folder


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


def check(mind: Mind, ended: Ended, expected_rounds: int = 3) -> list[Any]:
    """The agent said the last words, and the upstream was shown what every call brought. Returns the requests of the loop."""
    assert ended.code == 0 and FINAL in ended.said, ended
    loop = [request.json for request in mind.requests if request.json.get("tools")]
    assert len(loop) == expected_rounds, [len(json.dumps(body)) for body in loop]
    brought = results(loop[-1])
    assert sorted(brought) == [use_id for calls in mind.plan for _, _, use_id in calls]  # side by side, either may end first
    assert "swordfish" in brought["call_1"] and "trout" in brought["call_2"] and "42" in brought["call_3"], brought
    return loop


def test_claude_code_on_a_chat_upstream(relay: Relay, mind: Mind, work: Path, home: Path) -> None:
    """Two calls side by side, then one, then the end; thoughts and words in between."""
    mind.plan = [
        [("Read", {"file_path": str(work / "one.txt")}, "call_1"), ("Read", {"file_path": str(work / "two.txt")}, "call_2")],
        [("Bash", {"command": "expr 17 + 25", "description": "Adds"}, "call_3")],
    ]
    ended = agents.claude(relay.url, "up-model@chat", work, home, QUESTION)
    loop = check(mind, ended)
    first, last = loop[0]["messages"], loop[-1]["messages"]
    assert first[0]["role"] == "system" and "billing" not in first[0]["content"]
    assert any(message["role"] == "user" and QUESTION in json.dumps(message["content"]) for message in first)
    turns = [message for message in last if message["role"] == "assistant"]
    assert [[each["id"] for each in turn["tool_calls"]] for turn in turns] == [["call_1", "call_2"], ["call_3"]]
    assert [turn["content"] for turn in turns] == [LOOKING, ADDING]
    assert {"Read", "Bash"} <= {tool["function"]["name"] for tool in loop[0]["tools"]} and loop[0]["stream"] is True


def test_claude_code_reports_its_usage(relay: Relay, mind: Mind, work: Path, home: Path) -> None:
    """Its own count of tokens, which is what it compacts by, is the sum of what the upstream told."""
    mind.plan = []
    ended = agents.claude(relay.url, "up-model@chat", work, home, QUESTION, "--output-format", "json")
    assert ended.code == 0, ended
    told = json.loads(ended.said)
    assert told["result"] == FINAL and told["is_error"] is False
    assert (told["usage"]["input_tokens"], told["usage"]["cache_read_input_tokens"], told["usage"]["output_tokens"]) == (10, 30, 12)


@pytest.mark.parametrize("provider", ["chat", "claude"])
def test_codex(relay: Relay, mind: Mind, work: Path, home: Path, provider: str) -> None:
    """On a chat-only and on an Anthropic-only upstream: two calls side by side, then one, then the end."""
    mind.plan = [
        [("exec_command", {"cmd": "cat one.txt"}, "call_1"), ("exec_command", {"cmd": "cat two.txt"}, "call_2")],
        [("exec_command", {"cmd": "expr 17 + 25"}, "call_3")],
    ]
    ended = agents.codex(relay.url, f"up-model@{provider}", work, home, QUESTION)
    loop = check(mind, ended)
    turns = [message for message in loop[-1]["messages"] if message["role"] == "assistant"]
    if provider == "chat":
        assert [[each["id"] for each in turn["tool_calls"]] for turn in turns] == [["call_1", "call_2"], ["call_3"]]
        assert [turn["content"] for turn in turns] == [LOOKING, ADDING]
    else:
        kinds = [[block["type"] for block in turn["content"]] for turn in turns]
        assert kinds == [["thinking", "text", "tool_use", "tool_use"], ["thinking", "text", "tool_use"]]
        assert turns[0]["content"][0] == thinking(THOUGHT), "signed, and untouched"
    assert LOOKING in ended.told and ADDING in ended.told
