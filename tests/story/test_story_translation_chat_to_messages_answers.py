"""OpenAI's SDK on an Anthropic upstream: what it makes of a message, whole, by its streaming helper, and chunk by chunk."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

openai = pytest.importorskip("openai")
pytest.importorskip("anthropic")

from pydantic import BaseModel  # noqa: E402
from story_process import KEY, Relay  # noqa: E402
from story_upstream import Recorder, streamed  # noqa: E402
from translation_answers import (  # noqa: E402
    MESSAGES_USAGE,
    Said,
    block_start,
    block_stop,
    delta,
    message_end,
    message_start,
    messages_say,
    pieces,
    text,
    thinking,
    use,
)
from translation_stage import STREAMS, WAYS, WEATHER, Stage, Way, assistant, user  # noqa: E402


@pytest.fixture(scope="module")
def stage(start: Callable[..., Relay], upstream: Recorder) -> Iterator[Stage]:
    found = Stage(start, upstream)
    yield found
    found.close()


TOOLS = [
    {"type": "function", "function": {"name": "get_weather", "parameters": WEATHER}},
    {"type": "function", "function": {"name": "now", "parameters": {"type": "object", "properties": {}}}},
]
PARIS = use("get_weather", {"city": "Paris"})
REDACTED = {"type": "redacted_thinking", "data": "EmwKAhgBEgy3va3pzix/LafPsn4aDFIT2Xlxh0L5L8rLVyIw"}


def calls(message: Any) -> list[tuple[str, Any, str]]:
    """Name, arguments and id of each call."""
    found = message.tool_calls or []
    assert all(each.type == "function" for each in found)
    return [(each.function.name, json.loads(each.function.arguments), each.id) for each in found]


# case → (the upstream's content, its stop_reason; the client's content, its calls, its finish_reason)
ANSWERS: dict[str, tuple[list[dict[str, Any]], str, str | None, list[Any], str]] = {
    "text": ([text("Hello there, friend.")], "end_turn", "Hello there, friend.", [], "stop"),
    "letters of all scripts": (
        [text('naïve 日本語 🎉👩‍👩‍👧 \u2028\n\t"q" \\')],
        "end_turn",
        'naïve 日本語 🎉👩‍👩‍👧 \u2028\n\t"q" \\',
        [],
        "stop",
    ),
    "several texts": ([text("One, "), text("two.")], "end_turn", "One, two.", [], "stop"),
    "nothing": ([], "end_turn", "", [], "stop"),
    "a stop sequence": ([text("one")], "stop_sequence", "one", [], "stop"),
    "cut by the limit": ([text("Once upon")], "max_tokens", "Once upon", [], "length"),
    "cut by the window": ([text("Once upon")], "model_context_window_exceeded", "Once upon", [], "length"),
    "refused": ([text("I can")], "refusal", "I can", [], "content_filter"),
    "paused": ([text("Wait")], "pause_turn", "Wait", [], "stop"),
    "a call": ([PARIS], "tool_use", None, [("get_weather", {"city": "Paris"}, PARIS["id"])], "tool_calls"),
    "a call after text": (
        [text("Let me look."), PARIS],
        "tool_use",
        "Let me look.",
        [("get_weather", {"city": "Paris"}, PARIS["id"])],
        "tool_calls",
    ),
    "calls side by side": (
        [PARIS, use("get_weather", {"city": "Rome"}, "toolu_2"), use("now", {}, "toolu_3")],
        "tool_use",
        None,
        [("get_weather", {"city": "Paris"}, PARIS["id"]), ("get_weather", {"city": "Rome"}, "toolu_2"), ("now", {}, "toolu_3")],
        "tool_calls",
    ),
    "a call without input": ([use("now", {})], "tool_use", None, [("now", {}, PARIS["id"])], "tool_calls"),
    "tricky input": (
        [use("get_weather", {"city": 'São "Paulo"', "note": "a\\b\n{}[]", "n": [1.5, None, True]})],
        "tool_use",
        None,
        [("get_weather", {"city": 'São "Paulo"', "note": "a\\b\n{}[]", "n": [1.5, None, True]}, PARIS["id"])],
        "tool_calls",
    ),
    "thinking": ([thinking("The user greets me."), text("Hello!")], "end_turn", "Hello!", [], "stop"),
    "thinking that cannot be read": ([REDACTED, text("Hello!")], "end_turn", "Hello!", [], "stop"),
    "thinking, then a call": (
        [thinking("I must look."), PARIS],
        "tool_use",
        None,
        [("get_weather", {"city": "Paris"}, PARIS["id"])],
        "tool_calls",
    ),
    "thinking between calls": (
        [thinking("a", "s1"), PARIS, thinking("b", "s2"), use("now", {}, "toolu_2")],
        "tool_use",
        None,
        [("get_weather", {"city": "Paris"}, PARIS["id"]), ("now", {}, "toolu_2")],
        "tool_calls",
    ),
    "a search of its own": (
        [
            {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "cats"}},
            {
                "type": "web_search_tool_result",
                "tool_use_id": "srvtoolu_1",
                "content": [
                    {"type": "web_search_result", "url": "https://e.com", "title": "t", "encrypted_content": "x", "page_age": None}
                ],
            },
            text("Cats purr."),
        ],
        "end_turn",
        "Cats purr.",
        [],
        "stop",
    ),
    "a block that nobody knows": ([{"type": "hologram", "rays": 7}, text("hi")], "end_turn", "hi", [], "stop"),
    "a reason that nobody knows": ([text("hi")], "bored", "hi", [], "stop"),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("case", ANSWERS)
def test_content_and_finish_reason(stage: Stage, case: str, way: Way) -> None:
    """Streamed or not, the same completion comes out of the same message."""
    blocks, reason, content, expected, finish = ANSWERS[case]
    asked = {"tools": TOOLS} if expected else {}  # the helper gives up amid a stream that is cut where it has tools to parse
    completion, _ = stage.chat(way, messages_say(blocks, reason), **asked)
    (choice,) = completion.choices
    assert (choice.message.content or None, calls(choice.message), choice.finish_reason) == (content or None, expected, finish)
    assert (choice.message.role, choice.message.refusal, completion.model) == ("assistant", None, "up-model-20260514")
    assert completion.id == "chatcmpl-msg_01XFDUDYJgAACzvnptvVoYEL" and completion.created > 1_700_000_000
    assert completion.object == "chat.completion"


@pytest.mark.parametrize("way", WAYS)
def test_thinking_is_shown_and_its_blocks_come_back_untouched(stage: Stage, way: Way) -> None:
    """As reasoning_content for eyes; with signatures, in order, for the next turn."""
    blocks = [thinking("I must look. ü"), REDACTED, thinking("Really.", "c2lnMg=="), PARIS]
    completion, _ = stage.chat(way, messages_say(blocks, "tool_use"), tools=TOOLS)
    message = completion.choices[0].message.to_dict()
    assert message["reasoning_content"] == "I must look. üReally."
    turns = [user("Weather?"), message, {"role": "tool", "tool_call_id": PARIS["id"], "content": "18 C"}]
    _, sent = stage.chat("whole", messages_say([text("18")]), messages=turns, tools=TOOLS)
    assert sent["messages"][1]["content"] == blocks


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("usage", "figures"),
    [
        (MESSAGES_USAGE, (40, 12, 52, 23)),
        ({"input_tokens": 9, "output_tokens": 3}, (39, 3, 42, 23)),
    ],
)
def test_usage(stage: Stage, usage: Any, figures: tuple[int, int, int, int], way: Way) -> None:
    """OpenAI's prompt counts what came from or went to the cache; the beginning of a stream told it."""
    whole = {**usage, "cache_read_input_tokens": 23, "cache_creation_input_tokens": 7}
    answer = messages_say([text("hi")], usage=usage if way != "whole" else whole)
    completion, _ = stage.chat(way, answer)
    told = completion.usage
    found = (told.prompt_tokens, told.completion_tokens, told.total_tokens, told.prompt_tokens_details.cached_tokens)
    assert found == figures


def test_usage_without_a_cache(stage: Stage) -> None:
    """Plain figures."""
    completion, _ = stage.chat("whole", messages_say([text("hi")], usage={"input_tokens": 9, "output_tokens": 3}))
    assert completion.usage.to_dict() == {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}


@pytest.mark.parametrize("include", [None, False, True])
def test_usage_is_streamed_to_those_who_ask(stage: Stage, include: bool | None) -> None:
    """In one chunk of its own before the end, and to nobody else."""
    stage._script("events", messages_say([text("hi")]))
    options = {} if include is None else {"stream_options": {"include_usage": include}}
    chunks = list(stage.openai.chat.completions.create(model="m@claude", messages=[user("hi")], stream=True, **options))
    assert [chunk.usage.total_tokens for chunk in chunks if chunk.usage] == ([52] if include else [])
    assert bool(chunks[-1].choices) is not bool(include)


@pytest.mark.parametrize("way", WAYS)
def test_citations_are_annotations(stage: Stage, way: Way) -> None:
    """Of a search by their URL, of a document by its place."""
    found = {
        "type": "web_search_result_location",
        "url": "https://e.com/c",
        "title": "Cats",
        "encrypted_index": "x",
        "cited_text": "purr",
    }
    place = {
        "type": "char_location",
        "document_index": 0,
        "document_title": "Diary",
        "start_char_index": 3,
        "end_char_index": 9,
        "cited_text": "rained",
        "file_id": None,
    }
    said = [text("I know: "), text("cats purr.", citations=[found]), text(" It rained.", citations=[place])]
    completion, _ = stage.chat(way, messages_say(said))
    message = completion.choices[0].message.to_dict()
    assert message["content"] == "I know: cats purr. It rained."
    one, two = (each["url_citation"] for each in message["annotations"])
    assert (one["url"], one["title"], one["start_index"], one["end_index"]) == ("https://e.com/c", "Cats", 8, 18)
    assert (two["title"], two["start_index"], two["end_index"]) == ("Diary", 18, 29) and isinstance(two["url"], str)


@pytest.mark.parametrize("way", WAYS)
def test_why_a_model_refused(stage: Stage, way: Way) -> None:
    """``stop_details`` of a refusal is OpenAI's refusal."""
    details = {"type": "refusal", "category": "cyber", "explanation": "Not this."}
    completion, _ = stage.chat(way, messages_say([], "refusal", stop_details=details))
    (choice,) = completion.choices
    assert (choice.finish_reason, choice.message.refusal, choice.message.content or None) == ("content_filter", "Not this.", None)


class Answer(BaseModel):
    n: int


@pytest.mark.parametrize("provider", ["claude", "thoughtless"])
@pytest.mark.parametrize("way", ("whole", "helper"))
def test_structured_output_parses(stage: Stage, provider: str, way: Way) -> None:
    """The SDK's own parsing: by Anthropic's format, or by a tool whose input is the answer."""
    answer = messages_say(
        [text('{"n": 7}')] if provider == "claude" else [use("Answer", {"n": 7})],
        "end_turn" if provider == "claude" else "tool_use",
    )
    stage._script(way, answer)
    asked: dict[str, Any] = {"model": f"m@{provider}", "messages": [user("n?")], "response_format": Answer}
    if way == "whole":
        completion = stage.openai.chat.completions.parse(**asked)
    else:
        with stage.openai.chat.completions.stream(**asked) as stream:
            completion = stream.get_final_completion()
    (choice,) = completion.choices
    assert choice.message.parsed == Answer(n=7) and choice.finish_reason == "stop" and not choice.message.tool_calls


@pytest.mark.parametrize("way", ("whole", "events"))
def test_a_custom_tool(stage: Stage, way: Way) -> None:
    """It went up as a function with one string; its call comes back as the text that it is."""
    tools = [{"type": "custom", "custom": {"name": "run", "description": "Runs a program."}}]
    _, sent = stage.chat("whole", messages_say([text("ok")]), tools=tools)
    (name,) = sent["tools"][0]["input_schema"]["properties"]
    used = messages_say([use("run", {name: 'print("ü")\n'})], "tool_use")
    completion, _ = stage.chat(way, used, tools=tools, client=stage.lenient)
    (call,) = completion.choices[0].message.tool_calls
    assert (call.type, call.custom.name, call.custom.input, call.id) == ("custom", "run", 'print("ü")\n', PARIS["id"])
    turns = [user("Run"), completion.choices[0].message.to_dict(), {"role": "tool", "tool_call_id": call.id, "content": "ü"}]
    _, sent = stage.chat("whole", messages_say([text("ok")]), messages=turns, tools=tools)
    assert sent["messages"][1]["content"][0] == use("run", {name: 'print("ü")\n'})


@pytest.mark.parametrize("way", ("whole", "events"))
def test_the_function_of_old(stage: Stage, way: Way) -> None:
    """Who offers ``functions`` gets a function_call."""
    functions = [{"name": "get_weather", "parameters": WEATHER}]
    completion, _ = stage.chat(way, messages_say([PARIS], "tool_use"), functions=functions)
    (choice,) = completion.choices
    told = choice.message.function_call
    assert (told.name, json.loads(told.arguments), choice.finish_reason) == ("get_weather", {"city": "Paris"}, "function_call")


def test_a_tool_loop(stage: Stage) -> None:
    """Ask, call, answer, finish: ids match all the way, with what the SDK itself sends back."""
    messages: list[Any] = [user("Weather in Paris and Rome?")]
    answers = [
        messages_say([text("Looking."), PARIS, use("get_weather", {"city": "Rome"}, "toolu_2")], "tool_use"),
        messages_say([text("18 and 25.")]),
    ]
    for answer in answers:
        completion, sent = stage.chat("helper", answer, messages=messages, tools=TOOLS)
        message = completion.choices[0].message
        messages.append(message)
        messages += [{"role": "tool", "tool_call_id": call.id, "content": "25 C"} for call in message.tool_calls or ()]
    assert message.content == "18 and 25."
    assert sent["messages"][1] == assistant([text("Looking."), PARIS, use("get_weather", {"city": "Rome"}, "toolu_2")])
    assert [each["tool_use_id"] for each in sent["messages"][2]["content"]] == [PARIS["id"], "toolu_2"]


def test_text_arrives_while_the_upstream_is_still_writing(stage: Stage) -> None:
    """Piece by piece, in the pieces that the upstream makes."""
    go_on = threading.Event()
    first = [message_start(), block_start(0, text("")), delta(0, "text_delta", text="Hel")]
    rest = [delta(0, "text_delta", text="lo"), block_stop(0), *message_end("end_turn")]
    stage.upstream.answer(streamed(*first, go_on, *rest))
    stream = stage.openai.chat.completions.create(model="m@claude", messages=[user("hi")], stream=True)
    texts = (chunk.choices[0].delta.content for chunk in stream if chunk.choices and chunk.choices[0].delta.content)
    assert next(texts) == "Hel"
    go_on.set()
    assert list(texts) == ["lo"]


@pytest.mark.parametrize("way", STREAMS)
def test_arguments_arrive_in_the_pieces_that_the_upstream_makes(stage: Stage, way: Way) -> None:
    """Nothing is held back until a call is whole."""
    answer = messages_say([PARIS], "tool_use")
    stage.upstream.answer(streamed(*answer.events))
    asked: dict[str, Any] = {"model": "m@claude", "messages": [user("hi")], "tools": TOOLS}
    if way == "helper":
        with stage.openai.chat.completions.stream(**asked) as stream:
            got = [each.arguments_delta for each in stream if each.type == "tool_calls.function.arguments.delta"]
    else:
        chunks = stage.openai.chat.completions.create(**asked, stream=True)
        got = [call.function.arguments for chunk in chunks for choice in chunk.choices for call in choice.delta.tool_calls or ()]
    assert [piece for piece in got if piece] == pieces('{"city": "Paris"}')


def test_async_client(stage: Stage) -> None:
    """The asynchronous SDK reads the same."""

    async def main() -> Any:
        async with openai.AsyncOpenAI(base_url=f"{stage.relay.url}/v1", api_key=KEY, max_retries=0) as client:
            stage.upstream.answer(streamed(*messages_say([text("Hello"), PARIS], "tool_use").events))
            async with client.chat.completions.stream(model="m@claude", messages=[user("hi")], tools=TOOLS) as stream:
                return await stream.get_final_completion()

    message = asyncio.run(main()).choices[0].message
    assert message.content == "Hello" and calls(message) == [("get_weather", {"city": "Paris"}, PARIS["id"])]


def test_the_least_of_a_message(stage: Stage) -> None:
    """What the reference demands, and nothing else."""
    least = {"content": [{"type": "text", "text": "hi"}]}
    completion, _ = stage.chat("whole", Said(least))
    assert (completion.choices[0].message.content, completion.choices[0].finish_reason, completion.model) == (
        "hi",
        "stop",
        "up-model",
    )
    assert completion.id.startswith("chatcmpl-") and completion.usage is None
