"""The real relay between the vendors' own SDKs and scripted upstreams that speak the other dialect.

stage = Stage(start, upstream)
message, sent = stage.message("helper", chat.answer({"content": "hi"}), messages=[…])   # Anthropic's SDK on a chat upstream
sent.json                                                                              # what that upstream was sent

An answer knows itself whole and as a stream (``translation_answers.py``), so each case runs in three ways: whole, by the SDK's
streaming helper, and by its raw events, which are held against the dialect's grammar one by one (``translation_grammar.py``). The
SDKs validate everything they are given by their own types.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal, Protocol

import anthropic
import openai
from story_process import KEY, Relay
from story_providers import SECRETS, SERVER, keys
from story_upstream import Recorded, Recorder, Step, ok, streamed
from translation_grammar import chat_of, message_of, response_of

Way = Literal["whole", "helper", "events"]
WAYS: tuple[Way, ...] = ("whole", "helper", "events")
STREAMS: tuple[Way, ...] = ("helper", "events")

# Offers of an upstream that speaks one dialect and nothing else.
CHAT = {"openai.chat": "/chat/completions"}
MESSAGES = {"anthropic.messages": "/v1/messages"}

Quirks = Mapping[str, Mapping[str, Any]]
_CHAT_QUIRKS: Quirks = {
    "chat": {},
    "echoing": {"echo_reasoning": True},
    "completion": {"max_tokens_field": "max_completion_tokens", "system_role": "developer"},
    "thinker": {"reasoning": "thinking"},
    "plain": {"reasoning": "none", "json_schema": False, "include_usage": "refuse", "system_role": "user"},
    "picky": {"drop": ["parallel_tool_calls", "user", "top_p"]},
}
_MESSAGES_QUIRKS: Quirks = {
    "claude": {},
    "adaptive": {"thinking": "adaptive", "late_system": "system"},
    "thoughtless": {"thinking": "none", "json_schema": False, "max_tokens": 2048},
    "fussy": {"drop": ["metadata", "service_tier"]},
}


class Answer(Protocol):
    """What an upstream says: whole, and in events."""

    @property
    def whole(self) -> Any: ...
    @property
    def events(self) -> Sequence[bytes]: ...


def providers(origin: str, spares: int = 0) -> dict[str, Any]:
    """One provider for each row of quirks; those named strict refuse what would be lost; ``spares`` more of either kind, whose
    keys a test may wear out: chat-0, claude-0, chat-1 …
    """
    found: dict[str, Any] = {}
    for offers, rows in ((CHAT, _CHAT_QUIRKS), (MESSAGES, _MESSAGES_QUIRKS)):
        path = "/v1" if offers is CHAT else ""
        for name, quirks in rows.items():
            found[name] = {"base_url": f"{origin}/{name}{path}", "keys": keys("a"), "offers": offers, "quirks": dict(quirks)}
    for name, like in (("chat-strict", "chat"), ("claude-strict", "claude")):
        found[name] = {**found[like], "base_url": found[like]["base_url"].replace(like, name), "strict": True}
    for number in range(spares):
        for like in ("chat", "claude"):
            found[f"{like}-{number}"] = dict(found[like])
    found["claude"]["auth"] = "x-api-key"
    return found


class Stage:
    """One relay, two SDKs. ``last`` is the head of the answer that was looked at last."""

    def __init__(self, start: Callable[..., Relay], upstream: Recorder, spares: int = 0) -> None:
        self.upstream = upstream
        self.relay = start({"server": SERVER, "providers": providers(upstream.origin, spares)}, environ=SECRETS)
        strict: dict[str, Any] = {"api_key": KEY, "max_retries": 0, "timeout": 15, "_strict_response_validation": True}
        self.openai = openai.OpenAI(base_url=f"{self.relay.url}/v1", **strict)
        # Where the SDK's own types contradict the reference: no custom tools in chunks, a finish_reason in every completion.
        self.lenient = openai.OpenAI(base_url=f"{self.relay.url}/v1", api_key=KEY, max_retries=0, timeout=15)
        self.anthropic = anthropic.Anthropic(base_url=self.relay.url, **strict)

    def close(self) -> None:
        self.openai.close()
        self.lenient.close()
        self.anthropic.close()

    # ------------------------------------------------------------------ calls

    def message(self, way: Way, answer: Answer | None, *, provider: str = "chat", **asked: Any) -> tuple[Any, Any]:
        """messages.create or messages.stream: the Message, and the JSON that the upstream was sent."""
        asked = {"model": f"up-model@{provider}", "max_tokens": 1024, "messages": [user("hi")], **asked}
        self._script(way, answer)
        if way == "whole":
            found: Any = self.anthropic.messages.create(**asked)
        elif way == "helper":
            with self.anthropic.messages.stream(**asked) as stream:
                found = stream.get_final_message()
        else:
            with self.anthropic.messages.create(**asked, stream=True) as events:
                found = message_of([event.to_dict() for event in events])
        return found, self.sent()

    def chat(
        self, way: Way, answer: Answer | None, *, provider: str = "claude", client: Any = None, **asked: Any
    ) -> tuple[Any, Any]:
        """chat.completions.create or .stream: the ChatCompletion, and the JSON that the upstream was sent."""
        asked = {"model": f"up-model@{provider}", "messages": [user("hi")], **asked}
        completions = (client or self.openai).chat.completions
        self._script(way, answer)
        if way == "whole":
            found: Any = completions.create(**asked)
            return found, self.sent()
        asked.setdefault("stream_options", {"include_usage": True})
        if way == "helper":
            with completions.stream(**asked) as stream:
                try:
                    found = stream.get_final_completion()
                except (openai.LengthFinishReasonError, openai.ContentFilterFinishReasonError) as error:
                    found = error.completion  # the helper takes these for failures
        else:
            with completions.create(**asked, stream=True) as chunks:
                found = chat_of([chunk.to_dict() for chunk in chunks])
        return found, self.sent()

    def response(self, way: Way, answer: Answer | None, *, provider: str = "chat", **asked: Any) -> tuple[Any, Any]:
        """responses.create or .stream: the Response, and the JSON that the upstream was sent."""
        asked = {"model": f"up-model@{provider}", "input": "hi", **asked}
        self._script(way, answer)
        if way == "whole":
            return self.openai.responses.create(**asked), self.sent()
        if way == "helper":
            with self.openai.responses.stream(**asked) as stream:
                events = list(stream)
            assert events[-1].type in ("response.completed", "response.incomplete"), events[-1]
            found: Any = events[-1].response  # type: ignore[union-attr]
        else:
            with self.openai.responses.create(**asked, stream=True) as raw:
                found = response_of([event.to_dict() for event in raw])
        return found, self.sent()

    def completion(self, way: Way, answer: Answer | None, *, provider: str = "chat", **asked: Any) -> tuple[Any, Any]:
        """completions.create: the text, the finish_reason and the usage of what came; and the JSON that the upstream was sent."""
        asked = {"model": f"up-model@{provider}", "prompt": "hi", **asked}
        self._script(way, answer)
        if way == "whole":
            one = self.openai.completions.create(**asked)
            return (one.choices[0].text, one.choices[0].finish_reason, one.usage), self.sent()
        chunks = list(self.lenient.completions.create(**asked, stream=True, stream_options={"include_usage": True}))
        choices = [choice for chunk in chunks for choice in chunk.choices]
        told = [choice.finish_reason for choice in choices if choice.finish_reason]
        usage = [chunk.usage for chunk in chunks if chunk.usage]
        assert len(told) == 1 and len(usage) <= 1, chunks
        return ("".join(choice.text for choice in choices), told[0], usage[-1] if usage else None), self.sent()

    def count(self, **asked: Any) -> tuple[int, Any]:
        """messages.count_tokens: the figure, and the head of the answer."""
        raw = self.anthropic.messages.with_raw_response.count_tokens(
            **{"model": "up-model@chat", "messages": [user("hi")], **asked}
        )
        return raw.parse().input_tokens, raw.headers

    def lost(self, path: str, provider: str, **asked: Any) -> list[str]:
        """What x-monorelay-lossy says of a request to this path."""
        answer = self.relay.ask("POST", path, body={"model": f"up-model@{provider}", **asked})
        return [name for name in (answer.header("x-monorelay-lossy") or "").split(", ") if name]

    # ------------------------------------------------------------------ the upstream

    def sent(self) -> Any:
        """The one request that reached the upstream, which is then forgotten."""
        recorded = self.recorded()
        return recorded.json

    def recorded(self) -> Recorded:
        taken = self.upstream.taken()
        self.upstream.reset()
        return taken

    def _script(self, way: Way, answer: Answer | None) -> None:
        if answer is not None:
            self.upstream.answer(ok(answer.whole) if way == "whole" else streamed(*answer.events))

    @contextmanager
    def refusing(self, *steps: tuple[Step, ...]) -> Iterator[None]:
        """The upstream answers with these; the warnings that follow from that are expected."""
        self.upstream.answer(*steps)
        yield
        self.upstream.reset()


# ---------------------------------------------------------------------- what clients say


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


def assistant(content: Any, **more: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": content, **more}


PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
PDF = "JVBERi0xLjQKMSAwIG9iago8PC9UeXBlL0NhdGFsb2c+PgplbmRvYmoKdHJhaWxlcgo8PC9Sb290IDEgMCBSPj4KJSVFT0YK"
WEATHER = {
    "type": "object",
    "properties": {"city": {"type": "string", "description": "City name"}, "unit": {"type": "string", "enum": ["C", "F"]}},
    "required": ["city"],
}
