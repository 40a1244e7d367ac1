"""A model of several upstreams that enforce limits of their own, fail at times, and remember all that was asked of them.

It is an engine: what the relay sends to ``https://NAME.example`` with a bearer token meets the ``Account`` of that token
(``simulated_account.py``). Whatever it answers becomes the account's truth once the answer has ended. Times are those of the
virtual loop.
"""

from __future__ import annotations

import asyncio
import json
import random
from bisect import bisect_right, insort
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from simulated_account import Account, Attempt
from simulated_time import VirtualClock
from simulated_waits import MOMENTS, WAYS, duration, say

from monorelay.upstream.interface import Receiver, Timings, UpstreamFailure, UpstreamRequest
from monorelay.upstream.scripted import Chunk, End, Failed, Head, Step

JSON = ("content-type", "application/json")
SSE = ("content-type", "text/event-stream")
DAY = 86_400.0

# ------------------------------------------------------------------ trouble


@dataclass(frozen=True)
class Trouble:
    """``kind``: refused, unreachable, 503, hang, cut (the upstream fails); slow; storm (429), revoked (401 and the like)."""

    begin: float
    end: float
    kind: str
    provider: str
    labels: frozenset[str] | None = None  # None = all keys
    share: float = 1.0

    def strikes(self, now: float, account: Account, chance: random.Random) -> bool:
        ours = self.provider == account.provider and (self.labels is None or account.label in self.labels)
        return ours and self.begin <= now < self.end and chance.random() < self.share


# ------------------------------------------------------------------ the engine


class SimulatedExchange:
    """Mutable: what is still to be played, and whether it is over."""

    def __init__(
        self, upstream: SimulatedUpstreams, receiver: Receiver, attempt: Attempt, steps: Sequence[tuple[float, Step]]
    ) -> None:
        self.attempt = attempt
        self.over = False
        self._upstream = upstream
        self._receiver = receiver
        self._steps = list(reversed(steps))
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(self._steps[-1][0], self._play)

    def _play(self) -> None:
        _, step = self._steps.pop()
        match step:
            case Head(status, headers):
                self._receiver.head(status, list(headers))
            case Chunk(data):
                self._receiver.chunk(data)
            case End():
                self._finish(self.attempt.said)
                self._receiver.end()
            case Failed(phase, reason):
                self._finish(phase)
                self._receiver.failed(UpstreamFailure(phase, reason))
        if self._steps and not self.over:
            self._timer = self._loop.call_later(self._steps[-1][0], self._play)

    def _finish(self, said: str) -> None:
        self.over = True
        self._upstream.ended(self.attempt, said)

    def abort(self) -> None:
        if not self.over:
            self._timer.cancel()
            self._finish("aborted")

    def pause(self) -> None:
        raise AssertionError("no client of the simulation is slow")

    def resume(self) -> None: ...

    def timings(self) -> Timings:
        return Timings(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, True, "1.1", "192.0.2.1")


class SimulatedUpstreams:
    """The engine of all workers. Mutable: the accounts, ``attempts``, and ``_told``, what is known once an answer has ended."""

    def __init__(
        self,
        accounts: dict[tuple[str, str], Account],
        troubles: Sequence[Trouble],
        clock: VirtualClock,
        chance: random.Random,
        cooldowns: dict[str, float],
        on_start: Callable[[Attempt, Account], None],
        workers: int,
    ) -> None:
        self.workers = workers
        self.accounts = accounts
        self.attempts: list[Attempt] = []
        self.expected: dict[int, tuple[int, int]] = {}  # by call: the tokens that it is expected to spend, and its worker
        self._troubles = troubles
        self._clock = clock
        self._chance = chance
        self._cooldowns = cooldowns  # what a 429 that says nothing means, by provider
        self._on_start = on_start
        self._told: dict[Attempt, Callable[[float], None]] = {}

    def shut(self) -> None: ...

    def start(self, request: UpstreamRequest, receiver: Receiver) -> SimulatedExchange:
        now = self._clock.monotonic()
        provider = request.url.partition("//")[2].partition(".")[0]
        secret = next(line for line in request.headers if line.startswith("authorization:")).rpartition("sk-")[2]
        account = self.accounts[provider, secret]
        assert isinstance(request.body, bytes)
        body = json.loads(request.body)
        number = int(body["user"])
        expected, worker = self.expected[number]
        attempt = Attempt(number, worker, provider, secret, body["model"], now, expected, expected)
        account.forget(now)
        self._on_start(attempt, account)
        steps = self._steps(attempt, account, body, request)
        self.attempts.append(attempt)
        account.in_flight.add(attempt)
        account.recent.append(attempt)
        insort(account.sent, now)
        return SimulatedExchange(self, receiver, attempt, steps)

    def ended(self, attempt: Attempt, said: str) -> None:
        now = self._clock.monotonic()
        account = self.accounts[attempt.provider, attempt.label]
        account.in_flight.discard(attempt)
        attempt.ended, attempt.said = now, said
        if said == "connect":  # it never went out
            account.recent.remove(attempt)
            account.sent.remove(attempt.began)
            insort(account.unsent, attempt.began)
        told = self._told.pop(attempt, None)
        if told is not None and said not in ("aborted", "body"):
            told(now)

    # -- what is answered

    def _steps(
        self, attempt: Attempt, account: Account, body: dict[str, object], request: UpstreamRequest
    ) -> list[tuple[float, Step]]:
        now, chance = self._clock.monotonic(), self._chance
        pace = 1.0
        for trouble in self._troubles:
            if not trouble.strikes(now, account, chance):
                continue
            match trouble.kind:
                case "refused":
                    return [(0.002, Failed("connect", "Connection refused."))]
                case "unreachable":
                    return [(request.timeouts.connect or 10.0, Failed("connect", "Timed out."))]
                case "hang":
                    return [(request.timeouts.first_byte or 60.0, Failed("first_byte", "Timed out."))]
                case "503":
                    wait = (("retry-after", str(chance.randint(1, 4))),) if chance.random() < 0.3 else ()
                    return self._refusal(attempt, chance.choice((500, 502, 503, 529)), "overloaded", "server_error", wait)
                case "cut":
                    return [(0.3, Head(200, (JSON,))), (0.1, Chunk(b'{"id": "x", "cho')), (0.1, Failed("body", "It was cut."))]
                case "slow":
                    pace = 12.0
                case "storm":
                    return self._limited(attempt, account, chance.uniform(0.5, 45.0))
                case "revoked":
                    self._told[attempt] = lambda at: account.refuse(attempt, at)
                    return self._refusal(attempt, chance.choice((401, 402, 403)), "who are you?", "authentication_error")
        spent = chance.randint(1, max(1, attempt.expected))
        wait = account.wait_of_the_upstream(now, spent)
        if wait > 0:
            return self._limited(attempt, account, wait)
        return self._answer(attempt, account, body, spent, pace)

    def _answer(
        self, attempt: Attempt, account: Account, body: dict[str, object], spent: int, pace: float
    ) -> list[tuple[float, Step]]:
        now, chance = self._clock.monotonic(), self._chance
        insort(account.accepted, now)
        if body.get("too_long") and attempt.model != "long":
            return self._refusal(attempt, 400, "too long", "invalid_request_error", (), "context_length_exceeded", account)
        if body.get("wrong"):
            return self._refusal(attempt, 422, "a field is wrong", "invalid_request_error", (), "", account)
        attempt.said = "200"

        def told(at: float) -> None:
            account.accept(attempt)
            if account.limits.tokens:
                attempt.spent = spent

        self._told[attempt] = told
        usage = {"prompt_tokens": spent // 2, "completion_tokens": spent - spent // 2, "total_tokens": spent}
        remaining = self._remaining(account, now)
        first = chance.lognormvariate(-0.9, 0.6) * pace
        if not body.get("stream"):
            message = {"index": 0, "message": {"role": "assistant", "content": "so it is"}, "finish_reason": "stop"}
            whole = json.dumps({"id": "chatcmpl-1", "object": "chat.completion", "choices": [message], "usage": usage}).encode()
            return [(first, Head(200, (JSON, *remaining))), (0.01, Chunk(whole)), (0.0, End())]
        steps: list[tuple[float, Step]] = [(first, Head(200, (SSE, *remaining)))]
        for word in ("so ", "it ", "is"):
            event = {"choices": [{"index": 0, "delta": {"content": word}}]}
            steps.append((0.2 * pace, Chunk(b"data: " + json.dumps(event).encode() + b"\n\n")))
        end = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": usage}
        return [*steps, (0.05, Chunk(b"data: " + json.dumps(end).encode() + b"\n\ndata: [DONE]\n\n")), (0.0, End())]

    def _remaining(self, account: Account, now: float) -> tuple[tuple[str, str], ...]:
        """What is left of the first of its true windows, as some upstreams tell with each answer."""
        if not account.true.windows:
            return ()
        span, limit = account.true.windows[0]
        used = len(account.accepted) - bisect_right(account.accepted, now - span)
        reset = account.accepted[-used] + span - now if used else 0.0
        return (("x-left-requests", str(max(0, limit - used))), ("x-reset-requests", duration(reset)))

    def _limited(self, attempt: Attempt, account: Account, seconds: float) -> list[tuple[float, Step]]:
        chance = self._chance
        way = chance.choice(WAYS)
        said = say(way, seconds, self._clock.now(), chance)
        began = self._clock.monotonic()
        concerned = [other for other in self.accounts.values() if other.provider == account.provider]
        concerned = concerned if account.scope == "account" else [account]
        model = attempt.model if account.scope == "key+model" else ""

        def told(at: float) -> None:
            until = at + self._cooldowns[account.provider] if said.seconds is None else began + said.seconds
            attempt.spent = 0
            late = 0.0 if said.seconds is None else at - began + (2.0 if way in MOMENTS else 0.02)
            usual = self._cooldowns[account.provider]
            least = usual if self.workers > 1 else min(account.strike(attempt, model), usual)  # each worker counts for itself
            for one in concerned:
                one.cool(model, at, until, attempt.worker, late, least)

        self._told[attempt] = told
        return self._refusal(attempt, 429, said.text, "rate_limit_error", said.headers)

    def _refusal(
        self,
        attempt: Attempt,
        status: int,
        text: str,
        kind: str,
        headers: tuple[tuple[str, str], ...] = (),
        code: str = "",
        fine: Account | None = None,
    ) -> list[tuple[float, Step]]:
        attempt.said = str(status)
        if fine is not None:  # the caller's own fault: the key is fine, and nothing was spent

            def told(at: float) -> None:
                fine.accept(attempt)
                attempt.spent = 0

            self._told[attempt] = told
        body = json.dumps({"error": {"message": text, "type": kind, "code": code or None}}).encode()
        return [(self._chance.uniform(0.02, 0.3), Head(status, (JSON, *headers))), (0.0, Chunk(body)), (0.0, End())]
