"""openai.completions on openai.chat and on anthropic.messages: rules, the official SDK, and anything at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from monorelay.dialects import openai_completions_to_anthropic_messages as on_messages
from monorelay.dialects import openai_completions_to_openai_chat as on_chat
from monorelay.dialects.interface import Hints, Translation, Truncated, Untranslatable
from monorelay.dialects.quirks import Quirks
from monorelay.dialects.sse import read_events
from monorelay.errors import ErrorBody

BOTH = pytest.mark.parametrize("pair", [on_chat, on_messages], ids=["chat", "messages"])
CASES = sorted((Path(__file__).parent / "cases").glob("openai_completions_to_*"))


def begin(pair: Any, body: dict[str, Any], strict: bool = False, **quirks: Any) -> Translation:
    hints = Hints("up-model", 1_700_000_000, lambda prefix: f"{prefix}made", Quirks(**quirks), strict)
    translation: Translation = pair.TRANSLATOR.begin({"model": "m", "prompt": "Say hi", **body}, b"", hints)
    return translation


def upstream(pair: Any, body: dict[str, Any], **quirks: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(begin(pair, body, **quirks).request)
    return found


@BOTH
@pytest.mark.parametrize("prompt", ["Say hi", ["Say hi"]])
def test_one_prompt_is_what_the_user_says(pair: Any, prompt: Any) -> None:
    """A string, or a list of one."""
    assert upstream(pair, {"prompt": prompt})["messages"] == [{"role": "user", "content": "Say hi"}]


@BOTH
@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"prompt": ["a", "b"]}, "prompt"),
        ({"prompt": [1, 2]}, "prompt"),
        ({"prompt": [[1], [2]]}, "prompt"),
        ({"prompt": ""}, "prompt"),
        ({"prompt": []}, "prompt"),
        ({"prompt": None}, "prompt"),
        ({"suffix": "end"}, "suffix"),
        ({"echo": True, "logprobs": 1}, "echo"),
    ],
)
def test_what_a_chat_cannot_do_names_its_field(pair: Any, body: dict[str, Any], field: str) -> None:
    """Refused with the field in the way, and a sentence."""
    with pytest.raises(Untranslatable) as refused:
        begin(pair, body)
    assert refused.value.field == field
    assert str(refused.value).endswith(".")


@pytest.mark.parametrize(
    ("body", "quirks", "fields"),
    [
        ({"max_tokens": 5}, {}, {"max_tokens": 5}),
        ({"max_tokens": 5}, {"max_tokens_field": "max_completion_tokens"}, {"max_completion_tokens": 5}),
        ({}, {}, {}),
        ({"temperature": 2, "stop": ["a"], "seed": 1, "n": 2}, {}, {"temperature": 2, "stop": ["a"], "seed": 1, "n": 2}),
        ({"logprobs": 3}, {}, {"logprobs": True, "top_logprobs": 3}),
        ({"logprobs": 0}, {}, {"logprobs": True}),
        ({"logprobs": None, "suffix": None, "echo": False}, {}, {}),
        ({"stream": True}, {}, {"stream": True, "stream_options": {"include_usage": True}}),
        ({"stream": True}, {"include_usage": "refuse"}, {"stream": True}),
        ({"seed": 1}, {"drop": ("seed",)}, {}),
        ({"min_p": 0.1}, {}, {"min_p": 0.1}),
    ],
)
def test_fields_on_chat(body: dict[str, Any], quirks: dict[str, Any], fields: dict[str, Any]) -> None:
    """The dialects share most fields; these are what differs."""
    found = upstream(on_chat, body, **quirks)
    assert found == {"model": "up-model", "messages": found["messages"], **fields}


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, {"max_tokens": 4096}),
        ({"max_tokens": 16, "stop": "a"}, {"max_tokens": 16, "stop_sequences": ["a"]}),
        ({"temperature": 1.5, "top_p": 0.5}, {"max_tokens": 4096, "temperature": 1, "top_p": 0.5}),
        ({"user": "u", "n": 1}, {"max_tokens": 4096, "metadata": {"user_id": "u"}}),
        ({"stream": True, "stream_options": {"include_usage": True}}, {"max_tokens": 4096, "stream": True}),
    ],
)
def test_fields_on_messages(body: dict[str, Any], fields: dict[str, Any]) -> None:
    """Each field of this dialect becomes this one of Anthropic's."""
    found = upstream(on_messages, body)
    assert found == {"model": "up-model", "messages": found["messages"], **fields}


@pytest.mark.parametrize(
    ("pair", "body", "names"),
    [
        (on_chat, {"best_of": 3}, ("best_of",)),
        (on_chat, {"best_of": 2, "n": 2, "seed": 1, "logprobs": 1}, ()),
        (on_messages, {"best_of": 1, "seed": None, "presence_penalty": 0}, ()),
        (on_messages, {"logprobs": 0}, ("logprobs",)),
        (on_messages, {"best_of": 2, "temperature": 2, "stop": [" "], "seed": 1}, ("best_of", "stop", "temperature", "seed")),
    ],
)
def test_losses(pair: Any, body: dict[str, Any], names: tuple[str, ...]) -> None:
    """What has no counterpart is named, with a reason; a strict route refuses it."""
    assert begin(pair, body).lost == names
    assert set(names) <= pair.DROPPED.keys()
    if names:
        with pytest.raises(Untranslatable) as refused:
            begin(pair, body, strict=True)
        assert refused.value.field == names[0]


def test_several_choices_on_messages_are_refused() -> None:
    """One request, one answer."""
    with pytest.raises(Untranslatable) as refused:
        begin(on_messages, {"n": 2})
    assert refused.value.field == "n"


def test_refusals() -> None:
    """Anthropic's error in OpenAI's envelope; OpenAI's as it came; what is no error object is left to the relay."""
    theirs = b'{"type":"error","error":{"type":"not_found_error","message":"model: x"},"request_id":"req_1"}'
    assert json.loads(begin(on_messages, {}).refusal(404, theirs) or b"") == {
        "error": {"message": "model: x", "type": "not_found_error"},
        "request_id": "req_1",
    }
    ours = b'{"error": {"message": "No such model", "code": "model_not_found"}}'
    assert begin(on_chat, {}).refusal(404, ours) is ours
    for pair in (on_chat, on_messages):
        for body in (b"<html>", b"[]", b'{"error":"x"}', b'{"detail":"x"}', b"\xff"):
            assert begin(pair, {}).refusal(400, body) is None


@pytest.mark.parametrize("folder", CASES, ids=lambda folder: folder.name)
def test_the_sdk_reads_every_case(folder: Path) -> None:
    """Every answer and chunk is a Completion by OpenAI's own types."""
    completion = pytest.importorskip("openai").types.Completion
    if (folder / "client-answer.json").exists():
        completion.model_validate_json((folder / "client-answer.json").read_bytes())
    if (folder / "client.sse").exists():
        for event in read_events((folder / "client.sse").read_bytes()):
            if event.data != b"[DONE]" and b'"error"' not in event.data:
                told = json.loads(event.data)
                for choice in told["choices"]:  # the types know only answers, where a reason is never missing
                    choice["finish_reason"] = choice["finish_reason"] or "stop"
                    if choice["logprobs"]:
                        assert {len(each) for each in choice["logprobs"].values()} == {len(choice["logprobs"]["tokens"])}
                        choice["logprobs"] = None
                completion.model_validate(told)


@BOTH
@pytest.mark.parametrize("cut", [False, True])
def test_the_sdk_streams(pair: Any, cut: bool) -> None:
    """The client sees its text as it comes, then an end; or, of a cut stream, an error."""
    openai, httpx2 = pytest.importorskip("openai"), pytest.importorskip("httpx2")
    name = "openai_completions_to_openai_chat-text" if pair is on_chat else "openai_completions_to_anthropic_messages-text"
    stream = (Path(__file__).parent / "cases" / name / "upstream.sse").read_bytes()

    def reply(request: Any) -> Any:
        transducer = begin(pair, json.loads(request.content)).stream()
        told = transducer.feed(stream[:900] if cut else stream)
        try:
            told += transducer.close()
        except Truncated:
            told += transducer.fail(ErrorBody("upstream_error", "The stream broke off."))
        return httpx2.Response(200, content=told, headers={"content-type": "text/event-stream"})

    transport = httpx2.Client(transport=httpx2.MockTransport(reply))
    client = openai.OpenAI(api_key="k", base_url="http://relay/v1", http_client=transport)
    chunks = client.completions.create(model="m", prompt="Once upon", stream=True, stream_options={"include_usage": True})
    if cut:
        with pytest.raises(openai.APIError, match="broke off"):
            list(chunks)
        return
    found = list(chunks)
    assert "".join(chunk.choices[0].text for chunk in found if chunk.choices) == (" a tïme" if pair is on_chat else " a time")
    assert found[-1].usage.total_tokens == (15 if pair is on_chat else 9)


@BOTH
def test_anything_at_all(pair: Any) -> None:
    """Any request is translated or refused; any stream, however cut, becomes whole events."""
    hypothesis = pytest.importorskip("hypothesis")
    st = pytest.importorskip("hypothesis.strategies")
    names = st.sampled_from(
        "type index delta content text choices usage message error finish_reason logprobs token top_logprobs id".split()
    )
    leaf = st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.sampled_from(["text_delta", "error"])
    )
    anything = st.recursive(
        leaf, lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(names, inner, max_size=4)), max_leaves=12
    )
    fields = "prompt suffix echo n best_of max_tokens stop temperature user metadata stream stream_options logprobs seed".split()
    choice = st.fixed_dictionaries(
        {}, optional={each: anything for each in ("index", "delta", "finish_reason", "logprobs", "error")}
    )
    kinds = "message_start content_block_start content_block_delta message_delta message_stop error".split()
    event = st.one_of(
        anything,
        st.fixed_dictionaries({"choices": st.lists(choice, max_size=2)}, optional={"usage": anything, "id": anything}),
        st.fixed_dictionaries(
            {"type": st.sampled_from(kinds)}, optional={"delta": anything, "message": anything, "usage": anything}
        ),
    )
    plain = hypothesis.settings(max_examples=150, deadline=None, database=None, derandomize=True)

    @plain
    @hypothesis.given(st.dictionaries(st.sampled_from(fields), anything, max_size=5))
    def any_request(body: dict[str, Any]) -> None:
        try:
            json.loads(begin(pair, body).request)
        except Untranslatable as refused:
            assert refused.field

    @plain
    @hypothesis.given(st.lists(event, max_size=6), st.booleans(), st.integers(1, 40))
    def any_stream(events: list[Any], echo: bool, size: int) -> None:
        stream = b"".join(b"data: %b\n\n" % json.dumps(each).encode() for each in events)
        told = []
        for chunks in ([stream], [stream[at : at + size] for at in range(0, len(stream), size)]):
            transducer = begin(pair, {"echo": echo, "stream_options": {"include_usage": True}}).stream()
            out = b"".join(transducer.feed(chunk) for chunk in chunks)
            try:
                out += transducer.close()
            except Truncated:
                out += transducer.fail(ErrorBody("upstream_error", "cut"))
            told.append(out)
        assert told[0] == told[1]
        for each in read_events(told[0]):
            assert each.data == b"[DONE]" or isinstance(json.loads(each.data), dict)

    any_request()
    any_stream()
