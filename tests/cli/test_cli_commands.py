"""The commands that only look: check, routes, providers, explain. Each on the shipped files and an operator's own."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from monorelay import __version__
from monorelay.cli.main import COMMANDS, main

Write = Callable[..., Path]

LOCAL = """\
provider: local
extends: openai-compatible
base_url: http://127.0.0.1:9/v1
keys:
  - {label: main, secret: "${LOCAL_KEY:-sk-secret-local}"}
  - {label: spare, secret: "${SPARE_KEY:-sk-secret-spare}", enabled: false}
models: {include: [llama3, "qwen-*"]}
translate: false
"""
CONFIG = """\
server: {access_key: "${ACCESS_KEY:-sk-secret-access}"}
model_routing:
  aliases: {best: llama3@local}
"""


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    """--version names the program and its version, and needs no configuration."""
    with pytest.raises(SystemExit) as end:
        main(["--version"])
    assert end.value.code == 0
    assert capsys.readouterr().out == f"monorelay {__version__}\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Every command has a help text that says more than its arguments, in lines that fit."""
    with pytest.raises(SystemExit) as end:
        main([command, "--help"])
    assert end.value.code == 0
    text = capsys.readouterr().out
    assert text.startswith(f"usage: monorelay {command}")
    assert len(text.splitlines()) > 8


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["serve"],
        ["run", "--listen", "here"],
        ["run", "--workers", "0"],
        ["explain"],
        ["check", "--fixtures", "--live"],
    ],
)
def test_wrong_command_line(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """What cannot be understood ends with 2 and says why."""
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 2
    assert "monorelay" in capsys.readouterr().err


def test_check_good(operator: Write, say: Callable[..., Any]) -> None:
    """Files that would be served: exit 0, and what they add up to."""
    said = say("check", "--config-dir", operator(config=CONFIG, providers__50_local=LOCAL))
    assert said.code == 0
    assert said.out.startswith("ok: 1 provider, ")


def test_check_tells_every_problem(operator: Write, say: Callable[..., Any]) -> None:
    """All problems of all files at once, each with its place, and exit 78."""
    directory = operator(config="server:\n  prot: 1\n", providers__50_local=LOCAL.replace("models:", "modles:"))
    said = say("check", "--config-dir", directory)
    assert said.code == 78
    lines = said.err.splitlines()
    assert any(line.startswith(f"{directory}/config.yml:2:3: server.prot: ") for line in lines)
    assert any(line.startswith(f"{directory}/providers.d/50_local.yml:7:1: modles: ") for line in lines)
    assert said.out == "refused: 2 problems\n"


def test_check_for_scripts(operator: Write, say: Callable[..., Any]) -> None:
    """The same as JSON: ok, problems and warnings, each with file, line, column, path and message."""
    said = say("check", "--json", "--config-dir", operator(config="server:\n  prot: 1\n"))
    assert said.code == 78
    (problem,) = said.value["problems"]
    assert said.value["ok"] is False and problem["line"] == 2 and problem["column"] == 3 and problem["path"] == "server.prot"
    mended = say("check", "--json", "--config-dir", operator(config=CONFIG, providers__50_local=LOCAL))
    assert mended.code == 0 and mended.value["ok"] is True and mended.value["problems"] == []


def test_check_refuses_what_a_start_would_refuse(operator: Write, say: Callable[..., Any]) -> None:
    """A relay that would be open to others is a problem of its configuration."""
    said = say("check", "--config-dir", operator(config="server: {host: 0.0.0.0}\n"))
    assert said.code == 78 and "there is no access key" in said.err


def test_missing_directory(say: Callable[..., Any], tmp_path: Path) -> None:
    """A directory that was named has to be there, for every command (run: in test_cli_processes.py)."""
    for command in (["check"], ["routes"], ["providers"], ["explain", "x"]):
        said = say(*command, "--config-dir", tmp_path / "missing")
        assert said.code == 78 and "missing" in said.err + said.out


def test_routes(operator: Write, say: Callable[..., Any]) -> None:
    """A line per route: who serves it, how many would, or with --all who, and where it is defined."""
    directory = operator(providers__50_local=LOCAL)
    (few,) = [line for line in say("routes", "--config-dir", directory).out.splitlines() if "/v1/chat/completions" in line]
    assert re.search(r"openai\.chat +local \(\d+ not on\)  +\S+routes\.d/10-chat\.yml:\d+$", few), few
    said = say("routes", "--all", "--config-dir", directory)
    (chat,) = [line for line in said.out.splitlines() if "/v1/chat/completions" in line]
    assert chat.startswith("POST") and "openai.chat" in chat and "routes.d/10-chat.yml:" in chat
    assert ", local," in chat or " local," in chat
    assert "(openai)" in chat
    (health,) = [line for line in said.out.splitlines() if " /health " in line]
    assert "(answer: health)" in health and "the relay" in health


def test_routes_for_scripts(operator: Write, say: Callable[..., Any]) -> None:
    """The same as JSON, with the address that each provider is asked at."""
    value = say("routes", "--json", "--config-dir", operator(providers__50_local=LOCAL)).value
    (content,) = [route for route in value if route["path"] == "/v1/files/{file_id}/content"]
    (local,) = [lane for lane in content["providers"] if lane["provider"] == "local"]
    assert local == {
        "provider": "local",
        "state": "on",
        "native": True,
        "local": False,
        "offer": "openai.files",
        "url": "http://127.0.0.1:9/v1/files/{file_id}/content",
    }


def test_providers(operator: Write, say: Callable[..., Any]) -> None:
    """A line per provider: its state, its keys by label, never by value."""
    said = say("providers", "--offers", "--config-dir", operator(config=CONFIG, providers__50_local=LOCAL))
    rows = {line.split()[0]: line for line in said.out.partition("\n\n")[0].splitlines()}
    assert " on " in rows["local"] and "main, (spare)" in rows["local"] and "llama3 qwen-*" in rows["local"]
    assert " no key " in rows["openai"] and "providers.d/openai.yml:" in rows["openai"]
    assert "http://127.0.0.1:9/v1/chat/completions" in said.out
    assert "sk-secret" not in said.out


@pytest.mark.parametrize(
    ("keys", "state", "labels"),
    [
        ("[]", "on, no key", "none"),
        ('["${GONE:-}"]', "on, no key", "none"),
        ("[{label: main, secret: sk-x, enabled: false}]", "on, no key", "(main)"),
        ("[{label: main, secret: sk-x, expires_at: '2020-01-01'}]", "on, no key", "(main)"),
        ("[{label: main, secret: sk-x, expires_at: '2020-01-01'}, {label: new, secret: sk-y}]", "on", "(main), new"),
    ],
)
def test_a_provider_that_is_on_without_a_key(keys: str, state: str, labels: str, operator: Write, say: Callable[..., Any]) -> None:
    """Its state says so in a column of its own, and to scripts; `routes` and `diff` know it, too, but for the time."""
    local = f"provider: local\nextends: openai-compatible\nbase_url: http://127.0.0.1:9/v1\nenabled: true\nkeys: {keys}\n"
    directory = operator(providers__50_local=local)
    said = say("providers", "--config-dir", directory).out.splitlines()
    rows = [re.split(" {2,}", line) for line in said]
    (row,) = [row for row in rows if row[0] == "local"]
    assert {len(row) for row in rows} == {8}
    assert said[0].split()[:2] == ["PROVIDER", "STATE"] and (row[1], row[3]) == (state, labels)
    value = say("providers", "--json", "--config-dir", directory).value
    assert [one["state"] for one in value if one["provider"] == "local"] == [state]
    lanes = say("routes", "--json", "--config-dir", directory).value[0]["providers"]
    assert [one["state"] for one in lanes if one["provider"] == "local"] == ["on" if "2020" in keys else state]


def test_providers_for_scripts(operator: Write, say: Callable[..., Any]) -> None:
    """The same as JSON; keys by label and fingerprint."""
    said = say("providers", "--json", "--config-dir", operator(providers__50_local=LOCAL))
    (local,) = [provider for provider in said.value if provider["provider"] == "local"]
    assert local["state"] == "on" and [key["label"] for key in local["keys"]] == ["main", "spare"]
    assert local["offers"]["openai.files"] == "http://127.0.0.1:9/v1/files"
    assert "sk-secret" not in said.out


def test_explain(operator: Write, say: Callable[..., Any]) -> None:
    """Every step with the rule and the line that decided, then where the request would go."""
    directory = operator(config=CONFIG, providers__50_local=LOCAL)
    said = say("explain", "best", "--route", "chat", "--config-dir", directory)
    assert said.code == 0
    head, *lines = said.out.splitlines()
    assert head == "best on chat"
    assert "alias" in lines[0] and f"{directory}/config.yml:3" in lines[0]
    assert "  → 'llama3' at local: POST http://127.0.0.1:9/v1/chat/completions" in lines
    assert "      keys: main usable, spare disabled" in lines
    assert "      time-outs: connect 10 s, first_byte 120 s, idle 120 s" in lines
    assert "      authorization: (hidden)" in lines and "sk-secret" not in said.out


def test_explain_groups_routes_that_agree(operator: Write, say: Callable[..., Any]) -> None:
    """Without --route all are told, those with one answer together; a path names a route as well."""
    directory = operator(config=CONFIG, providers__50_local=LOCAL)
    said = say("explain", "qwen-3", "--config-dir", directory)
    assert said.out.startswith("qwen-3 on chat, completions, responses, ")
    assert "qwen-3 on messages, messages_beta" in said.out and "refused: 404 model_not_found" in said.out
    by_path = say("explain", "qwen-3", "--route", "/v1/embeddings", "--config-dir", directory)
    assert by_path.out.startswith("qwen-3 on embeddings\n")
    assert "time-outs:" in by_path.out and "time-outs:" not in said.out and "--route" in said.out


def test_explain_of_a_route_that_takes_forms(operator: Write, say: Callable[..., Any]) -> None:
    """What would go out is no JSON there."""
    said = say("explain", "llama3", "--route", "transcriptions", "--config-dir", operator(config=CONFIG, providers__50_local=LOCAL))
    assert "      content-type: multipart/form-data" in said.out.splitlines()


def test_explain_auto_without_a_body(operator: Write, say: Callable[..., Any]) -> None:
    """An empty request is simple, and nobody is to take that for an answer."""
    rules = "model_routing: {complexity: {simple: llama3@local, moderate: llama3@local, complex: llama3@local}}"
    said = say("explain", "auto", "--route", "chat", "--config-dir", operator(config=rules, providers__50_local=LOCAL))
    assert "score 0.0 (simple; there was nothing to look at: give a request with --body)" in said.out


def test_explain_refusal(operator: Write, say: Callable[..., Any]) -> None:
    """What nobody serves is told as the client would be told, with exit 1."""
    directory = operator(config=CONFIG, providers__50_local=LOCAL)
    said = say("explain", "llama4", "--route", "chat", "--json", "--config-dir", directory)
    assert said.code == 1
    (finding,) = said.value
    assert finding["refusal"]["type"] == "model_not_found" and "llama3" in finding["refusal"]["message"]


def test_explain_tells_the_way_to_a_refusal(operator: Write, say: Callable[..., Any]) -> None:
    """Which rule led to where nobody is: that is when somebody asks."""
    rules = 'model_routing: {provider_mapping: {"gpt-*": local}}'
    said = say("explain", "gpt-9", "--route", "chat", "--config-dir", operator(config=rules, providers__50_local=LOCAL))
    assert said.code == 1
    _, mapping, refusal = said.out.splitlines()
    assert "'gpt-9' matches 'gpt-*': provider local" in mapping and "config.yml:1" in mapping
    assert refusal.startswith("  refused: 404 model_not_found: [local] Provider 'local' does not include")


def test_explain_when_no_provider_is_on(operator: Write, say: Callable[..., Any]) -> None:
    """Three lines: the first routes, who would serve it and the command for that; scripts get every route."""
    said = say("explain", "gpt-4o", "--config-dir", operator())
    assert said.code == 1
    head, refusal, rest = said.out.splitlines()
    assert head.startswith("gpt-4o on chat, ")
    assert refusal.endswith("openai, azure-openai would take it: `monorelay enable openai` switches one on.")
    assert re.fullmatch(r"  nor is it on \d+ other routes: no provider is on; .*`monorelay providers`\)", rest)
    assert len(say("explain", "gpt-4o", "--json", "--config-dir", operator()).value) > 10


def test_explain_unknown_route(operator: Write, say: Callable[..., Any]) -> None:
    """A route that does not exist, or reads no model, is refused with those that do."""
    said = say("explain", "x", "--route", "files", "--config-dir", operator(providers__50_local=LOCAL))
    assert said.code == 2 and "chat" in said.err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["diff", "--against", ".", "--pid", "1"], "--against compares with files"),
        (["explain", "x", "--route", "transcriptions", "--body", "x.json"], "takes no JSON body"),
        (
            ["translate", "--from", "anthropic.messages", "--to", "openai.chat", "--request", "x", "-"],
            "--request belongs to an answer",
        ),
    ],
)
def test_no_option_is_ignored(arguments: list[str], sentence: str, operator: Write, say: Callable[..., Any]) -> None:
    """What has no meaning beside the other options is refused, with the reason."""
    where = () if arguments[0] == "translate" else ("--config-dir", operator(providers__50_local=LOCAL))
    said = say(*arguments, *where)
    assert said.code == 2 and sentence in said.err and not said.out


def test_a_python_without_the_libraries() -> None:
    """It is told in a sentence, with what finds one that has them; no traceback."""
    top = Path(__file__).parents[2]
    command = [sys.executable, "-S", "-m", "monorelay", "routes"]
    said = subprocess.run(command, cwd=top, env={}, capture_output=True, text=True, timeout=60)
    assert said.returncode == 1 and "Traceback" not in said.stderr and said.stderr.startswith("this Python (")
    assert said.stderr.endswith("    sh packaging/python.sh run -m monorelay routes\n") and (top / "packaging/python.sh").exists()


@pytest.mark.parametrize(("text", "sentence"), [("[1", "what was given is not JSON: "), (None, " cannot be read: No such file")])
def test_translate_what_cannot_be_read(say: Callable[..., Any], tmp_path: Path, text: str | None, sentence: str) -> None:
    """No file, or no JSON in it: a sentence says which."""
    path = tmp_path / "request.json"
    if text is not None:
        path.write_text(text)
    said = say("translate", "--from", "openai.chat", "--to", "anthropic.messages", path)
    assert said.code == 1 and sentence in said.err and "Errno" not in said.err


@pytest.mark.parametrize("word", ["routes", "translate"])
def test_output_that_nobody_reads(word: str, operator: Write, tmp_path: Path) -> None:
    """`monorelay routes | head` ends quietly."""
    long = tmp_path / "long.json"
    long.write_text(json.dumps({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "x" * 100_000}]}))
    words = {
        "routes": ["--json", "--config-dir", str(operator(providers__50_local=LOCAL))],
        "translate": ["--from", "anthropic.messages", "--to", "openai.chat", str(long)],
    }
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "monorelay", word, *words[word]]
    ended = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, cwd=Path(__file__).parents[2], timeout=30)
    os.close(writing)
    assert ended.stderr == b""
