"""`monorelay check --live`: what each provider says of each key, by the call that costs nothing."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from story_upstream import Recorder, ok

Operator = Callable[..., Path]
Say = Callable[..., Any]


@pytest.fixture
def upstream() -> Iterator[Recorder]:
    recorder = Recorder()
    yield recorder
    recorder.close()


def provider(name: str, url: str, *more: str) -> str:
    keys = f'[{{label: main, secret: "${{K:-sk-{name}}}"}}, {{label: off, secret: "${{K:-sk-off}}", enabled: false}}]'
    return "\n".join([f"provider: {name}", "extends: openai-compatible", f"base_url: {url}", f"keys: {keys}", *more, ""])


@pytest.fixture
def house(operator: Operator, upstream: Recorder) -> Path:
    """Four providers: one answers, one refuses its key, one is limited, one is not there."""
    with socket.create_server(("127.0.0.1", 0)) as gone:
        nowhere = f"http://127.0.0.1:{gone.getsockname()[1]}"
    upstream.standing("/good/models", ok({"data": [{"id": "a"}, {"id": "b"}]}, "x-ratelimit-remaining-requests: 59"))
    words = {"error": {"message": "Incorrect API key provided: sk-bad.", "type": "invalid_request_error"}}
    upstream.standing("/bad/models", ok(words, status="401 Unauthorized"))
    upstream.standing("/full/models", ok({"error": "slow down"}, "Retry-After: 7", status="429 Too Many Requests"))
    return operator(
        providers__1=provider("good", f"{upstream.origin}/good"),
        providers__2=provider("bad", f"{upstream.origin}/bad"),
        providers__3=provider("full", f"{upstream.origin}/full"),
        providers__4=provider("gone", nowhere),
        providers__5=provider("mute", f"{upstream.origin}/mute", "offers: {openai.models: null}"),
    )


def test_every_key_is_asked(house: Path, say: Say) -> None:
    """One line per key that is on: status, time, number of models, limits, and a refusal in its own words, without the key."""
    said = say("check", "--live", "--config-dir", house)
    assert said.code == 1 and "sk-" not in said.out + said.err
    rows = {line.split()[0]: line for line in said.out.splitlines()}
    assert " 200 " in rows["good"] and " 2 " in rows["good"]
    assert "x-ratelimit-remaining-requests 59" in rows["good"]
    assert " 401 " in rows["bad"] and "the key is refused: Incorrect API key provided: [key main]." in rows["bad"]
    assert " 429 " in rows["full"] and "it has to rest: slow down" in rows["full"] and "retry-after 7" in rows["full"].lower()
    assert " - " in rows["gone"] and "connect: " in rows["gone"]
    assert rows["mute:"] == "mute: has no list of models, so nothing can be asked for free"
    assert " off " not in said.out


def test_only_those_that_are_named(house: Path, say: Say, upstream: Recorder) -> None:
    """The others are not called; 0 when all were taken."""
    said = say("check", "--live", "good", "--config-dir", house)
    assert said.code == 0 and len(said.out.splitlines()) == 2
    said = say("check", "--config-dir", house, "--live", "godo")
    assert said.code == 2 and said.err == "no provider is called 'godo', did you mean good?\n"


def test_for_scripts(house: Path, say: Say) -> None:
    """A list of what came of each key."""
    (good,) = say("check", "--json", "--config-dir", house, "--live", "good").value
    assert good.pop("milliseconds") >= 0
    assert good == {
        "provider": "good",
        "key": "main",
        "ok": True,
        "status": 200,
        "models": 2,
        "more": False,
        "said": "",
        "limits": {"x-ratelimit-remaining-requests": "59"},
    }


def test_a_list_that_is_none(operator: Operator, say: Say, upstream: Recorder) -> None:
    """A page instead of a list is no success."""
    upstream.standing("/page/models", ok(b"<html>", kind="text/html"))
    said = say("check", "--live", "--config-dir", operator(providers__1=provider("page", f"{upstream.origin}/page")))
    assert said.code == 1 and "its list of models cannot be read" in said.out


def test_nothing_is_on(operator: Operator, say: Say) -> None:
    """There is nobody to be asked; that is no success either."""
    said = say("check", "--live", "--config-dir", operator())
    assert (said.code, said.out) == (1, "no provider is on\n")


def test_what_would_be_refused(operator: Operator, say: Say) -> None:
    """Then nobody is asked."""
    said = say("check", "--live", "--config-dir", operator(config="server: {prot: 1}\n"))
    assert said.code == 78
