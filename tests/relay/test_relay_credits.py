"""What the keys have left: who is asked, what becomes of the answer, and which keys are left alone for it."""

from __future__ import annotations

import asyncio
import json
import logging
import pickle
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from plan_specs import config, provider
from relay_stage import JSON, Stage, chat, play

from monorelay.config.credits import CreditsSpec
from monorelay.plan.compile import compile_plan
from monorelay.relay.credits import SOONEST, Balances, Looked
from monorelay.store.balances import Balance, BalanceMemory
from monorelay.upstream.interface import UpstreamRequest
from monorelay.upstream.keypool import FIRST_REST
from monorelay.upstream.scripted import Script, failing, reply

CREDITS = CreditsSpec("data.total", "data.used", every=0.02, skip_below=1.0)


class Account:
    """An upstream that chats, and tells what each key has left.

    Mutable: ``left`` and ``statuses`` (of chats) by key, set by the test; ``looks`` and ``chats``, which key came when.
    """

    def __init__(self, **left: float | Script | Exception) -> None:
        self.left = left
        self.looks: list[str] = []
        self.chats: list[tuple[str, int]] = []
        self.statuses: dict[str, int] = {}

    def __call__(self, request: UpstreamRequest) -> Script:
        key = request.headers[0].rpartition("sk-")[2]
        if request.url.endswith("/chat"):
            status = self.statuses.get(key, 200)
            self.chats.append((key, status))
            return reply(status, b"{}", [JSON])
        assert request.url == "https://acme.example/v1/credits" and request.method == "GET" and request.body is None
        self.looks.append(key)
        left = self.left[key]
        if isinstance(left, Exception):
            raise left
        return left if not isinstance(left, float | int) else told(left)


def told(left: float) -> Script:
    return reply(200, json.dumps({"data": {"total": str(left + 5), "used": 5}}).encode(), [JSON])


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.002)


def begin(stage: Stage) -> Balances:
    balances = Balances(stage.resources, BalanceMemory(stage.database, stage.clock))
    balances.adopt(stage.plan)
    return balances


def acting(
    tmp_path: Path, account: Account, scene: Callable[[Stage, Balances], Awaitable[None]], credits: CreditsSpec | None = CREDITS
) -> None:
    """One provider with the keys a and b, watched while the scene is played."""

    async def play_it() -> None:
        acme = provider("acme", "openai.chat", "credits", credits=credits)
        stage = Stage(acme, place=tmp_path, scripts=[account])  # type: ignore[list-item]
        balances = begin(stage)
        await scene(stage, balances)
        balances.close()
        stage.database.close()

    play(play_it)


def fingerprint(stage: Stage, label: str) -> str:
    return next(key.fingerprint for key in stage.plan.providers["acme"].keys if key.label == label)


def left(stage: Stage, balances: Balances) -> dict[str, float]:
    known = {key.label: balances.balance("acme", key.fingerprint) for key in stage.plan.providers["acme"].keys}
    return {label: balance.amount for label, balance in known.items() if balance is not None}


def reasons(stage: Stage) -> dict[str, str]:
    return {state.label: state.reason for state in stage.resources.pool("acme").states(stage.clock.monotonic())}


def test_each_key_is_asked_again_and_again(tmp_path: Path) -> None:
    """With its own credential, on a schedule; the latest answer counts."""
    account = Account(a=7.65, b=2)

    async def scene(stage: Stage, balances: Balances) -> None:
        await until(lambda: left(stage, balances) == {"a": 7.65, "b": 2.0})
        account.left["a"] = 6.5
        await until(lambda: left(stage, balances) == {"a": 6.5, "b": 2.0})
        assert set(reasons(stage).values()) == {""} and account.chats == []

    acting(tmp_path, account, scene)
    assert account.looks[:4] == ["a", "b", "a", "b"]


def test_who_says_nothing_of_credits_is_not_asked(tmp_path: Path) -> None:
    """The offer alone is for clients."""
    account = Account()

    async def scene(stage: Stage, balances: Balances) -> None:
        await asyncio.sleep(0.02)
        assert account.looks == [] and balances.low("acme") == frozenset()
        balances.look_soon("acme")

    acting(tmp_path, account, scene, credits=None)


@pytest.mark.parametrize("skip_below", [None, 1.0])
def test_a_key_with_too_little_is_left_out_until_it_has_more(tmp_path: Path, skip_below: float | None) -> None:
    """Only where the file says so; exactly as much is enough."""
    account = Account(a=0.99, b=1.0)

    async def scene(stage: Stage, balances: Balances) -> None:
        await until(lambda: len(left(stage, balances)) == 2)
        low = skip_below is not None
        assert reasons(stage) == {"a": "no credit" if low else "", "b": ""}
        assert balances.low("acme") == (frozenset({fingerprint(stage, "a")}) if low else frozenset())
        for _ in range(4):
            assert (await stage.carry(chat())).status == 200
        assert {key for key, _ in account.chats} == ({"b"} if low else {"a", "b"})
        account.left["a"] = 5
        await until(lambda: reasons(stage)["a"] == "")

    acting(tmp_path, account, scene, CreditsSpec("data.total", "data.used", 0.02, skip_below))


def test_with_no_key_left_the_client_is_told_why(tmp_path: Path) -> None:
    """Waiting does not help, so no Retry-After is made up."""

    async def scene(stage: Stage, balances: Balances) -> None:
        await until(lambda: set(reasons(stage).values()) == {"no credit"})
        answer = await stage.carry(chat())
        assert (answer.status, answer.error["type"]) == (503, "no_keys")
        assert answer.error["message"] == "[acme] No available keys for provider 'acme': all 2 are out of credit"
        assert "retry-after" not in answer.headers and stage.resources.pool("acme").available(0.0) == 0

    acting(tmp_path, Account(a=0, b=-3), scene)


def test_a_key_that_time_helps_is_what_the_client_waits_for(tmp_path: Path) -> None:
    """One is out of credit, the other one cools: only the latter is spoken of."""
    account = Account(a=0, b=9)
    account.statuses["b"] = 429

    async def scene(stage: Stage, balances: Balances) -> None:
        await until(lambda: len(left(stage, balances)) == 2)
        answer = await stage.carry(chat())
        assert answer.error["message"].endswith("the only one is cooling down; the next is free in 60 s")
        assert answer.headers["retry-after"] == "60"

    acting(tmp_path, account, scene)


TROUBLES = [
    (failing("connect", "Nobody there."), "(connect: Nobody there.)"),
    (reply(500, b"{}"), "(status 500)"),
    (reply(401, b"{}"), "(status 401: this key may not ask for it)"),
    (reply(200, b"<html>"), "(the answer is not JSON)"),
    (reply(200, b'{"data": {"total": "5"}}'), "(there is no number at 'data.used')"),
]


@pytest.mark.parametrize(("trouble", "text"), TROUBLES)
def test_without_an_answer_the_last_balance_stays(
    tmp_path: Path, trouble: Script, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The log says it once, without the key; the other keys are asked all the same."""
    account = Account(a=0.5, b=2)

    async def scene(stage: Stage, balances: Balances) -> None:
        await until(lambda: len(left(stage, balances)) == 2)
        account.left.update(a=trouble, b=3)
        seen = len(account.looks)
        await until(lambda: len(account.looks) >= seen + 8)
        assert left(stage, balances) == {"a": 0.5, "b": 3.0} and reasons(stage)["a"] == "no credit"

    with caplog.at_level(logging.INFO, "monorelay.balances"):
        acting(tmp_path, account, scene)
    said = [record.getMessage() for record in caplog.records if "could not be read" in record.getMessage()]
    assert said == [f"provider=acme key=a its balance could not be read {text}; the last known one stays"]


def test_a_balance_of_three_rounds_ago_says_nothing(tmp_path: Path) -> None:
    """A key is not left out for ever because its provider stopped to tell."""
    account = Account(a=0.5, b=2)

    async def scene(stage: Stage, balances: Balances) -> None:
        await until(lambda: reasons(stage)["a"] == "no credit")
        account.left["a"] = failing("connect")
        stage.clock.advance(3 * CREDITS.every + 0.001)
        await until(lambda: reasons(stage)["a"] == "")
        assert balances.low("acme") == frozenset() and left(stage, balances)["a"] == 0.5

    acting(tmp_path, account, scene)


def test_a_fault_in_the_relay_ends_nothing(tmp_path: Path, expect_logs: Any) -> None:
    """It is logged; the next key is asked, and the next time comes."""
    expect_logs("key=a a fault in the relay")
    account = Account(a=KeyError("a bug"), b=2)

    async def scene(stage: Stage, balances: Balances) -> None:
        await until(lambda: left(stage, balances) == {"b": 2.0})
        account.left["a"] = 1
        await until(lambda: left(stage, balances) == {"a": 1.0, "b": 2.0})

    acting(tmp_path, account, scene)


SELDOM = CreditsSpec("data.total", "data.used", every=3600.0, skip_below=1.0)


def test_a_402_brings_the_next_look_forward(tmp_path: Path, expect_logs: Any) -> None:
    """A key that turns out to have too little is left out; one that has enough rests no longer."""
    expect_logs("was refused with 402")
    account = Account(a=9, b=9)

    async def scene(stage: Stage, balances: Balances) -> None:
        await until(lambda: len(left(stage, balances)) == 2)
        account.statuses.update(a=402, b=402)
        account.left["a"] = 0.2
        stage.clock.advance(SOONEST)
        assert (await stage.carry(chat())).status == 503
        await until(lambda: reasons(stage) == {"a": "no credit", "b": ""})

    acting(tmp_path, account, scene, SELDOM)


async def refused(stage: Stage) -> None:
    """Calls until one of the keys was refused."""
    while (await stage.carry(chat())).headers["x-monorelay-attempts"] == "1":
        pass


def test_a_401_rests_its_key_whatever_it_has(tmp_path: Path, expect_logs: Any) -> None:
    """Also where a 402 came before it."""
    expect_logs("was refused with 40[12]")
    account = Account(a=9, b=9)

    async def scene(stage: Stage, balances: Balances) -> None:
        await until(lambda: len(left(stage, balances)) == 2)
        account.left["a"] = ()  # an answer that takes its time
        stage.clock.advance(SOONEST)
        account.statuses["a"] = 402
        await refused(stage)
        await until(lambda: account.looks[-1:] == ["a"])
        look = stage.engine.exchanges[-1]
        stage.clock.advance(FIRST_REST)
        account.statuses["a"] = 401
        await refused(stage)
        look.push(*told(8))
        await until(lambda: left(stage, balances)["a"] == 8.0)
        assert reasons(stage)["a"] == "resting"

    acting(tmp_path, account, scene, SELDOM)


def test_refusals_do_not_make_looks_come_thick_and_fast(tmp_path: Path) -> None:
    """There is a pause between two looks, however many keys are refused."""
    account = Account(a=9, b=9)

    async def scene(stage: Stage, balances: Balances) -> None:
        await until(lambda: len(left(stage, balances)) == 2)
        for _ in range(20):
            balances.note_refusal("acme", fingerprint(stage, "a"), 402)
            await asyncio.sleep(0.001)
        assert account.looks == ["a", "b"]
        assert balances._due["acme"] == SOONEST

    acting(tmp_path, account, scene, SELDOM)


def test_an_answer_from_before_the_refusal_ends_no_rest(tmp_path: Path, expect_logs: Any) -> None:
    """It was on its way when the key was refused."""
    expect_logs("was refused with 402")
    account = Account(a=(), b=9)

    async def scene(stage: Stage, balances: Balances) -> None:
        await until(lambda: bool(account.looks))
        stage.clock.advance(1)
        account.statuses["a"] = 402
        await stage.carry(chat())
        stage.engine.exchanges[0].push(*told(9))
        await until(lambda: len(left(stage, balances)) == 2)
        assert reasons(stage)["a"] == "resting"

    acting(tmp_path, account, scene, SELDOM)


def test_an_earlier_run_is_remembered(tmp_path: Path) -> None:
    """Before anybody has answered, and although a reload comes at once: the first look at the disk may be cut short by it."""

    async def scene() -> None:
        acme = provider("acme", "openai.chat", "credits", credits=CREDITS)
        stage = Stage(acme, place=tmp_path)
        memory = BalanceMemory(stage.database, stage.clock)
        for label, amount in (("a", 0.5), ("b", 7.0)):
            memory.keep("acme", fingerprint(stage, label), Balance(amount, stage.clock.now()))
        memory.keep("acme", "another", Balance(0.0, stage.clock.now()))
        stage.database.close()
        again = Stage(acme, place=tmp_path, scripts=[lambda request: ()])  # type: ignore[list-item]
        balances = begin(again)
        balances.adopt(again.plan)
        await until(lambda: reasons(again) == {"a": "no credit", "b": ""})
        assert left(again, balances) == {"a": 0.5, "b": 7.0}
        balances.close()
        again.database.close()

    play(scene)


def test_a_reload_keeps_what_is_known_and_when_to_ask_again(tmp_path: Path) -> None:
    """A hundred reloads ask nobody; one that takes ``credits`` away takes the key back into rotation."""
    account = Account(a=0.5, b=9)

    async def scene(stage: Stage, balances: Balances) -> None:
        await until(lambda: len(left(stage, balances)) == 2)
        for generation in range(2, 102):
            acme = provider("acme", "openai.chat", "credits", credits=SELDOM, priority=generation)
            stage.plan = compile_plan(config(acme), generation)
            stage.resources.adopt(stage.plan)
            balances.adopt(stage.plan)
            await asyncio.sleep(0)
        assert account.looks == ["a", "b"] and reasons(stage)["a"] == "no credit"
        stage.plan = compile_plan(config(provider("acme", "openai.chat", "credits")), 200)
        stage.resources.adopt(stage.plan)
        balances.adopt(stage.plan)
        assert reasons(stage)["a"] == "" and left(stage, balances) == {}

    acting(tmp_path, account, scene, SELDOM)


# ---------------------------------------------------------------------------------------------------- several workers


class Crew:
    """Two workers with one account behind them: ``first`` asks, and each hears what the other one tells.

    Mutable: ``board``, what a worker that is born later would hear.
    """

    def __init__(self, tmp_path: Path, account: Account, credits: CreditsSpec) -> None:
        acme = provider("acme", "openai.chat", "credits", credits=credits)
        self.stages = [Stage(acme, place=tmp_path / name, scripts=[account]) for name in "ab"]  # type: ignore[list-item]
        self.board: list[bytes] = []
        self.first = self.worker(0, asks=True)
        self.second = self.worker(1, asks=False)
        for stage, other in zip(self.stages, reversed(self.stages), strict=True):
            stage.resources.pool("acme").tell = partial(other.resources.pools.hear, "acme")

    def worker(self, number: int, asks: bool) -> Balances:
        stage = self.stages[number]
        balances = Balances(stage.resources, BalanceMemory(stage.database, stage.clock), tell=partial(self.tell, number), asks=asks)
        balances.adopt(stage.plan)
        return balances

    def tell(self, number: int, fact: Any, until: float) -> None:
        self.board.append(pickle.dumps(fact))
        (self.second if number == 0 else self.first).hear(pickle.loads(self.board[-1]))
        assert until > self.stages[number].clock.monotonic()

    def pairs(self) -> list[tuple[Stage, Balances]]:
        return list(zip(self.stages, (self.first, self.second), strict=True))

    def close(self) -> None:
        for stage, balances in self.pairs():
            balances.close()
            stage.database.close()


def crew(tmp_path: Path, account: Account, scene: Callable[[Crew], Awaitable[None]], credits: CreditsSpec = CREDITS) -> None:
    async def play_it() -> None:
        for name in "ab":
            (tmp_path / name).mkdir()
        both = Crew(tmp_path, account, credits)
        await scene(both)
        both.close()

    play(play_it)


def test_one_worker_asks_for_all(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Each key once a round, and each line in the log once; the other worker leaves the same keys alone."""
    account = Account(a=0.5, b=2)

    async def scene(both: Crew) -> None:
        await until(lambda: all(left(*each) == {"a": 0.5, "b": 2.0} for each in both.pairs()))
        assert [reasons(stage) for stage in both.stages] == [{"a": "no credit", "b": ""}] * 2
        assert account.looks == ["a", "b"]

    with caplog.at_level(logging.INFO, "monorelay.balances"):
        crew(tmp_path, account, scene, SELDOM)
    assert [record.getMessage() for record in caplog.records] == ["provider=acme key=a has less than skip_below, and is left out"]


def test_a_balance_grows_old_for_all(tmp_path: Path) -> None:
    """A worker that does not ask hears of looks that brought nothing, too."""
    account = Account(a=0.5, b=2)

    async def scene(both: Crew) -> None:
        await until(lambda: all(reasons(stage)["a"] == "no credit" for stage in both.stages))
        account.left["a"] = failing("connect")
        for stage in both.stages:
            stage.clock.advance(3 * CREDITS.every + 0.001)
        await until(lambda: all(reasons(stage)["a"] == "" for stage in both.stages))

    crew(tmp_path, account, scene)


def test_a_402_of_another_worker_brings_the_look_forward(tmp_path: Path, expect_logs: Any) -> None:
    """It is told to the one that asks, and what that finds ends the rest at both."""
    expect_logs("was refused with 402")
    account = Account(a=9, b=9)

    async def scene(both: Crew) -> None:
        await until(lambda: len(left(both.stages[1], both.second)) == 2)
        for stage in both.stages:
            stage.clock.advance(SOONEST)
        account.statuses.update(a=402, b=402)
        assert (await both.stages[1].carry(chat())).status == 503
        await until(lambda: [reasons(stage) for stage in both.stages] == [{"a": "", "b": ""}] * 2)
        assert account.looks == ["a", "b"] * 2

    crew(tmp_path, account, scene, SELDOM)


def test_a_worker_that_is_born_later_begins_with_what_was_told(tmp_path: Path) -> None:
    """Whether or not the disk knows it already; what is older than what it has heard changes nothing."""
    account = Account(a=0.5, b=2)

    async def scene(both: Crew) -> None:
        await until(lambda: len(left(both.stages[1], both.second)) == 2)
        later = Balances(both.stages[1].resources, BalanceMemory(both.stages[1].database, both.stages[1].clock), asks=False)
        later.adopt(both.stages[1].plan)
        for fact in both.board:
            later.hear(pickle.loads(fact))
        later.hear(Looked("acme", fingerprint(both.stages[1], "a"), Balance(5.0, both.stages[1].clock.now() - 10)))
        later.hear(Looked("acme", "another", Balance(5.0, 1.0)))
        later.hear(Looked("nobody", "another", None))
        assert left(both.stages[1], later) == {"a": 0.5, "b": 2.0} and len(later.low("acme")) == 1
        later.close()

    crew(tmp_path, account, scene, SELDOM)


def test_a_clock_that_was_set_back(tmp_path: Path) -> None:
    """What was read before that is not newer than what is read after it."""
    account = Account(a=0.5, b=2)

    async def scene(both: Crew) -> None:
        stage, second = both.stages[1], both.second
        await until(lambda: len(left(stage, second)) == 2)
        second.hear(Looked("acme", fingerprint(stage, "a"), Balance(0.1, stage.clock.now() + 3600)))
        second.hear(Looked("acme", fingerprint(stage, "a"), Balance(7.0, stage.clock.now())))
        assert left(stage, second)["a"] == 7.0 and not second.low("acme")

    crew(tmp_path, account, scene, SELDOM)
