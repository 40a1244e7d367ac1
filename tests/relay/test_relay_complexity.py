"""The score of `auto`: more never asks for less, languages are alike, and the shipped weights answer to a table."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from complexity_prompts import PROMPTS

pytest.importorskip("hypothesis")

from hypothesis import given, settings
from hypothesis import strategies as some

from monorelay.config.complexity import PARTS, ComplexitySpec, Thresholds
from monorelay.config.load import Places, load
from monorelay.dialects.conversation import NOTHING, Conversation, Turn, conversation_of
from monorelay.relay.complexity import Score, Scorer, score_of

TOP = Path(__file__).resolve().parent.parent.parent


def shipped() -> ComplexitySpec:
    """The vendor's file as the relay reads it."""
    spec = load(Places(vendor=TOP, operator=None, runtime=None), {}).routing.complexity
    assert spec is not None
    return spec


SPEC = shipped()
SCORER = Scorer(SPEC)


def chat(*texts: str, **more: Any) -> Conversation:
    """Texts of the user's and the assistant's by turns, the last one the user's."""
    roles = ["user", "assistant"] * len(texts)
    messages = [{"role": role, "content": text} for role, text in zip(roles[: len(texts)][::-1], texts, strict=True)]
    return conversation_of("openai.chat", {"messages": messages, **more})


def parts(found: Score) -> dict[str, float]:
    return {name: value for name, value, _ in found.parts}


@pytest.mark.parametrize(("level", "prompt"), PROMPTS, ids=[prompt[:40] for _, prompt in PROMPTS])
def test_prompts(level: str, prompt: str) -> None:
    """The shipped words and weights, on prompts as people write them."""
    found = SCORER.score(chat(prompt))
    assert found.level == level, found


def test_the_shipped_file_is_off() -> None:
    """Nobody gets a model called auto unasked; and each weight measures something."""
    assert not SPEC.enabled
    assert SPEC.thresholds == Thresholds(0.35, 0.65)
    assert {name for name, _ in SPEC.weights} == set(PARTS)
    assert {name for name, _ in SPEC.words} == {"reasoning", "code", "constraints", "simple"}


def agent(rounds: int) -> Conversation:
    """What a coding agent sends: instructions, tools, and so many rounds of calls."""
    turn = [
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "read", "input": {}}]},
        {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": "t", "content": "import os\n\ndef main():\n    pass\n"}],
        },
    ]
    body = {
        "system": [{"type": "text", "text": "You are a coding agent. " * 500}],
        "messages": [{"role": "user", "content": "Rename the option in main.py and its test"}, *turn * rounds],
        "tools": [{"name": "read"}] * 20,
        "max_tokens": 32_000,
    }
    return conversation_of("anthropic.messages", body)


def test_an_agent() -> None:
    """It begins moderate, and is complex once it has worked for a while, whatever its first words were."""
    assert SCORER.score(agent(0)).level == "moderate"
    assert SCORER.score(agent(12)).level == "complex"


def test_thanks_at_the_end_of_hard_work() -> None:
    """The conversation counts, not the last line alone; but less with each turn."""
    hard = next(prompt for level, prompt in PROMPTS if level == "complex")
    values = [
        SCORER.score(chat("Thanks!")).value,
        SCORER.score(chat(hard, "Done.", "What about the tests?", "Added.", "Thanks!")).value,
        SCORER.score(chat(hard, "Done.", "Thanks!")).value,
        SCORER.score(chat(hard)).value,
    ]
    assert values == sorted(values)
    assert len(set(values)) == 4


def test_languages_are_alike() -> None:
    """The same text costs about the same in letters, whatever it is written in."""
    english = "The committee decided yesterday that the new bridge will be built before the end of next year. " * 10
    chinese = "委员会昨天决定新桥将在明年年底之前建成。" * 10
    korean = "위원회는 어제 새 다리를 내년 말 이전에 건설하기로 결정했다. " * 10
    lengths = [parts(SCORER.score(chat(text)))["length"] for text in (english, chinese, korean)]
    assert max(lengths) < 1.5 * min(lengths)


def test_words() -> None:
    """Whole words, beginnings, several words whatever stands between, and anywhere where no blanks are."""
    words = ("plan", "analy*", "step by step", "证明", "c++")
    spec = ComplexitySpec(weights=(("reasoning", 1.0),), words=(("reasoning", words),))
    for text, found in [
        ("A PLAN!", "plan"),
        ("planet explain", ""),
        ("Psychoanalysis", ""),
        ("analysing", "analy*"),
        ("step-by-step", "step by step"),
        ("Step,\nby step?", "step by step"),
        ("by step step", ""),
        ("c'est un c", ""),
        ("In C++, please", "c++"),
        ("请证明这个定理", "证明"),
        ("用plan写", "plan"),
    ]:
        scored = score_of(chat(text), spec)
        assert [why for _, _, why in scored.parts] == ([f"words: {found}"] if found else []), text


def test_a_list_of_ones_own() -> None:
    """A list by another name is a part once it has a weight."""
    spec = ComplexitySpec(weights=(("legal", 0.8),), words=(("legal", ("clause*",)),))
    assert score_of(chat("Read these clauses"), spec).parts == (("legal", 0.4, "words: clause*"),)


def test_every_part_is_told() -> None:
    """What adds something says how much and why, and together they are the score."""
    found = SCORER.score(agent(1))
    assert found.value == pytest.approx(sum(value for _, value, _ in found.parts), abs=0.01)
    assert all(value and why for _, value, why in found.parts)
    assert {"system", "tools", "tool_turns", "output"} <= parts(found).keys()


def test_nothing_at_all() -> None:
    """No conversation is a simple one."""
    assert SCORER.score(NOTHING).level == "simple"
    assert score_of(chat("Prove it"), ComplexitySpec()) == Score(0.0, (), "simple")


TEXT = some.lists(
    some.sampled_from(["analyze", "why", "hello", "code", "must", "証明", "3", "?", "\n- a", "x" * 300, "```", "main.py"]),
    max_size=8,
).map(" ".join)
TURN = some.builds(Turn, some.sampled_from(["user", "assistant", "tool", "system"]), TEXT, some.integers(0, 3), some.integers(0, 3))
TALK = some.builds(
    lambda system, turns, tools, most: Conversation(system, tuple(turns), len(turns), tools, most),
    TEXT,
    some.lists(TURN, max_size=6),
    some.integers(0, 50),
    some.none() | some.integers(1, 200_000),
)


def total(conversation: Conversation) -> float:
    return SCORER.score(conversation).value


def but(conversation: Conversation, **changes: Any) -> Conversation:
    fields = {name: getattr(conversation, name) for name in ("system", "turns", "length", "tools", "max_tokens")}
    return Conversation(**{**fields, **changes})


@settings(deadline=None)  # machines are busy
@given(TALK, TURN)
def test_more_is_never_less(talk: Conversation, turn: Turn) -> None:
    """More tools, more instructions, a longer answer, an older turn before: none of it makes a request simpler."""
    value = total(talk)
    assert 0 <= value <= 1
    assert total(but(talk, tools=talk.tools + 1)) >= value
    assert total(but(talk, system=talk.system + " and more")) >= value
    assert total(but(talk, max_tokens=(talk.max_tokens or 0) + 1000)) >= value
    if any(each.role == "user" and each.text for each in talk.turns):  # else the older one is what is asked
        assert total(but(talk, turns=(turn, *talk.turns), length=talk.length + 1)) >= value


@settings(deadline=None)  # machines are busy
@given(TALK, some.sampled_from([" step by step", " analyze", " algorithm", "\n- it must hold", " 17", "? Why?", " ```x```"]))
def test_more_demands_are_never_less(talk: Conversation, demand: str) -> None:
    """Nor does a further demand in what the user says last."""
    asked = (*talk.turns, Turn("user", "What then"))
    more = (*talk.turns, Turn("user", "What then" + demand))
    assert total(but(talk, turns=more, length=len(more))) >= total(but(talk, turns=asked, length=len(asked)))


@pytest.mark.parametrize(
    "piece", ["plain words and more ", "漢字だけの文章", "a.b.c(d[e]{f});\n", "    at x", "9" * 50, "- " * 9, "_" * 60]
)
def test_a_long_text_costs_no_more_than_its_ends(piece: str) -> None:
    """A megabyte in each of many turns is read like twenty times less of it; the best of some runs, because machines are busy."""

    def best(length: int) -> float:
        talk = chat(*[piece * (length // len(piece))] * 41, tools=[{}] * 30)
        took = []
        for _ in range(5):
            begun = time.thread_time()
            SCORER.score(talk)
            took.append(time.thread_time() - begun)
        return min(took)

    assert best(1_000_000) < 5 * best(50_000)


def test_scores_can_be_told_as_json() -> None:
    """The parts go into an explanation as they are."""
    found = SCORER.score(chat("Compare the two"))
    assert json.loads(json.dumps([list(part) for part in found.parts]))[0][0] in PARTS
