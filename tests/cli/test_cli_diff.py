"""`monorelay diff`: routes, providers, keys and rules that a reload would bring, take away or change."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from monorelay.cli.command import snapshot_of
from monorelay.config.load import find_places
from monorelay.config.snapshot import changes, packed, unpacked

TESTS = Path(__file__).parent.parent
CONFIG = "server: {drain: 10, port: 9000}\nmodel_routing: {aliases: {best: qwen-9@local}}\n"
LOCAL = """\
provider: local
extends: openai-compatible
base_url: http://127.0.0.1:9/v1
keys: [{label: main, secret: "${LOCAL_KEY:-sk-one}"}, {label: spare, secret: "${SPARE:-sk-spare}"}]
models: {include: [llama3, "qwen-*"]}
"""
OWN = "route: own\npath: /own\nmethods: [POST]\nneeds: openai.chat\nbody: json\nmodel: required\n"

Operator = Callable[..., Path]
Say = Callable[..., Any]


@pytest.fixture
def before(operator: Operator, tmp_path: Path) -> Path:
    """A copy of the files as they are at first; the others are then changed."""
    directory = operator(config=CONFIG, providers__50_local=LOCAL)
    return Path(shutil.copytree(directory, tmp_path / "before"))


def test_nothing(before: Path, operator: Operator, say: Say) -> None:
    """Comments and other places change nothing that is served."""
    directory = operator(config="# new\n" + CONFIG)
    said = say("diff", "--against", before, "--config-dir", directory)
    assert (said.code, said.out) == (0, "nothing would change\n")


def test_changes(before: Path, operator: Operator, say: Say) -> None:
    """Each in one line, with the place of what is new; keys by label and fingerprint."""
    changed = (
        LOCAL.replace("sk-one", "sk-new").replace("llama3,", "llama4,").replace('{label: spare, secret: "${SPARE:-sk-spare}"}', "")
    )
    directory = operator(
        config=CONFIG.replace("10", "20").replace("9000", "9001").replace("best:", "better:"),
        providers__50_local=changed + "priority: 3\n",
        providers__60_more=LOCAL.replace("local", "more"),
        routes__90_own=OWN,
    )
    said = say("diff", "--against", before, "--config-dir", directory)
    assert said.code == 1 and "sk-" not in said.out
    lines = [line.strip() for line in said.out.splitlines()]
    file = f"{directory}/providers.d/50_local.yml"
    assert "~ provider local" in lines and f"~ priority: 50 → 3  {file}:6" in lines
    assert "- models.include: llama3" in lines and f"+ models.include: llama4  {file}:5" in lines
    (secret,) = [line for line in lines if line.startswith("~ keys.main.secret: secret ")]
    assert secret.endswith(f"{file}:4") and secret.count("secret ") == 2
    assert any(line.startswith("- keys.spare.secret: secret ") for line in lines)
    assert f"+ provider more: on, keys main, spare  {directory}/providers.d/60_more.yml:1" in lines
    assert f"+ route own: POST /own, served by local, more  {directory}/routes.d/90_own.yml:1" in lines
    assert f"~ server.drain: 10 → 20  {directory}/config.yml:1" in lines
    assert f"~ server.port: 9000 → 9001  (at the next restart)  {directory}/config.yml:1" in lines
    assert "- model_routing.aliases.best: qwen-9@local" in lines
    heads = [line for line in said.out.splitlines() if not line.startswith(" ")]
    assert [head.split(":")[0] for head in heads[:4]] == ["~ settings", "~ provider local", "+ provider more", "+ route own"]
    assert [re.sub("[0-9]+", "N", head) for head in heads[4:]] == ["~ N routes: chat, completions, responses and N others"]
    assert said.out.endswith(heads[4] + "\n    + served by: more\n")


def test_what_goes(before: Path, operator: Operator, say: Say) -> None:
    """A provider that is taken away is one line, and so are all routes that lose it; scripts are told of each."""
    directory = operator(config="server: {drain: 10, port: 9000}\n")
    (directory / "providers.d/50_local.yml").unlink()
    said = say("diff", "--against", before, "--config-dir", directory)
    assert said.code == 1
    assert "- provider local: on, keys main, spare\n" in said.out
    assert re.search(r"\n~ [0-9]+ routes: chat, .* others\n    - served by: local\n$", said.out)
    routes = [one for one in say("diff", "--json", "--against", before, "--config-dir", directory).value if one["part"] == "route"]
    assert len(routes) > 10 and {tuple(one["path"]) for one in routes} == {("served by",)}


def test_one_route_that_is_served_by_another(before: Path, operator: Operator, say: Say) -> None:
    """Its own change is told with what was written, and what follows with what follows."""
    directory = operator(config=CONFIG, providers__50_local=LOCAL + "offers: {openai.embeddings: null}\n")
    said = say("diff", "--against", before, "--config-dir", directory)
    assert said.out.endswith("~ route embeddings\n    - served by: local\n"), said.out


def test_for_scripts(before: Path, operator: Operator, say: Say) -> None:
    """A list of changes."""
    directory = operator(config=CONFIG.replace("10", "20"))
    value = say("diff", "--json", "--against", before, "--config-dir", directory).value
    assert value == [
        {
            "part": "settings",
            "name": "",
            "path": ["server", "drain"],
            "change": "changed",
            "before": 10,
            "after": 20,
            "file": f"{directory}/config.yml",
            "line": 1,
        }
    ]


def test_a_certificate_renewed_in_place(operator: Operator, say: Say, tmp_path: Path) -> None:
    """config.yml stays as it is; the pair is told by fingerprints, with the day on which it ends, even if that is over."""
    directory = operator(config="server: {tls: {certificate: tls.pem}}\n")
    (directory / "tls.pem").write_text((TESTS / "cli/expired.pem").read_text())
    old = shutil.copytree(directory, tmp_path / "old")
    assert say("diff", "--against", old, "--config-dir", directory).code == 0
    (directory / "tls.pem").write_text((TESTS / "web/renewed.pem").read_text())
    said = say("diff", "--against", old, "--config-dir", directory)
    pair = "certificate [0-9a-f]{12} until ([0-9-]{10}), key [0-9a-f]{12}"
    (found,) = re.finditer(f"    ~ server.tls: {pair} → {pair}\n", said.out)
    assert said.code == 1 and found[1] < f"{date.today()}" < found[2] and "PRIVATE" not in said.out


def test_what_would_be_refused(before: Path, operator: Operator, say: Say) -> None:
    """Its problems, and 78: a reload would change nothing."""
    said = say("diff", "--against", before, "--config-dir", operator(config="server: {prot: 1}\n"))
    assert said.code == 78 and "server.prot" in said.err


def test_what_a_relay_keeps(operator: Operator) -> None:
    """Packed and unpacked nothing has changed, it is small, and no secret is in it."""
    directory = operator(config=CONFIG, providers__50_local=LOCAL)
    parts = snapshot_of(find_places(directory, {}), {})
    kept = packed(parts)
    import json

    assert len(kept) < 60_000
    assert list(changes(unpacked(json.loads(kept)), parts)) == []
    assert "sk-" not in repr(parts)
    with pytest.raises(ValueError, match="no snapshot"):
        unpacked({"effective": "e30="})
