"""What nobody changed keeps its spelling around what an operator's rules change: on the whole way, and piece by piece."""

from __future__ import annotations

import json
import time
from typing import Any

import plan_specs as specs
import pytest
from relay_stage import JSON, Stage, play, provider

from monorelay.config.models import ModelSpec, SystemSpec
from monorelay.config.payload import PayloadRule
from monorelay.config.quirks import ToolsSpec
from monorelay.relay.body import parse
from monorelay.relay.spelling import spelled
from monorelay.upstream.scripted import reply

# What a parser and a writer would change: a number beyond every float, digits beyond it, zeros, escapes, a repeated member, blanks.
ODD = r'{ "n": 1e999, "i" : 12345678901234567890, "z": -0,"e": 1E+2, "s":"\u00e9\/\ud83d\ude00", "\u0074":1,"t" : 1.0 }'
USER = r'{ "role" :"user","content": "caf\u00e9" , "d":1.10, "odd": ' + ODD + " }"
ALSO = r'{"role":"user", "content":[ {"type":"text","text":"t\u0065a", "odd":' + ODD + " } ,1.50 ] }"
LED = r'{"role": "system" , "content" : "Be kin\u0064.","odd":' + ODD + "}"
PARTS = LED.replace(r'"Be kin\u0064."', r'[ {"type":"text", "text":"Be kin\u0064."} ]')
TOLD = '{"role":"system","content":"Be brief."}'
TOOL = '{"type":"function","function":{"name":"f"}}'
CALL = '{"role":"assistant", "tool_calls":[{"id":"c", "function":{"name":"f","arguments":"{}"}}], "odd":' + ODD + "}"
CHAT, RESPONSES, MESSAGES = range(3)


def rule(inject: Any = (), override: Any = (), remove: Any = ()) -> dict[str, Any]:
    return {"payload": (PayloadRule(inject=tuple(inject), override=tuple(override), remove=tuple(remove)),)}


def system(prepend: str | None = None, replace: str | None = None) -> dict[str, Any]:
    return {"models": (ModelSpec("*", system=SystemSpec(prepend, replace)),)}


def sent(body: str, number: int = CHAT, **more: Any) -> str:
    """What goes up, on the native lane."""
    found: list[str] = []

    async def scene() -> None:
        needs = ["openai.chat", "openai.responses", "anthropic.messages"]
        routes = tuple(specs.route(f"r{at}", f"/v1/{at}", needs=one, model="required") for at, one in enumerate(needs))
        stage = Stage(provider("acme", *needs), scripts=[reply(200, b'{"choices":[]}', [JSON])], routes=routes, **more)
        answer = await stage.carry(body.encode(), number)
        assert answer.status == 200, answer.body
        raw = stage.engine.requests[0].body
        assert isinstance(raw, bytes)
        found.append(raw.decode())

    play(scene)
    return found[0]


# route, rules, the conversation as it came and as it goes up, and what is written behind it
CASES: dict[str, tuple[int, dict[str, Any], str, str, str]] = {
    "a first message": (CHAT, system("Be brief."), f"[ {USER} , {ALSO} ]", f"[ {TOLD},{USER} , {ALSO} ]", ""),
    "before the first one's words": (
        CHAT,
        system("Be brief."),
        f"[{LED}, {USER}]",
        f"[{LED}, {USER}]".replace(r"Be kin\u0064.", r"Be brief.\n\nBe kind."),
        "",
    ),
    "before the first one's parts": (
        CHAT,
        system("Be brief."),
        f"[{PARTS}, {USER}]",
        f"[{PARTS}, {USER}]".replace("[ {", '[ {"type":"text","text":"Be brief."},{'),
        "",
    ),
    "in the place of two": (
        CHAT,
        system(None, "Be brief."),
        f"[{LED},\n {LED},\n {USER} ]",
        f'[{{"role": "system" , "content" : "Be brief."}},\n {USER} ]',
        "",
    ),
    "in the place of none": (CHAT, system(None, "Be brief."), f"[ {USER},{USER} ]", f"[ {TOLD},{USER},{USER} ]", ""),
    "instructions": (
        RESPONSES,
        system("Be brief.", "Be short."),
        f"[{LED},\n {USER} ]",
        f"[{USER} ]",
        r',"instructions":"Be brief.\n\nBe short."',
    ),
    "system": (MESSAGES, system("Be brief."), f"[ {USER} ]", f"[ {USER} ]", ',"system":"Be brief."'),
    "a system that replaces": (MESSAGES, system(None, "Be brief."), f"[ {LED}, {USER} ]", f"[ {USER} ]", ',"system":"Be brief."'),
    "one value": (
        CHAT,
        rule(override=[("messages.1.odd.z", 7)]),
        f"[ {ALSO}, {USER}\t]",
        f"[ {ALSO}, " + USER.replace('"z": -0', '"z": 7') + "\t]",
        "",
    ),
    "a repeated value": (
        CHAT,
        rule(override=[("messages.-1.odd.t", {"a": [1]})]),
        f"[{ALSO} , {USER}]",
        f"[{ALSO} , " + USER.replace('\\u0074":1,"t" : 1.0', '\\u0074":{"a":[1]},"t" : {"a":[1]}') + "]",
        "",
    ),
    "each of them": (
        CHAT,
        rule(override=[("messages.*.content.0.text", "é")]),
        f"[ {ALSO},{USER}, {ALSO} ]",
        f"[ {ALSO},{USER}, {ALSO} ]".replace(r"t\u0065a", "é"),
        "",
    ),
    "a scalar in a list": (
        CHAT,
        rule(override=[("messages.0.content.1", 1.5), ("messages.0.content.-1", None)]),
        f"[ {ALSO} ]",
        f"[ {ALSO} ]".replace(",1.50", ",null"),
        "",
    ),
    "one that is new": (
        CHAT,
        rule(inject=[("messages.0.odd.new.deep", 1.10), ("messages.0.role", "nobody")]),
        f"[ {USER} ]",
        f"[ {USER} ]".replace("1.0 }", '1.0,"new":{"deep":1.1} }'),
        "",
    ),
    "one that is gone": (
        CHAT,
        rule(remove=["messages.0.odd.n", "messages.0.odd.t", "messages.0.d", "messages.1"]),
        f"[ {USER} , {LED} , {ALSO} ]",
        "[ " + USER.replace('"n": 1e999, ', "").replace(r', "\u0074":1,"t" : 1.0', "").replace(' , "d":1.10', "") + f" , {ALSO} ]",
        "",
    ),
    "all that is gone": (CHAT, rule(remove=["messages.0.odd.*", "messages.1.content.*"]), f"[{USER}, {ALSO}]", "", ""),
    "several at once": (
        CHAT,
        {**system("Be brief."), **rule(override=[("messages.1.d", 2)], remove=["messages.0"])},
        f"[{CALL} , {ALSO},{USER}]",
        f'[{TOLD} , {ALSO[:-2]},"d":2 }},{USER}]',
        "",
    ),
}
CASES["all that is gone"] = (
    *CASES["all that is gone"][:3],
    "[" + USER.replace(ODD, "{  }") + ", " + ALSO[: ALSO.index("[")] + "[  ] }]",
    "",
)


@pytest.mark.parametrize("name", CASES)
def test_only_what_is_addressed_changes(name: str) -> None:
    """Byte for byte, around it and beside it, whatever strange JSON the client writes."""
    number, rules, came, goes, added = CASES[name]
    field = "input" if number == RESPONSES else "messages"
    head, tail = f' {{"odd":{ODD},"model":"m", "{field}" : ', ' , "d": 1.10,"n":1e999'
    assert sent(f"{head}{came}{tail} }}\n", number, **rules) == f"{head}{goes}{tail}{added} }}\n"


def test_tools_that_become_text_leave_the_rest_alone() -> None:
    """A model that takes no tools gets the client's bytes but for them, under its own name."""
    body = f'{{"n":1e999, "messages":[ {LED}, {USER} ,{CALL}, {ALSO} ] , "tools": [{TOOL}], "model" : "m", "odd" : {ODD} }}'
    told = sent(body, tools=ToolsSpec(unsupported_models=("m",)))
    assert told.startswith(r'{"n":1e999, "messages":[ {"role": "system" , "content" : "Be kind.\n\nThese tools ')
    assert told.endswith(f', {ALSO} ], "model" : "m", "odd" : {ODD} }}') and f"}}, {USER} ,{{" in told
    assert '"tool' not in told and told.count(ODD) == body.count(ODD)


def test_a_body_behind_a_mark_in_other_letters() -> None:
    """Places are counted in characters, bytes are written."""
    raw = "\ufeff" + '{"é": "ü", "messages": [ {"content":"ß", "role":"user", "d": 1.10} ]}'
    body = parse(raw.encode())
    changed = [{**body.fields["messages"][0], "role": "tool \ud83d"}]
    assert body.with_fields({"messages": changed}) == raw.replace('"user"', r'"tool \ud83d"').encode()


def test_a_body_that_can_just_be_read() -> None:
    """So deep that it can be parsed, and not be changed: that is the caller's fault, and no accident of the relay's."""

    async def scene() -> None:
        routes = (specs.route(model="required"),)
        stage = Stage(provider("acme"), scripts=[reply(200, b'{"choices":[]}', [JSON])] * 200, routes=routes, **system("Be brief."))
        found = set()
        for depth in range(850, 1000):
            role = '{"role":"system","content":"Be kind.","x":' + "[" * depth + "]" * depth + "}"
            answer = await stage.carry(f'{{"model":"m","messages":[{role}]}}'.encode())
            found.add(answer.status)
        assert found <= {200, 400}

    play(scene)


@pytest.mark.parametrize("large", ["object", "array"])
def test_a_large_element_beside_many_new_ones(large: str) -> None:
    """It is looked at for each of them, and costs each no more than a small one: else a megabyte would take the event loop many
    seconds. The best of some runs, because machines are busy."""

    def best(length: int) -> float:
        values = [str(number) for number in range(1000, 1000 + length)]
        last = {value: value for value in values} if large == "object" else values
        text = json.dumps([*([{}] if large == "object" else [[]]) * 400, last])
        before = json.loads(text)
        after: list[Any] = [{"role": "user"} if large == "object" else ["user"] for _ in range(800)]
        took = []
        for _ in range(3):
            begun = time.thread_time()
            assert json.loads(spelled(after, before, text, 0, len(text))) == after
            took.append(time.thread_time() - begun)
        return min(took)

    assert best(5000) < 10 * best(10)


def text_of(after: Any, before: Any, text: str) -> str:
    return spelled(after, before, text, 0, len(text))


def test_elements_are_known_again() -> None:
    """Moved up, pushed aside or changed in a crowd: what came from an element is written in its place."""
    text = '[1.10, {"a":1.0, "b":1.0} ,[ 2.50,3.0 ], {"c": 1e5} , 4.0]'
    before = json.loads(text)
    first, middle, listed, last, end = before
    assert text_of(before, before, text) == text
    assert text_of([*before, 5], before, text) == text[:-1] + ",5]"
    assert text_of([last, end], before, text) == '[{"c": 1e5} , 4.0]'
    assert text_of([0, {**middle, "b": 2}, end], before, text) == '[0, {"a":1.0, "b":2} , 4.0]'
    assert text_of([7, 8, first, {**last, "d": 1}], before, text) == '[7,8,1.10, {"c": 1e5,"d":1}]'
    assert text_of([{**middle, "x": []}, [*listed, 0], 9], before[1:3] + [9], '[{"a":1.0, "b":1.0}, [ 2.50,3.0 ],9]') == (
        '[{"a":1.0, "b":1.0,"x":[]}, [ 2.50,3.0,0 ],9]'
    )
    assert json.loads(text_of([end, last, listed], before, text)) == [end, last, listed]  # no edit turns a list round
    assert text_of({}, {"a": 1}, '{ "a":1 }') == "{  }" and text_of([], [1], "[1]") == "[]"
    assert text_of("x", [1], "[1]") == '"x"' and text_of({"b": 1}, {}, "{ }") == '{ "b":1}'


def test_many_elements_take_linear_time() -> None:
    """A conversation of very many short turns, each of them changed."""
    before = [{"n": number, "text": str(number)} for number in range(30_000)]
    after = [{"role": "system"}, *({**one, "n": 0} for one in before[1:])]
    assert json.loads(text_of(after, before, json.dumps(before))) == after
    assert json.loads(text_of(after[5:], before, json.dumps(before))) == after[5:]
