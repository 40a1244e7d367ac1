"""OpenAI's SDK with responses on an Anthropic upstream: what goes up, and what comes back in all three ways."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

openai = pytest.importorskip("openai")
pytest.importorskip("anthropic")

from pydantic import BaseModel  # noqa: E402
from story_process import Relay  # noqa: E402
from story_upstream import Recorder  # noqa: E402
from translation_answers import (  # noqa: E402
    PING,
    Said,
    block_start,
    block_stop,
    delta,
    message_end,
    message_start,
    messages_say,
    text,
    thinking,
    use,
)
from translation_stage import PDF, PNG, STREAMS, WAYS, WEATHER, Stage, Way, assistant, user  # noqa: E402


@pytest.fixture(scope="module")
def stage(start: Callable[..., Relay], upstream: Recorder) -> Iterator[Stage]:
    found = Stage(start, upstream)
    yield found
    found.close()


OK = messages_say([text("fine")])
PNG_BLOCK = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}
PNG_PART = {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}", "detail": "auto"}
PARIS = use("get_weather", {"city": "Paris"})


def said(content: Any, role: str = "user") -> dict[str, Any]:
    return {"type": "message", "role": role, "content": content}


def part(words: str) -> dict[str, Any]:
    return {"type": "input_text", "text": words}


def called(name: str, arguments: str, call_id: str, **more: Any) -> dict[str, Any]:
    return {"type": "function_call", "id": f"fc_{call_id}", "call_id": call_id, "name": name, "arguments": arguments, **more}


def output(call_id: str, told: Any) -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": call_id, "output": told}


def result(use_id: str, content: Any = None) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": use_id, **({} if content is None else {"content": content})}


INPUTS: dict[str, tuple[dict[str, Any], list[Any], Any]] = {
    "a string": ({"input": "hi"}, [user("hi")], None),
    "instructions": ({"instructions": "S", "input": "hi"}, [user("hi")], [text("S")]),
    "instructions and a developer's message": (
        {"instructions": "S", "input": [said("D", "developer"), said("hi")]},
        [user("hi")],
        [text("S"), text("D")],
    ),
    "parts": ({"input": [said([part("a"), part("b")])]}, [user([text("a"), text("b")])], None),
    "several turns": ({"input": [said("a"), said("b", "assistant"), said("c")]}, [user("a"), assistant("b"), user("c")], None),
    "an image": ({"input": [said([part("what?"), PNG_PART])]}, [user([text("what?"), PNG_BLOCK])], None),
    "an image by its URL": (
        {"input": [said([{"type": "input_image", "image_url": "https://e.com/a.png"}])]},
        [user([{"type": "image", "source": {"type": "url", "url": "https://e.com/a.png"}}])],
        None,
    ),
    "a PDF": (
        {"input": [said([{"type": "input_file", "filename": "r.pdf", "file_data": f"data:application/pdf;base64,{PDF}"}])]},
        [
            user(
                [{"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": PDF}, "title": "r.pdf"}]
            )
        ],
        None,
    ),
    "a PDF by its URL": (
        {"input": [said([{"type": "input_file", "file_url": "https://e.com/r.pdf"}])]},
        [user([{"type": "document", "source": {"type": "url", "url": "https://e.com/r.pdf"}}])],
        None,
    ),
    "a tool loop": (
        {"input": [said("W?"), called("get_weather", '{"city": "Paris"}', "c1"), output("c1", "18 C")]},
        [user("W?"), assistant([use("get_weather", {"city": "Paris"}, "c1")]), user([result("c1", "18 C")])],
        None,
    ),
    "calls side by side, then words": (
        {
            "input": [
                said("W?"),
                said("Looking.", "assistant"),
                called("now", "{}", "c1"),
                called("now", "", "c2"),
                output("c2", "2"),
                output("c1", "1"),
                said("So?"),
            ]
        },
        [
            user("W?"),
            assistant([text("Looking."), use("now", {}, "c1"), use("now", {}, "c2")]),
            user([result("c1", "1"), result("c2", "2"), text("So?")]),
        ],
        None,
    ),
    "a result with an image": (
        {"input": [said("W?"), called("shot", "{}", "c1"), output("c1", [part("see"), PNG_PART])]},
        [user("W?"), assistant([use("shot", {}, "c1")]), user([result("c1", [text("see"), PNG_BLOCK])])],
        None,
    ),
    "reasoning of another vendor stays away": (
        {
            "input": [
                said("a"),
                {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAAAB"},
                said("b", "assistant"),
                said("c"),
            ]
        },
        [user("a"), assistant("b"), user("c")],
        None,
    ),
}


@pytest.mark.parametrize("case", INPUTS)
def test_input(stage: Stage, case: str) -> None:
    """Items become alternating turns; results come first in theirs."""
    asked, turns, blocks = INPUTS[case]
    tools = [{"type": "function", "name": name, "parameters": WEATHER, "strict": False} for name in ("get_weather", "now", "shot")]
    _, sent = stage.response("whole", OK, provider="claude", tools=tools, **asked)
    sent.pop("tools")
    found = sent["messages"][2]["content"] if case.startswith("calls") else None
    if found is not None:  # the order among results is free
        found[:2] = sorted(found[:2], key=lambda block: block["tool_use_id"])
    assert sent == {"model": "up-model", "max_tokens": 4096, "messages": turns, **({} if blocks is None else {"system": blocks})}


CLOSED = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": False}
FUNCTION = {"type": "function", "name": "get_weather", "description": "W", "parameters": WEATHER, "strict": False}
TOOL = {"name": "get_weather", "description": "W", "input_schema": WEATHER}
FIELDS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "a limit": ({"max_output_tokens": 77}, {"max_tokens": 77}),
    "sampling": ({"temperature": 0.3, "top_p": 0.9}, {"temperature": 0.3, "top_p": 0.9}),
    "a temperature above one": ({"temperature": 1.5}, {"temperature": 1}),
    "user": ({"user": "u-1"}, {"metadata": {"user_id": "u-1"}}),
    "a function": ({"tools": [FUNCTION]}, {"tools": [TOOL]}),
    "required": ({"tools": [FUNCTION], "tool_choice": "required"}, {"tools": [TOOL], "tool_choice": {"type": "any"}}),
    "none": ({"tools": [FUNCTION], "tool_choice": "none"}, {"tools": [TOOL], "tool_choice": {"type": "none"}}),
    "one by its name": (
        {"tools": [FUNCTION], "tool_choice": {"type": "function", "name": "get_weather"}},
        {"tools": [TOOL], "tool_choice": {"type": "tool", "name": "get_weather"}},
    ),
    "one call at a time": (
        {"tools": [FUNCTION], "parallel_tool_calls": False},
        {"tools": [TOOL], "tool_choice": {"type": "auto", "disable_parallel_tool_use": True}},
    ),
    "hosted tools are left out": (
        {"tools": [FUNCTION, {"type": "code_interpreter", "container": {"type": "auto"}}]},
        {"tools": [TOOL]},
    ),
    "effort": (
        {"reasoning": {"effort": "low"}, "max_output_tokens": 8000},
        {"max_tokens": 8000, "thinking": {"type": "enabled", "budget_tokens": 2048}},
    ),
    "no effort": ({"reasoning": {"effort": "none"}}, {"thinking": {"type": "disabled"}}),
    "a schema for the answer": (
        {"text": {"format": {"type": "json_schema", "name": "a", "schema": CLOSED, "strict": True}}},
        {"output_config": {"format": {"type": "json_schema", "schema": CLOSED}}},
    ),
    "bookkeeping": ({"store": False, "include": ["reasoning.encrypted_content"], "metadata": {"a": "b"}}, {}),
    "a key for the prompt's cache asks for one": (
        {"prompt_cache_key": "k"},
        {"messages": [user([text("hi", cache_control={"type": "ephemeral"})])]},
    ),
}


@pytest.mark.parametrize("case", FIELDS)
def test_fields(stage: Stage, case: str) -> None:
    """Tools, choices, limits and settings."""
    asked, expected = FIELDS[case]
    _, sent = stage.response("whole", OK, provider="claude", **asked)
    assert sent == {"model": "up-model", "max_tokens": 4096, "messages": [user("hi")], **expected}


@pytest.mark.parametrize("field", ["previous_response_id", "conversation"])
def test_what_nobody_kept_is_refused(stage: Stage, field: str) -> None:
    """400, and nothing goes up."""
    with pytest.raises(openai.BadRequestError) as raised:
        stage.openai.responses.create(model="m@claude", input="hi", **{field: "x_1"})
    assert raised.value.param == field and "claude" in raised.value.message and not stage.upstream.requests


# ---------------------------------------------------------------------- answers

TOOLS = [FUNCTION, {"type": "function", "name": "now", "parameters": {"type": "object", "properties": {}}, "strict": False}]
CALL = ("get_weather", {"city": "Paris"}, PARIS["id"])


def told(response: Any) -> list[Any]:
    """Texts, (refusals,), [thoughts], and calls as (name, arguments, call_id)."""
    found: list[Any] = []
    for item in response.output:
        if item.type == "message":
            found += [each.text if each.type == "output_text" else (each.refusal,) for each in item.content]
        elif item.type == "function_call":
            found.append((item.name, json.loads(item.arguments), item.call_id))
        else:
            found.append(["".join(each.text for each in item.summary)])
    return found


ANSWERS: dict[str, tuple[list[Any], str, list[Any], str | None]] = {
    "text": ([text("Hello there, friend. 日本 🎉")], "end_turn", ["Hello there, friend. 日本 🎉"], None),
    "nothing": ([], "end_turn", [], None),
    "a stop sequence": ([text("one")], "stop_sequence", ["one"], None),
    "cut by the limit": ([text("Once upon")], "max_tokens", ["Once upon"], "max_output_tokens"),
    "cut by the window": ([text("Once upon")], "model_context_window_exceeded", ["Once upon"], "max_output_tokens"),
    "a refusal": ([text("I can")], "refusal", ["I can"], "content_filter"),
    "a call": ([PARIS], "tool_use", [CALL], None),
    "a call after text": ([text("Look."), PARIS], "tool_use", ["Look.", CALL], None),
    "calls side by side": ([PARIS, use("now", {}, "t2")], "tool_use", [CALL, ("now", {}, "t2")], None),
    "thinking": ([thinking("The user greets."), text("Hi")], "end_turn", [["The user greets."], "Hi"], None),
    "thinking, then a call": ([thinking("Hm."), PARIS], "tool_use", [["Hm."], CALL], None),
    "thinking that cannot be read": ([{"type": "redacted_thinking", "data": "eHg="}, text("Hi")], "end_turn", [[""], "Hi"], None),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("case", ANSWERS)
def test_output_and_status(stage: Stage, case: str, way: Way) -> None:
    """Streamed or not, the same response comes out of the same message."""
    blocks, reason, expected, incomplete = ANSWERS[case]
    response, _ = stage.response(way, messages_say(blocks, reason), provider="claude", tools=TOOLS)
    assert told(response) == expected
    assert response.status == ("completed" if incomplete is None else "incomplete")
    assert (response.incomplete_details and response.incomplete_details.reason) == incomplete
    assert (response.model, response.id) == ("up-model-20260514", "resp_msg_01XFDUDYJgAACzvnptvVoYEL")
    usage = response.usage
    assert (usage.input_tokens, usage.input_tokens_details.cached_tokens, usage.output_tokens, usage.total_tokens) == (
        40,
        23,
        12,
        52,
    )


@pytest.mark.parametrize("way", WAYS)
def test_thinking_comes_back_untouched(stage: Stage, way: Way) -> None:
    """In encrypted_content, which every client of this dialect returns: the upstream gets its signed blocks again."""
    blocks = [thinking("I must. ü"), {"type": "redacted_thinking", "data": "eHg="}, text("Look."), PARIS]
    response, _ = stage.response(way, messages_say(blocks, "tool_use"), provider="claude", tools=TOOLS)
    items = [{key: value for key, value in item.to_dict().items() if key != "parsed_arguments"} for item in response.output]
    again = [said("W?"), *items, output(PARIS["id"], "18 C")]
    _, sent = stage.response("whole", OK, provider="claude", input=again, tools=TOOLS)
    assert sent["messages"] == [user("W?"), assistant(blocks), user([result(PARIS["id"], "18 C")])]


@pytest.mark.parametrize("way", WAYS)
def test_citations_are_annotations(stage: Stage, way: Way) -> None:
    """Sources stay with the text."""
    found = {
        "type": "web_search_result_location",
        "url": "https://e.com/c",
        "title": "Cats",
        "encrypted_index": "x",
        "cited_text": "purr",
    }
    response, _ = stage.response(way, messages_say([text("I know: "), text("cats purr.", citations=[found])]), provider="claude")
    assert response.output_text == "I know: cats purr."
    (annotation,) = [each for item in response.output for one in item.content for each in one.annotations]
    assert (annotation.type, annotation.url, annotation.title) == ("url_citation", "https://e.com/c", "Cats")


class Answer(BaseModel):
    n: int


@pytest.mark.parametrize("provider", ["claude", "thoughtless"])
def test_structured_output_parses(stage: Stage, provider: str) -> None:
    """By Anthropic's format, or by a tool whose input is the answer."""
    answer = messages_say([text('{"n": 7}')]) if provider == "claude" else messages_say([use("Answer", {"n": 7})], "tool_use")
    for way in ("whole", "helper"):
        stage._script(way, answer)  # type: ignore[arg-type]
        asked: dict[str, Any] = {"model": f"m@{provider}", "input": "n?", "text_format": Answer}
        if way == "whole":
            response = stage.openai.responses.parse(**asked)
        else:
            with stage.openai.responses.stream(**asked) as stream:
                response = stream.get_final_response()
        assert response.output_parsed == Answer(n=7), way
        stage.sent()


START, END, CALLED = message_start(), message_end("end_turn"), message_end("tool_use")
OPEN = block_start(0, use("get_weather", {}, "t1"))


def more(index: int, piece: str) -> bytes:
    return delta(index, "input_json_delta", partial_json=piece)


STREAMED: dict[str, tuple[Sequence[bytes], list[Any]]] = {
    "pings, CRLF, no names": (
        [
            PING,
            START.replace(b"\n", b"\r\n"),
            block_start(0, text("")).partition(b"\n")[2],
            PING,
            delta(0, "text_delta", text="hi"),
            block_stop(0),
            *END,
        ],
        ["hi"],
    ),
    "one byte at a time": (
        [bytes([each]) for each in b"".join((START, block_start(0, text("né 日")), block_stop(0), *END))],
        ["né 日"],
    ),
    "input with the block's beginning": (
        [START, block_start(0, use("get_weather", {"city": "Paris"}, "t1")), block_stop(0), *CALLED],
        [("get_weather", {"city": "Paris"}, "t1")],
    ),
    "input that never comes": ([START, block_start(0, use("now", {}, "t1")), block_stop(0), *CALLED], [("now", {}, "t1")]),
    "blocks that are never stopped": (
        [START, OPEN, more(0, '{"city":"Paris"}'), *CALLED],
        [("get_weather", {"city": "Paris"}, "t1")],
    ),
    "blocks side by side": (
        [
            START,
            OPEN,
            block_start(1, use("get_weather", {}, "t2")),
            more(0, '{"city":'),
            more(1, '{"city":'),
            more(0, '"P"}'),
            more(1, '"R"}'),
            block_stop(1),
            block_stop(0),
            *CALLED,
        ],
        [("get_weather", {"city": "P"}, "t1"), ("get_weather", {"city": "R"}, "t2")],
    ),
}


@pytest.mark.parametrize("way", STREAMS)
@pytest.mark.parametrize("case", STREAMED)
def test_streams(stage: Stage, case: str, way: Way) -> None:
    """However the upstream cuts and orders its events, the client gets whole items."""
    events, expected = STREAMED[case]
    response, _ = stage.response(way, Said(None, events), provider="claude", tools=TOOLS)
    assert told(response) == expected and response.status == "completed"
