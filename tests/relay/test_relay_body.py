"""A JSON body: parsed once, its model read and spliced, and what is no JSON object refused with its place."""

from __future__ import annotations

import json
from typing import Any

import pytest

from monorelay.errors import RelayError
from monorelay.relay.body import parse


@pytest.mark.parametrize(
    "raw",
    [
        b"{}",
        b" {\n} \r\n",
        b'{"model":"a","stream":true,"n":1}',
        b'{"model": "a", "stream": true, "n": 1}',
        b'\t{\r\n  "model"\t:\n"a" ,  "x" : [ 1 , { "model" : "inner" } ]\n}\n\n',
        b'{"a":"\\u0000\\ud83d\\ude00\\ud800\\"\\\\","b":"\x7f"}',
        '{"größe":"🌍","model":"ü"}'.encode(),
        b'{"n":12345678901234567890123456789012345678901234567890,"f":-1.5e-300,"g":1E400,"z":-0}',
        b'{"mod\\u0065l":"a"}',
        b'{"":""}',
        b'{"a":1,"a":2}',
        b'{"a":' + b"[" * 300 + b"]" * 300 + b"}",
    ],
)
def test_fields_are_what_json_says(raw: bytes) -> None:
    """The walk gives what json.loads gives, and keeps the bytes."""
    body = parse(raw)
    assert body.fields == json.loads(raw)
    assert body.raw is raw


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        (b"", "The body is empty"),
        (b" \n", "The body is empty"),
        (b"[]", "must be a JSON object"),
        (b'"text"', "must be a JSON object"),
        (b"null", "must be a JSON object"),
        (b"12 ", "must be a JSON object"),
        (b"[] x", r"Extra data \(line 1, column 4\)"),
        (b"model=a&n=1", r"Expecting value \(line 1, column 1\)"),
        (b"\n\n  nonsense", r"Expecting value \(line 3, column 3\)"),
        (b"{", "ends before its closing brace"),
        (b'{"a"', "ends before its closing brace"),
        (b'{"a":', "ends before its closing brace"),
        (b'{"a": ', "ends before its closing brace"),
        (b'{"a":  ', r"Expecting value \(line 1, column 8\)"),
        (b'{"a":1', "ends before its closing brace"),
        (b'{"a":1,', "ends before its closing brace"),
        (b'{"a":1,  ', "ends before its closing brace"),
        (b'{"a":"x', r"Unterminated string starting at \(line 1, column 6\)"),
        (b'{"a":[1', r"Expecting ',' delimiter \(line 1, column 8\)"),
        (b'{"a":tru', r"Expecting value \(line 1, column 6\)"),
        (b'{"a":1,}', r"property name enclosed in double quotes \(line 1, column 8\)"),
        (b"{'a':1}", r"property name enclosed in double quotes \(line 1, column 2\)"),
        (b'{"a" 1}', r"Expecting ':' delimiter \(line 1, column 6\)"),
        (b'{"a":1 "b":2}', r"Expecting ',' delimiter \(line 1, column 8\)"),
        (b'{"a":1}\n{"b":2}', r"Extra data \(line 2, column 1\)"),
        (b'{"a":1}}', r"Extra data \(line 1, column 8\)"),
        (b'{"a":"x\ny"}', r"Invalid control character at \(line 1, column 8\)"),
        (b'{"a":"\\x"}', r"Invalid \\escape \(line 1, column 7\)"),
        (b'{"a":01}', r"Expecting ',' delimiter \(line 1, column 7\)"),
        (b'{"a":NaN}', "NaN is not a JSON number"),
        (b'{"a":[-Infinity]}', "-Infinity is not a JSON number"),
        (b'{"a":"\xff"}', "byte 6 is not UTF-8"),
        (b'{"a":"\xed\xa0\x80"}', "byte 6 is not UTF-8"),
        ('{"a":1}'.encode("utf-16-le"), "not JSON"),
        (b"\xff\xfe{\x00", "byte 0 is not UTF-8"),
        (b'{"a":' + b"9" * 5_000 + b"}", "too many digits"),
        (b'{"a":' * 100_000, "nested too deeply"),
        (b'{"a":' + b"[" * 100_000, "nested too deeply"),
        (b"[" * 100_000, "nested too deeply"),
    ],
    ids=range(39),
)
def test_refused(raw: bytes, sentence: str) -> None:
    """Anything but one JSON object is a 400 in a sentence that says where."""
    with pytest.raises(RelayError, match=sentence) as caught:
        parse(raw)
    assert caught.value.status == 400
    assert caught.value.body.type == "invalid_request_error"
    assert len(caught.value.body.message) < 200


def test_byte_order_mark() -> None:
    """A leading mark is tolerated, and passes on in front of a spliced body."""
    raw = b'\xef\xbb\xbf{"model":"a"}'
    assert parse(raw).model == "a"
    assert parse(raw).with_model("b") == b'\xef\xbb\xbf{"model":"b"}'


@pytest.mark.parametrize(
    ("raw", "model"), [(b'{"model":"a"}', "a"), (b"{}", None), (b'{"model":null}', None), (b'{"model":"\\u00e9"}', "é")]
)
def test_model(raw: bytes, model: str | None) -> None:
    """The model asked for; null is as good as missing."""
    assert parse(raw).model == model


@pytest.mark.parametrize("value", [b'""', b"1", b"[]", b'{"a":1}', b"true", b"false", b"0"])
def test_model_that_is_no_name(value: bytes) -> None:
    """Anything but a non-empty string is a 400 that names the parameter; parsing alone does not mind."""
    body = parse(b'{"model":' + value + b"}")
    with pytest.raises(RelayError) as caught:
        _ = body.model
    assert caught.value.status == 400
    assert caught.value.body.param == "model"


@pytest.mark.parametrize(
    ("raw", "stream"),
    [
        (b'{"stream":true}', True),
        (b'{"stream":false}', False),
        (b'{"stream":"true"}', False),
        (b'{"stream":1}', False),
        (b"{}", False),
    ],
)
def test_stream(raw: bytes, stream: bool) -> None:
    """Only true means a stream; what an upstream makes of anything else is its own affair."""
    assert parse(raw).stream is stream


@pytest.mark.parametrize(
    ("raw", "spliced"),
    [
        (b'{"model":"a"}', b'{"model":"new"}'),
        (b'{ "model" :\n"a" , "n":1.00 }', b'{ "model" :\n"new" , "n":1.00 }'),
        (b'{"x":{"model":"a"},"model":"a","y":"model"}', b'{"x":{"model":"a"},"model":"new","y":"model"}'),
        ('{"ü":"🌍🌍","model":"größe","z":"ü"}'.encode(), '{"ü":"🌍🌍","model":"new","z":"ü"}'.encode()),
        (b'{"t":"\\ud83d\\ude00\\ud800","model":"a"}', b'{"t":"\\ud83d\\ude00\\ud800","model":"new"}'),
        (b'{"model":"a","n":1,"model":"b"}', b'{"model":"new","n":1,"model":"new"}'),
        (b'{"model":"a","mod\\u0065l":"new"}', b'{"model":"new","mod\\u0065l":"new"}'),
        (b'{"model":null}', b'{"model":"new"}'),
        (b'{"n":1}', b'{"n":1}'),
    ],
)
def test_with_model(raw: bytes, spliced: bytes) -> None:
    """Only the value of every top-level model changes, byte for byte."""
    assert parse(raw).with_model("new") == spliced


def test_with_the_same_model() -> None:
    """Where nothing changes the very bytes go up, however they spell the name; without a model too."""
    for raw in (b'{"model":"a"}', b'{"model":"\\u0061"}', b'{"n":1}'):
        assert parse(raw).with_model("a") is raw


@pytest.mark.parametrize(
    ("raw", "fields", "removed", "spliced"),
    [
        (b'{"n":1}', {}, [], b'{"n":1}'),
        (b'{"n":1}', {}, ["m"], b'{"n":1}'),
        (b'{"n" : 1.00 , "m":2}', {"n": 2}, [], b'{"n" : 2 , "m":2}'),
        (b'{"n":1,"m":2,"n":3}', {"n": {"a": "\u00fc"}}, [], '{"n":{"a":"\u00fc"},"m":2,"n":{"a":"\u00fc"}}'.encode()),
        (b'{"n":{"n":1},"m":"n"}', {"n": 2}, [], b'{"n":2,"m":"n"}'),
        (b'{"n":1 \n}', {"m": 2, "k": None}, [], b'{"n":1,"m":2,"k":null \n}'),
        (b"{}", {"m": 2}, [], b'{"m":2}'),
        (b" { } ", {"m": 2}, [], b' {"m":2 } '),
        (b"\xef\xbb\xbf {}", {"m": 2}, [], b'\xef\xbb\xbf {"m":2}'),
        (b'{ "a": 1 , "b": 2 , "c": 3 }', {}, ["a"], b'{ "b": 2 , "c": 3 }'),
        (b'{ "a": 1 , "b": 2 , "c": 3 }', {}, ["b"], b'{ "a": 1 , "c": 3 }'),
        (b'{ "a": 1 , "b": 2 , "c": 3 }', {}, ["c"], b'{ "a": 1 , "b": 2 }'),
        (b'{ "a": 1 , "b": 2 , "c": 3 }', {}, ["a", "b"], b'{ "c": 3 }'),
        (b'{ "a": 1 , "b": 2 , "c": 3 }', {}, ["b", "c"], b'{ "a": 1 }'),
        (b'{ "a": 1 , "b": 2 , "c": 3 }', {}, ["a", "c"], b'{ "b": 2 }'),
        (b'{ "a": 1 , "b": 2 }', {}, ["a", "b"], b"{  }"),
        (b'{ "a": 1 , "b": 2 }', {"c": 3}, ["a", "b"], b'{ "c":3 }'),
        (b'{ "a": 1 , "b": 2 }', {"c": 3}, ["b"], b'{ "a": 1,"c":3 }'),
        (b'{"a":1,"b":2,"a":3}', {}, ["a"], b'{"b":2}'),
        (b'{"a":1,"b":2}', {"a": 3}, ["a", "b"], b'{"a":3}'),
        ('{"\u00fc":"\u754c","a":"\u00fc","z":"\u754c"}'.encode(), {}, ["a"], '{"\u00fc":"\u754c","z":"\u754c"}'.encode()),
        ('{"\u00fc":"\u754c","a":"\u00fc"}'.encode(), {"\u00fc": 1}, ["b"], '{"\u00fc":1,"a":"\u00fc"}'.encode()),
        (b'{"\\u00fc":1}', {"\u00fc": 2, "n": "\ud800"}, [], b'{"\\u00fc":2,"n":"\\ud800"}'),
    ],
)
def test_with_fields(raw: bytes, fields: dict[str, Any], removed: list[str], spliced: bytes) -> None:
    """Members are set in place or added at the end, and taken out with their comma; blanks and numbers stay as they were."""
    assert parse(raw).with_fields(fields, removed) == spliced


def test_with_fields_and_model() -> None:
    """A model is renamed on the way, but only where there is one, and unless the name is set itself."""
    body = parse(b'{"model":"a","n":1,"user":"u","model":"b"}')
    assert body.with_fields({"n": 2}, ["user"], "new") == b'{"model":"new","n":2,"model":"new"}'
    assert body.with_fields({"model": "set"}, (), "new") == b'{"model":"set","n":1,"user":"u","model":"set"}'
    assert parse(b'{"n":1}').with_fields({"n": 2}, (), "new") == b'{"n":2}'
    same = parse(b'{"model":"a"}')
    assert same.with_fields({}, (), "a") is same.raw


@pytest.mark.parametrize("name", ['q"uo\\te', "größe/🌍", "line\nbreak", "\ud800"])
def test_any_name_is_written_as_json(name: str) -> None:
    """A name with quotes, control characters or beyond ASCII is escaped."""
    spliced = parse(b'{"model":"a"}').with_model(name)
    assert spliced.isascii()
    assert json.loads(spliced) == {"model": name}


def test_spans_tell_where_values_stand() -> None:
    """Every top-level member in order, repeated ones repeatedly, with the place of its value."""
    raw = b'{"a": [1], "b":"x" ,"a":{} }'
    found: list[tuple[str, Any]] = [(key, raw[start:end]) for key, start, end in parse(raw).spans]
    assert found == [("a", b"[1]"), ("b", b'"x"'), ("a", b"{}")]


def test_a_model_that_is_repeated_without_end_is_replaced_in_linear_time() -> None:
    """The last one counts for most readers, so all are; placing each from the start would keep the loop for minutes."""
    count = 100_000
    raw = ("{" + '"model":"ä",' * count + '"x":"é"}').encode()
    assert parse(raw).with_model("b") == ("{" + '"model":"b",' * count + '"x":"é"}').encode()
