"""Requests, field by field: what becomes of it, what is lost, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from messages_to_chat_stage import begin, chat, lost, turns

from monorelay.dialects.anthropic_messages_to_openai_chat import TRANSLATOR
from monorelay.dialects.interface import Untranslatable

TOOL = {"name": "f", "input_schema": {"type": "object", "properties": {}}}
URL_IMAGE = {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}}


def user(*blocks: dict[str, Any]) -> dict[str, Any]:
    return {"role": "user", "content": list(blocks)}


def assistant(*blocks: dict[str, Any]) -> dict[str, Any]:
    return {"role": "assistant", "content": list(blocks)}


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


def use(call_id: str, name: str = "f", **given: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": call_id, "name": name, "input": given}


def result(call_id: str, content: Any = "ok", **more: Any) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": call_id, "content": content, **more}


def test_the_pair() -> None:
    """It says what it translates, and that it does."""
    assert (TRANSLATOR.client, TRANSLATOR.upstream, TRANSLATOR.native) == ("anthropic.messages", "openai.chat", False)


def test_the_model_is_the_one_that_the_relay_chose() -> None:
    """The name in the body is the client's."""
    assert chat({"model": "claude-x"})["model"] == "up-model"


@pytest.mark.parametrize(
    "field, value, quirks, told",
    [
        ("max_tokens", 7, {}, {"max_tokens": 7}),
        ("max_tokens", 7, {"max_tokens_field": "max_completion_tokens"}, {"max_completion_tokens": 7}),
        ("temperature", 0, {}, {"temperature": 0}),
        ("top_p", 0.5, {}, {"top_p": 0.5}),
        ("stop_sequences", ["\n\n", "END"], {}, {"stop": ["\n\n", "END"]}),
        ("stop_sequences", [], {}, {}),
        ("stream", True, {}, {"stream": True, "stream_options": {"include_usage": True}}),
        ("stream", True, {"include_usage": "refuse"}, {"stream": True}),
        ("stream", False, {}, {}),
        ("metadata", {"user_id": "u-1"}, {}, {"user": "u-1"}),
        ("metadata", {"user_id": None}, {}, {}),
        ("thinking", {"type": "enabled", "budget_tokens": 1024}, {}, {"reasoning_effort": "low"}),
        ("thinking", {"type": "enabled", "budget_tokens": 10000}, {}, {"reasoning_effort": "medium"}),
        ("thinking", {"type": "enabled", "budget_tokens": 31999}, {}, {"reasoning_effort": "high"}),
        ("thinking", {"type": "adaptive"}, {}, {"reasoning_effort": "high"}),
        ("thinking", {"type": "between_tools"}, {}, {"reasoning_effort": "high"}),
        ("thinking", {"type": "disabled"}, {}, {}),
        ("thinking", {"type": "disabled"}, {"reasoning": "thinking"}, {"thinking": {"type": "disabled"}}),
        ("thinking", {"type": "adaptive"}, {"reasoning": "thinking"}, {"thinking": {"type": "enabled"}}),
        ("thinking", {"type": "disabled"}, {"reasoning": "none"}, {}),
        ("output_config", {"effort": "max"}, {}, {"reasoning_effort": "max"}),
        ("output_config", {}, {}, {}),
        ("output_config", None, {}, {}),
        ("service_tier", "standard_only", {}, {}),
        ("container", None, {}, {}),
        ("mcp_servers", [], {}, {}),
        ("system", "", {}, {}),
        ("tools", [], {}, {}),
        ("tool_choice", {"type": "auto"}, {}, {}),
    ],
)
def test_fields(field: str, value: Any, quirks: dict[str, Any], told: dict[str, Any]) -> None:
    """A field of its own becomes these, and nothing is lost."""
    plain = chat({"max_tokens": None})
    found = chat({"max_tokens": None, field: value}, **quirks)
    assert {name: each for name, each in found.items() if name not in plain} == told
    assert lost({field: value}, **quirks) == ()


@pytest.mark.parametrize(
    "body, quirks, names",
    [
        ({"top_k": 5}, {}, ("top_k",)),
        ({"stop_sequences": list("abcde")}, {}, ("stop_sequences",)),
        ({"inference_geo": "eu"}, {}, ("inference_geo",)),
        ({"something_new": {"x": 1}}, {}, ("something_new",)),
        ({"output_config": {"task_budget": {"type": "tokens", "total": 9}}}, {}, ("output_config.task_budget",)),
        ({"thinking": {"type": "adaptive"}}, {"reasoning": "none"}, ("thinking",)),
        ({"output_config": {"effort": "low"}}, {"reasoning": "none"}, ("output_config.effort",)),
        ({"output_config": {"effort": "low"}}, {"reasoning": "thinking"}, ("output_config.effort",)),
        ({"temperature": 1, "top_p": 1}, {"drop": ("temperature", "seed")}, ("temperature",)),
        ({"metadata": {"user_id": "u"}}, {"drop": ("user",)}, ()),
        ({"tools": [{"type": "bash_20250124", "name": "bash"}, TOOL]}, {}, ("tools.bash_20250124",)),
        ({"tools": [{"type": "mcp_toolset", "mcp_server_name": "x"}]}, {}, ("tools.mcp_toolset",)),
        ({"tools": [{"type": "évil\r\nheader", "name": "x"}]}, {}, ("tools.unknown",)),
        ({"tools": [TOOL], "tool_choice": {"type": "tool", "name": "g"}}, {}, ("tool_choice",)),
        ({"tool_choice": {"type": "any"}}, {}, ("tool_choice",)),
        ({"messages": [user({"type": "container_upload", "file_id": "f"}, text("x"))]}, {}, ("messages.container_upload",)),
    ],
)
def test_losses(body: dict[str, Any], quirks: dict[str, Any], names: tuple[str, ...]) -> None:
    """What has no counterpart is left out and named; a strict route refuses it by the same name."""
    assert lost(body, **quirks) == names
    if names:
        with pytest.raises(Untranslatable, match="strict") as refused:
            begin(body, strict=True, **quirks)
        assert refused.value.field == names[0]
    else:
        begin(body, strict=True, **quirks)


def test_a_strict_route_takes_what_an_agent_sends() -> None:
    """Hints that change no answer are no loss: cache marks, edits of the context, thinking of earlier turns."""
    marked = {**text("hi"), "cache_control": {"type": "ephemeral"}}
    turn = assistant(
        {"type": "thinking", "thinking": "t", "signature": "s"}, {"type": "redacted_thinking", "data": "d"}, text("ok")
    )
    body = {
        "system": [marked],
        "messages": [user(marked), turn, user(text("on"))],
        "tools": [{**TOOL, "cache_control": {"type": "ephemeral"}, "defer_loading": True, "eager_input_streaming": True}],
        "thinking": {"type": "adaptive", "display": "omitted"},
        "context_management": {"edits": []},
        "container": "c",
        "cache_control": {"type": "ephemeral"},
        "betas": ["x"],
    }
    assert begin(body, strict=True).lost == ()


@pytest.mark.parametrize(
    "body, field",
    [
        ({"mcp_servers": [{"type": "url", "url": "https://m", "name": "m"}]}, "mcp_servers"),
        ({"thread": {"type": "continue", "id": "t"}}, "thread"),
        ({"compaction": {"type": "summarize"}}, "compaction"),
        ({"messages": "hi"}, "messages"),
        ({"messages": ["hi"]}, "messages"),
        ({"messages": None}, "messages"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages.0.role"),
        ({"messages": [{"role": "user", "content": 7}]}, "messages.0.content"),
        ({"messages": [user({"type": "text"})]}, "messages.0.content"),
        ({"messages": [user({"type": "image"})]}, "messages.0.content.source"),
        ({"messages": [user({"type": "document", "source": {"type": "url", "url": "https://d"}})]}, "messages.0.content.source"),
        ({"messages": [assistant({"type": "tool_use", "name": "f", "input": {}})]}, "messages.0.content"),
        ({"tools": [{"input_schema": {}}]}, "tools"),
        ({"tools": {"name": "f"}}, "tools"),
        ({"tools": [TOOL], "tool_choice": {"type": "maybe"}}, "tool_choice"),
        ({"tools": [TOOL], "tool_choice": "auto"}, "tool_choice"),
        ({"output_config": {"effort": "huge"}}, "output_config.effort"),
        ({"output_config": {"format": {"type": "grammar"}}}, "output_config.format"),
    ],
)
def test_untranslatable(body: dict[str, Any], field: str) -> None:
    """What cannot be said is refused with the field that is in the way, in a sentence."""
    with pytest.raises(Untranslatable) as refused:
        begin(body)
    assert refused.value.field == field
    assert len(str(refused.value)) > 20


def test_nesting_is_no_fault_of_ours() -> None:
    """A request nested more deeply than anything real is refused, not a crash."""
    schema: dict[str, Any] = {"type": "object", "properties": {}}
    for _ in range(3000):
        schema = {"type": "object", "properties": {"x": schema}}
    with pytest.raises(Untranslatable, match="nested"):
        begin({"tools": [{"name": "f", "input_schema": schema, "strict": True}]})


@pytest.mark.parametrize("role", ["system", "developer", "user"])
def test_the_system_role_is_the_providers(role: str) -> None:
    """Instructions keep their place, at the top and in the middle."""
    messages = [{"role": "user", "content": "a"}, {"role": "system", "content": "b"}]
    found = chat({"system": [text("x-anthropic-billing-header: v"), text("A"), text("B")], "messages": messages}, system_role=role)
    assert found["messages"] == [
        {"role": role, "content": "A\n\nB"},
        {"role": "user", "content": "a"},
        {"role": role, "content": "b"},
    ]


def test_text_is_text() -> None:
    """Text alone is a string, which every server takes; with an image it is parts, in order; an empty block is none."""
    assert turns(user(text("a"), text(""), text("b"))) == [{"role": "user", "content": "a\n\nb"}]
    parts = turns(user(text("a"), URL_IMAGE, text("b")))[0]["content"]
    assert [part["type"] for part in parts] == ["text", "image_url", "text"]


def test_results_follow_their_calls() -> None:
    """Tool messages stand right behind the turn that called, in whatever order and message the results came."""
    calling = assistant(use("c1"), use("c2"))
    found = turns(
        user(text("q")), calling, user(text("wait"), result("c2")), {"role": "system", "content": "s"}, user(result("c1"))
    )
    assert [(each["role"], each.get("tool_call_id")) for each in found] == [
        ("user", None),
        ("assistant", None),
        ("tool", "c2"),
        ("tool", "c1"),
        ("user", None),
        ("system", None),
    ]


@pytest.mark.parametrize(
    "block, told",
    [
        (result("c", "ok"), "ok"),
        (result("c", None), ""),
        (result("c", []), ""),
        (result("c", [text("a"), text("b")]), "a\n\nb"),
        (result("c", "boom", is_error=True), "Error: boom"),
        (result("c", "", is_error=True), "Error"),
        (result("c", [{"type": "tool_reference", "tool_name": "t"}]), "The tool t is available."),
        (result("c", [{"type": "browser_state", "tabs": []}]), '{"tabs": [], "state_changes": null}'),
    ],
)
def test_results(block: dict[str, Any], told: str) -> None:
    """A result is text."""
    assert turns(assistant(use("c")), user(block))[1:] == [{"role": "tool", "tool_call_id": "c", "content": told}]


def test_an_image_in_a_result_is_shown_by_the_user() -> None:
    """A tool message holds none; the model is told where to look, and whose image it is."""
    found = turns(assistant(use("c")), user(result("c", [URL_IMAGE]), text("and?")))
    assert found[1]["content"] == "The result follows in the next message."
    assert [part.get("text") or part["type"] for part in found[2]["content"]] == [
        "From the result of the tool call c:",
        "image_url",
        "and?",
    ]


def test_turns_of_the_assistant_in_a_row_are_one() -> None:
    """As Anthropic reads them: else the calls of the first would go unanswered."""
    found = turns(assistant(text("a"), use("c1")), assistant(text("b"), use("c2")), user(result("c1"), result("c2")))
    assert [each["role"] for each in found] == ["assistant", "tool", "tool"]
    assert found[0]["content"] == "a\n\nb"
    assert [call["id"] for call in found[0]["tool_calls"]] == ["c1", "c2"]


def test_a_turn_without_words_is_left_out() -> None:
    """Thinking alone says nothing to an upstream that does not want it."""
    assert turns(assistant({"type": "thinking", "thinking": "t", "signature": ""}), user(text("x"))) == [
        {"role": "user", "content": "x"}
    ]


def test_cited_text_is_one_text() -> None:
    """Blocks in a row are a text that citations have cut up; what another block parted stays apart."""
    found = turns(assistant(text("It rains "), {**text("in Rome"), "citations": []}, text("."), use("c"), text("Wait.")))
    assert found[0]["content"] == "It rains in Rome.\n\nWait."


def test_arguments_and_ids_come_back_as_they_were() -> None:
    """Unicode, floats and large numbers of an input survive; an id that was made for this dialect is turned back."""
    given = {"text": 'ü\u2028"\\', "float": 1.0, "large": 2**70, "deep": [{"a": None}]}
    found = turns(assistant(use("b64-Zjow", **given)), user(result("b64-Zjow")))
    assert json.loads(found[0]["tool_calls"][0]["function"]["arguments"]) == given
    assert found[0]["tool_calls"][0]["id"] == found[1]["tool_call_id"] == "f:0"


def test_schemas_name_their_properties() -> None:
    """OpenAI refuses an object schema without them; what a schema says besides stays, but for its own dialect's name."""
    tools = [
        {"name": "a"},
        {"name": "b", "input_schema": {"type": "object"}},
        {"name": "c", "input_schema": {"$schema": "s", "$defs": {}}},
    ]
    found = [tool["function"]["parameters"] for tool in chat({"tools": tools})["tools"]]
    assert found == [{"type": "object", "properties": {}}] * 2 + [{"type": "object", "properties": {}, "$defs": {}}]


@pytest.mark.parametrize(
    "choice, told",
    [
        ({"type": "auto"}, {"tool_choice": "auto"}),
        ({"type": "any"}, {"tool_choice": "required"}),
        ({"type": "none"}, {"tool_choice": "none"}),
        ({"type": "tool", "name": "f"}, {"tool_choice": {"type": "function", "function": {"name": "f"}}}),
        ({"type": "auto", "disable_parallel_tool_use": True}, {"tool_choice": "auto", "parallel_tool_calls": False}),
        ({"type": "auto", "disable_parallel_tool_use": False}, {"tool_choice": "auto"}),
    ],
)
def test_tool_choice(choice: dict[str, Any], told: dict[str, Any]) -> None:
    """Every form of it."""
    plain = chat({"tools": [TOOL]})
    found = chat({"tools": [TOOL], "tool_choice": choice})
    assert {name: each for name, each in found.items() if name not in plain} == told


def test_reasoning_goes_back_to_those_who_want_it() -> None:
    """With echo_reasoning every turn with calls has the field, even where nothing was thought; without it none has."""
    thinking = {"type": "thinking", "thinking": "hm", "signature": "s"}
    messages = [assistant(thinking, use("a")), user(result("a")), assistant(use("b")), user(result("b")), assistant(text("x"))]
    found = [each.get("reasoning_content") for each in turns(*messages, echo_reasoning=True) if each["role"] == "assistant"]
    assert found == ["hm", "", None]
    assert not [each for each in turns(*messages) if "reasoning_content" in each]


def test_output_format_in_its_first_spelling() -> None:
    """Structured output was a field of its own once."""
    schema = {"type": "object", "properties": {}, "required": [], "additionalProperties": False}
    found = chat({"output_format": {"type": "json_schema", "schema": schema}})
    assert found["response_format"] == {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": True}}
