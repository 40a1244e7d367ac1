"""The tests of providers, replayed without a socket: what would go up for a client's request, and what an answer would bring about.

Requests take the way of every call up to the point at which they would leave; answers go to what judges them. Each provider is
replayed as if it were enabled and had one key, a stand-in, and apart from the rest of the configuration: no alias, cascade or
payload rule changes what its file is known to do.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

from monorelay.config.config import Config
from monorelay.config.fields import Secret
from monorelay.config.fixtures import FixtureSpec
from monorelay.config.keys import KeySpec
from monorelay.config.problems import Problem, dotted
from monorelay.config.provider import ProviderSpec
from monorelay.config.quirks import ToolsSpec
from monorelay.config.routing import RoutingSpec
from monorelay.dialects.json_path import balance_in
from monorelay.errors import RelayError
from monorelay.plan.catalogue import Catalogue
from monorelay.plan.compile import compile_plan
from monorelay.plan.plan import Plan, Provider, Route
from monorelay.plan.resolution import Target
from monorelay.relay.call import Call, read_body
from monorelay.relay.expectation import Difference, differences
from monorelay.relay.outcome import Refused
from monorelay.relay.pools import wait_rules
from monorelay.relay.sending import begin_translation, upstream_request
from monorelay.relay.verdict import KeyEffect, judge
from monorelay.relay.words import kind_of
from monorelay.upstream.waits import cooldown_seconds, spent

STAND_IN = "test-key"
SHOWN = "<key>"  # how tests write it
HIDDEN = "(a secret)"
MOMENT = 1_700_000_000.0  # when a replay takes place, unless an answer has a date: always the same
CLOSE = 0.001  # seconds, or units of a currency, that do not matter

_PARAMETER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)(?:\.\.\.)?\}")


@dataclass(frozen=True, slots=True)
class Replayed:
    """How many tests there were, of how many providers; a problem for each difference, and how many tests have one."""

    tests: int
    providers: int
    failed: int
    problems: tuple[Problem, ...]


def replay(config: Config) -> Replayed:
    """Every test of every provider of a configuration that holds together."""
    tested = [spec for spec in config.providers if spec.tests]
    numbers = count(1)
    plan = compile_plan(_apart(config, tested), 0)
    stage = _Stage(plan, Catalogue(plan, {}, 0), lambda prefix: f"{prefix}{next(numbers)}")
    problems: list[Problem] = []
    failed = 0
    for spec in tested:
        for number, test in enumerate(spec.tests):
            found = [_problem(spec, number, difference) for difference in stage.differences(plan.providers[spec.name], test)]
            failed += bool(found)
            problems += found
    return Replayed(sum(len(spec.tests) for spec in tested), len(tested), failed, tuple(problems))


def _apart(config: Config, tested: list[ProviderSpec]) -> Config:
    key = KeySpec("main", Secret(STAND_IN))
    providers = tuple(replace(spec, enabled=True, keys=(key,) if spec.auth is not None else ()) for spec in tested)
    return replace(config, providers=providers, routing=RoutingSpec(config.routing.origins), tools=ToolsSpec())


def _problem(spec: ProviderSpec, number: int, difference: Difference) -> Problem:
    path = ("tests", number, *difference[0])
    origin = spec.origins.of(*path)
    return Problem(origin.file, origin.line, origin.column, dotted(path), difference[1])


@dataclass(frozen=True, slots=True)
class _Stage:
    plan: Plan
    catalogue: Catalogue
    new_id: Callable[[str], str]

    def differences(self, provider: Provider, test: FixtureSpec) -> Iterator[Difference]:
        if test.request is not None:
            return self._of_request(provider, test.request, test.expect)
        assert test.answer is not None, "a test has one of the two"
        return self._of_answer(provider, test.answer, test.expect)

    # ------------------------------------------------------------------ requests

    def _of_request(self, provider: Provider, request: Mapping[str, Any], expect: Mapping[str, Any]) -> Iterator[Difference]:
        route = next((route for route in self.plan.routes if route.spec.name == request["route"]), None)
        if route is None:
            yield ("request", "route"), f"there is no route '{request['route']}'"
            return
        if route.spec.needs is None:
            yield ("request", "route"), f"the relay answers route '{route.spec.name}' itself"
            return
        try:
            sent = self._sent(provider, route, request)
        except RelayError as error:
            yield ("request",), f"would be refused with {error.status}: {error.body.message}"
            return
        yield from differences({name: expect[name] for name in ("url", "headers", "body") if name in expect}, sent, ("expect",))

    def _sent(self, provider: Provider, route: Route, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """What would leave. Raises RelayError where nothing would."""
        body = request.get("body")
        raw = _bytes(body)
        fields = dict(request.get("headers") or {})
        if raw and not isinstance(body, str):
            fields.setdefault("content-type", "application/json")
        call = Call(
            id="replay",
            plan=self.plan,
            route=route,
            method=route.methods[0],
            parameters={name: name for name in _PARAMETER.findall(route.path)},
            query="",
            fields=fields,
            client=None,
            family=route.family,
            started=0.0,
        )
        asked = read_body(call, raw)
        if asked.model:
            resolution = self.catalogue.resolve(route, asked.model, provider.name)
        else:
            resolution = self.catalogue.without_model(route, provider.name)
        target = resolution.legs[0].targets[0]
        translation, _ = begin_translation(call, asked, target, MOMENT, self.new_id)
        (key,) = provider.keys
        made = upstream_request(call, target, key.fingerprint, translation.request)
        secret = target.lane.request.secret_names
        headers = dict(_field(line) for line in made.headers)
        return {
            "url": made.url,
            "headers": {name: _shown(value, name in secret) for name, value in headers.items()},
            "body": _value(translation.request),
        }

    # ------------------------------------------------------------------ answers

    def _of_answer(self, provider: Provider, answer: Mapping[str, Any], expect: Mapping[str, Any]) -> Iterator[Difference]:
        got: dict[str, Any] = {}
        body = _bytes(answer.get("body"))
        headers: Mapping[str, str] = answer.get("headers") or {}
        if "cooldown" in expect:
            got["cooldown"] = _near(expect["cooldown"], _cooldown(provider, answer["status"], headers, body))
        if "scope" in expect:
            got["scope"] = provider.spec.rate_limits.scope
        if "refusal" in expect:
            got["refusal"] = self._kind(provider, Refused(answer["status"], tuple(headers.items()), body)) or None
        if "balance" in expect:
            try:
                got["balance"] = _near(expect["balance"], _balance(provider, body))
            except ValueError as error:
                yield ("expect", "balance"), str(error)
                return
        yield from differences(expect, got, ("expect",))

    def _kind(self, provider: Provider, refused: Refused) -> str:
        """Of a refusal on the first way that the provider serves without a translation: a chat, or messages, where it has them."""
        lanes = [route.lanes[provider.name] for route in self.plan.routes if provider.name in route.lanes]
        lane = next((lane for lane in lanes if lane.translator.native), None)
        return kind_of(Target(provider, lane, "", "", lane.timeouts), refused) if lane is not None else ""


def _cooldown(provider: Provider, status: int, headers: Mapping[str, str], body: bytes) -> float | None:
    """How long a 429 rests, or how long any other answer steers around its key."""
    rules = wait_rules(provider)
    if judge(status).key is KeyEffect.COOL:
        return cooldown_seconds(headers, body, MOMENT, provider.spec.rate_limit_cooldown, rules)
    return spent(headers, MOMENT, rules)


def _balance(provider: Provider, body: bytes) -> float:
    """Raises ValueError with a sentence."""
    credits = provider.spec.credits
    if credits is None:
        raise ValueError("nothing says where an answer has the balance: `credits: {balance: …}` does")
    return balance_in(body, credits.balance, credits.minus)


def _near(expected: float | None, got: float | None) -> float | None:
    """The expected number where the difference does not matter: nobody writes all decimals."""
    return expected if expected is not None and got is not None and abs(expected - got) <= CLOSE else got


# ---------------------------------------------------------------------------------------------------- plain values


def _bytes(body: Any) -> bytes:
    if body is None:
        return b""
    return body.encode() if isinstance(body, str) else json.dumps(body, ensure_ascii=False).encode()


def _value(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return body.decode("utf-8", "replace") or None


def _field(line: str) -> tuple[str, str]:
    """A header line as libcurl wants it: one without a value ends in a semicolon."""
    name, colon, value = line.partition(":")
    return (name.lower(), value.strip()) if colon else (line.rstrip(";").lower(), "")


def _shown(value: str, is_secret: bool) -> str:
    """No value that came from a reference is told: not even to who fails a test."""
    if STAND_IN in value:
        return value.replace(STAND_IN, SHOWN)
    return HIDDEN if is_secret else value
