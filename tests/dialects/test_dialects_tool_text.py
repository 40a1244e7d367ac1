"""Tools as text: nothing of them is left in the request but words, in every dialect, and images stay images."""

from __future__ import annotations

import json
from typing import Any

import pytest

from monorelay.dialects.tool_text import without_tools

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
PASSAGE = (
    "These tools belong to this conversation, but you cannot call them here. Where one is needed, say in words which one you would"
    " call and with which arguments.\n\n"
    'Tool weather: The weather.\nIts arguments, as a JSON schema: {"type":"object","properties":{"city":{"type":"string"}}}'
)
NAMED = "You are asked to use the tool weather now: give its arguments as JSON."
ANY = "You are asked to use one of them now: say which one, and give its arguments as JSON."
CALLED = '[I called the tool weather with: {"city":"Köln"}]'
RESULT = "[Result of the tool weather]\n12 degrees"

CHAT_TOOL = {"type": "function", "function": {"name": "weather", "description": "The weather.", "parameters": SCHEMA}}
CHAT_CALL = {"id": "c", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Köln"}'}}
CHAT_IMAGE = {"type": "image_url", "image_url": {"url": "https://e"}}

MESSAGES_TOOL = {"name": "weather", "description": "The weather.", "input_schema": SCHEMA}
USE = {"type": "tool_use", "id": "c", "name": "weather", "input": {"city": "Köln"}}
IMAGE = {"type": "image", "source": {"type": "url", "url": "https://e"}}

RESPONSES_TOOL = {"type": "function", "name": "weather", "description": "The weather.", "parameters": SCHEMA}
CALL = {
    "type": "function_call",
    "id": "fc",
    "call_id": "c",
    "name": "weather",
    "arguments": '{"city":"Köln"}',
    "status": "completed",
}


def text(words: str, kind: str = "text") -> dict[str, str]:
    return {"type": kind, "text": words}


CASES: dict[str, tuple[str, dict[str, Any], dict[str, Any], tuple[str, ...]]] = {
    "chat": (
        "openai.chat",
        {
            "model": "m",
            "tools": [CHAT_TOOL],
            "tool_choice": "auto",
            "parallel_tool_calls": True,
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "Weather?"},
                {"role": "assistant", "content": "A moment.", "tool_calls": [CHAT_CALL]},
                {"role": "tool", "tool_call_id": "c", "content": "12 degrees"},
                {"role": "user", "content": "And?"},
            ],
        },
        {
            "model": "m",
            "messages": [
                {"role": "system", "content": f"Be brief.\n\n{PASSAGE}"},
                {"role": "user", "content": "Weather?"},
                {"role": "assistant", "content": f"A moment.\n\n{CALLED}"},
                {"role": "user", "content": [text(RESULT), text("And?")]},
            ],
        },
        ("tools", "messages.tool_calls", "messages.tool"),
    ),
    "chat-results-at-the-end": (
        "openai.chat",
        {
            "tools": [CHAT_TOOL, {"type": "custom", "custom": {"name": "shell", "description": "Runs."}}],
            "tool_choice": {"type": "function", "function": {"name": "weather"}},
            "messages": [
                {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": [CHAT_CALL, {"id": "d", "type": "custom", "custom": {"name": "shell", "input": "ls"}}],
                },
                {"role": "tool", "tool_call_id": "d", "content": [text("a"), CHAT_IMAGE]},
                {"role": "tool", "tool_call_id": "c", "content": "12 degrees"},
            ],
        },
        {
            "messages": [
                {
                    "role": "system",
                    "content": f"{PASSAGE}\n\nTool shell: Runs.\n\n{NAMED}",
                },
                {"role": "assistant", "content": f"{CALLED}\n\n[I called the tool shell with: ls]"},
                {"role": "user", "content": [text("[Result of the tool shell]\na"), CHAT_IMAGE, text(RESULT)]},
            ],
        },
        ("tools", "tool_choice", "messages.tool_calls", "messages.tool"),
    ),
    "chat-of-old": (
        "openai.chat",
        {
            "functions": [CHAT_TOOL["function"]],
            "function_call": "none",
            "messages": [
                {"role": "assistant", "content": "", "function_call": CHAT_CALL["function"]},
                {"role": "function", "name": "weather", "content": "12 degrees"},
            ],
        },
        {
            "messages": [
                {"role": "system", "content": PASSAGE},
                {"role": "assistant", "content": CALLED},
                {"role": "user", "content": RESULT},
            ]
        },
        ("tools", "messages.tool_calls", "messages.tool"),
    ),
    "messages": (
        "anthropic.messages",
        {
            "model": "m",
            "max_tokens": 9,
            "system": [{**text("Be brief."), "cache_control": {"type": "ephemeral"}}],
            "tools": [MESSAGES_TOOL, {"type": "web_search_20250305", "name": "web_search"}],
            "tool_choice": {"type": "any"},
            "messages": [
                {"role": "user", "content": "Weather?"},
                {"role": "system", "content": [{"type": "tool_removal", "tool": {"type": "tool_reference", "name": "x"}}]},
                {"role": "assistant", "content": [text("A moment."), USE]},
                {
                    "role": "user",
                    "content": [{"type": "tool_result", "tool_use_id": "c", "content": [text("12 degrees"), IMAGE]}, text("And?")],
                },
                {"role": "assistant", "content": [USE]},
                {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c", "content": "gone", "is_error": True}]},
            ],
        },
        {
            "model": "m",
            "max_tokens": 9,
            "system": [
                {**text("Be brief."), "cache_control": {"type": "ephemeral"}},
                text(f"{PASSAGE}\n\nTool web_search\n\n{ANY}"),
            ],
            "messages": [
                {"role": "user", "content": "Weather?"},
                {"role": "assistant", "content": [text("A moment."), text(f"\n\n{CALLED}")]},
                {"role": "user", "content": [text(RESULT), IMAGE, text("And?")]},
                {"role": "assistant", "content": [text(CALLED)]},
                {"role": "user", "content": [text("[Error of the tool weather]\ngone")]},
            ],
        },
        ("tools", "tool_choice", "messages.tool_removal", "messages.tool_use", "messages.tool_result"),
    ),
    "responses": (
        "openai.responses",
        {
            "model": "m",
            "instructions": "Be brief.",
            "tools": [
                RESPONSES_TOOL,
                {"type": "namespace", "name": "n", "tools": [{"type": "function", "name": "f"}]},
                {"type": "web_search"},
            ],
            "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "weather"}]},
            "parallel_tool_calls": True,
            "input": [
                {"role": "user", "content": "Weather?"},
                {"type": "reasoning", "id": "rs_1", "summary": []},
                CALL,
                {"type": "function_call_output", "call_id": "c", "output": "12 degrees"},
                {"type": "reasoning", "id": "rs_2", "summary": []},
                {"type": "message", "role": "assistant", "content": [text("Cold.", "output_text")]},
                {"type": "custom_tool_call", "call_id": "d", "name": "apply_patch", "input": "*** Begin"},
                {
                    "type": "custom_tool_call_output",
                    "call_id": "d",
                    "output": [text("done", "input_text"), {"type": "input_image", "image_url": "u"}],
                },
                {"type": "web_search_call", "id": "ws", "status": "completed", "action": {"type": "search", "query": "q"}},
            ],
        },
        {
            "model": "m",
            "instructions": f"Be brief.\n\n{PASSAGE}\n\nTool n__f\n\nTool web_search",
            "input": [
                {"role": "user", "content": "Weather?"},
                {"role": "assistant", "content": CALLED},
                {"role": "user", "content": RESULT},
                {"type": "reasoning", "id": "rs_2", "summary": []},
                {"type": "message", "role": "assistant", "content": [text("Cold.", "output_text")]},
                {"role": "assistant", "content": "[I called the tool apply_patch with: *** Begin]"},
                {
                    "role": "user",
                    "content": [
                        text("[Result of the tool apply_patch]\ndone", "input_text"),
                        {"type": "input_image", "image_url": "u"},
                    ],
                },
                {"role": "assistant", "content": '[I called the tool web_search with: {"action":{"type":"search","query":"q"}}]'},
            ],
        },
        (
            "tools",
            "tool_choice",
            "input.function_call",
            "input.reasoning",
            "input.function_call_output",
            "input.custom_tool_call",
            "input.custom_tool_call_output",
            "input.web_search_call",
        ),
    ),
    "responses-tools-in-the-input": (
        "openai.responses",
        {
            "input": [
                {"type": "additional_tools", "role": "developer", "tools": [RESPONSES_TOOL]},
                {"role": "user", "content": "hi"},
            ]
        },
        {"instructions": PASSAGE, "input": [{"role": "user", "content": "hi"}]},
        ("tools",),
    ),
}


@pytest.mark.parametrize("capability, body, told, lost", CASES.values(), ids=CASES.keys())
def test_cases(capability: str, body: dict[str, Any], told: dict[str, Any], lost: tuple[str, ...]) -> None:
    """The request in words, what it lost, and the client's request as it was."""
    before = json.dumps(body)
    found, named = without_tools(capability, body)
    assert found == told
    assert named == lost
    assert json.dumps(body) == before
    assert without_tools(capability, found) == (found, ())


@pytest.mark.parametrize("capability", ["openai.chat", "anthropic.messages", "openai.responses", "openai.embeddings", "acme.ocr"])
@pytest.mark.parametrize(
    "body",
    [
        {},
        {"messages": [{"role": "user", "content": "hi"}], "input": "hi", "system": "s", "temperature": 1},
        {"messages": "x", "input": 7},
        {"messages": [None, "x", {"role": "user"}, {"role": "assistant", "content": None}], "input": [None, "x", {"role": "user"}]},
    ],
)
def test_nothing_to_do(capability: str, body: dict[str, Any]) -> None:
    """A request without tools comes back equal, of whatever shape it is; as a new one."""
    found, lost = without_tools(capability, body)
    assert found == body and lost == ()
    assert found is not body


@pytest.mark.parametrize("capability", ["openai.chat", "anthropic.messages", "openai.responses"])
@pytest.mark.parametrize(
    "body",
    [
        {"tools": [None, 7, {}, {"function": 7}, {"type": "namespace", "tools": 7}], "tool_choice": 7},
        {"messages": [{"role": "tool"}, {"role": "tool", "content": 7}, {"role": "assistant", "tool_calls": 7}]},
        {"messages": [{"role": "assistant", "tool_calls": [7, {}, {"function": {"name": 7, "arguments": {}}}]}]},
        {"messages": [{"role": "user", "content": [7, {"type": 7}, {"type": "tool_use"}, {"type": "tool_result", "content": 7}]}]},
        {
            "input": [
                {"type": "function_call"},
                {"type": "function_call_output"},
                {"type": 7},
                {"type": "x_call", "output": {"a": 1}},
            ]
        },
    ],
)
def test_shapeless_tools(capability: str, body: dict[str, Any]) -> None:
    """What has no shape is told somehow, or left for the upstream to judge."""
    found, _ = without_tools(capability, body)
    json.dumps(found)
    assert "tools" not in found
