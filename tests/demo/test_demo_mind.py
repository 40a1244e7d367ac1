"""What the demo decides to say: the rule of its docstring, as pure functions."""

from __future__ import annotations

import json

import pytest

from monorelay.demo import chat, messages, responses
from monorelay.demo.embeddings import embed
from monorelay.demo.invent import invent
from monorelay.demo.mind import Tool, Turn, answer
from monorelay.demo.refusal import Refusal
from monorelay.demo.shelf import Shelf, page

FEW = tuple(Tool(name, {}) for name in ("search", "fetch"))
MANY = tuple(Tool(name, {}) for name in ("Bash", "Read", "Write", "Grep"))


@pytest.mark.parametrize(
    ("turn", "called"),
    [
        (Turn("demo", "hi", tools=FEW), ["search"]),
        (Turn("demo", "hi", tools=MANY), []),
        (Turn("demo", "use Grep and Bash", tools=MANY), ["Bash", "Grep"]),
        (Turn("demo", "use Grep and Bash", tools=MANY, parallel=False), ["Bash"]),
        (Turn("demo", "Greps, BashX, read", tools=MANY), []),
        (Turn("demo", "hi", tools=MANY, choice="required"), ["Bash"]),
        (Turn("demo", "use Bash", tools=MANY, choice="none"), []),
        (Turn("demo", "use Bash", tools=MANY, choice="required", forced="Read"), ["Read"]),
        (Turn("demo", "hi", tools=FEW, forced="nobody", choice="required"), []),
        (Turn("demo", "hi", tools=FEW, results=(("search", "found"),)), []),
        (Turn("demo-cut", "hi", tools=FEW), []),
    ],
)
def test_which_tools_are_called(turn, called):
    """Forced tools, mentioned tools, the first of a few; none of many for a plain word, none after a result."""
    reply = answer(turn)
    assert [call.name for call in reply.calls] == called
    assert (reply.ending == "tools") is bool(called) and bool(reply.text) is not bool(called)


@pytest.mark.parametrize(
    ("turn", "text", "ending"),
    [
        (Turn("demo", "hi"), "You said: hi", "stop"),
        (Turn("demo"), "You said nothing.", "stop"),
        (Turn("demo", "hi", images=2), "You said: hi And you showed 2 images.", "stop"),
        (Turn("demo", "hi", results=(("a", "1"), ("b", "2"))), "The tool a answered: 1 The tool b answered: 2", "stop"),
        (Turn("demo", "a b c", limit=3), "You said: a", "length"),
        (Turn("demo", "a b c", stops=("zzz", " b")), "You said: a", "stop_sequence"),
        (Turn("demo", "hi", json_schema={}), '{"you_said": "hi"}', "stop"),
    ],
)
def test_what_is_said(turn, text, ending):
    """An echo, a word about the tool's result, JSON where JSON was asked for; within limits and stops."""
    assert (answer(turn).text, answer(turn).ending) == (text, ending)


def test_an_agents_first_turn_gets_text():
    """Reminders beside the user's words, a system message after them and dozens of tools: a plain "hi" is answered plainly."""
    tools = [{"name": name, "description": "", "input_schema": {"type": "object"}} for name in ("Bash", "Read", "Task", "Edit")]
    reminder = {"type": "text", "text": "<system-reminder>\nUse Bash and Read.\n</system-reminder>"}
    said = [
        {"role": "user", "content": [reminder, {"type": "text", "text": "hi", "cache_control": {"type": "ephemeral"}}]},
        {"role": "system", "content": "These skills are available: Task."},
    ]
    message = messages.complete({"model": "demo", "max_tokens": 32_000, "messages": said, "tools": tools})
    assert message["content"] == [{"type": "text", "text": "You said: hi"}] and message["stop_reason"] == "end_turn"


def test_a_result_before_a_late_system_message():
    """A system message after a tool's result does not hide the result, in any dialect."""
    use = {"type": "tool_use", "id": "t1", "name": "Bash", "input": {}}
    result = {"type": "tool_result", "tool_use_id": "t1", "content": "done"}
    said = [{"role": "assistant", "content": [use]}, {"role": "user", "content": [result]}, {"role": "system", "content": "x"}]
    assert messages.complete({"model": "demo", "max_tokens": 9, "messages": said})["content"][0]["text"].endswith("answered: done")
    call = {"id": "t1", "type": "function", "function": {"name": "Bash", "arguments": "{}"}}
    said = [
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "t1", "content": "done"},
        {"role": "developer", "content": "x"},
    ]
    told = chat.complete({"model": "demo", "messages": said})
    assert told["choices"][0]["message"]["content"] == "The tool Bash answered: done"
    items = [
        {"type": "function_call", "call_id": "t1", "name": "Bash", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "t1", "output": "done"},
        {"role": "developer", "content": "x"},
    ]
    told = responses.complete({"model": "demo", "input": items})
    assert told["output"][0]["content"][0]["text"] == "The tool Bash answered: done"


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "string"}, "demo"),
        ({"type": "string", "minLength": 6, "maxLength": 8}, "demo.."),
        ({"type": "string", "format": "date"}, "2026-01-31"),
        ({"enum": ["b", "a"]}, "b"),
        ({"const": 7}, 7),
        ({"type": "integer", "minimum": 3}, 3),
        ({"type": "integer", "exclusiveMinimum": 3}, 4),
        ({"type": "integer", "maximum": -2}, -2),
        ({"type": "number"}, 1.0),
        ({"type": ["null", "boolean"]}, True),
        ({"type": "null"}, None),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, 1),
        ({"type": "array", "items": {"type": "integer"}, "minItems": 2}, [1, 1]),
        ({"type": "object"}, {}),
        ({"properties": {"city": {"type": "string"}}}, {"city": "Paris"}),
        ({"properties": {"a": {}, "b": {"type": "integer"}}, "required": ["b"]}, {"b": 1}),
        ({"$defs": {"n": {"type": "integer"}}, "properties": {"n": {"$ref": "#/$defs/n"}}}, {"n": 1}),
        ({"allOf": [{"properties": {"n": {"type": "integer"}}}, {"required": ["n"]}], "type": "object"}, {"n": 1}),
        (True, "demo"),
        ({"$ref": "#/nowhere"}, "demo"),
    ],
)
def test_invented_values(schema, value):
    """Values satisfy their schema, whatever its shape."""
    assert invent(schema) == value


def test_recursive_schemas_end():
    """A schema that refers to itself gives a finite value."""
    tree = {"type": "object", "properties": {"child": {"$ref": "#"}, "n": {"type": "integer"}}, "required": ["n"]}
    assert invent(tree) == {"n": 1}
    endless = {"type": "object", "properties": {"child": {"$ref": "#"}}, "required": ["child"]}
    assert len(json.dumps(invent(endless))) < 1_000
    loop = {"$ref": "#"}
    assert invent(loop) == "demo"


def test_embeddings_are_the_same_everywhere():
    """A text has one vector, on every machine and for ever."""
    assert embed("hello", 4).tolist() == pytest.approx([0.28618, 0.49479, -0.51722, 0.63700], abs=1e-4)


def test_a_shelf_loses_the_oldest():
    """Memory is bounded: beyond the capacity the oldest object is gone, and asking for it is a 404."""
    shelf = Shelf("thing", capacity=2)
    for number in range(3):
        shelf.put(str(number), number)
    assert list(shelf) == [1, 2]
    with pytest.raises(Refusal) as refusal:
        shelf.get("0")
    assert refusal.value.status_code == 404


@pytest.mark.parametrize(
    ("query", "ids", "has_more"),
    [
        ({}, "54321", False),
        ({"order": "asc", "limit": "2"}, "12", True),
        ({"limit": "2", "after": "4"}, "32", True),
        ({"limit": "2", "before": "2"}, "43", True),
        ({"after": "1"}, "", False),
    ],
)
def test_pages(query, ids, has_more):
    """Lists are paged by limit, order, after and before."""
    told = page([{"id": str(number)} for number in range(1, 6)], lambda name, default: query.get(name, default))
    assert ("".join(item["id"] for item in told["data"]), told["has_more"]) == (ids, has_more)
