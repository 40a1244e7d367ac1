"""Anthropic's SDK on a chat upstream: what it makes of an answer, whole, by its streaming helper, and event by event."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytest.importorskip("openai")
pytest.importorskip("anthropic")

from pydantic import BaseModel
from story_process import Relay
from story_upstream import Recorder, streamed
from translation_answers import CHAT_USAGE, DONE, Said, call, chat_says, chunk, pieces
from translation_stage import STREAMS, WAYS, WEATHER, Stage, Way, assistant, user


@pytest.fixture(scope="module")
def stage(start: Callable[..., Relay], upstream: Recorder) -> Iterator[Stage]:
    found = Stage(start, upstream)
    yield found
    found.close()


TOOLS = [{"name": "get_weather", "input_schema": WEATHER}, {"name": "now", "input_schema": {"type": "object", "properties": {}}}]


def blocks(message: Any) -> list[dict[str, Any]]:
    """The content, without fields that say nothing."""
    found = [block.to_dict() for block in message.content]
    return [{name: value for name, value in block.items() if value is not None} for block in found]


def use(name: str, given: Any, use_id: str = "call_abc123") -> dict[str, Any]:
    return {"type": "tool_use", "id": use_id, "name": name, "input": given}


def text(said: str) -> dict[str, Any]:
    return {"type": "text", "text": said}


def thinking(thought: str) -> dict[str, Any]:
    return {"type": "thinking", "thinking": thought, "signature": ""}


PARIS = call("get_weather", '{"city":"Paris"}')
TRICKY = '{"city": "S\\u00e3o \\"Paulo\\"", "note": "a\\\\b\\n{}[]"}'

# case → (the upstream's message, its finish_reason; the client's content, its stop_reason)
ANSWERS: dict[str, tuple[dict[str, Any], str, list[dict[str, Any]], str]] = {
    "text": ({"content": "Hello there, friend."}, "stop", [text("Hello there, friend.")], "end_turn"),
    "letters of all scripts": (
        {"content": 'naïve 日本語 🎉👩‍👩‍👧 \u2028\n\t"q" \\'},
        "stop",
        [text('naïve 日本語 🎉👩‍👩‍👧 \u2028\n\t"q" \\')],
        "end_turn",
    ),
    "white space at both ends": ({"content": "\n\n  indented \n"}, "stop", [text("\n\n  indented \n")], "end_turn"),
    "nothing": ({"content": ""}, "stop", [], "end_turn"),
    "cut by the limit": ({"content": "Once upon"}, "length", [text("Once upon")], "max_tokens"),
    "filtered": ({"content": "I can"}, "content_filter", [text("I can")], "refusal"),
    "refused": ({"refusal": "I can't help with that."}, "stop", [text("I can't help with that.")], "refusal"),
    "a call": ({"tool_calls": [PARIS]}, "tool_calls", [use("get_weather", {"city": "Paris"})], "tool_use"),
    "a call after text": (
        {"content": "Let me look.", "tool_calls": [PARIS]},
        "tool_calls",
        [text("Let me look."), use("get_weather", {"city": "Paris"})],
        "tool_use",
    ),
    "a call that ends with stop": ({"tool_calls": [PARIS]}, "stop", [use("get_weather", {"city": "Paris"})], "tool_use"),
    "calls side by side": (
        {"tool_calls": [PARIS, call("get_weather", '{"city": "Rome", "unit": "C"}', "call_2"), call("now", "{}", "call_3")]},
        "tool_calls",
        [
            use("get_weather", {"city": "Paris"}),
            use("get_weather", {"city": "Rome", "unit": "C"}, "call_2"),
            use("now", {}, "call_3"),
        ],
        "tool_use",
    ),
    "a call without arguments": ({"tool_calls": [call("now", "")]}, "tool_calls", [use("now", {})], "tool_use"),
    "a call with an empty object": ({"tool_calls": [call("now", "{}")]}, "tool_calls", [use("now", {})], "tool_use"),
    "tricky arguments": (
        {"tool_calls": [call("get_weather", TRICKY)]},
        "tool_calls",
        [use("get_weather", {"city": 'São "Paulo"', "note": "a\\b\n{}[]"})],
        "tool_use",
    ),
    "reasoning": (
        {"reasoning_content": "The user greets me.", "content": "Hello!"},
        "stop",
        [thinking("The user greets me."), text("Hello!")],
        "end_turn",
    ),
    "reasoning by its other name": (
        {"reasoning": "Hm, hm.", "content": "Hi"},
        "stop",
        [thinking("Hm, hm."), text("Hi")],
        "end_turn",
    ),
    "reasoning, then a call": (
        {"reasoning_content": "I must look.", "tool_calls": [PARIS]},
        "tool_calls",
        [thinking("I must look."), use("get_weather", {"city": "Paris"})],
        "tool_use",
    ),
    "reasoning cut by the limit": ({"reasoning_content": "Well, let me"}, "length", [thinking("Well, let me")], "max_tokens"),
    "a call cut by the limit keeps what came": (
        {"content": "Looking.", "tool_calls": [PARIS]},
        "length",
        [text("Looking."), use("get_weather", {"city": "Paris"})],
        "max_tokens",
    ),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("case", ANSWERS)
def test_content_and_stop_reason(stage: Stage, case: str, way: Way) -> None:
    """Streamed or not, the same message comes out of the same answer."""
    told, finish, content, reason = ANSWERS[case]
    message, _ = stage.message(way, chat_says(told, finish), tools=TOOLS)
    assert (blocks(message), message.stop_reason, message.stop_sequence) == (content, reason, None)
    assert (message.type, message.role, message.model) == ("message", "assistant", "up-model-2026-08-07")
    assert message.id == "msg_chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("usage", "figures"),
    [
        (CHAT_USAGE, (10, 30, 12)),
        ({"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}, (9, None, 3)),
        ({"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12, "prompt_tokens_details": None}, (9, None, 3)),
        (
            {"prompt_tokens": 100, "completion_tokens": 3, "prompt_cache_hit_tokens": 64, "prompt_cache_miss_tokens": 36},
            (36, 64, 3),
        ),
        (None, (0, None, 0)),
    ],
)
def test_usage(stage: Stage, usage: Any, figures: tuple[int, int | None, int], way: Way) -> None:
    """What came from the cache is taken out of the input, as Anthropic counts."""
    message, _ = stage.message(way, chat_says({"content": "hi"}, usage=usage))
    told = message.usage
    assert (told.input_tokens, told.cache_read_input_tokens, told.output_tokens) == figures


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", ["stop_reason", "matched_stop"])
def test_the_stop_sequence_that_matched(stage: Stage, name: str, way: Way) -> None:
    """Some servers say which; OpenAI does not, and then nobody guesses."""
    message, _ = stage.message(way, chat_says({"content": "one"}, **{name: "END"}), stop_sequences=["END", "STOP"])
    assert (message.stop_reason, message.stop_sequence) == ("stop_sequence", "END")
    message, _ = stage.message(way, chat_says({"content": "one"}), stop_sequences=["END"])
    assert (message.stop_reason, message.stop_sequence) == ("end_turn", None)


@pytest.mark.parametrize("way", WAYS)
def test_citations_of_a_search_model(stage: Stage, way: Way) -> None:
    """Sources stay with the text."""
    cited = {"start_index": 0, "end_index": 4, "title": "Cats", "url": "https://e.com/cats"}
    told = {"content": "Cats purr.", "annotations": [{"type": "url_citation", "url_citation": cited}]}
    message, _ = stage.message(way, chat_says(told))
    (block,) = message.content
    (citation,) = block.citations
    assert (block.text, citation.type, citation.url, citation.title) == (
        "Cats purr.",
        "web_search_result_location",
        "https://e.com/cats",
        "Cats",
    )


@pytest.mark.parametrize("way", WAYS)
def test_an_odd_id_of_a_call_comes_back_as_it_was(stage: Stage, way: Way) -> None:
    """Anthropic's dialect knows fewer letters for ids; what the client sends back is the upstream's own."""
    message, _ = stage.message(way, chat_says({"tool_calls": [call("now", "{}", "functions.now:0")]}, "tool_calls"), tools=TOOLS)
    (block,) = message.content
    assert all(letter.isascii() and (letter.isalnum() or letter in "_-") for letter in block.id)
    turns = [
        user("Now?"),
        assistant([block.to_dict()]),
        user([{"type": "tool_result", "tool_use_id": block.id, "content": "noon"}]),
    ]
    _, sent = stage.message("whole", chat_says({"content": "ok"}), messages=turns, tools=TOOLS)
    assert sent["messages"][1]["tool_calls"][0]["id"] == sent["messages"][2]["tool_call_id"] == "functions.now:0"


@pytest.mark.parametrize("way", WAYS)
def test_what_an_upstream_hangs_on_a_call_comes_back(stage: Stage, way: Way) -> None:
    """A thought's signature in ``extra_content``: without it the next turn is refused."""
    signed = {**PARIS, "extra_content": {"google": {"thought_signature": "c2ln+/=="}}}
    message, _ = stage.message(way, chat_says({"tool_calls": [signed]}, "tool_calls"), tools=TOOLS)
    block = message.content[0].to_dict()
    turns = [user("W?"), assistant([block]), user([{"type": "tool_result", "tool_use_id": block["id"], "content": "1"}])]
    _, sent = stage.message("whole", chat_says({"content": "ok"}), messages=turns, tools=TOOLS)
    assert sent["messages"][1]["tool_calls"][0] == signed and sent["messages"][2]["tool_call_id"] == "call_abc123"


class Answer(BaseModel):
    n: int


@pytest.mark.parametrize("way", ("whole", "helper"))
def test_structured_output_parses(stage: Stage, way: Way) -> None:
    """The SDK's own parsing, on an upstream with response_format."""
    answer = chat_says({"content": '{"n": 7}'})
    stage._script(way, answer)
    asked: dict[str, Any] = {"model": "up-model@chat", "max_tokens": 9, "messages": [user("n?")], "output_format": Answer}
    if way == "whole":
        message = stage.anthropic.messages.parse(**asked)
    else:
        with stage.anthropic.messages.stream(**asked) as stream:
            message = stream.get_final_message()
    assert message.parsed_output == Answer(n=7)
    sent = stage.sent()["response_format"]
    assert sent["type"] == "json_schema" and sent["json_schema"]["strict"] is True
    assert sent["json_schema"]["schema"]["properties"]["n"]["type"] == "integer"


def test_thinking_that_the_client_does_not_want_to_see(stage: Stage) -> None:
    """``display: omitted`` and thinking that is off: the text alone."""
    for way in WAYS:
        answer = chat_says({"reasoning_content": "hm", "content": "hi"})
        message, _ = stage.message(way, answer, thinking={"type": "disabled"})
        assert blocks(message) == [text("hi")], way


def test_text_arrives_while_the_upstream_is_still_writing(stage: Stage) -> None:
    """Piece by piece, in the pieces that the upstream makes."""
    import threading

    go_on = threading.Event()
    first, second = chunk({"role": "assistant", "content": "Hel"}), chunk({"content": "lo"})
    stage.upstream.answer(streamed(first, go_on, second, chunk({}, "stop"), DONE))
    with stage.anthropic.messages.stream(model="up-model@chat", max_tokens=9, messages=[user("hi")]) as stream:
        texts = iter(stream.text_stream)
        assert next(texts) == "Hel"
        go_on.set()
        assert list(texts) == ["lo"]


@pytest.mark.parametrize("way", STREAMS)
def test_arguments_arrive_in_the_pieces_that_the_upstream_makes(stage: Stage, way: Way) -> None:
    """Nothing is held back until a call is whole."""
    given = '{"city":"Paris","unit":"C"}'
    stage.upstream.answer(streamed(*chat_says({"tool_calls": [call("get_weather", given)]}, "tool_calls").events))
    asked: dict[str, Any] = {"model": "up-model@chat", "max_tokens": 9, "messages": [user("hi")], "tools": TOOLS}
    if way == "helper":
        with stage.anthropic.messages.stream(**asked) as stream:
            got = [event.partial_json for event in stream if event.type == "input_json"]
    else:
        raw = stage.anthropic.messages.create(**asked, stream=True)
        got = [event.delta.partial_json for event in raw if event.type == "content_block_delta"]
    assert [piece for piece in got if piece] == pieces(given)


def test_async_client(stage: Stage) -> None:
    """The asynchronous SDK reads the same."""
    import asyncio

    import anthropic
    from story_process import KEY

    async def main() -> Any:
        async with anthropic.AsyncAnthropic(base_url=stage.relay.url, api_key=KEY, max_retries=0) as client:
            stage.upstream.answer(streamed(*chat_says({"content": "Hello", "tool_calls": [PARIS]}, "tool_calls").events))
            async with client.messages.stream(model="up-model@chat", max_tokens=9, messages=[user("hi")], tools=TOOLS) as stream:
                return await stream.get_final_message()

    message = asyncio.run(main())
    assert blocks(message) == [text("Hello"), use("get_weather", {"city": "Paris"})]


def test_a_whole_answer_without_what_nobody_needs(stage: Stage) -> None:
    """The least that servers of this dialect send."""
    least = {"choices": [{"message": {"content": "hi"}}]}
    message, _ = stage.message("whole", Said(least))
    assert (blocks(message), message.stop_reason, message.model) == ([text("hi")], "end_turn", "up-model")
    assert message.id.startswith("msg_")
