"""What translations declare: losses by name, refusals where all must be kept, estimates as such; and legacy completions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

openai = pytest.importorskip("openai")
anthropic = pytest.importorskip("anthropic")

from story_process import Relay  # noqa: E402
from story_upstream import Recorder, ok, streamed  # noqa: E402
from translation_answers import chat_says, messages_say, text, use  # noqa: E402
from translation_stage import PNG, WAYS, WEATHER, Stage, Way, assistant, user  # noqa: E402


@pytest.fixture(scope="module")
def stage(start: Callable[..., Relay], upstream: Recorder) -> Iterator[Stage]:
    found = Stage(start, upstream)
    yield found
    found.close()


CHAT, CLAUDE = chat_says({"content": "fine"}), messages_say([text("fine")])
MESSAGES, COMPLETIONS, RESPONSES = "/v1/messages", "/v1/chat/completions", "/v1/responses"
TURN = {"messages": [user("hi")]}
LIMITED = {**TURN, "max_tokens": 99}
OPEN = {"type": "object", "properties": {"n": {"type": "integer"}}}

# (path, provider, what is asked, the names of what is lost)
LOSSES: list[tuple[str, str, dict[str, Any], list[str]]] = [
    (MESSAGES, "chat", LIMITED, []),
    (MESSAGES, "chat", {**LIMITED, "top_k": 5}, ["top_k"]),
    (MESSAGES, "chat", {**LIMITED, "stop_sequences": list("abcde")}, ["stop_sequences"]),
    (
        MESSAGES,
        "chat",
        {**LIMITED, "tools": [{"type": "web_search_20250305", "name": "web_search"}]},
        ["tools.web_search_20250305"],
    ),
    (MESSAGES, "plain", {**LIMITED, "thinking": {"type": "enabled", "budget_tokens": 1024}}, ["thinking"]),
    (MESSAGES, "chat", {**LIMITED, "context_management": {"edits": []}, "metadata": {"user_id": "u"}, "service_tier": "auto"}, []),
    (MESSAGES, "chat", {**LIMITED, "sorcery": 1}, ["sorcery"]),
    (MESSAGES, "chat", {**LIMITED, "output_config": {"format": {"type": "json_schema", "schema": OPEN}}}, ["output_config.format"]),
    (COMPLETIONS, "claude", TURN, []),
    (COMPLETIONS, "claude", {**TURN, "seed": 7, "logprobs": True}, ["seed", "logprobs"]),
    (COMPLETIONS, "claude", {**TURN, "presence_penalty": 0, "logit_bias": {}, "n": 1, "user": "u", "stop": "X"}, []),
    (COMPLETIONS, "claude", {**TURN, "temperature": 1.5}, ["temperature"]),
    (COMPLETIONS, "claude", {**TURN, "response_format": {"type": "json_object"}}, ["response_format"]),
    (COMPLETIONS, "claude", {**TURN, "reasoning_effort": "low", "temperature": 0.2}, ["temperature"]),
    (RESPONSES, "chat", {"input": "hi"}, []),
    (RESPONSES, "chat", {"input": "hi", "store": False, "include": ["reasoning.encrypted_content"], "prompt_cache_key": "k"}, []),
    (RESPONSES, "chat", {"input": "hi", "tools": [{"type": "web_search"}]}, ["tools.web_search"]),
    (RESPONSES, "chat", {"input": "hi", "truncation": "auto"}, ["truncation"]),
    (RESPONSES, "claude", {"input": "hi", "top_logprobs": 2}, ["top_logprobs"]),
]


@pytest.mark.parametrize(("path", "provider", "asked", "lost"), LOSSES)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_losses_are_named(stage: Stage, path: str, provider: str, asked: dict[str, Any], lost: list[str], stream: bool) -> None:
    """In x-monorelay-lossy, of streams too; what changes no answer is no loss."""
    answer = CLAUDE if provider == "claude" else CHAT
    stage.upstream.answer(streamed(*answer.events) if stream else ok(answer.whole))
    assert sorted(stage.lost(path, provider, **asked, stream=stream)) == sorted(lost)


@pytest.mark.parametrize(("path", "provider", "asked", "lost"), [case for case in LOSSES if case[1] in ("chat", "claude")])
def test_a_strict_provider_refuses_instead(stage: Stage, path: str, provider: str, asked: dict[str, Any], lost: list[str]) -> None:
    """400 with the field's name, in the client's envelope; what loses nothing is served."""
    stage.upstream.answer(ok((CLAUDE if provider == "claude" else CHAT).whole))
    answer = stage.relay.ask("POST", path, body={"model": f"m@{provider}-strict", **asked})
    if not lost:
        assert answer.status == 200 and answer.header("x-monorelay-lossy") is None
        return
    assert (answer.status, answer.error["type"]) == (400, "invalid_request_error")
    assert answer.error["param"] in lost and f"[{provider}-strict]" in answer.error["message"]
    assert answer.json.get("type") == ("error" if path == MESSAGES else None) and not stage.upstream.requests


def test_what_cannot_be_said_is_refused_in_anthropics_envelope(stage: Stage) -> None:
    """400 with the field and the provider, and nothing goes up."""
    url = {"type": "document", "source": {"type": "url", "url": "https://e.com/a.pdf"}}
    for asked, field in (
        ({"messages": [user([url])]}, "source"),
        ({"extra_body": {"mcp_servers": [{"type": "url", "url": "x", "name": "y"}]}}, "mcp_servers"),
    ):
        with pytest.raises(anthropic.BadRequestError) as raised:
            stage.anthropic.messages.create(**{"model": "m@chat", "max_tokens": 9, "messages": [user("hi")], **asked})  # type: ignore[dict-item]
        error = raised.value.body["error"]
        assert (error["type"], raised.value.body["type"]) == ("invalid_request_error", "error")
        assert field in error["param"] and "[chat]" in error["message"] and not stage.upstream.requests


@pytest.mark.parametrize(
    ("path", "provider", "asked"),
    [(MESSAGES, "chat", LIMITED), (COMPLETIONS, "claude", TURN), (RESPONSES, "chat", {"input": "hi"})],
)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_the_head_of_a_translated_answer(stage: Stage, path: str, provider: str, asked: dict[str, Any], stream: bool) -> None:
    """It describes what the client gets, not what the upstream sent; ids and rate limits come through."""
    answer = CLAUDE if provider == "claude" else CHAT
    extra = ("x-request-id: req_up", "x-ratelimit-remaining-requests: 7", "content-language: en", "etag: x")
    stage.upstream.answer(streamed(*answer.events, headers=extra) if stream else ok(answer.whole, *extra))
    got = stage.relay.ask("POST", path, body={"model": f"m@{provider}", **asked, "stream": stream})
    assert got.header("content-type").partition(";")[0] == ("text/event-stream" if stream else "application/json")  # type: ignore[union-attr]
    assert got.header("content-length") == (None if stream else str(len(got.body))) and got.whole
    assert (got.header("x-request-id"), got.header("x-ratelimit-remaining-requests")) == ("req_up", "7")
    assert got.header("x-monorelay-provider") == provider and got.header("x-monorelay-model") == "m"


# ---------------------------------------------------------------------- counting tokens


def test_tokens_are_estimated_where_nobody_counts(stage: Stage) -> None:
    """Marked as an estimate; of text, system, tools, images and tool turns; nothing goes up."""
    few, headers = stage.count()
    assert headers["x-monorelay-estimate"] == "true" and 1 <= few < 30
    words = "The quick brown fox jumps over the lazy dog. " * 100
    many, _ = stage.count(messages=[user(words)])
    assert 700 < many < 2000
    assert stage.count(system=words)[0] > 700
    tools = [{"name": f"tool_{n}", "description": "Does a thing. " * 20, "input_schema": WEATHER} for n in range(10)]
    assert stage.count(tools=tools)[0] > 500
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}
    assert stage.count(messages=[user([image, text("hi")])])[0] > few
    turns = [
        user("a"),
        assistant([use("f", {"x": words}, "t1")]),
        user([{"type": "tool_result", "tool_use_id": "t1", "content": words}]),
    ]
    assert stage.count(messages=turns)[0] > 1500
    assert 900 < stage.count(messages=[user("日本語の文章" * 200)])[0] < 3000
    assert not stage.upstream.requests


# ---------------------------------------------------------------------- legacy completions


@pytest.mark.parametrize("way", ("whole", "events"))
@pytest.mark.parametrize(
    ("provider", "answer", "finish", "figures"),
    [
        ("chat", chat_says({"content": "fine 日本"}), "stop", (40, 12)),
        ("chat", chat_says({"content": "fine 日本"}, "length"), "length", (40, 12)),
        ("chat", chat_says({"reasoning_content": "hm", "content": "fine 日本"}), "stop", (40, 12)),
        ("claude", messages_say([text("fine 日本")]), "stop", (40, 12)),
        ("claude", messages_say([text("fine "), text("日本")], "max_tokens"), "length", (40, 12)),
    ],
)
def test_legacy_completions(stage: Stage, provider: str, answer: Any, finish: str, figures: Any, way: Way) -> None:
    """A prompt becomes a user's message, and the answer its text."""
    (said, reason, usage), sent = stage.completion(way, answer, provider=provider, max_tokens=16, stop=["END"], temperature=0.5)
    assert (said, reason, (usage.prompt_tokens, usage.completion_tokens)) == ("fine 日本", finish, figures)
    assert sent["messages"] == [user("hi")] and sent["max_tokens"] == 16 and sent["temperature"] == 0.5
    assert sent["stop" if provider == "chat" else "stop_sequences"] == ["END"]


@pytest.mark.parametrize("provider", ["chat", "claude"])
def test_legacy_completions_that_a_chat_cannot_give(stage: Stage, provider: str) -> None:
    """Several prompts, tokens, a suffix: 400 with the field."""
    for asked in ({"prompt": ["a", "b"]}, {"prompt": [1, 2, 3]}, {"prompt": "a", "suffix": "b"}):
        with pytest.raises(openai.BadRequestError) as raised:
            stage.openai.completions.create(model=f"m@{provider}", **asked)  # type: ignore[call-overload]
        assert raised.value.param == ("suffix" if "suffix" in asked else "prompt") and not stage.upstream.requests


def test_echo(stage: Stage) -> None:
    """The prompt comes before its answer."""
    for way in WAYS[:1] + WAYS[2:]:
        (said, _, _), sent = stage.completion(way, CHAT, prompt=["Once "], echo=True)
        assert said == "Once fine" and "echo" not in sent, way
