"""Requests of openai.responses as openai.chat has them, field by field and item by item."""

from __future__ import annotations

from typing import Any

import pytest
from responses_stage import DONE, Told, begin, chunk, run, told

from monorelay.dialects.carrying_ids import carrying_id
from monorelay.dialects.interface import Untranslatable

USER = {"role": "user", "content": "Hi"}
TOOL = {"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}}
PIXEL = "data:image/png;base64,AAAA"


def messages(*items: Any, **beside: Any) -> Any:
    quirks = beside.pop("quirks", {})
    return told({"input": list(items), **beside}, **quirks)["messages"]


def fc(call_id: str, name: str = "f", arguments: str = "{}", **beside: Any) -> dict[str, Any]:
    return {"type": "function_call", "call_id": call_id, "name": name, "arguments": arguments, **beside}


def fco(call_id: str, output: Any = "out") -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": call_id, "output": output}


def made(call_id: str, name: str = "f", arguments: str = "{}") -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def result(call_id: str, content: str = "out") -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "content": content}


def assistant(content: str | None, *calls: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": content, **({"tool_calls": list(calls)} if calls else {})}


@pytest.mark.parametrize(
    "field, expected",
    [
        ({"max_output_tokens": 99}, {"max_tokens": 99}),
        ({"temperature": 0.5, "top_p": 0.9}, {"temperature": 0.5, "top_p": 0.9}),
        ({"reasoning": {"effort": "low", "summary": "auto"}}, {"reasoning_effort": "low"}),
        ({"reasoning": {"effort": None}}, {}),
        ({"user": "u"}, {"user": "u"}),
        ({"safety_identifier": "s", "user": "u"}, {"user": "s"}),
        ({"service_tier": "flex"}, {"service_tier": "flex"}),
        ({"service_tier": "auto"}, {}),
        ({"stream": True}, {"stream": True, "stream_options": {"include_usage": True}}),
        ({"stream": False}, {}),
        ({"text": {"format": {"type": "text"}, "verbosity": "low"}}, {"verbosity": "low"}),
        ({"text": {"format": {"type": "json_object"}}}, {"response_format": {"type": "json_object"}}),
        ({"top_logprobs": 3}, {"logprobs": True, "top_logprobs": 3}),
        ({"include": ["message.output_text.logprobs", "reasoning.encrypted_content"]}, {"logprobs": True}),
        ({"stop": ["x"], "seed": 4}, {"stop": ["x"], "seed": 4}),
        ({"store": False, "truncation": "disabled", "metadata": {"a": "b"}, "prompt_cache_key": "k"}, {}),
        ({"background": False, "previous_response_id": None, "conversation": None, "prompt": None}, {}),
        ({"parallel_tool_calls": False, "tool_choice": "auto"}, {}),
        ({"client_metadata": {"x": "y"}, "stream_options": {"include_obfuscation": False}}, {}),
    ],
)
def test_fields(field: dict[str, Any], expected: dict[str, Any]) -> None:
    """Each becomes this, and nothing is lost."""
    translation = begin({"model": "m", "input": "Hi", **field})
    assert told({"model": "m", "input": "Hi", **field}) == {"model": "up-model", "messages": [USER], **expected}
    assert translation.lost == ()


def test_a_schema() -> None:
    """With its name and strictness; in words where the provider knows none."""
    form = {"type": "json_schema", "name": "n", "strict": True, "schema": {"type": "object"}, "description": None}
    body = {"input": "Hi", "text": {"format": form}}
    inner = {"name": "n", "strict": True, "schema": {"type": "object"}}
    assert told(body)["response_format"] == {"type": "json_schema", "json_schema": inner}
    found = told(body, json_schema=False)
    assert found["response_format"] == {"type": "json_object"} and '{"type":"object"}' in found["messages"][0]["content"]
    assert begin(body, json_schema=False).lost == ("text.format",)


@pytest.mark.parametrize(
    "reasoning, effort, expected, lost",
    [
        ("effort", "high", {"reasoning_effort": "high"}, ()),
        ("thinking", "high", {"thinking": {"type": "enabled"}}, ("reasoning.effort",)),
        ("thinking", "none", {"thinking": {"type": "disabled"}}, ()),
        ("none", "high", {}, ("reasoning.effort",)),
        ("none", "none", {}, ()),
    ],
)
def test_how_a_provider_is_asked_to_think(reasoning: str, effort: str, expected: Any, lost: tuple[str, ...]) -> None:
    """By its file."""
    body = {"input": "Hi", "reasoning": {"effort": effort}}
    assert told(body, reasoning=reasoning) == {"model": "up-model", "messages": [USER], **expected}
    assert begin(body, reasoning=reasoning).lost == lost


def test_what_the_provider_rejects_is_dropped_under_the_clients_name() -> None:
    """What the relay adds of itself is nobody's loss."""
    body = {"input": "Hi", "stream": True, "max_output_tokens": 5, "reasoning": {"effort": "low"}}
    translation = begin(
        body, drop=("max_completion_tokens", "reasoning_effort", "stream_options"), max_tokens_field="max_completion_tokens"
    )
    assert translation.lost == ("max_output_tokens", "reasoning.effort")
    assert b"max_" not in translation.request and b"stream_options" not in translation.request


@pytest.mark.parametrize(
    "field",
    [
        {"truncation": "auto"},
        {"store": True},
        {"max_tool_calls": 3},
        {"moderation": {"model": "x"}},
        {"context_management": [{"type": "compaction"}]},
        {"future_field": 1},
    ],
)
def test_what_is_lost_is_reported(field: dict[str, Any]) -> None:
    """Under its own name; a strict route refuses it."""
    assert begin({"input": "Hi", **field}).lost == tuple(field)
    with pytest.raises(Untranslatable) as refused:
        begin({"input": "Hi", **field}, strict=True)
    assert refused.value.field == next(iter(field))


@pytest.mark.parametrize(
    "field, name",
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"background": True}, "background"),
        ({"prompt": {"id": "p"}}, "prompt"),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "input.item_reference"),
        ({"input": [{"id": "msg_1"}]}, "input.item_reference"),
        ({"input": [{"type": "compaction", "encrypted_content": "x"}]}, "input.compaction"),
        ({"input": 5}, "input"),
        ({"input": ["x"]}, "input"),
        ({"input": [{"role": "wizard", "content": "x"}]}, "input"),
        ({"input": [{"role": "user", "content": [{"type": "input_text"}]}]}, "input"),
        ({"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}]}, "input.input_image"),
        ({"input": [{"role": "user", "content": [{"type": "input_file", "file_url": "https://e.org"}]}]}, "input.input_file"),
        ({"instructions": 5}, "instructions"),
        ({"tools": "x"}, "tools"),
        ({"tools": [{"type": "function"}]}, "tools"),
        ({"tool_choice": "maybe"}, "tool_choice"),
        ({"tools": [TOOL], "tool_choice": {"type": "allowed_tools", "mode": "never", "tools": [TOOL]}}, "tool_choice"),
        ({"text": {"format": {"type": "xml"}}}, "text.format"),
    ],
)
def test_what_cannot_be_said(field: dict[str, Any], name: str) -> None:
    """Is refused with its name, and a sentence that says what to do."""
    with pytest.raises(Untranslatable) as refused:
        begin({"input": "Hi", **field})
    assert refused.value.field == name and str(refused.value).endswith(".")


# ---------------------------------------------------------------------- messages


def test_instructions_are_one_message() -> None:
    """With the system's and the developer's at the beginning; later ones stay in place."""
    found = messages(
        {"role": "developer", "content": [{"type": "input_text", "text": "a"}, {"type": "input_text", "text": "b"}]},
        {"type": "message", "role": "system", "content": "c"},
        USER,
        {"role": "developer", "content": "late"},
        instructions="first",
    )
    assert found == [{"role": "system", "content": "first\n\na\n\nb\n\nc"}, USER, {"role": "system", "content": "late"}]


@pytest.mark.parametrize("role", ["system", "developer", "user"])
def test_the_role_of_instructions(role: str) -> None:
    """Is the provider's."""
    assert messages(USER, instructions="x", quirks={"system_role": role})[0] == {"role": role, "content": "x"}


def test_parts() -> None:
    """What the user shows: text is plain where nothing stands beside it."""
    parts = [
        {"type": "input_text", "text": "a"},
        {"type": "input_image", "image_url": PIXEL, "detail": "original"},
        {"type": "input_image", "image_url": "https://e.org/x.png", "detail": "auto"},
        {"type": "input_file", "filename": "x.pdf", "file_data": "data:application/pdf;base64,AAAA"},
        {"type": "input_file", "file_id": "file-1"},
        {"type": "input_file", "filename": "n.txt", "file_data": "data:text/plain;base64,aGVsbG8="},
        {"type": "input_audio", "input_audio": {"data": "AA", "format": "wav"}},
        {"type": "computer_screenshot"},
    ]
    translation = begin({"input": [{"role": "user", "content": parts}]})
    assert messages({"role": "user", "content": parts})[0]["content"] == [
        {"type": "text", "text": "a"},
        {"type": "image_url", "image_url": {"url": PIXEL, "detail": "high"}},
        {"type": "image_url", "image_url": {"url": "https://e.org/x.png", "detail": "auto"}},
        {"type": "file", "file": {"filename": "x.pdf", "file_data": "data:application/pdf;base64,AAAA"}},
        {"type": "file", "file": {"file_id": "file-1"}},
        {"type": "text", "text": '<document title="n.txt">\nhello\n</document>'},
        {"type": "input_audio", "input_audio": {"data": "AA", "format": "wav"}},
    ]
    assert translation.lost == ("input.computer_screenshot",)
    assert messages({"role": "user", "content": parts[:1] * 2}) == [{"role": "user", "content": "a\n\na"}]


def test_a_turn_with_calls() -> None:
    """What was said and called together is one turn, and its results stand right behind it, whatever came between."""
    found = messages(
        USER,
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}]},
        {"type": "message", "role": "assistant", "id": "msg_1", "content": [{"type": "output_text", "text": "I look."}]},
        fc("a", arguments=""),
        fc("b", arguments='{"x":1}'),
        fco("b", "B"),
        {"role": "user", "content": "hurry"},
        fco("a", "A"),
        {"role": "assistant", "content": "done"},
    )
    assert found == [
        USER,
        assistant("I look.", made("a"), made("b", arguments='{"x":1}')),
        result("a", "A"),
        result("b", "B"),
        {"role": "user", "content": "hurry"},
        assistant("done"),
    ]


def test_calls_one_after_the_other() -> None:
    """Are turns one after the other."""
    found = messages(USER, fc("a"), fco("a"), fc("b"), fco("b"))
    assert found == [USER, assistant(None, made("a")), result("a"), assistant(None, made("b")), result("b")]


def test_an_id_that_came_twice() -> None:
    """Each call gets the result that belongs to it."""
    found = messages(USER, fc("a"), fco("a", "1"), fc("a"), fco("a", "2"))
    assert [each["content"] for each in found if each["role"] == "tool"] == ["1", "2"]


def test_a_result_of_no_call() -> None:
    """Is told as text: a tool message that answers nothing would be refused."""
    assert messages(fco("x", "out")) == [{"role": "user", "content": "Result of the tool call x:\n\nout"}]


def test_what_is_no_text_in_a_result() -> None:
    """Follows in a message of the user's, behind all results."""
    image = {"type": "input_image", "image_url": PIXEL}
    found = messages(USER, fc("a"), fc("b"), fco("a", [image]), fco("b", [{"type": "input_text", "text": "t"}, image]))
    shown = {"type": "image_url", "image_url": {"url": PIXEL}}
    assert found[2:] == [
        result("a", "The result follows in the next message."),
        result("b", "t"),
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "From the result of the tool call a:"},
                shown,
                {"type": "text", "text": "From the result of the tool call b:"},
                shown,
            ],
        },
    ]


def test_custom_calls_and_the_clients_own_kinds() -> None:
    """Are functions upstream, with what their items hold."""
    found = messages(
        USER,
        {"type": "custom_tool_call", "call_id": "c", "name": "patch", "input": 'a\n"b"'},
        {
            "type": "local_shell_call",
            "id": "lsh_1",
            "call_id": "l",
            "action": {"type": "exec", "command": ["ls"], "env": {}, "user": None},
        },
        {"type": "shell_call", "call_id": "s", "action": {"commands": ["ls"], "timeout_ms": None}},
        {"type": "apply_patch_call", "call_id": "p", "operation": {"type": "delete_file", "path": "x"}, "status": "completed"},
        {"type": "custom_tool_call_output", "call_id": "c", "output": "C"},
        {"type": "local_shell_call_output", "id": "lsh_1", "output": "L"},
        {
            "type": "shell_call_output",
            "call_id": "s",
            "output": [{"stdout": "o", "stderr": "", "outcome": {"type": "exit", "exit_code": 0}}],
        },
        {"type": "apply_patch_call_output", "call_id": "p", "status": "failed"},
    )
    assert found[1]["tool_calls"] == [
        made("c", "patch", '{"input":"a\\n\\"b\\""}'),
        made("l", "local_shell", '{"command":["ls"],"env":{}}'),
        made("s", "shell", '{"commands":["ls"]}'),
        made("p", "apply_patch", '{"type":"delete_file","path":"x"}'),
    ]
    assert [each["content"] for each in found[2:]] == [
        "C",
        "L",
        '[{"stdout":"o","stderr":"","outcome":{"type":"exit","exit_code":0}}]',
        "failed",
    ]


def test_reasoning_goes_back_where_the_provider_wants_it() -> None:
    """With its turn; a turn with calls has the field even where nothing was thought."""
    thought = {
        "type": "reasoning",
        "id": "r",
        "summary": [{"type": "summary_text", "text": "s"}],
        "content": [{"type": "reasoning_text", "text": "t"}],
    }
    items = (
        USER,
        thought,
        fc("a"),
        fco("a"),
        fc("b"),
        fco("b"),
        {"type": "reasoning", "id": "r", "summary": [], "encrypted_content": "?"},
    )
    turns = [each for each in messages(*items, quirks={"echo_reasoning": True}) if each["role"] == "assistant"]
    assert [each["reasoning_content"] for each in turns] == ["t", ""]
    assert all("reasoning_content" not in each for each in messages(*items))
    assert begin({"input": list(items)}).lost == ()


def test_sealed_reasoning() -> None:
    """Where it is wanted back it is sealed as well, for clients that return nothing else; what others sealed is not."""
    fed = chunk({"reasoning_content": "hm"}) + chunk({"content": "x"}) + chunk({}, "stop") + DONE
    for echoes in (True, False):
        response = Told(run(begin({"input": "Hi"}, echo_reasoning=echoes).stream(), fed)).response
        assert response is not None and ("encrypted_content" in response["output"][0]) is echoes
        bare = {**response["output"][0], "summary": []}
        found = messages(USER, bare, response["output"][1], quirks={"echo_reasoning": True})
        assert found[1].get("reasoning_content") == ("hm" if echoes else None)


def test_ids_that_carry_more() -> None:
    """What the upstream hung on a call goes back to it; other ids stay as they are, whatever they look like."""
    extra = {"google": {"thought_signature": "sig"}}
    carried = carrying_id("call_1", extra)
    found = messages(USER, fc(carried), fc("functions.f:0"), fco(carried), fco("functions.f:0"))
    assert found[1]["tool_calls"] == [{**made("call_1"), "extra_content": extra}, made("functions.f:0")]
    assert [each["tool_call_id"] for each in found[2:]] == ["call_1", "functions.f:0"]


def test_items_of_the_vendors_own_tools() -> None:
    """Are left out, and reported."""
    items = [
        USER,
        {"type": "web_search_call", "id": "ws_1", "status": "completed"},
        {"type": "mcp_list_tools", "id": "x"},
        {"type": "né"},
    ]
    translation = begin({"input": items})
    assert translation.lost == ("input.web_search_call", "input.mcp_list_tools", "input.unknown")


def test_the_request_is_left_as_it_was() -> None:
    """Nothing is changed in place."""
    body = {"input": [USER, fc("a"), fco("a")], "tools": [TOOL, {"type": "custom", "name": "c"}]}
    before = repr(body)
    begin(body)
    assert repr(body) == before


# ---------------------------------------------------------------------- tools

SPACE = {
    "type": "namespace",
    "name": "space",
    "description": "About space.",
    "tools": [{"type": "function", "name": "g", "description": "G."}, {"type": "custom", "name": "h"}],
}


def tools(*offered: Any, **beside: Any) -> Any:
    return told({"input": "Hi", "tools": list(offered), **beside})


def test_functions() -> None:
    """As they are; a schema that says nothing is one of an object without properties."""
    strict = {
        "type": "function",
        "name": "s",
        "description": "d",
        "parameters": {"type": "object", "properties": {}, "required": []},
        "strict": True,
    }
    found = tools(strict, {"type": "function", "name": "n", "parameters": None, "strict": False, "description": None})
    assert [each["function"] for each in found["tools"]] == [
        {"name": "s", "description": "d", "parameters": strict["parameters"], "strict": True},
        {"name": "n", "parameters": {"type": "object", "properties": {}}},
    ]


def test_a_custom_tool_is_a_function_with_one_string() -> None:
    """Its grammar is described, which is reported."""
    grammar = {"type": "grammar", "syntax": "lark", "definition": "start: x"}
    body = {"input": "Hi", "tools": [{"type": "custom", "name": "patch", "description": "Patches.", "format": grammar}]}
    function = told(body)["tools"][0]["function"]
    assert function["parameters"]["required"] == ["input"] and "start: x" in function["description"]
    assert begin(body).lost == ("tools.custom.format",)


def test_a_namespace_is_flattened() -> None:
    """What it is for is said before its first tool."""
    found = tools(SPACE)
    assert [each["function"]["name"] for each in found["tools"]] == ["space__g", "space__h"]
    assert found["tools"][0]["function"]["description"] == "About space.\n\nG."
    called = messages(USER, fc("a", "g", namespace="space"), fco("a"), tools=[SPACE])
    assert called[1]["tool_calls"][0]["function"]["name"] == "space__g"


def test_names_that_meet_or_are_too_long() -> None:
    """Stay two, have 64 characters at most, and are the same in the history."""
    long = "x" * 70
    space = {"type": "namespace", "name": "a", "tools": [{"type": "function", "name": "b"}, {"type": "function", "name": long}]}
    found = [each["function"]["name"] for each in tools({**TOOL, "name": "a__b"}, space)["tools"]]
    assert len(set(found)) == 3 and all(len(name) <= 64 for name in found) and found[0] == "a__b"
    called = messages(USER, fc("1", "b", namespace="a"), fc("2", long, namespace="a"), tools=[{**TOOL, "name": "a__b"}, space])
    assert [each["function"]["name"] for each in called[1]["tool_calls"]] == found[1:]


def test_tools_inside_the_input() -> None:
    """Are offered like the others; the last of a name counts."""
    items = [
        {"type": "additional_tools", "role": "developer", "tools": [SPACE, {**TOOL, "description": "later"}]},
        {
            "type": "tool_search_output",
            "call_id": "t",
            "execution": "client",
            "status": "completed",
            "tools": [{**TOOL, "name": "found"}],
        },
        USER,
    ]
    found = told({"input": items, "tools": [TOOL]})
    assert [each["function"]["name"] for each in found["tools"]] == ["f", "space__g", "space__h", "found"]
    assert found["tools"][0]["function"]["description"] == "later" and found["messages"] == [USER]


def test_settings_inside_the_input() -> None:
    """The last ones hold."""
    items = [
        {"type": "configuration_update", "reasoning": {"effort": "low"}},
        USER,
        {"type": "configuration_update", "reasoning": {"effort": "high"}, "text": {"format": {"type": "json_object"}}},
    ]
    found = told({"input": items, "reasoning": {"effort": "medium", "summary": "auto"}})
    assert found["reasoning_effort"] == "high" and found["response_format"] == {"type": "json_object"}


def test_tools_that_the_vendor_runs() -> None:
    """Are dropped, and reported; what is left can be chosen."""
    offered = [
        TOOL,
        {"type": "web_search"},
        {"type": "mcp", "server_label": "x"},
        {"type": "shell", "environment": {"type": "container_auto"}},
    ]
    body = {"input": "Hi", "tools": offered, "tool_choice": {"type": "web_search_preview"}}
    translation = begin(body)
    assert translation.lost == ("tools.web_search", "tools.mcp", "tools.shell", "tool_choice")
    assert len(told(body)["tools"]) == 1 and "tool_choice" not in told(body)
    alone = {"input": "Hi", "tools": [{"type": "web_search"}], "tool_choice": "required", "parallel_tool_calls": True}
    assert told(alone).keys() == {"model", "messages"} and begin(alone).lost == ("tools.web_search", "tool_choice")


@pytest.mark.parametrize(
    "choice, expected",
    [
        ("auto", "auto"),
        ("none", "none"),
        ("required", "required"),
        ({"type": "function", "name": "f"}, {"type": "function", "function": {"name": "f"}}),
        ({"type": "function", "function": {"name": "f"}}, {"type": "function", "function": {"name": "f"}}),
        ({"type": "function", "name": "g", "namespace": "space"}, {"type": "function", "function": {"name": "space__g"}}),
        ({"type": "custom", "name": "patch"}, {"type": "function", "function": {"name": "patch"}}),
        ({"type": "shell"}, {"type": "function", "function": {"name": "shell"}}),
    ],
)
def test_choices(choice: Any, expected: Any) -> None:
    """A tool is chosen by the name it is told by."""
    found = tools(
        TOOL, SPACE, {"type": "custom", "name": "patch"}, {"type": "shell"}, tool_choice=choice, parallel_tool_calls=False
    )
    assert found["tool_choice"] == expected and found["parallel_tool_calls"] is False


def test_allowed_tools() -> None:
    """Are the only ones that are offered."""
    allowed = {
        "type": "allowed_tools",
        "mode": "required",
        "tools": [{"type": "function", "name": "f"}, {"type": "image_generation"}],
    }
    found = tools(TOOL, SPACE, tool_choice=allowed)
    assert [each["function"]["name"] for each in found["tools"]] == ["f"] and found["tool_choice"] == "required"
