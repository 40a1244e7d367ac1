"""Calls through a provider that rehearses faults: the relay treats a staged failure as it would a real one."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import pytest
from plan_specs import keys
from relay_stage import JSON, SSE, Stage, chat, play, provider

from monorelay.config.faults import FaultSpec
from monorelay.upstream.scripted import Script, reply

HELLO = b'data: {"choices":[{"delta":{"content":"hello"}}]}\n\n'
DONE = b"data: [DONE]\n\n"


def stage(*faults: FaultSpec, scripts: Sequence[Script] = (), **more: Any) -> Stage:
    return Stage(provider(faults=faults, **more), scripts=scripts)


def test_a_staged_429_of_one_key_is_seen_by_nobody(caplog: pytest.LogCaptureFixture) -> None:
    """The next key goes on; the upstream is asked once; the staged key cools as long as was said; the log says it was staged."""

    async def scene() -> None:
        on = stage(
            FaultSpec("rate_limit", retry_after=7, keys=("a",)), scripts=[reply(200, b'{"n":1}', [JSON]), reply(200, b"{}", [JSON])]
        )
        answer = await on.carry(chat())
        assert (answer.status, answer.body, answer.headers["x-monorelay-attempts"]) == (200, b'{"n":1}', "2")
        assert len(on.engine.requests) == 1
        cooling = {state.label: state.seconds for state in on.resources.pool("acme").states(on.clock.monotonic())}
        assert cooling == {"a": 7.0, "b": 0.0}
        assert (await on.carry(chat())).headers["x-monorelay-attempts"] == "1"

    with caplog.at_level(logging.INFO, "monorelay.rehearsal"):
        play(scene)
    told = [record.getMessage() for record in caplog.records if record.name == "monorelay.rehearsal"]
    assert told == ["provider=acme key=a rehearsal: rate_limit"]


@pytest.mark.parametrize(
    ("fault", "script", "text"),
    [
        (FaultSpec("status", status=502), None, "status 502: rehearsal: a staged refusal with status 502"),
        (FaultSpec("cut", after_events=1), reply(200, b"{}", [JSON]), "(body): rehearsal: the answer was cut after 1 chunk"),
        (FaultSpec("stall"), reply(200, b"{}", [JSON]), "(idle): rehearsal: the upstream fell silent for 0.01 s after 0 chunks"),
        (FaultSpec("latency", seconds=9), None, "(first_byte): rehearsal: no answer within 0.02 s, for the upstream is 9 s late"),
        (FaultSpec("bad_json"), reply(200, b"{}", [JSON]), "(body): "),
    ],
)
def test_a_staged_failure_is_an_upstream_error_that_says_so(fault: FaultSpec, script: Script | None, text: str) -> None:
    """Before the commit nothing of the answer has gone out, so the client gets a real status."""

    async def scene() -> None:
        on = stage(fault, scripts=[] if script is None else [script], timeouts={"idle": 0.01, "first_byte": 0.02})
        answer = await on.carry(chat())
        assert (answer.status, answer.error["type"]) == (503, "upstream_error")
        assert text in answer.error["message"]

    play(scene)


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        (FaultSpec("cut", after_events=2), b"rehearsal: the answer was cut after 2 events"),
        (FaultSpec("stall", after_events=2), b"rehearsal: the upstream fell silent for 0.01 s after 2 events"),
        (FaultSpec("bad_json", after_events=2), b"rehearsal: the answer was made unreadable and cut after 2 events"),
    ],
)
def test_a_fault_in_mid_stream_ends_it_with_an_error_in_band(fault: FaultSpec, text: bytes) -> None:
    """After the commit: what came before it has gone out, the stream is ended in the client's dialect."""

    async def scene() -> None:
        on = stage(fault, scripts=[reply(200, [HELLO * 3, DONE], [SSE])], timeouts={"idle": 0.01})
        answer = await on.carry(chat(stream=True))
        assert (answer.status, answer.ended) == (200, True)
        assert answer.body.startswith(HELLO * 2) and HELLO * 3 not in answer.body and text in answer.body

    play(scene)


def test_faults_that_do_not_strike_change_nothing() -> None:
    """Another key's, or a share that is not drawn: the answer comes from the upstream, by its own engine."""

    async def scene() -> None:
        on = stage(
            FaultSpec("status", share=0.0), FaultSpec("cut", keys=("b",)), scripts=[reply(200, b"{}", [JSON])], keys=keys("a")
        )
        assert (await on.carry(chat())).status == 200

    play(scene)
