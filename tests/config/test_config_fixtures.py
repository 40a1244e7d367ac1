"""``tests`` of a provider: every field, and what is said when one is wrong."""

from __future__ import annotations

import pickle

import pytest
from config_house import LOCAL, House

WHOLE = """\
tests:
  - name: a chat goes up
    request: {route: chat, headers: {X-Title: a}, body: {model: m, n: 1, stop: null, price: $$5, messages: [{role: user}]}}
    expect: {url: "http://127.0.0.1:8000/v1/chat", headers: {X-Title: a, authorization: null}, body: {model: m}}
  - name: a 429 says how long
    answer: {status: 429, headers: {Retry-After: "360"}, body: "not JSON"}
    expect: {cooldown: 6m, scope: key}
  - {name: none, answer: {status: 500}, expect: {cooldown: null}}
  - {name: too long, answer: {status: 400, body: {error: {code: x}}}, expect: {refusal: context_length}}
  - {name: balance, answer: {status: 200, body: [1.5]}, expect: {balance: -7.65}}
"""


def test_whole_tests(house: House) -> None:
    """JSON stays as it is, durations are seconds, header names are lower case; null is not the same as nothing."""
    chat, limited, none, long, balance = house.local(WHOLE).provider().tests
    assert (chat.name, chat.origin.line) == ("a chat goes up", 5)
    assert chat.request == {
        "route": "chat",
        "headers": {"x-title": "a"},
        "body": {"model": "m", "n": 1, "stop": None, "price": "$5", "messages": [{"role": "user"}]},
    }
    assert (chat.answer, none.request) == (None, None)
    assert chat.expect == {
        "url": "http://127.0.0.1:8000/v1/chat",
        "headers": {"x-title": "a", "authorization": None},
        "body": {"model": "m"},
    }
    assert limited.answer == {"status": 429, "headers": {"retry-after": "360"}, "body": "not JSON"}
    assert (limited.expect, none.expect) == ({"cooldown": 360.0, "scope": "key"}, {"cooldown": None})
    assert (long.expect, balance.expect) == ({"refusal": "context_length"}, {"balance": -7.65})
    assert balance.answer == {"status": 200, "body": [1.5]}


def test_tests_change_nothing_that_is_served(house: House) -> None:
    """A reload with another test is a reload of the same; and workers can be sent them."""
    digests = [house.local(text).load().digest for text in ("", WHOLE)]
    assert digests[0] == digests[1]
    assert pickle.loads(pickle.dumps(house.load())) == house.load()


def test_workers_are_not_sent_them(house: House) -> None:
    """They, and where they stand, stay behind; all else is the same, and knows its place."""
    whole = house.local(WHOLE).load()
    served = whole.to_serve()
    ((had,), (has,)) = whole.providers, served.providers
    assert had.tests and not has.tests
    assert has.origins.of("provider") == had.origins.of("provider")
    assert not [path for path in has.origins.places if path[:1] == ("tests",)]
    assert served == house.local("").load()


def test_what_extends_a_file_does_not_inherit_them(house: House) -> None:
    """A patch may change what the tests below it hold for."""
    house.write({"vendor/providers.d/10-local.yml": LOCAL + WHOLE})
    assert house.provider().tests
    house.write({"operator/providers.d/20-local.yml": "provider: local\nextends: local\npriority: 2\n"})
    assert (house.provider().priority, house.provider().tests) == (2, ())


# What stands from line 4 on → the problems, with the file in front of each left out.
PROBLEMS: dict[str, list[str]] = {
    "{request: {route: a}, expect: {url: x}}": ["4:9: tests.0.name: is missing"],
    "{name: a, request: {route: a}}": ["4:9: tests.0.expect: is missing"],
    "{name: a, request: {route: a}, expect: {}}": ["4:40: tests.0.expect: is missing"],
    "{name: a, expect: {url: x}}": [
        "4:9: tests.0.request: is missing, or answer",
        "4:28: tests.0.expect.url: is what a request is compared with",
    ],
    "{name: a, request: {route: a}, answer: {status: 400}, expect: {url: x}}": [
        "4:40: tests.0.answer: stands beside request: a test has one of the two"
    ],
    "{name: a, request: {}, expect: {url: x}}": ["4:19: tests.0.request.route: is missing"],
    "{name: a, answer: {}, expect: {scope: key}}": ["4:19: tests.0.answer.status: is missing"],
    "{name: a, answer: {status: 99}, expect: {scope: key}}": ["4:28: tests.0.answer.status: must be 100 or more"],
    "{name: a, request: {route: a}, expect: {cooldown: 5}}": ["4:49: tests.0.expect.cooldown: is what an answer is compared with"],
    "{name: a, answer: {status: 400}, expect: {refusal: too_long}}": [
        "4:51: tests.0.expect.refusal: must be one of context_length, content_filter, model_not_found"
    ],
    "{name: a, request: {route: a, headers: {a: 5}}, expect: {url: x}}": [
        "4:49: tests.0.request.headers.a: must be text: put it in quotes"
    ],
    "{name: a, request: {route: a, body: {a: '${A}'}}, expect: {url: x}}": [
        "4:46: tests.0.request.body.a: must not hold a ${reference}: a secret would end up in a body; $$ is a dollar"
    ],
    "{name: a, request: {rout: a}, expect: {url: x}}": ["4:29: tests.0.request.rout: unknown field, did you mean route?"],
}


@pytest.mark.parametrize("written", PROBLEMS)
def test_problems(house: House, written: str) -> None:
    """Each fault gets one sentence at its own place."""
    house.environ = {"A": "sk-a"}
    found = house.local(f"tests: [{written}]\n").problems()
    assert found == [f"operator/providers.d/local.yml:{line}" for line in PROBLEMS[written]]
