"""Items of openai.responses as the messages of openai.chat."""

from __future__ import annotations

from typing import Any

import pytest
from responses_stage import DONE, PIXEL, TOOL, USER, Told, begin, chunk, function_call, function_result, messages, run

from monorelay.dialects.carrying_ids import carrying_id


def made(call_id: str, name: str = "f", arguments: str = "{}") -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def result(call_id: str, content: str = "out") -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "content": content}


def assistant(content: str | None, *calls: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": content, **({"tool_calls": list(calls)} if calls else {})}


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
        function_call("a", arguments=""),
        function_call("b", arguments='{"x":1}'),
        function_result("b", "B"),
        {"role": "user", "content": "hurry"},
        function_result("a", "A"),
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
    found = messages(USER, function_call("a"), function_result("a"), function_call("b"), function_result("b"))
    assert found == [USER, assistant(None, made("a")), result("a"), assistant(None, made("b")), result("b")]


def test_an_id_that_came_twice() -> None:
    """Each call gets the result that belongs to it."""
    found = messages(USER, function_call("a"), function_result("a", "1"), function_call("a"), function_result("a", "2"))
    assert [each["content"] for each in found if each["role"] == "tool"] == ["1", "2"]


def test_a_result_of_no_call() -> None:
    """Is told as text: a tool message that answers nothing would be refused."""
    assert messages(function_result("x", "out")) == [{"role": "user", "content": "Result of the tool call x:\n\nout"}]


def test_what_is_no_text_in_a_result() -> None:
    """Follows in a message of the user's, behind all results."""
    image = {"type": "input_image", "image_url": PIXEL}
    found = messages(
        USER,
        function_call("a"),
        function_call("b"),
        function_result("a", [image]),
        function_result("b", [{"type": "input_text", "text": "t"}, image]),
    )
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
        function_call("a"),
        function_result("a"),
        function_call("b"),
        function_result("b"),
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
    found = messages(
        USER, function_call(carried), function_call("functions.f:0"), function_result(carried), function_result("functions.f:0")
    )
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
    body = {"input": [USER, function_call("a"), function_result("a")], "tools": [TOOL, {"type": "custom", "name": "c"}]}
    before = repr(body)
    begin(body)
    assert repr(body) == before
