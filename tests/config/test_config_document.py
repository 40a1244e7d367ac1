"""One file of YAML: what it means, where everything is written, and what is refused with which sentence."""

from __future__ import annotations

import re

import pytest
import yaml

from monorelay.config.document import MAX_BYTES, parse
from monorelay.config.problems import ConfigError


def refusal(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        parse(text, "f.yml")
    return str(caught.value)


DUPLICATE = "duplicate key (first on line 1)"
TAG = "tags are not supported; text that begins with ! needs quotes"
MERGE = "<< merges a mapping, or a list of mappings, written elsewhere with an anchor"
TOKEN = "not YAML: found character that cannot start any token"
BRACES = """not YAML: did not find expected ',' or '}' (inside { } and [ ], text with braces needs quotes: "${NAME}", "/{id}")"""
NO_MAPPING = "must be a mapping (lines of `key: value`), not"
REFUSED = {
    "duplicate key": ("a: 1\nb: 2\na: 3\n", "f.yml:3:1: a: duplicate key (first on line 1)"),
    "duplicate key inside": ("s:\n  p: 1\n  p: 2\n", "f.yml:3:3: s.p: duplicate key (first on line 2)"),
    "duplicate key in a list": ("s: [{p: 1, p: 2}]\n", "f.yml:1:12: s.0.p: duplicate key (first on line 1)"),
    "each duplicate": ("a: 1\na: 2\na: 3\n", f"f.yml:2:1: a: {DUPLICATE}\nf.yml:3:1: a: {DUPLICATE}"),
    "duplicate behind an alias, once": ("x: &x {a: 1, a: 2}\ny: *x\n", f"f.yml:1:14: x.a: {DUPLICATE}"),
    "duplicate merge": ("a: &a {x: 1}\nb:\n  <<: *a\n  <<: *a\n", "f.yml:4:3: b.<<: duplicate key (first on line 3)"),
    "same key, other spelling": ("404: a\n'404': b\n", "f.yml:2:1: 404: duplicate key (first on line 1)"),
    "python tag": ("a: !!python/object/apply:os.system [ls]\n", f"f.yml:1:4: {TAG}"),
    "local tag": ("a: !secret x\n", f"f.yml:1:4: {TAG}"),
    "core tag": ("a: !!str 5\n", f"f.yml:1:4: {TAG}"),
    "tagged key": ("!x a: 1\n", f"f.yml:1:1: {TAG}"),
    "tagged root": ("!x\na: 1\n", f"f.yml:1:1: {TAG}"),
    "unknown alias": ("a: *b\n", "f.yml:1:4: this alias has no anchor before it; text that begins with * needs quotes"),
    "alias to itself": ("a: &a [*a]\n", "f.yml:1:4: nested deeper than 40 levels"),
    "alias to its own mapping": ("a: &a {b: *a}\n", "f.yml:1:4: nested deeper than 40 levels"),
    "merge of itself": ("a: &a {<<: *a}\n", "f.yml:1:4: nested deeper than 40 levels"),
    "merge of text": ("a: {<<: 5}\n", f"f.yml:1:5: {MERGE}"),
    "merge of a list of texts": ("a: {<<: [5]}\n", f"f.yml:1:5: {MERGE}"),
    "deep brackets": ("a: " + "[" * 200, "f.yml:1:43: nested deeper than 40 levels"),
    "deep indentation": ("".join(" " * n + "a:\n" for n in range(60)), "f.yml:41:41: nested deeper than 40 levels"),
    "null document": ("~\n", f"f.yml:1:1: {NO_MAPPING} null"),
    "marked but empty document": ("---\n", f"f.yml:2:1: {NO_MAPPING} null"),
    "list": ("- a\n- b\n", f"f.yml:1:1: {NO_MAPPING} a list"),
    "text": ("just text\n", f"f.yml:1:1: {NO_MAPPING} text"),
    "two documents": ("a: 1\n---\nb: 2\n", "f.yml:2:1: a file holds one document; another one begins here"),
    "null key": ("~: 1\n", "f.yml:1:1: a key must be text; here it is empty"),
    "no key": ("? \n: 1\n", "f.yml:1:2: a key must be text; here it is empty"),
    "empty key": ("'': 1\n", "f.yml:1:1: a key must be text; here it is empty"),
    "list as key": ("? [a]\n: 1\n", "f.yml:1:3: a key must be plain text"),
    "mapping as key": ("? {a: b}\n: 1\n", "f.yml:1:3: a key must be plain text"),
    "alias as key": ("a: &x b\n*x : 1\n", "f.yml:2:1: a key must be plain text"),
    "NUL": ('a: "x\\0y"\n', "f.yml:1:4: holds a NUL or half a surrogate pair"),
    "NUL in a key": ('"x\\0y": 1\n', "f.yml:1:1: holds a NUL or half a surrogate pair"),
    "control character": ("a: 1\nb: x\x07y\n", "f.yml:2:5: holds a character that YAML does not allow (U+0007)"),
    "raw NUL": ("a: x\x00y\n", "f.yml:1:5: holds a character that YAML does not allow (U+0000)"),
    "half a surrogate pair": ("a: \ud800\n", "f.yml:1:4: holds a character that YAML does not allow (U+D800)"),
    "too large": ("# " + "x" * MAX_BYTES, "f.yml: is larger than 1024 KiB"),
    "too large in bytes": ("# " + "é" * (MAX_BYTES - 10), "f.yml: is larger than 1024 KiB"),
    "tab": ("a:\n\t- x\n", f"f.yml:2:1: {TOKEN} (indent with spaces, not tabs)"),
    "at sign": ("a: @x\n", f"f.yml:1:4: {TOKEN} (text that begins with @ needs quotes)"),
    "backquote": ("a: `x`\n", f"f.yml:1:4: {TOKEN} (text that begins with ` needs quotes)"),
    "two colons": ("a: b: c\n", "f.yml:1:5: not YAML: mapping values are not allowed in this context"
                   ' (text that holds ": " needs quotes; or is the indentation off?)'),
    "bare reference in braces": ("a: {b: ${X}}\n", f"f.yml:1:9: {BRACES}"),
    "bare path in braces": ("a: {path: /v1/{id}}\n", f"f.yml:1:15: {BRACES}"),
    "open bracket": ("x: [1,2", "f.yml:2:1: not YAML: did not find expected ',' or ']',"
                     " while parsing a flow sequence that begins on line 1"),
    "open quote": ("a: 'x", "f.yml:1:6: not YAML: found unexpected end of stream"),
    "bad dedent": ("a:\n    b: 1\n  c: 2\n", "f.yml:3:3: not YAML: did not find expected key,"
                   " while parsing a block mapping that begins on line 1"),
    "bad escape": ('a: "\\q"\n', "f.yml:1:5: not YAML: found unknown escape character"),
    "list and mapping": ("- a\nb: 1\n", "f.yml:2:1: not YAML: did not find expected '-' indicator,"
                         " while parsing a block collection that begins on line 1"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_malformed_yaml_is_refused_with_its_place(case: str) -> None:
    """Every kind of malformed YAML ends in one sentence with line and column."""
    text, expected = REFUSED[case]
    assert refusal(text) == expected


def test_a_file_of_nothing_but_brackets_is_refused() -> None:
    """Whether our own limit or the parser's is met first, the sentence is the same."""
    assert re.fullmatch(r"f\.yml:1:\d+: nested deeper than 40 levels", refusal("a: " + "[" * 20_000))


def test_an_alias_bomb_is_refused() -> None:
    """Nine levels of nine aliases never become 9^9 values."""
    lines = ["a: &a [" + ",".join("x" * 9) + "]"]
    lines += [
        f"{name}: &{name} [" + ",".join(9 * [f"*{before}"]) + "]" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
    ]
    assert "holds more than 20,000 values, aliases counted each time they are used" in refusal("\n".join(lines))


def test_a_merge_bomb_is_refused() -> None:
    """Merged entries count like written ones."""
    lines = ["a: &a {" + ", ".join(f"k{n}: 1" for n in range(100)) + "}"]
    lines += [
        f"{name}: &{name} {{<<: [" + ", ".join(100 * [f"*{before}"]) + "]}" for before, name in zip("abc", "bcd", strict=True)
    ]
    assert "holds more than 20,000 values" in refusal("\n".join(lines))


MEANINGS = {
    "no": "no", "yes": "yes", "on": "on", "off": "off", "y": "y", "Yes": "Yes",
    "true": True, "True": True, "FALSE": False, "tRue": "tRue",
    "1:30": "1:30", "22:22": "22:22", "190:20:30": "190:20:30",
    "010": 10, "0o17": "0o17", "0x1f": "0x1f", "0b1": "0b1", "1_000": "1_000",
    "5": 5, "-5": -5, "+5": 5, "123456789012345678": 123456789012345678, "1234567890123456789": "1234567890123456789",
    "9" * 5000: "9" * 5000,
    "1e3": 1000.0, "4E2": 400.0, "1.10": 1.1, ".5": 0.5, "5.": 5.0, "-.5": -0.5, "1e999": "1e999", "e3": "e3", ".": ".",
    ".inf": ".inf", "-.inf": "-.inf", ".nan": ".nan", ".NaN": ".NaN",
    "2026-11-20": "2026-11-20", "2026-11-20T10:00:00Z": "2026-11-20T10:00:00Z",
    "~": None, "null": None, "": None, "Null": None, "nil": "nil", "none": "none",
    "'5'": "5", '"true"': "true", "'~'": "~", "''": "", "=": "=", "<<": "<<",
    "${NAME}": "${NAME}", "https://x/v1": "https://x/v1", "a b": "a b", "5 # five": 5,
}  # fmt: skip


@pytest.mark.parametrize("written", MEANINGS)
def test_a_scalar_means_what_it_looks_like(written: str) -> None:
    """Only true and false are booleans, numbers are decimal and finite, and everything else is text."""
    document = parse(f"a: {written}\n", "f.yml")
    assert document.value is not None
    found, expected = document.value["a"], MEANINGS[written]
    assert (found, type(found)) == (expected, type(expected))


@pytest.mark.parametrize("key", ["on", "no", "404", "1e3", "true", "2026-11-20", "openai.chat", "a: b", "<<x", "ä"])
def test_every_key_is_text(key: str) -> None:
    """A key is what is written, whatever YAML 1.1 would make of it."""
    quoted = f'"{key}"' if ":" in key else key
    assert parse(f"{quoted}: 1\n", "f.yml").value == {key: 1}


@pytest.mark.parametrize("text", ["", "\n\n", "# nothing\n", "   \n# x\n", "\ufeff", "%YAML 1.2\n---\na: 1\n"[:0]])
def test_a_file_of_blanks_and_comments_is_empty(text: str) -> None:
    """An empty file is not a null document."""
    assert parse(text, "f.yml").value is None


def test_marks_name_the_place_of_every_path() -> None:
    """A mapping entry is where its key begins, a list item where it begins itself."""
    text = "a: 1\nb:\n  - c: x\n    d: [5, 6]\n  - e\n'f g':\n  \"h.i\": {j: ~}\n"
    assert parse(text, "f.yml").marks == {
        (): (1, 1),
        ("a",): (1, 1),
        ("b",): (2, 1),
        ("b", 0): (3, 5),
        ("b", 0, "c"): (3, 5),
        ("b", 0, "d"): (4, 5),
        ("b", 0, "d", 0): (4, 9),
        ("b", 0, "d", 1): (4, 12),
        ("b", 1): (5, 5),
        ("f g",): (6, 1),
        ("f g", "h.i"): (7, 3),
        ("f g", "h.i", "j"): (7, 11),
    }


def test_merged_entries_keep_the_place_where_they_are_written() -> None:
    """``<<`` brings entries at its own position; those written in place win."""
    document = parse("base: &b {x: 1, y: 2}\nm:\n  y: 9\n  <<: *b\n  z: 3\n", "f.yml")
    assert document.value == {"base": {"x": 1, "y": 2}, "m": {"y": 9, "x": 1, "z": 3}}
    assert list(document.value["m"]) == ["y", "x", "z"]
    assert document.marks["m", "x"] == (1, 11)
    assert document.marks["m", "y"] == (3, 3)


def test_of_several_merged_mappings_the_first_wins() -> None:
    """A list of aliases merges in its order, and merges nest."""
    text = "a: &a {x: 1}\nb: &b {x: 2, y: 2, <<: *a}\nc: {<<: [*a, *b]}\n"
    assert parse(text, "f.yml").value == {"a": {"x": 1}, "b": {"x": 2, "y": 2}, "c": {"x": 1, "y": 2}}


def test_an_alias_is_a_copy() -> None:
    """Two places that share an anchor do not share a value."""
    value = parse("a: &a {x: [1]}\nb: *a\n", "f.yml").value
    assert value is not None
    assert value["a"] == value["b"]
    assert value["a"]["x"] is not value["b"]["x"]


def test_the_byte_order_mark_and_crlf_do_no_harm() -> None:
    """Files written by other systems' editors read the same."""
    assert parse("\ufeffa: 1\r\nb: x\r\n", "f.yml").value == {"a": 1, "b": "x"}


def test_the_python_parser_does_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where PyYAML was built without its C part, the values, the places and the refusals are the same."""
    texts = ["a: {b: [1, 'x', ~], c: &c {d: e}}\nf: *c\n", "", "# x\n"]
    texts += [text for text, expected in REFUSED.values() if "not YAML" not in expected]

    def outcome(text: str) -> object:
        try:
            document = parse(text, "f.yml")
            return document.value, document.marks
        except ConfigError as error:
            return str(error)

    fast = [outcome(text) for text in texts]
    monkeypatch.delattr(yaml, "CSafeLoader")
    assert [outcome(text) for text in texts] == fast
    assert all("not YAML" in refusal(text) for text, expected in REFUSED.values() if "not YAML" in expected)
