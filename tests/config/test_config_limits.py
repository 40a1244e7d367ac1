"""Limits of keys, when keys expire, and how providers speak of limits: all fields, older names, mistakes."""

from __future__ import annotations

import pytest
from config_house import House

from monorelay.clock import ManualClock
from monorelay.config.limits import LimitsSpec
from monorelay.config.load import load
from monorelay.config.rate_limits import RateLimitsSpec, RemainingSpec, WaitSpec

HOUR = 3600.0
PROVIDER = """\
weight: 7
limits: {rps: 0.5, rpm: 40, tpm: 1000, concurrency: 10, quota: 5000, 5h: 50, 1d: 100, 7d: 0}
keys:
  - ${A}
  - {label: own, secret: "${B}", limits: {rpm: 60, tpm: 0, concurrency: null, 7d: 7, 5h: 0}}
  - label: old
    key: ${C}
    quota_limit: 9
    rate_limit_rps: 0
    rpm: ${RPM}
    tpm: 3
    concurrency: null
    usage_window_limits: {window_5h: 1, window_1d: 2, window_7d: 3}
  - {label: both, secret: "${D}", rpm: 1, tpm: 2, limits: {rpm: 5}}
"""


def test_limits_of_keys(house: House) -> None:
    """Those of the provider, with what the key says laid upon them entry by entry; 0 and null are none."""
    house.environ = {"A": "a", "B": "b", "C": "c", "D": "d", "RPM": "11"}
    spec = house.local(PROVIDER).provider()
    usual = LimitsSpec(0.5, 40, 1000, 10, 5000, ((5 * HOUR, 50), (24 * HOUR, 100)))
    assert (spec.weight, spec.limits) == (7, usual)
    assert {key.label: key.limits for key in spec.keys} == {
        "key-1": usual,
        "own": LimitsSpec(0.5, 60, None, None, 5000, ((24 * HOUR, 100), (168 * HOUR, 7))),
        "old": LimitsSpec(None, 11, 3, None, 9, ((5 * HOUR, 1), (24 * HOUR, 2), (168 * HOUR, 3))),
        "both": LimitsSpec(0.5, 5, 2, 10, 5000, ((5 * HOUR, 50), (24 * HOUR, 100))),
    }
    assert spec.origins.of("keys", 2, "limits", "quota").line == 11
    assert spec.origins.of("keys", 2, "secret").line == 10
    assert spec.origins.of("keys", 2, "limits", "7d").line == 16


def test_older_names_work_in_config_yml(house: House) -> None:
    """Where such a file comes from."""
    house.environ = {"A": "a"}
    house.settings("providers:\n  old: {extends: openai-compatible, base_url: 'http://o', keys: [{key: '${A}', rpm: 3}]}\n")
    (key,) = house.provider("old").keys
    assert (key.label, key.limits) == ("key-1", LimitsSpec(rpm=3))


EXPIRY = {
    "2027-01-31": 1801353600.0,
    "2027-01-31T00:00:00Z": 1801353600.0,
    "2027-01-31T02:00:00+02:00": 1801353600.0,
    "2027-01-31 12:30": 1801398600.0,
    '""': None,
    "${NEVER}": None,
    "${DATE}": 1801353600.0,
}


@pytest.mark.parametrize("written", EXPIRY)
def test_expires_at(house: House, written: str) -> None:
    """ISO 8601; a date alone is its beginning, no zone is UTC, nothing is never."""
    house.environ = {"A": "a", "NEVER": "", "DATE": "2027-01-31"}
    (key,) = house.local(f"keys:\n  - secret: ${{A}}\n    expires_at: {written}\n").provider().keys
    assert key.expires_at == EXPIRY[written]


def test_an_expired_key_is_warned_about(house: House) -> None:
    """By its label; one that is switched off is nobody's concern."""
    house.environ = {"A": "a", "B": "b", "C": "c"}
    house.local(
        "keys:\n  - {label: gone, secret: '${A}', expires_at: 2027-01-31}\n  - {secret: '${B}', expires_at: 2027-02-01}\n"
        "  - {secret: '${C}', expires_at: 2026-01-01, enabled: false}\n"
    )
    for now, expected in (
        (1801353599.0, []),
        (1801353600.0, ["local.yml:5:35: keys.0.expires_at: key gone has expired, and is not used"]),
    ):
        config = load(house.places, house.environ, clock=ManualClock(now))
        assert [str(problem).rpartition("/")[2] for problem in config.warnings] == expected
        assert len(config.providers[0].keys) == 3


RATE_LIMITS = """\
rate_limits:
  cooldown_scope: key+model
  remaining:
    - {remaining: X-Left, reset: X-Reset, format: epoch_ms}
    - {remaining: x-tokens, reset: x-tokens-reset}
  wait: [{header: X-Wait, format: milliseconds}, {header: x-other}]
  body: ["try again in {wait}", "{wait} to go"]
"""


def test_rate_limits(house: House) -> None:
    """Header names arrive in lower case; a format that is not said is found out from what is there."""
    assert house.local(RATE_LIMITS).provider().rate_limits == RateLimitsSpec(
        scope="key+model",
        remaining=(RemainingSpec("x-left", "x-reset", "epoch_ms"), RemainingSpec("x-tokens", "x-tokens-reset", "auto")),
        wait=(WaitSpec("x-wait", "milliseconds"), WaitSpec("x-other", "auto")),
        body=("try again in {wait}", "{wait} to go"),
    )


# What stands from line 4 on → the problems, with the file in front of each left out.
PROBLEMS: dict[str, list[str]] = {
    "weight: 0": ["4:1: weight: must be 1 or more"],
    "limits: {rpm: -1}": ["4:10: limits.rpm: must be 0 or more"],
    "limits: {rpm: 1.5}": ["4:10: limits.rpm: must be a whole number"],
    "limits: {rps: -0.5}": ["4:10: limits.rps: must be 0 or more"],
    "limits: {rps: true}": ["4:10: limits.rps: must be a number"],
    "limits: {rpd: 5}": ["4:10: limits.rpd: unknown field, did you mean rps?"],
    "keys: [{secret: '${A}', limits: {5h: x}}]": ["4:34: keys.0.limits.5h: must be a whole number"],
    "keys: [{secret: '${A}', rpm: x}]": ["4:25: keys.0.rpm: must be a whole number"],
    "keys: [{secret: '${A}', rpm: '${A}'}]": ["4:25: keys.0.rpm: must be a whole number"],
    "keys: [{secret: '${A}', usage_window_limits: {window_5d: 1}}]": [
        "4:47: keys.0.usage_window_limits.window_5d: unknown field, did you mean window_7d?"
    ],
    "keys: [{secret: '${A}', key: '${A}'}]": ["4:25: keys.0.key: stands beside secret, which says the same: keep one of them"],
    "keys: [{secret: '${A}', expires_at: tomorrow}]": [
        "4:25: keys.0.expires_at: is not a time: write it as 2027-01-31 or 2027-01-31T18:00:00Z"
    ],
    "keys: [{secret: '${A}', expires_at: 2027}]": ["4:25: keys.0.expires_at: must be text: put it in quotes"],
    "rate_limits: {cooldown_scope: model}": [
        "4:15: rate_limits.cooldown_scope: must be one of key, key+model, account, did you mean key+model?"
    ],
    "rate_limits: {remaining: [{remaining: a}]}": ["4:27: rate_limits.remaining.0.reset: is missing"],
    "rate_limits: {remaining: [{remaining: a b, reset: c}]}": ["4:28: rate_limits.remaining.0.remaining: is not a header name"],
    "rate_limits: {wait: [{format: epoch}]}": ["4:22: rate_limits.wait.0.header: is missing"],
    "rate_limits: {wait: [{header: a, format: epochs}]}": [
        "4:34: rate_limits.wait.0.format: must be one of seconds, milliseconds, duration, rfc3339, epoch, epoch_ms, http_date,"
        " auto, did you mean epoch?"
    ],
    "rate_limits: {wait: [a]}": ["4:22: rate_limits.wait.0: must be a mapping (lines of `key: value`)"],
    "rate_limits: {body: [try again]}": [
        "4:22: rate_limits.body.0: must hold {wait} once: it stands for the duration, as in `try again in {wait}`"
    ],
    'rate_limits: {body: ["{wait} or {wait}"]}': [
        "4:22: rate_limits.body.0: must hold {wait} once: it stands for the duration, as in `try again in {wait}`"
    ],
    'rate_limits: {body: [" {wait}"]}': [
        "4:22: rate_limits.body.0: must have some words around {wait}: any number would be taken for a duration"
    ],
}


@pytest.mark.parametrize("lines", PROBLEMS)
def test_problems(house: House, lines: str) -> None:
    """Each fault gets one sentence at its own place."""
    house.environ = {"A": "sk-a"}
    assert house.local(lines + "\n").problems() == [f"operator/providers.d/local.yml:{line}" for line in PROBLEMS[lines]]
