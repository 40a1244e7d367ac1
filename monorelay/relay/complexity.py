"""How much a request asks of a model, for the virtual model ``auto``: a score between 0 and 1, the sum of weighted parts.

It is a heuristic, and an honest one at best: it looks at the form of a conversation and at some words in it, and knows nothing of
what they mean. A short question can be the hardest of all. Weights, thresholds and words are the operator's
(``config.d/50-complexity.yml`` comes with some); what each part looks at is here, each between 0 and 1:

| part | looks at |
| --- | --- |
| length | what the user says last |
| history | the turns before, their number and their text |
| system | the length of the instructions |
| images | images and documents, in the whole conversation |
| tools | the tools that are offered |
| tool_turns | calls and results, in the whole conversation |
| code | fences, brackets, file names, traces of errors, words; in the last turns, the older the less |
| reasoning | words, likewise |
| constraints | lists, numbers and words in what the user says last |
| questions | question marks beyond the first, there |
| output | max_tokens |
| simple | words of simple tasks there; its weight is negative |

A list of words by any other name is a part of its own, read as ``simple`` is. The work is bounded: of a turn no more than the ends
are read, and only of the last few turns.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import log2

from monorelay.config.complexity import PARTS, ComplexitySpec, Level
from monorelay.dialects.conversation import Conversation, Turn
from monorelay.relay.code_signs import signs_of_code
from monorelay.relay.prompt_text import Text, WordList, length_of

Measure = tuple[float, str]  # between 0 and 1, and why

_RECENT = 4  # turns of the user's, and of results of tools, that are read
_FADING = 0.6  # what an older turn counts beside the one after it
_RESULTS = 0.5  # what a tool's result counts beside what the user says
_NONE: Measure = (0.0, "")
_SHOWN = 6  # words that a reason names
_LIST_ENTRY = re.compile(r"^[ \t]{0,12}(?:[-*•+]|[0-9]{1,3}[.)、．])[ \t]*\S", re.M)
_NUMBER = re.compile(r"(?<![\w.])[0-9]{1,15}")


@dataclass(frozen=True, slots=True)
class Score:
    """``parts``: name, what it adds to the value, and why; those that add nothing are left out."""

    value: float
    parts: tuple[tuple[str, float, str], ...]
    level: Level


class Scorer:
    """The operator's weights, thresholds and words, made ready. Frozen by convention.

    >>> Scorer(spec).score(conversation).level
    'simple'
    """

    __slots__ = ("_lists", "_thresholds", "_weights")

    def __init__(self, spec: ComplexitySpec) -> None:
        self._thresholds = spec.thresholds
        self._weights = {name: weight for name, weight in spec.weights if weight}
        self._lists = {name: WordList(words) for name, words in spec.words}

    def __repr__(self) -> str:
        return f"<Scorer {', '.join(f'{name} {weight:g}' for name, weight in self._weights.items())}>"

    def score(self, conversation: Conversation) -> Score:
        measures = self._measures(conversation)
        parts = [
            (name, weight * measures[name][0], measures[name][1]) for name, weight in self._weights.items() if name in measures
        ]
        value = min(1.0, max(0.0, sum(added for _, added, _ in parts)))
        told = tuple((name, round(added, 3), why) for name, added, why in parts if round(added, 3))
        return Score(round(value, 3), told, self._level(value))

    def _level(self, value: float) -> Level:
        if value >= self._thresholds.complex:
            return "complex"
        return "moderate" if value >= self._thresholds.moderate else "simple"

    def _measures(self, conversation: Conversation) -> Mapping[str, Measure]:
        turns = conversation.turns
        users, results = _recent(turns, "user"), _recent(turns, "tool")
        now = users[0] if users else Text("")
        code = [_faded(self._code(text), age) for age, text in enumerate(users)]
        code += [_faded(self._code(text), age, _RESULTS) for age, text in enumerate(results)]
        reasoning = [_faded(self._words("reasoning", text), age) for age, text in enumerate(users)]
        own = [name for name in self._lists if name not in PARTS]
        return {
            "length": _length(length_of(now.whole), 1200, "are said last"),
            "history": _history(conversation),
            "system": _length(length_of(conversation.system), 8000, "of instructions"),
            "images": _count(sum(turn.images for turn in turns), 1, "images or documents"),
            "tools": _count(conversation.tools, 8, "tools are offered"),
            "tool_turns": _count(sum(turn.tools for turn in turns), 6, "calls and results"),
            "code": max(code, default=_NONE),
            "reasoning": max(reasoning, default=_NONE),
            "constraints": self._constraints(now),
            "questions": _count(max(0, sum(map(now.read.count, "?？؟")) - 1), 3, "questions more than one"),
            "output": _output(conversation.max_tokens or 0),
            "simple": self._words("simple", now),
            **{name: self._words(name, now) for name in own},
        }

    def _words(self, name: str, text: Text, each: float = 0.5) -> Measure:
        """The more different words of a list are met, the nearer to 1; ``each`` is what one takes of what is left."""
        words = self._lists[name].met(text) if name in self._lists else []
        return 1 - (1 - each) ** len(words), f"words: {', '.join(words[:_SHOWN])}"

    def _code(self, text: Text) -> Measure:
        signs = [*signs_of_code(text.read), self._words("code", text, 0.3)]
        left = 1.0
        for sign, _ in signs:
            left *= 1 - sign
        return 1 - left, "; ".join(why for sign, why in signs if sign)

    def _constraints(self, text: Text) -> Measure:
        words = self._lists["constraints"].met(text) if "constraints" in self._lists else []
        entries, numbers = len(_LIST_ENTRY.findall(text.read)), len(_NUMBER.findall(text.read))
        why = f"{entries} entries of lists, {numbers} numbers, words: {', '.join(words[:_SHOWN]) or 'none'}"
        return 1 - 0.85 ** (len(words) + entries + numbers / 3), why


def score_of(conversation: Conversation, spec: ComplexitySpec) -> Score:
    """The score by a configuration's own weights and words."""
    return _scorer(spec).score(conversation)


# Making the lists ready takes ten times as long as a score; after a reload two configurations are in use for a while.
@lru_cache(maxsize=4)
def _scorer(spec: ComplexitySpec) -> Scorer:
    return Scorer(spec)


def _recent(turns: Sequence[Turn], role: str) -> list[Text]:
    """The last texts of this role, the newest first."""
    found: list[Text] = []
    for turn in reversed(turns):
        if turn.role == role and turn.text:
            found.append(Text(turn.text))
            if len(found) == _RECENT:
                break
    return found


def _faded(measure: Measure, age: int, share: float = 1.0) -> Measure:
    return measure[0] * share * _FADING**age, measure[1]


def _rising(count: float, half: float) -> float:
    """From 0 towards 1; one half at ``half``."""
    return count / (count + half)


def _length(letters: float, half: float, meaning: str) -> Measure:
    return _rising(letters, half), f"{letters:.0f} letters {meaning}"


def _count(number: int, half: float, meaning: str) -> Measure:
    return _rising(number, half), f"{number} {meaning}"


def _output(max_tokens: int) -> Measure:
    """Nothing up to 512, all from 32,768 on, in steps of doubling."""
    return min(1.0, max(0.0, log2(max(max_tokens, 1) / 512) / 6)), f"max_tokens is {max_tokens}"


def _history(conversation: Conversation) -> Measure:
    turns, before = conversation.turns, max(0, conversation.length - 1)
    letters = sum(length_of(turn.text, 64) for turn in turns[:-1])
    if conversation.length > len(turns) > 1:  # only the ends of it were read
        letters *= before / (len(turns) - 1)
    return (_rising(before, 20) + _rising(letters, 30_000)) / 2, f"{before} turns before, {letters:.0f} letters"
