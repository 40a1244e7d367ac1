"""An upstream that goes wrong at every place and in every way: what the client gets, in each dialect, native and translated."""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from fault_scripts import DIALECTS, PAIRS, is_honest, json_cases, stream_cases
from story_client import Answer
from story_process import Relay
from story_providers import SECRETS, SERVER, keys
from story_upstream import Recorded, Recorder, Step

OFFERS = {
    "chat": {"openai.chat": "/chat/completions"},
    "messages": {"anthropic.messages": "/messages"},
    "responses": {"openai.responses": "/responses"},
}
CASES = [case for pair in PAIRS for cases in (json_cases, stream_cases) for case in cases(*pair)]
NUMBERS = {case.name: number for number, case in enumerate(CASES)}
assert len(NUMBERS) == len(CASES)


@pytest.fixture(scope="module")
def relay(start: Callable[..., Relay], upstream: Recorder) -> Relay:
    timeouts = {"connect": 20, "first_byte": 20, "idle": 20}
    models = {str(number): {"timeouts": case.timeouts} for number, case in enumerate(CASES) if case.timeouts}
    providers = {
        f"up-{name}": {"base_url": f"{upstream.origin}/{name}", "keys": keys("a"), "offers": offers, "timeouts": timeouts}
        for name, offers in OFFERS.items()
    }
    return start({"server": SERVER, "providers": providers, "model_routing": {"models": models}}, environ=SECRETS)


@pytest.fixture(scope="module")
def answers(relay: Relay, upstream: Recorder) -> list[Answer | Exception]:
    """Of all cases, asked side by side."""

    def script(request: Recorded) -> tuple[Step, ...]:
        return CASES[int(request.json["model"])].steps

    def ask(number: int) -> Answer | Exception:
        case = CASES[number]
        body = case.body(f"{number}@up-{case.upstream}")
        try:
            return relay.ask("POST", DIALECTS[case.client].path, ("x-request-id", f"case-{number}"), body=body)
        except Exception as error:
            return error

    upstream.rule(script)
    with ThreadPoolExecutor(24) as pool:
        return list(pool.map(ask, range(len(CASES))))


@pytest.mark.parametrize("name", NUMBERS)
def test_the_client_learns_the_truth(answers: list[Answer | Exception], name: str) -> None:
    """A real status before the commit, one error of its own dialect after it, never a made-up end."""
    number = NUMBERS[name]
    answer = answers[number]
    if isinstance(answer, Exception):
        raise answer
    is_honest(CASES[number], answer, f"up-{CASES[number].upstream}")


def test_every_call_is_recorded_once(relay: Relay, answers: list[Answer | Exception]) -> None:
    """With the status that its client got, one attempt, and whether the answer broke off."""
    rows = re.findall(r"call=case-(\d+) .*status=(\d+) ms=\d+ attempts=(\d+).*?( broken=\w+)?\n", relay.log())
    told = {int(number): (status, attempts, broken) for number, status, attempts, broken in rows}
    assert len(rows) == len(told) == len(CASES)
    assert told == {number: ("200", "1", " broken=cut") if case.begun else ("503", "1", "") for number, case in enumerate(CASES)}
