"""openai.chat → anthropic.messages, field by field: rules that are easier read in a table than in whole cases."""

from __future__ import annotations

import json
from typing import Any

import pytest
from chat_to_messages_stage import CLOCK, USER, WEATHER, begin, calls, lost, result, turns, upstream

from monorelay.dialects.interface import Untranslatable

PNG = "data:image/png;base64,iVBO"
OBJECT = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}


@pytest.mark.parametrize(
    ("body", "field", "value"),
    [
        ({}, "max_tokens", 4096),
        ({"max_tokens": 7}, "max_tokens", 7),
        ({"max_tokens": 7, "max_completion_tokens": 9}, "max_tokens", 9),
        ({"temperature": 0}, "temperature", 0),
        ({"temperature": 2}, "temperature", 1),
        ({"top_p": 0.5}, "top_p", 0.5),
        ({"top_k": 40}, "top_k", 40),
        ({"stop": "a"}, "stop_sequences", ["a"]),
        ({"stop": ["a", "b", "c", "d", "e"]}, "stop_sequences", ["a", "b", "c", "d", "e"]),
        ({"stop": ["\n"]}, "stop_sequences", None),
        ({"stop": None}, "stop_sequences", None),
        ({"stream": True}, "stream", True),
        ({"stream": False}, "stream", None),
        ({"user": "u"}, "metadata", {"user_id": "u"}),
        ({"user": "u", "safety_identifier": "s"}, "metadata", {"user_id": "s"}),
        ({"metadata": {"user_id": "m"}}, "metadata", {"user_id": "m"}),
        ({"service_tier": "auto"}, "service_tier", "auto"),
        ({"service_tier": "default"}, "service_tier", "standard_only"),
        ({"service_tier": "flex"}, "service_tier", None),
        ({"n": 1}, "n", None),
        ({"tools": [CLOCK], "tool_choice": "auto"}, "tool_choice", {"type": "auto"}),
        ({"tools": [CLOCK], "tool_choice": "none"}, "tool_choice", {"type": "none"}),
        ({"tools": [CLOCK], "tool_choice": "required"}, "tool_choice", {"type": "any"}),
        (
            {"tools": [CLOCK], "tool_choice": {"type": "function", "function": {"name": "clock"}}},
            "tool_choice",
            {"type": "tool", "name": "clock"},
        ),
        ({"tools": [CLOCK], "parallel_tool_calls": False}, "tool_choice", {"type": "auto", "disable_parallel_tool_use": True}),
        ({"tools": [CLOCK], "parallel_tool_calls": True}, "tool_choice", None),
        ({"parallel_tool_calls": False}, "tool_choice", None),
        ({"tools": []}, "tools", None),
        ({"reasoning_effort": "none"}, "thinking", {"type": "disabled"}),
        ({"reasoning_effort": "low"}, "thinking", {"type": "enabled", "budget_tokens": 2048}),
        ({"reasoning_effort": "high", "max_tokens": 4000}, "thinking", {"type": "enabled", "budget_tokens": 3200}),
        ({"reasoning_effort": "low", "max_tokens": 1024}, "thinking", None),
        ({"response_format": {"type": "text"}}, "output_config", None),
        ({"cache_control": {"type": "ephemeral"}}, "cache_control", {"type": "ephemeral"}),
        ({"thinking": {"type": "adaptive"}}, "thinking", {"type": "adaptive"}),
    ],
)
def test_fields(body: dict[str, Any], field: str, value: Any) -> None:
    """Each field of OpenAI's becomes this one of Anthropic's, or none."""
    assert upstream(body).get(field) == value


def test_a_budget_for_thinking_never_costs_the_answer() -> None:
    """Where the client set no limit, the budget comes on top of the default; where it did, a fifth is left to answer with."""
    for effort in ("minimal", "low", "medium", "high", "xhigh", "max"):
        free = upstream({"reasoning_effort": effort})
        assert free["max_tokens"] == 4096 + free["thinking"]["budget_tokens"] <= 32_000
        tight = upstream({"reasoning_effort": effort, "max_tokens": 1500})
        assert 1024 <= tight["thinking"]["budget_tokens"] < 1500


@pytest.mark.parametrize(
    ("body", "names"),
    [
        ({"seed": 1}, ("seed",)),
        ({"seed": None, "logprobs": False, "presence_penalty": 0, "logit_bias": {}, "modalities": ["text"]}, ()),
        ({"n": 1, "stream_options": {"include_usage": True}, "prompt_cache_key": "k", "service_tier": "flex", "user": "u"}, ()),
        ({"modalities": ["text", "audio"], "audio": {"voice": "v"}}, ("modalities", "audio")),
        ({"metadata": {"team": "t"}}, ("metadata",)),
        ({"temperature": 1.5}, ("temperature",)),
        ({"temperature": 0.5, "reasoning_effort": "low"}, ("temperature",)),
        ({"temperature": 1, "top_p": 0.99, "reasoning_effort": "low"}, ()),
        ({"reasoning_effort": "low", "max_tokens": 500}, ("reasoning_effort",)),
        ({"response_format": {"type": "json_object"}}, ("response_format",)),
        ({"a_field_of_tomorrow": 1}, ("a_field_of_tomorrow",)),
        ({"messages": [{"role": "user", "name": "Ann", "content": "x"}]}, ("messages.name",)),
        ({"messages": [USER, {"role": "assistant", "content": "x", "reasoning_content": "hm"}]}, ("messages.reasoning_content",)),
    ],
)
def test_losses(body: dict[str, Any], names: tuple[str, ...]) -> None:
    """What has no counterpart is named, unless it says nothing or only hints at how to serve the same answer."""
    assert lost(body) == names
    if names:
        with pytest.raises(Untranslatable) as refused:
            begin(body, strict=True)
        assert refused.value.field == names[0]
        assert names[0] in str(refused.value)
    else:
        begin(body, strict=True)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"n": 2}, "n"),
        ({"messages": None}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": ["x"]}, "messages"),
        ({"messages": [{"role": "user", "content": ""}]}, "messages"),
        ({"messages": [{"role": "narrator", "content": "x"}]}, "messages.role"),
        (
            {"messages": [{"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}]}]},
            "messages.content.input_audio",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "ftp://x/a.png"}}]}]},
            "messages.content.image_url",
        ),
        (
            {
                "messages": [
                    {"role": "user", "content": [{"type": "file", "file": {"file_data": "data:application/zip;base64,UEs="}}]}
                ]
            },
            "messages.content.file",
        ),
        ({"messages": [{"role": "user", "content": [{"type": "file", "file": {}}]}]}, "messages.content.file"),
        ({"tools": "all"}, "tools"),
        ({"tools": [{"type": "function"}]}, "tools"),
        ({"tools": [CLOCK], "tool_choice": "sometimes"}, "tool_choice"),
        ({"messages": [USER, {"role": "assistant", "tool_calls": [{"id": "c"}]}]}, "messages.tool_calls"),
    ],
)
def test_what_cannot_be_said_names_its_field(body: dict[str, Any], field: str) -> None:
    """A request that cannot be expressed is refused with the field in the way, and a sentence."""
    with pytest.raises(Untranslatable) as refused:
        begin(body)
    assert refused.value.field == field
    assert str(refused.value).endswith(".")


@pytest.mark.parametrize(
    ("quirks", "body", "field", "value"),
    [
        ({"max_tokens": 99}, {}, "max_tokens", 99),
        ({"drop": ("temperature",)}, {"temperature": 0.1}, "temperature", None),
        ({"thinking": "adaptive"}, {"reasoning_effort": "xhigh"}, "output_config", {"effort": "xhigh"}),
        ({"thinking": "adaptive"}, {"reasoning_effort": "low"}, "max_tokens", 4096 + 2048),
        ({"thinking": "none"}, {"reasoning_effort": "low"}, "thinking", None),
        ({"thinking": "none"}, {"reasoning_effort": "none"}, "thinking", None),
    ],
)
def test_quirks(quirks: dict[str, Any], body: dict[str, Any], field: str, value: Any) -> None:
    """What a provider file says of its provider is obeyed."""
    assert upstream(body, **quirks).get(field) == value


def test_adaptive_thinking_keeps_a_format() -> None:
    """Effort and format stand side by side."""
    form = {"type": "json_schema", "json_schema": {"name": "n", "schema": OBJECT}}
    found = upstream({"reasoning_effort": "low", "response_format": form}, thinking="adaptive")
    assert found["output_config"] == {"effort": "low", "format": {"type": "json_schema", "schema": OBJECT}}


class TestTurns:
    def test_tool_results_come_first(self) -> None:
        """Whatever stood between a call and its result, the result opens the user's turn."""
        found = turns(USER, calls("a", "b"), {"role": "user", "content": "wait"}, result("b"), result("a"))
        assert [(each["type"], each.get("tool_use_id")) for each in found[2]["content"]] == [
            ("tool_result", "b"),
            ("tool_result", "a"),
            ("text", None),
        ]

    def test_neighbours_are_merged(self) -> None:
        """Turns alternate, and nothing said is missing."""
        found = turns(USER, USER, {"role": "assistant", "content": "a"}, {"role": "assistant", "content": "b"}, USER)
        assert [turn["role"] for turn in found] == ["user", "assistant", "user"]
        assert found[1]["content"] == [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]

    def test_empty_text_is_never_sent(self) -> None:
        """The upstream refuses text without a visible character, wherever it stands."""
        empty = [{"type": "text", "text": ""}, {"type": "text", "text": " \n"}, {"type": "text", "text": "x"}]
        found = turns({"role": "user", "content": empty}, {"role": "assistant", "content": ""}, {"role": "user", "content": " "})
        assert found == [{"role": "user", "content": "x"}]
        found = turns(USER, calls("a"), result("a", [{"type": "text", "text": ""}]), result("a", ""))
        assert found[2]["content"] == [{"type": "tool_result", "tool_use_id": "a"}, {"type": "tool_result", "tool_use_id": "a"}]

    def test_calls_without_a_body(self) -> None:
        """Content may be missing beside calls; arguments may be empty."""
        call = {"id": "a", "type": "function", "function": {"name": "clock", "arguments": ""}}
        found = turns(USER, {"role": "assistant", "tool_calls": [call]}, result("a"))
        assert found[1]["content"] == [{"type": "tool_use", "id": "a", "name": "clock", "input": {}}]

    def test_ids_are_fit_and_unique(self) -> None:
        """An id that the upstream would refuse is the same in call and result; one used again is numbered in both."""
        found = turns(USER, calls("f.x:0"), result("f.x:0"), calls("f.x:0"), result("f.x:0"))
        first, second = found[1]["content"][0]["id"], found[3]["content"][0]["id"]
        assert first != second
        assert [found[2]["content"][0]["tool_use_id"], found[4]["content"][0]["tool_use_id"]] == [first, second]
        assert all(character.isalnum() or character in "_-" for character in first + second)

    def test_an_opening_assistant_gets_a_user(self) -> None:
        """The upstream wants the user to begin."""
        assert [turn["role"] for turn in turns({"role": "assistant", "content": "Welcome"}, USER)] == ["user", "assistant", "user"]

    def test_a_prefilled_answer_does_not_end_in_space(self) -> None:
        """The upstream refuses a last assistant turn that does."""
        assert turns(USER, {"role": "assistant", "content": "So: "})[-1] == {"role": "assistant", "content": "So:"}

    def test_marks_of_the_cache_stay(self) -> None:
        """On parts, messages, tools and system, in either family's spelling."""
        mark = {"type": "ephemeral"}
        part = {"type": "text", "text": "x", "cache_control": mark}
        body = {
            "messages": [
                {"role": "system", "content": [part]},
                {"role": "user", "content": "y", "cache_control": mark},
                {**calls("a"), "cache_control": mark},
                {**result("a"), "cache_control": mark},
                {
                    "role": "user",
                    "content": [{"type": "text", "text": "z", "prompt_cache_breakpoint": {"mode": "explicit", "ttl": "30m"}}],
                },
            ],
            "tools": [{**CLOCK, "cache_control": mark}],
        }
        found = upstream(body)
        assert found["system"] == [part]
        assert found["tools"][0]["cache_control"] == mark
        marks = [each.get("cache_control") for turn in found["messages"] for each in turn["content"]]
        assert marks == [mark, mark, mark, {"type": "ephemeral", "ttl": "1h"}]

    def test_thinking_comes_back_first_and_untouched(self) -> None:
        """Signed blocks go up as they came, without what a stream's accumulation added; unsigned ones do not."""
        blocks = [
            {"index": 0, "type": "thinking", "thinking": "a", "signature": "S+/="},
            {"index": 1, "type": "thinking", "signature": "T"},
            {"index": 2, "type": "redacted_thinking", "data": "D"},
            {"index": 3, "type": "thinking", "thinking": "unsigned"},
        ]
        found = turns(USER, {"role": "assistant", "content": "b", "reasoning_content": "a", "thinking_blocks": blocks}, USER)
        assert found[1]["content"] == [
            {"type": "thinking", "thinking": "a", "signature": "S+/="},
            {"type": "thinking", "thinking": "", "signature": "T"},
            {"type": "redacted_thinking", "data": "D"},
            {"type": "text", "text": "b"},
        ]

    def test_a_budget_waits_for_the_end_of_unsigned_calls(self) -> None:
        """Amid calls whose thinking is missing a budget is refused upstream; with it, or after the answer, it is not."""
        thought = [{"type": "thinking", "thinking": "a", "signature": "S"}]
        amid = [USER, calls("a"), result("a")]
        assert "thinking" not in upstream({"messages": amid, "tools": [CLOCK], "reasoning_effort": "low"})
        adaptive = upstream({"messages": amid, "tools": [CLOCK], "reasoning_effort": "low"}, thinking="adaptive")
        assert adaptive["thinking"] == {"type": "adaptive"}
        signed = [USER, calls("a", thinking_blocks=thought), result("a")]
        assert "thinking" in upstream({"messages": signed, "tools": [CLOCK], "reasoning_effort": "low"})
        later = [*amid, {"role": "assistant", "content": "noon"}, USER]
        assert "thinking" in upstream({"messages": later, "tools": [CLOCK], "reasoning_effort": "low"})


class TestTools:
    def test_every_tool_has_an_object_schema(self) -> None:
        """The upstream demands one, OpenAI's clients may leave it out."""
        for parameters in (None, {}, {"properties": {}}, {"type": "object"}):
            function = {"name": "f", **({} if parameters is None else {"parameters": parameters})}
            assert upstream({"tools": [{"type": "function", "function": function}]})["tools"][0]["input_schema"]["type"] == "object"

    def test_a_forced_tool_beats_nothing_but_thinking(self) -> None:
        """The upstream refuses both at once, so the choice falls, and is reported."""
        body = {"tools": [CLOCK, WEATHER], "tool_choice": "required", "parallel_tool_calls": False, "reasoning_effort": "low"}
        assert upstream(body)["tool_choice"] == {"type": "auto", "disable_parallel_tool_use": True}
        assert lost(body) == ("tool_choice",)

    def test_strict_needs_a_closed_schema(self) -> None:
        """A tool is strict upstream where its schema can be held to, and where the provider offers it."""
        tool = {"type": "function", "function": {"name": "f", "strict": True, "parameters": OBJECT}}
        assert upstream({"tools": [tool]})["tools"][0] == {"name": "f", "strict": True, "input_schema": OBJECT}
        assert "strict" not in upstream({"tools": [tool]}, json_schema=False)["tools"][0]
        assert lost({"tools": [tool]}, json_schema=False) == ("tools.function.strict",)

    def test_the_upstreams_own_tools_pass(self) -> None:
        """What a client says in the upstream's own words stays as it is."""
        own = {"type": "web_search_20250305", "name": "web_search", "max_uses": 2}
        assert upstream({"tools": [own, CLOCK]})["tools"][0] == own

    def test_the_answers_tool_finds_a_free_name(self) -> None:
        """A client's tool of the same name stays its own."""
        form = {"type": "json_schema", "json_schema": {"name": "clock", "schema": OBJECT}}
        found = upstream({"tools": [CLOCK], "response_format": form}, json_schema=False)
        assert [tool["name"] for tool in found["tools"]] == ["clock", "clock_"]
        assert found["tool_choice"] == {"type": "any"}
        named = {"type": "function", "function": {"name": "clock"}}
        found = upstream({"tools": [CLOCK], "tool_choice": named, "response_format": form}, json_schema=False)
        assert found["tool_choice"] == {"type": "tool", "name": "clock"}


def test_instructions_keep_their_order() -> None:
    """All that come first are the system; one for a JSON answer stands at their end."""
    body = {
        "messages": [{"role": "system", "content": "A"}, {"role": "developer", "content": [{"type": "text", "text": "B"}]}, USER],
        "response_format": {"type": "json_object"},
    }
    system = upstream(body)["system"]
    assert [each["text"] for each in system[:2]] == ["A", "B"]
    assert "JSON object" in system[2]["text"]


def test_a_list_is_asked_for_in_words() -> None:
    """A schema that is no object has no tool; the words hold it."""
    form = {"type": "json_schema", "json_schema": {"name": "l", "schema": {"type": "array", "items": {"type": "string"}}}}
    body = {"response_format": form}
    assert upstream(body)["output_config"]["format"]["schema"]["type"] == "array"
    words = upstream(body, json_schema=False)["system"][-1]["text"]
    assert '{"type":"array","items":{"type":"string"}}' in words


def test_a_deep_request_is_refused_not_crashed() -> None:
    """Arguments nested beyond reason cost neither the stack nor the relay."""
    deep = "[" * 100_000
    call = {"id": "a", "type": "function", "function": {"name": "f", "arguments": deep}}
    found = turns(USER, {"role": "assistant", "tool_calls": [call]}, result("a"))
    assert json.dumps(found).count(deep) == 1
    schema: dict[str, Any] = {}
    for _ in range(5000):
        schema = {"a": schema}
    with pytest.raises(Untranslatable):
        begin({"tools": [{"type": "function", "function": {"name": "f", "parameters": schema}}]})
