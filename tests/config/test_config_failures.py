"""What a provider's failures mean and what they cost: retries, refusals, prices, credits, rehearsals. All fields."""

from __future__ import annotations

import pytest
from config_house import House

from monorelay.config.credits import CreditsSpec
from monorelay.config.faults import FaultSpec
from monorelay.config.prices import PriceSpec
from monorelay.config.refusals import RefusalsSpec
from monorelay.config.retry import PHASES, IgnoreSpec, RetrySpec

WHOLE = """\
prices: {"gpt-4o": {input: 2.5, output: 10}, "*": {input: "${PRICE}"}}
retry: {max_retries: 3, retry_on_status: [500, 408], retry_on_error: [connect, tls], backoff: 1s, backoff_max: 1m}
ignore: {status: [418], errors: ["*weird glitch*"]}
refusals: {context_length: ["*too long*"], content_filter: [a, b], model_not_found: [c]}
session_header: X-Session-Affinity
offers: {credits: /credits}
credits: {balance: "data[0].total_credits", minus: data.total_usage, every: 10m, skip_below: 1}
faults:
  - {kind: rate_limit, share: 0.3, retry_after: 7}
  - {kind: status, status: 502, retry_after: 1m}
  - {kind: latency, seconds: 500ms, keys: [key-1, b]}
  - {kind: cut, after_events: 4}
  - {kind: stall}
  - {kind: bad_json, share: 0}
keys: ["${A:-}", {label: b, secret: "${B}"}]
"""


def test_a_whole_provider(house: House) -> None:
    """Each field arrives in its spec. A key may be named that has no secret here."""
    house.environ = {"PRICE": "0.5", "B": "b"}
    spec = house.local(WHOLE).settings("server: {allow_faults: true}\n").provider()
    assert spec.prices == (("gpt-4o", PriceSpec(2.5, 10.0)), ("*", PriceSpec(0.5, 0.0)))
    assert spec.retry == RetrySpec(3, (500, 408), ("connect", "tls"), 1.0, 60.0)
    assert spec.ignore == IgnoreSpec((418,), ("*weird glitch*",))
    assert spec.refusals == RefusalsSpec(("*too long*",), ("a", "b"), ("c",))
    assert spec.session_header == "x-session-affinity"
    assert spec.credits == CreditsSpec("data[0].total_credits", "data.total_usage", 600.0, 1.0)
    assert spec.faults == (
        FaultSpec("rate_limit", share=0.3, retry_after=7.0),
        FaultSpec("status", status=502, retry_after=60.0),
        FaultSpec("latency", seconds=0.5, keys=("key-1", "b")),
        FaultSpec("cut", after_events=4),
        FaultSpec("stall"),
        FaultSpec("bad_json", share=0.0),
    )


# retry of config.yml, retry of the provider → the provider's (None = as config.yml says), and config.yml's.
RETRIES = {
    ("", ""): (None, RetrySpec()),
    ("{enabled: true}", ""): (None, RetrySpec(2)),
    ("{enabled: false, max_retries: 4}", ""): (None, RetrySpec(0)),
    ("{max_retries: 4, backoff: 1s}", "{retry_on_status: [500]}"): (
        RetrySpec(4, (500,), PHASES, 1.0),
        RetrySpec(4, backoff=1.0),
    ),
    ("{max_retries: 4}", "{enabled: false}"): (RetrySpec(0), RetrySpec(4)),
    ("{max_retries: 4}", "{enabled: true}"): (RetrySpec(4), RetrySpec(4)),
    ("", "{enabled: true}"): (RetrySpec(2), RetrySpec()),
    ("", "{backoff: 20s}"): (RetrySpec(0, backoff=20.0, backoff_max=20.0), RetrySpec()),
    ("", "{retry_on_status: [], retry_on_error: []}"): (RetrySpec(0, (), ()), RetrySpec()),
}


@pytest.mark.parametrize(("usual", "own"), RETRIES)
def test_a_providers_retry_is_laid_upon_the_usual_one(house: House, usual: str, own: str) -> None:
    """Entry by entry; off, unless somebody says otherwise."""
    house.settings(f"retry: {usual}\n" if usual else "").local(f"retry: {own}\n" if own else "")
    config = house.load()
    assert (config.providers[0].retry, config.routing.retry) == RETRIES[usual, own]


def test_inherited_credits_can_be_taken_away(house: House) -> None:
    """By null, as anything else that a template brings."""
    house.write({"vendor/providers.d/t.yml": "provider: t\ntemplate: true\noffers: {credits: /c}\ncredits: {balance: a}\n"})
    text = "provider: a\nextends: t\nbase_url: http://a\ncredits: null\n"
    assert house.write({"operator/providers.d/a.yml": text}).provider("a").credits is None


BAD_PATH = "is not a path into JSON: write names joined by dots, and [0] for an item, such as data[0].balance"
# What stands from line 4 on → the problems, with the file in front of each left out.
PROBLEMS: dict[str, list[str]] = {
    "prices: {a: {input: -1}}": ["4:14: prices.a.input: must be 0 or more"],
    "prices: {a: 5}": ["4:10: prices.a: must be a mapping (lines of `key: value`)"],
    "retry: {max_retries: 11}": ["4:9: retry.max_retries: must be 10 or less"],
    "retry: {budget: 0.1}": ["4:9: retry.budget: unknown field"],
    "retry: {retry_on_status: [404, 600, 200]}": [
        "4:27: retry.retry_on_status.0: 404 is the caller's fault, and would be again:"
        " of 4xx, only 408, 409 and 425 can be tried again",
        "4:32: retry.retry_on_status.1: must be 599 or less",
        "4:37: retry.retry_on_status.2: must be 400 or more",
    ],
    "retry: {retry_on_error: [conect]}": [
        "4:26: retry.retry_on_error.0: must be one of connect, tls, send, first_byte, idle, body, did you mean connect?"
    ],
    "retry: {backoff: 5s, backoff_max: 1s}": ["4:22: retry.backoff_max: must not be less than backoff"],
    "ignore: {status: ['418']}": ["4:19: ignore.status.0: must be a whole number"],
    "ignore: {errors: ['']}": ["4:19: ignore.errors.0: must not be empty"],
    "refusals: {too_long: [a]}": ["4:12: refusals.too_long: unknown field"],
    "session_header: Authorization": ["4:1: session_header: carries a credential, which is no conversation's name"],
    "session_header: cookie": ["4:1: session_header: is never set or forwarded: the relay's own connections need it"],
    "credits: {minus: a}": ["4:1: credits.balance: is missing"],
    "credits: {balance: a..b}": [f"4:11: credits.balance: {BAD_PATH}"],
    "credits: {balance: 'a[x]'}": [f"4:11: credits.balance: {BAD_PATH}"],
    "credits: {balance: .a}": [f"4:11: credits.balance: {BAD_PATH}"],
    "credits: {balance: 'a b'}": [f"4:11: credits.balance: {BAD_PATH}"],
    "credits: {balance: a, every: 0}": ["4:23: credits.every: must be a second or more"],
    "faults: [{share: 1}]": ["4:10: faults.0.kind: is missing"],
    "faults: [{kind: stal}]": [
        "4:11: faults.0.kind: must be one of rate_limit, status, latency, cut, stall, bad_json, did you mean stall?"
    ],
    "faults: [{kind: stall, share: 1.5}]": ["4:24: faults.0.share: must be 1 or less"],
    "faults: [{kind: stall, seconds: 5}]": ["4:24: faults.0.seconds: has no meaning for the kind stall"],
    "faults: [{kind: latency}]": ["4:10: faults.0.seconds: is missing"],
    "faults: [{kind: status, status: 200}]": ["4:25: faults.0.status: must be 400 or more"],
    "keys: [{label: main, secret: '${A}'}]\nfaults: [{kind: cut, keys: [mian]}]": [
        "5:29: faults.0.keys.0: no key is called mian, did you mean main?"
    ],
}


@pytest.mark.parametrize("lines", PROBLEMS)
def test_problems(house: House, lines: str) -> None:
    """Each fault gets one sentence at its own place."""
    house.environ = {"A": "sk-a"}
    house.settings("server: {allow_faults: true}\n")
    assert house.local(lines + "\n").problems() == [f"operator/providers.d/local.yml:{line}" for line in PROBLEMS[lines]]


WARNINGS: dict[str, list[str]] = {
    "retry: {max_retries: 1, retry_on_status: [429]}": [
        "4:43: retry.retry_on_status.0: has no effect: after a 429 the next key is asked at once, and this one rests"
    ],
    "faults: []": [],
}


@pytest.mark.parametrize("lines", WARNINGS)
def test_warnings(house: House, lines: str) -> None:
    """What works, but was hardly meant, is told and does not stand in the way."""
    assert house.local(lines + "\n").warnings() == [f"operator/providers.d/local.yml:{line}" for line in WARNINGS[lines]]


REFUSED = "are refused unless config.yml says `server: {allow_faults: true}`: they make calls fail on purpose"


def test_faults_need_leave(house: House) -> None:
    """At the place where they are written, also in a provider that is switched off, and in config.yml itself."""
    house.local("enabled: false\nfaults: [{kind: cut}]\n")
    assert house.problems() == [f"operator/providers.d/local.yml:5:1: faults: {REFUSED}"]
    house.local("").settings("providers:\n  a: {extends: openai-compatible, base_url: 'http://a', faults: [{kind: cut}]}\n")
    assert house.problems() == [f"operator/config.yml:2:57: providers.a.faults: {REFUSED}"]
