"""anthropic.messages on openai.responses: what is lost, what is refused, what providers want otherwise, and what comes back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from test_messages_to_responses_requests import CLOCK, SAID, SCHEMA, SEARCH, brought, called, items, result, text, told, use
from to_responses_stage import MESSAGES, USER, answer, begin, call, lost, message, request, thought

from monorelay.dialects.anthropic_messages_to_openai_responses import DROPPED
from monorelay.dialects.anthropic_messages_to_openai_responses.fields import REFUSED
from monorelay.dialects.interface import Untranslatable
from monorelay.dialects.sealed_thoughts import seal

LOST: list[tuple[dict[str, Any], tuple[str, ...]]] = [
    ({"max_tokens": 1}, ("max_tokens",)),
    ({"stop_sequences": ["x"]}, ("stop_sequences",)),
    ({"top_k": 5}, ("top_k",)),
    ({"inference_geo": "eu"}, ("inference_geo",)),
    ({"output_config": {"task_budget": {"type": "tokens", "total": 9}}}, ("output_config.task_budget",)),
    ({"output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}}}, ("output_config.format",)),
    ({"tools": [{"type": "bash_20250124", "name": "bash"}]}, ("tools.bash_20250124",)),
    ({"tools": [{**CLOCK, "strict": True, "input_schema": {"type": "object"}}]}, ("tools.strict",)),
    ({"tools": [{**SEARCH, "blocked_domains": ["a.org"]}]}, ("tools.web_search.blocked_domains",)),
    ({"tools": [CLOCK], "tool_choice": {"type": "tool", "name": "gone"}}, ("tool_choice",)),
    ({"messages": [{"role": "user", "content": [{"type": "hologram"}, text("x")]}]}, ("messages.hologram",)),
    (
        {
            "messages": [
                USER,
                {"role": "assistant", "content": [{"type": "server_tool_use", "id": "s", "name": "web_search"}, text("x")]},
            ]
        },
        ("messages.server_tool_use",),
    ),
    (
        {
            "messages": [
                {
                    "role": "user",
                    "content": [{"type": "document", "source": {"type": "url", "url": "u"}, "citations": {"enabled": True}}],
                }
            ]
        },
        ("documents.citations",),
    ),
    ({"future_field": 1}, ("future_field",)),
]


@pytest.mark.parametrize("body, fields", LOST)
def test_what_is_lost(body: dict[str, Any], fields: tuple[str, ...]) -> None:
    """Named, with a reason; and refused where nothing may be lost."""
    assert lost(MESSAGES, body) == fields
    groups = ("tools.", "messages.")
    assert all(field in DROPPED or field == "future_field" or field.startswith(groups) for field in fields)
    with pytest.raises(Untranslatable) as refused:
        begin(MESSAGES, body, strict=True)
    assert refused.value.field == fields[0] and fields[0] in str(refused.value)


REFUSALS: list[tuple[dict[str, Any], str]] = [
    *(({field: [{"type": "x"}]}, field) for field in REFUSED),
    ({"messages": None}, "messages"),
    ({"messages": []}, "messages"),
    ({"messages": ["x"]}, "messages"),
    ({"messages": [{"role": "user", "content": []}]}, "messages"),
    ({"messages": [{"role": "wizard", "content": "x"}]}, "messages.role"),
    ({"messages": [{"role": "user", "content": 5}]}, "messages.0.content"),
    ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages.0.content"),
    ({"tools": [{}]}, "tools"),
    ({"tools": [CLOCK], "tool_choice": "auto"}, "tool_choice"),
    ({"output_config": {"effort": "extreme"}}, "output_config.effort"),
    ({"output_config": {"format": {"type": "xml"}}}, "output_config.format"),
]


@pytest.mark.parametrize("body, field", REFUSALS)
def test_what_is_refused(body: dict[str, Any], field: str) -> None:
    """A request that cannot be said is refused by the name of its field, in a sentence."""
    with pytest.raises(Untranslatable) as refused:
        begin(MESSAGES, body)
    assert refused.value.field == field and str(refused.value)


# ---------------------------------------------------------------------- quirks


def test_a_provider_that_cannot_be_asked_to_think() -> None:
    """Nothing is asked for that models without thought would refuse."""
    body = {"thinking": {"type": "adaptive"}, "temperature": 1}
    assert told(body, reasoning="none") == {"temperature": 1}
    assert lost(MESSAGES, body, reasoning="none") == ("thinking",)


def test_a_provider_that_cannot_be_held_to_a_schema() -> None:
    """It is asked in words, behind the instructions."""
    body = {"system": "Be brief.", "output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}}
    found = request(MESSAGES, body, json_schema=False)
    assert found["text"] == {"format": {"type": "json_object"}} and "instructions" not in found
    assert found["input"][0]["content"].startswith("Be brief.\n\nAnswer with one JSON object")
    assert lost(MESSAGES, body, json_schema=False) == ("output_config.format",)


def test_fields_that_a_provider_rejects() -> None:
    """What the client asked for is reported under its own name, what the relay asked for is not."""
    body = {"temperature": 0.5, "thinking": {"type": "adaptive"}, "metadata": {"user_id": "u"}}
    quirks = {"drop": ("temperature", "reasoning.summary", "include", "user")}
    assert told(body, **quirks) == {"reasoning": {"effort": "high"}}
    assert lost(MESSAGES, body, **quirks) == ("temperature",)


# ---------------------------------------------------------------------- there and back

ASKED = {"thinking": {"type": "adaptive"}}


def test_thoughts_come_back() -> None:
    """The reasoning item is what it was, in its place, under its own id; what was said beside it, too."""
    made = [thought("A", "B"), message("So."), thought(encrypted="gBBB", item_id="rs_2"), call("clock", '{"n":1}')]
    content = json.loads(begin(MESSAGES, ASKED).answer(answer(*made)))["content"]
    assert [block["type"] for block in content] == ["thinking", "text", "thinking", "tool_use"]
    assert content[0]["thinking"] == "A\n\nB" and content[2]["thinking"] == ""
    found = items(USER, {"role": "assistant", "content": content}, {"role": "user", "content": [result("call_1")]})
    assert found == [
        SAID,
        made[0],
        {"type": "message", "role": "assistant", "content": "So."},
        made[2],
        called("call_1"),
        brought("call_1"),
    ]


def test_thoughts_that_led_to_nothing() -> None:
    """The upstream refuses a thought without what followed it."""
    content = json.loads(begin(MESSAGES, ASKED).answer(answer(thought("A"))))["content"]
    assert items(USER, {"role": "assistant", "content": content}, USER) == [SAID, SAID]


@pytest.mark.parametrize("signature", ["", "c2ln", "openai.responses:", "openai.responses:x", "openai.responses:bnVsbA==", None, 5])
def test_signatures_of_others(signature: Any) -> None:
    """No fault, and nothing for the upstream."""
    block = {"type": "thinking", "thinking": "Hm", "signature": signature}
    assert items({"role": "assistant", "content": [block, text("So.")]}) == [
        {"type": "message", "role": "assistant", "content": "So."}
    ]


def test_a_seal_holds_nothing_but_thoughts() -> None:
    """A client cannot put another item in its place."""
    block = {"type": "thinking", "thinking": "Hm", "signature": seal("openai.responses", {"type": "item_reference", "id": "x"})}
    assert len(items({"role": "assistant", "content": [block, text("So.")]})) == 1


def test_thoughts_of_a_provider_that_wants_them_in_plain_text() -> None:
    """They go back whole where the relay has sealed them, else as text under an id that stays the same."""
    item = thought("Hm", field="content", encrypted=None)
    content = json.loads(begin(MESSAGES, ASKED, echo_reasoning=True).answer(answer(item, message("So."))))["content"]
    assert items({"role": "assistant", "content": content}, echo_reasoning=True)[0] == item
    bare = {"type": "thinking", "thinking": "Hm", "signature": ""}
    found = items({"role": "assistant", "content": [bare, text("So.")]}, echo_reasoning=True)[0]
    assert found["content"] == item["content"] and found["id"].startswith("rs_")
    assert found == items({"role": "assistant", "content": [bare, text("So.")]}, echo_reasoning=True)[0]


def test_ids_come_back() -> None:
    """Also those that this dialect would not take."""
    block = json.loads(begin(MESSAGES).answer(answer(call("clock", '{"n":1}', "functions.clock:0"))))["content"][0]
    assert block["id"].replace("-", "").replace("_", "").isalnum()
    found = items({"role": "assistant", "content": [block]}, {"role": "user", "content": [result(block["id"])]})
    assert found == [called("functions.clock:0"), brought("functions.clock:0")]


def test_words_that_clients_wait_for() -> None:
    """Claude Code compacts a conversation when it reads that the prompt is too long, whole or in a stream."""
    inside = {"message": "Your input exceeds the context window of this model.", "code": "context_length_exceeded"}
    translated = begin(MESSAGES).refusal(400, json.dumps({"error": inside}).encode())
    assert translated is not None and json.loads(translated)["error"]["message"].startswith("prompt is too long: ")
    transducer = begin(MESSAGES).stream()
    transducer.feed(b"data: " + json.dumps({"type": "response.failed", "response": {"error": inside}}).encode() + b"\n\n")
    assert transducer.error is not None and transducer.error.status == 400
    assert transducer.error.body.message.startswith("prompt is too long: ")


def test_nothing_is_changed_in_place() -> None:
    """The client's request stays as it is."""
    body = {"messages": [USER, {"role": "assistant", "content": [use()]}, {"role": "user", "content": [result(is_error=True)]}]}
    before = json.dumps(body)
    begin(MESSAGES, body)
    assert json.dumps(body) == before
