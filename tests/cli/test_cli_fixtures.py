"""``monorelay check --fixtures``: what providers' files say of themselves is true of this relay."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from monorelay.cli.main import main

TOP = Path(__file__).resolve().parent.parent.parent
SHIPPED = sorted((TOP / "providers.d").glob("*.yml"))
MASKS = {path.stem: "" for path in SHIPPED if "template: true" not in path.read_text()}  # an empty file masks the shipped one
Check = Callable[..., tuple[int, str, list[str]]]


@pytest.fixture
def check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Check:
    """Writes the operator's files and checks them: exit code, output, lines of complaint. Nothing of this machine's own counts."""
    for path in SHIPPED:
        for name in re.findall(r"\$\{([A-Z0-9_]+)", path.read_text()):
            monkeypatch.delenv(name, raising=False)
    for name in ("RUNTIME_DIRECTORY", "MONORELAY_VENDOR_DIR"):
        monkeypatch.delenv(name, raising=False)
    directory = tmp_path / "etc"
    (directory / "providers.d").mkdir(parents=True)

    def run(*options: str, config: str = "", shipped: bool = False, **providers: str) -> tuple[int, str, list[str]]:
        for name, text in {**({} if shipped else MASKS), **providers}.items():
            (directory / "providers.d" / f"{name}.yml").write_text(text)
        (directory / "config.yml").write_text(config)
        code = main(["check", "--fixtures", *options, "--config-dir", str(directory)])
        said = capsys.readouterr()
        return code, said.out, [line.replace(f"{directory}/", "") for line in said.err.splitlines()]

    return run


def test_every_shipped_provider_does_what_its_file_says(check: Check) -> None:
    """All of their tests hold, and nothing is odd."""
    code, out, complaints = check(shipped=True)
    assert complaints == []
    assert code == 0 and re.fullmatch(r"ok: 0 providers, \d+ routes; \d+ tests of \d+ providers held\n", out)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_shipped_provider_is_tested(path: Path) -> None:
    """A request and a 429 at least; a balance where it can be asked, a refusal where it has words of its own."""
    file = yaml.safe_load(path.read_text())
    if file.get("template"):
        assert "tests" not in file, "a template is no provider, so its tests would never be replayed"
        return
    tests = file["tests"]
    named = set().union(*(test["expect"] for test in tests))
    assert any("request" in test and {"url", "headers"} <= test["expect"].keys() for test in tests)
    assert any(test.get("answer", {}).get("status") == 429 and "cooldown" in test["expect"] for test in tests)
    assert ("balance" in named) == ("credits" in file)
    assert "refusal" in named or "refusals" not in file
    if "remaining" in file.get("rate_limits", {}):
        assert any(test.get("answer", {}).get("status") == 200 and "cooldown" in test["expect"] for test in tests)


def test_a_region_is_not_a_failure(check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the environment chooses, such as another region's host, the tests expect too."""
    for name in ("XAI_HOST", "MOONSHOT_HOST", "DASHSCOPE_HOST", "SILICONFLOW_HOST", "MINIMAX_HOST", "NEBIUS_HOST"):
        monkeypatch.setenv(name, "other.example")
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    monkeypatch.setenv("AZURE_OPENAI_RESOURCE", "ours")
    code, _, complaints = check(shipped=True)
    assert (code, complaints) == (0, [])


ACME = """\
provider: acme
extends: openai-chat-only
base_url: https://api.acme.example/v1
keys: [{label: main, secret: "${ACME_KEY:-sk-of-acme}"}]
models: {include: ["acme-*"]}
rate_limit_cooldown: 20
offers: {credits: /balance}
credits: {balance: data.left}
headers:
  request:
    set: {x-acme-account: "${ACME_ACCOUNT:-account-of-ours}"}
rate_limits:
  remaining: [{remaining: x-left, reset: x-reset, format: duration}]
refusals: {context_length: ["*far too long*"]}
tests:
  - name: it
"""
AT = "providers.d/50-acme.yml"
ASKED = "    request: {route: chat, body: {model: acme-1, n: 1, messages: []}}\n    expect: "
FAILURES: list[tuple[str, str]] = [
    (
        ASKED + "{url: https://api.acme.example/chat}",
        f"{AT}:18:14: tests.0.expect.url: expected https://api.acme.example/chat, got https://api.acme.example/v1/chat/completions",
    ),
    (
        ASKED + "{headers: {authorization: <key>}}",
        f"{AT}:18:24: tests.0.expect.headers.authorization: expected <key>, got Bearer <key>",
    ),
    (ASKED + "{headers: {x-other: a}}", f"{AT}:18:24: tests.0.expect.headers.x-other: expected a, got nothing"),
    (ASKED + "{headers: {x-acme-account: a}}", f"{AT}:18:24: tests.0.expect.headers.x-acme-account: expected a, got (a secret)"),
    (ASKED + "{body: {n: 2}}", f"{AT}:18:21: tests.0.expect.body.n: expected 2, got 1"),
    (ASKED + "{body: {n: null}}", f"{AT}:18:21: tests.0.expect.body.n: expected nothing, got 1"),
    (
        "    request: {route: chta, body: {}}\n    expect: {url: x}",
        f"{AT}:17:15: tests.0.request.route: there is no route 'chta'",
    ),
    (
        "    request: {route: health}\n    expect: {url: x}",
        f"{AT}:17:15: tests.0.request.route: the relay answers route 'health' itself",
    ),
    (
        "    request: {route: chat, body: {model: other}}\n    expect: {url: x}",
        f"{AT}:17:5: tests.0.request: would be refused with 404: [acme] Provider 'acme' does not include the model 'other'.",
    ),
    (
        "    request: {route: chat, body: {messages: []}}\n    expect: {url: x}",
        f"{AT}:17:5: tests.0.request: would be refused with 400: The body has no 'model'.",
    ),
    (
        "    request: {route: embeddings, body: {model: acme-1}}\n    expect: {url: x}",
        f"{AT}:17:5: tests.0.request: would be refused with 404: "
        "[acme] Provider 'acme' does not serve this route; no enabled provider would.",
    ),
    ("    answer: {status: 429}\n    expect: {cooldown: 60}", f"{AT}:18:14: tests.0.expect.cooldown: expected 60.0, got 20.0"),
    ("    answer: {status: 429}\n    expect: {cooldown: null}", f"{AT}:18:14: tests.0.expect.cooldown: expected nothing, got 20.0"),
    (
        "    answer: {status: 429}\n    expect: {scope: account}",
        f"{AT}:18:14: tests.0.expect.scope: expected account, got key",
    ),
    (
        '    answer: {status: 200, headers: {x-left: "1", x-reset: 5s}}\n    expect: {cooldown: 5}',
        f"{AT}:18:14: tests.0.expect.cooldown: expected 5.0, got nothing",
    ),
    (
        "    answer: {status: 400, body: {error: {message: It is long.}}}\n    expect: {refusal: context_length}",
        f"{AT}:18:14: tests.0.expect.refusal: expected context_length, got nothing",
    ),
    (
        "    answer: {status: 200, body: {data: {left: 1.5}}}\n    expect: {balance: 2}",
        f"{AT}:18:14: tests.0.expect.balance: expected 2.0, got 1.5",
    ),
    (
        "    answer: {status: 200, body: {data: {}}}\n    expect: {balance: 2}",
        f"{AT}:18:14: tests.0.expect.balance: there is no number at 'data.left'",
    ),
]


@pytest.mark.parametrize(("test", "complaint"), FAILURES)
def test_what_is_not_so_is_told_with_its_place(check: Check, test: str, complaint: str) -> None:
    """File, line, column, path, what was expected and what came; no secret is among it."""
    code, out, complaints = check(**{"50-acme": f"{ACME}{test}\n"})
    assert [line for line in complaints if not line.startswith("warning: ")] == [complaint]
    assert code == 78 and out == "refused: 1 of 1 test failed\n"
    assert "sk-of-acme" not in "".join(complaints) and "account-of-ours" not in "".join(complaints)


HELD = [
    ASKED + "{url: https://api.acme.example/v1/chat/completions, headers: {authorization: Bearer <key>}, body: {n: 1}}",
    "    request: {route: messages, body: {model: acme-1, max_tokens: 5, messages: [{role: user, content: a}]}}\n"
    "    expect: {body: {max_tokens: 5}, headers: {content-type: application/json}}",
    "    answer: {status: 429, headers: {retry-after: \"7\"}}\n    expect: {cooldown: 7, scope: key}",
    "    answer: {status: 429, headers: {x-left: \"0\", x-reset: 3m}}\n    expect: {cooldown: 180}",
    "    answer: {status: 200, headers: {X-Left: \"0\", x-reset: 1m0.25s}}\n    expect: {cooldown: 60.25}",
    "    answer: {status: 200}\n    expect: {cooldown: null}",
    "    answer: {status: 400, body: it is far too long}\n    expect: {refusal: context_length}",
    "    answer: {status: 200, body: {data: {left: \"12.50\"}}}\n    expect: {balance: 12.5}",
]  # fmt: skip


@pytest.mark.parametrize("test", HELD)
def test_what_is_so_holds(check: Check, test: str) -> None:
    """Only what is named is compared; numbers within a thousandth are the same."""
    code, out, _ = check(**{"50-acme": f"{ACME}{test}\n"})
    assert code == 0 and out.endswith("; 1 test of 1 provider held\n")


def test_a_file_is_replayed_apart_from_the_configuration(check: Check) -> None:
    """Behind aliases, overrides, parameters and other keys: what a file is known to do, it still does."""
    config = """\
model_routing:
  aliases: {acme-1: acme-2}
  model_overrides: {"acme-*": acme-3}
  global_params: {temperature: 0.5}
tool_calling: {unsupported_models: ["*"]}
"""
    test = ASKED + "{headers: {authorization: Bearer <key>}, body: {model: acme-1, temperature: null}}\n"
    code, _, complaints = check(config=config, **{"50-acme": ACME + test})
    assert (code, [line for line in complaints if not line.startswith("warning: ")]) == (0, [])


@pytest.mark.parametrize("change", [("provider: acme", "provider: acme\nenabled: false"), ("sk-of-acme", "")])
def test_a_provider_that_is_off_is_replayed_too(check: Check, change: tuple[str, str]) -> None:
    """Whether somebody said so, or it has no key."""
    old, new = change
    test = ASKED + "{headers: {authorization: Bearer <key>}}\n"
    code, out, complaints = check(**{"50-acme": (ACME + test).replace(old, new)})
    assert (code, complaints) == (0, []) and out.startswith("ok: 0 providers, ")


def test_tests_are_not_inherited(check: Check) -> None:
    """Who builds upon a shipped file changes what it does, and is not held to what it did."""
    patch = "provider: openai\nextends: openai\nbase_url: https://proxy.example/v1\n"
    code, out, _ = check(shipped=True, **{"60-openai": patch})
    before = int(re.findall(r"(\d+) tests of (\d+)", check(shipped=True, **{"60-openai": ""})[1])[0][1])
    assert code == 0 and f"of {before - 1} providers" in out


def test_all_failures_at_once_and_for_scripts(check: Check) -> None:
    """As JSON: how many ran and failed, and each difference with its place."""
    file = ACME + ASKED + "{url: x, body: {n: 2}}\n  - name: fine\n    answer: {status: 429}\n    expect: {cooldown: 20}\n"
    code, out, _ = check("--json", **{"50-acme": file})
    value: Any = json.loads(out)
    assert code == 78 and value["ok"] is False
    assert value["tests"] == {"run": 2, "failed": 1, "providers": 1}
    problems = [(found["path"], found["line"]) for found in value["problems"]]
    assert problems == [("tests.0.expect.url", 18), ("tests.0.expect.body.n", 18)]


def test_without_the_option_nothing_is_replayed(check: Check, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A start must not depend on what a file says of itself."""
    check(**{"50-acme": f"{ACME}{ASKED}{{url: x}}\n"})
    assert main(["check", "--config-dir", str(tmp_path / "etc")]) == 0
    assert "held" not in capsys.readouterr().out


def test_a_file_that_is_wrong_is_not_replayed(check: Check) -> None:
    """First the problems of the files, as without the option."""
    code, out, complaints = check(**{"50-acme": f"{ACME}{ASKED}{{url: x}}\nbase_ulr: x\n"})
    assert code == 78 and out == "refused: 1 problem\n" and "did you mean base_url?" in complaints[0]
