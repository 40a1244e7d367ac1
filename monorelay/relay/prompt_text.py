"""The text of one turn, read within bounds, and lists of words that are looked for in it, in any language.

Text is measured in Latin letters, so that languages are alike: an East Asian character counts as three of them. Of a long text only
the ends are read. A word is met where a word begins, and where it ends too, unless it is written ``like*``; several words where
they stand one after the other, whatever is between them; in scripts that put no blanks between words, and in words like c++,
anywhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_HEAD, _TAIL = 6 << 10, 10 << 10  # characters of a text that are read
_EAST_ASIAN = re.compile("[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff]")
_WORTH = 3

_WORDS = re.compile("[\\w\u0300-\u036f\u064b-\u0652\u0900-\u0963\u0966-\u0dff]+")  # marks of vowels belong to their words
_UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\U00020000-\U0003ffff]")
_SIGNS = re.compile("[+#]")  # what makes c++ and c# other words than c


class Text:
    """What one turn says. Mutable: the two forms in which words are looked for are made when they are first asked for."""

    __slots__ = ("_folded", "_words", "read", "whole")

    def __init__(self, text: str) -> None:
        self.whole = text
        self.read = text if len(text) <= _HEAD + _TAIL else f"{text[:_HEAD]}\n{text[-_TAIL:]}"
        self._folded: str | None = None
        self._words: list[str] | None = None

    @property
    def folded(self) -> str:
        if self._folded is None:
            self._folded = self.read.casefold()
        return self._folded

    @property
    def words(self) -> list[str]:
        if self._words is None:
            self._words = _WORDS.findall(_UNSPACED.sub(" ", self.folded))  # a word of another script stands for itself there
        return self._words


class WordList:
    """The words of one list, by how they are looked for: whole words, beginnings, several words, and anywhere."""

    __slots__ = ("_anywhere", "_beginnings", "_lengths", "_phrases", "_whole")

    def __init__(self, words: Iterable[str]) -> None:
        self._whole: dict[str, str] = {}
        self._beginnings: dict[str, str] = {}
        self._phrases: dict[str, str] = {}  # what is written with hyphens is the same phrase
        self._anywhere: list[tuple[str, str]] = []
        for word in words:
            is_open = word.endswith("*")
            pieces = _WORDS.findall(word.casefold())
            if _UNSPACED.search(word) or _SIGNS.search(word):
                self._anywhere.append((word.casefold().rstrip("*"), word))
            elif len(pieces) > 1:
                self._phrases[f" {' '.join(pieces)}{'' if is_open else ' '}"] = word
            elif pieces:
                (self._beginnings if is_open else self._whole)[pieces[0]] = word
        self._lengths = sorted({len(word) for word in self._beginnings})

    def met(self, text: Text) -> list[str]:
        """Those of the list that the text holds, each once, in the order of their names."""
        words = set(text.words)
        found = {self._whole[word] for word in words & self._whole.keys()}
        found.update(
            self._beginnings[word[:length]] for word in words for length in self._lengths if word[:length] in self._beginnings
        )
        if self._phrases:
            spaced = f" {' '.join(text.words)} "
            found.update(name for phrase, name in self._phrases.items() if phrase in spaced)
        found.update(name for piece, name in self._anywhere if piece in text.folded)
        return sorted(found)


def length_of(text: str, sample: int = 512) -> float:
    """The length in Latin letters; of a long text a sample at each end tells what it is written in."""
    if text.isascii():
        return len(text)
    seen = text if len(text) <= 2 * sample else text[:sample] + text[-sample:]
    return len(text) * (1 + (_WORTH - 1) * len(_EAST_ASIAN.findall(seen)) / len(seen))
