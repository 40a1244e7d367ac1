"""`monorelay import`: an old configuration in new files, and a word about each line that is lost."""

from __future__ import annotations

import re
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from monorelay.cli import older_fields
from monorelay.cli.older_outcome import Note, Outcome
from monorelay.config.document import parse
from monorelay.config.load import Places, load
from monorelay.config.provider import PROVIDER
from monorelay.config.schema import Schema
from monorelay.config.settings import SERVER, SETTINGS

TOP = Path(__file__).parents[2]
OLD = """\
server:
  host: 127.0.0.1
  port: 9000
  access_key: sk-access
  access_key_enabled: true
  log_level: WARN
  cors_origins: ["*"]
  public_host: ""
  jwt_secret: sk-jwt
providers:
  openrouter:
    enabled: true
    base_url: https://openrouter.ai/api/v1
    provider_type: openai
    keys:
      - {key: sk-one, label: "first key", weight: 3, enabled: true, quota_limit: 100, quota_used: 7, rate_limit_rps: 2}
      - {key: sk-two, expires_at: "2099-01-01", usage_window_limits: {window_5h: 10, window_1d: 0, window_7d: 70}, metadata: {a: 1}}
      - ${THIRD_KEY}
      - {key: ""}
    headers: {HTTP-Referer: "https://x.example/$a", X-Secret-Token: sk-header, Authorization: "Bearer sk-x", Host: x}
    cloaking: {user_agent: Mozilla/5.0, accept_language: de, tls_fingerprint_profile: chrome}
    rate_limit_cooldown: 30
    timeout: 90
    models: {include: [], exclude: ["bad-*"]}
    retry: {enabled: true, max_retries: 2, retry_on_status: [500, 404], jitter: true}
    web_reverse: {enabled: false}
    test_model: gpt-4o-mini
    cost_per_m_input: 2.5
    cost_per_m_output: 10
  claude proxy:
    base_url: https://claude.example.com
    provider_type: anthropic
    keys: [{key: sk-three, label: main}]
  direct:
    base_url: https://api.deepseek.com/
    keys: [{key: sk-four, label: main}]
model_routing:
  enabled: true
  mode: cascade
  aliases: {best: openrouter/gpt-4o, other: meta/llama, cheap: Direct/deepseek-chat}
  provider_mapping: {"gpt-*": openrouter, "x-*": nobody, "d-*": direct, "gpt-4": direct}
  model_overrides: {"gpt-4": gpt-4o}
  complexity: {enabled: true, simple: cheap, moderate: best, complex: openrouter/o3}
  cascade: {enabled: true, models: [openrouter/gpt-4o, claude-3], max_retries: 3}
  payload_transformation: {enabled: true, rules: [{models: ["gpt-*"], inject_params: {temperature: 0.5}}]}
key_selection: {strategy: round_robin}
tool_calling: {auto_downgrade: true, unsupported_models: [x]}
logging: {level: debug, file: relay.log}
sso: {enabled: true}
sync: {repo: x}
surprise: 1
"""


@pytest.fixture
def old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("THIRD_KEY", "sk-env")
    path = tmp_path / "old.yml"
    path.write_text(OLD)
    return path


def test_import(old: Path, operator: Callable[..., Path], say: Callable[..., Any], tmp_path: Path) -> None:
    """What is written means what it meant, and keys lie in files that only their owner reads."""
    directory = operator()
    said = say("import", old, "--config-dir", directory)
    assert (said.code, said.err) == (0, "")
    config = load(Places(TOP, directory, None), {"THIRD_KEY": "sk-env"})
    providers = {spec.name: spec for spec in config.providers}
    market = providers["openrouter"]
    assert [(key.label, key.secret.reveal(), key.weight) for key in market.keys] == [
        ("first-key", "sk-one", 3),
        ("key-2", "sk-two", 1),
        ("key-3", "sk-env", 1),
    ]
    assert (market.keys[0].limits.quota, market.keys[0].limits.rps) == (100, 2)
    assert market.keys[1].limits.windows == ((18000.0, 10), (604800.0, 70)) and market.keys[1].expires_at is not None
    sent = dict(market.headers.request.set)
    assert (
        sent["http-referer"] == "https://x.example/$a" and sent["user-agent"] == "Mozilla/5.0" and sent["accept-language"] == "de"
    )
    assert sent["x-secret-token"].reveal() == "sk-header" and not {"authorization", "host"} & set(sent)  # type: ignore[union-attr]
    assert (market.rate_limit_cooldown, market.exclude, market.retry.max_retries, market.retry.on_status) == (
        30,
        ("bad-*",),
        2,
        (500,),
    )
    assert market.prices[0][1].output == 10
    assert "openai.chat" in {offer.capability for offer in market.offers}
    assert providers["claude-proxy"].auth.header == "x-api-key"  # type: ignore[union-attr]
    assert "direct" not in providers and providers["deepseek"].keys[0].secret.reveal() == "sk-four"
    routing = config.routing
    assert dict(routing.aliases) == {"best": "gpt-4o@openrouter", "other": "meta/llama", "cheap": "deepseek-chat@deepseek"}
    assert routing.provider_mapping == (("gpt-*", "openrouter"), ("d-*", "deepseek"))
    assert routing.complexity.complex == "o3@openrouter" and routing.cascades[0].models == ("gpt-4o@openrouter", "claude-3")
    assert routing.payload[0].inject == (("temperature", 0.5),)
    assert (config.startup.port, config.server.log_level, config.server.cors_origins) == (9000, "debug", ("*",))
    assert config.server.access_key.reveal() == "sk-access"  # type: ignore[union-attr]
    for path in (directory / "secrets").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    for path in [directory / "config.yml", *(directory / "providers.d").iterdir()]:
        assert "sk-" not in path.read_text(), path


LOST = {
    9: r"server.jwt_secret: .*`clients`",
    16: r"providers.openrouter.keys.0.(quota_used: .*lower|label: is called first-key)",
    17: r"providers.openrouter.keys.1.metadata: ",
    19: r"providers.openrouter.keys.3: holds no key",
    20: r"providers.openrouter.headers.(Authorization: .*`auth`|Host: )",
    21: r"providers.openrouter.cloaking.tls_fingerprint_profile: ",
    25: r"providers.openrouter.retry.(jitter: is not known here|retry_on_status.1: is left out: 404)",
    26: r"providers.openrouter.web_reverse: ",
    27: r"providers.openrouter.test_model: .*check --live",
    28: r"providers.openrouter.cost_per_m_input: .*`prices`",
    29: r"providers.openrouter.cost_per_m_output: ",
    30: r"providers.claude proxy: is called claude-proxy here",
    34: r"providers.direct: is called deepseek here",
    39: r"model_routing.mode: ",
    40: r"model_routing.aliases.(best: openrouter/gpt-4o is gpt-4o@openrouter here|cheap: )",
    41: r"model_routing.provider_mapping.(x-\*: is left out: no provider is called nobody|gpt-4: never counted: gpt-\*)",
    43: r"model_routing.complexity.complex: ",
    44: r"model_routing.cascade(.models.0|.max_retries)?: ",
    48: r"logging.file: .*journal",
    49: r"sso: ",
    50: r"sync: ",
    51: r"surprise: is not known here",
}


def test_what_is_lost_is_told(old: Path, operator: Callable[..., Path], say: Callable[..., Any]) -> None:
    """Line by line, with a reason; and no line is named that lost nothing. No key is shown."""
    said = say("import", old, "--config-dir", operator())
    found = [(int(line.split(":")[1]), line.split(": ", 1)[1]) for line in said.out.splitlines() if line.startswith(str(old))]
    assert {line for line, _ in found} == set(LOST)
    for line, text in found:
        assert re.match(LOST[line], text), (line, text)
    assert "sk-" not in said.out


def test_dry_run(old: Path, say: Callable[..., Any], tmp_path: Path, operator: Callable[..., Path]) -> None:
    """All is shown, and checked, and nothing is there afterwards."""
    operator()
    said = say("import", old, "--dry-run", "--config-dir", tmp_path / "new")
    assert said.code == 0 and "ok: 3 providers" in said.out and f"--- {tmp_path}/new/providers.d/openrouter.yml" in said.out
    assert "sk-" not in said.out and not (tmp_path / "new").exists()


def test_nothing_is_overwritten(old: Path, say: Callable[..., Any], operator: Callable[..., Path]) -> None:
    """A config.yml that is there gets a neighbour; any other file in the way ends it before the first is written."""
    directory = operator(config="server: {drain: 5}\n")
    said = say("import", old, "--config-dir", directory)
    assert said.code == 0 and (directory / "config.d/50-imported.yml").exists()
    assert (directory / "config.yml").read_text() == "server: {drain: 5}\n"
    again = say("import", old, "--config-dir", directory)
    assert again.code == 1 and "config.d/50-imported.yml exists, and is not overwritten" in again.err


def test_what_would_be_refused_leaves_nothing(say: Callable[..., Any], operator: Callable[..., Path], tmp_path: Path) -> None:
    """The problems are told, and the directory is as empty as before; one that was not there is not there."""
    directory = operator()
    path = tmp_path / "old.yml"
    path.write_text("providers: {mine: {base_url: 'https://x.example', keys: ['${NOT_SET_HERE}']}}\n")
    said = say("import", path, "--config-dir", directory)
    assert said.code == 78 and list(directory.iterdir()) == []
    assert f"{path}:1: providers.mine.keys.0: the environment variable NOT_SET_HERE is not set" in said.err
    assert say("import", path, "--config-dir", tmp_path / "new").code == 78 and not (tmp_path / "new").exists()


REFUSED = """\
providers:
  house:
    base_url: https://house.example.com/v1
    keys:
      - {key: ""}
      - key: ${NOT_SET_HERE}
        label: main
server: {host: 0.0.0.0}
"""


@pytest.mark.parametrize("dry", [[], ["--dry-run"]])
def test_problems_name_the_old_file(dry: list[str], say: Callable[..., Any], operator: Callable[..., Path], tmp_path: Path) -> None:
    """Its lines, and no file that would be written; what stands in another file is told with that."""
    path = tmp_path / "old.yml"
    path.write_text(REFUSED)
    said = say("import", path, "--config-dir", operator(routes__90_own="route: own\n"), *dry)
    assert said.code == 78
    assert f"{tmp_path}/etc/routes.d/90_own.yml:1:1: " in said.err
    assert f"{path}:6: providers.house.keys.1.key: the environment variable NOT_SET_HERE is not set" in said.err
    assert "monorelay-import-" not in said.err and "50-imported" not in said.err


RULES = """\
providers:
  house: {base_url: "https://house.example.com/v1", models: {include: [h-1, h-2, h-3]}, keys: [sk-one]}
model_routing:
  aliases: {best: h-1, worst: nothing@nowhere}
  complexity:
    simple: h-1
    moderate: h-2@nobody
    complex: h-3
  cascade:
    models:
      - h-9@nowhere
      - h-1
      - h-8@nobody
      - h-2
"""


@pytest.mark.parametrize("dry", [[], ["--dry-run"]])
def test_a_rule_that_does_not_hold_is_left_out(
    dry: list[str], say: Callable[..., Any], operator: Callable[..., Path], tmp_path: Path
) -> None:
    """It is told with its line, and all the others are taken over; auto has three models or none."""
    path = tmp_path / "old.yml"
    path.write_text(RULES)
    directory = operator()
    said = say("import", path, "--config-dir", directory, *dry)
    assert (said.code, said.err) == (0, "")
    told = [line.removeprefix(f"{path}:") for line in said.out.splitlines() if ": is left out: " in line]
    tail = "; write what is meant into config.yml yourself"
    assert told == [
        f"4: model_routing.aliases.worst: is left out: no provider is called nowhere{tail}",
        f"5: model_routing.complexity: is left out: moderate is missing: auto chooses among three{tail}",
        f"7: model_routing.complexity.moderate: is left out: no provider is called nobody{tail}",
        f"11: model_routing.cascade.models.0: is left out: no provider is called nowhere{tail}",
        f"13: model_routing.cascade.models.2: is left out: no provider is called nobody{tail}",
    ]
    if not dry:
        routing = load(Places(TOP, directory, None), {}).routing
        assert dict(routing.aliases) == {"best": "h-1"} and not routing.complexity.enabled  # type: ignore[union-attr]
        assert routing.cascades[0].models == ("h-1", "h-2")


def test_items_behind_one_that_was_left_out() -> None:
    """They keep their lines, however often a list grows shorter; an empty list goes, too."""
    old = parse("model_routing:\n  cascade:\n    models:\n      - a\n      - b\n      - c\n", "old.yml")
    out = Outcome(old, {"model_routing": {"cascades": {"cascade": ["a", "b", "c"]}, "aliases": {"x": "y"}}})
    here = ("model_routing", "cascades", "cascade")
    out.came_from[here] = ("model_routing", "cascade", "models")
    for line in (4, 5):
        assert out.told((*here, 0), "").line == line
        out.leave_out((*here, 0))
    assert out.told((*here, 0), "") == Note(6, "model_routing.cascade.models.2", "")
    out.leave_out((*here, 0))
    assert out.settings == {"model_routing": {"aliases": {"x": "y"}}}


KEYS = """\
providers:
  openai: {api_key: sk-single}
  house:
    base_url: https://house.example.com/v1
    keys: [{key: sk-one, label: main}, {key: "${GONE}", enabled: false, label: off}]
    api_keys: [sk-two, sk-one]
  other: {base_url: "https://other.example.com/v1", keys: sk-three}
server: {access_key: "${GONE_TOO}", access_key_enabled: false}
"""


def test_keys_wherever_they_stand(say: Callable[..., Any], operator: Callable[..., Path], tmp_path: Path) -> None:
    """A provider's one `api_key` is a key; what is switched off may be a reference to nothing."""
    path, directory = tmp_path / "old.yml", operator()
    path.write_text(KEYS)
    said = say("import", path, "--config-dir", directory)
    assert (said.code, said.err) == (0, "") and f"{path}:6: providers.house.api_keys.1: is among `keys` already" in said.out
    providers = {spec.name: spec for spec in load(Places(TOP, directory, None), {"GONE": "sk-back"}).providers}
    assert {
        name: [(key.label, key.secret.reveal(), key.enabled) for key in providers[name].keys]
        for name in ("openai", "house", "other")
    } == {
        "openai": [("main", "sk-single", True)],
        "house": [("main", "sk-one", True), ("off", "sk-back", False), ("key-1", "sk-two", True)],
        "other": [("main", "sk-three", True)],
    }
    assert len(load(Places(TOP, directory, None), {}).providers) == len(providers)


def test_counterparts(say: Callable[..., Any], operator: Callable[..., Path], tmp_path: Path) -> None:
    """A name that others use for one of ours leads to it; one that is misspelt, too."""
    path = tmp_path / "old.yml"
    path.write_text(
        "provider: {}\nserver: {cors: x}\nproviders:\n  openai: {max_retries: 3, priorty: 1, keys: [{key: a, rate_limit_rpm: 2}]}\n"
        "model_routing: {fallback: {a: b}, alises: {a: b}}\nprovder: 3\n"
    )
    said = say("import", path, "--config-dir", operator()).out
    for text in (
        "2: server.cors: use `cors_origins` instead",
        "4: providers.openai.max_retries: use `retry.max_retries` instead",
        "4: providers.openai.priorty: is not known here, did you mean priority?",
        "4: providers.openai.keys.0.rate_limit_rpm: use `limits.rpm` instead",
        "5: model_routing.fallback: use `fallbacks` (glob → models) instead",
        "5: model_routing.alises: is not known here, did you mean aliases?",
        "6: provder: is not known here, did you mean providers?",
    ):
        assert f"{path}:{text}\n" in said


def test_no_counterpart_hides_a_field_of_ours() -> None:
    """What is known here is taken over, never told as lost; and what is named instead is there."""
    key: Schema = PROVIDER["keys"]["schema"]["schema"]
    routing: Schema = SETTINGS["model_routing"]["schema"]
    for lost, known in (
        (older_fields.LOST_OF_SERVER, SERVER),
        (older_fields.LOST_OF_PROVIDERS, PROVIDER),
        (older_fields.LOST_OF_KEYS, key),
        (older_fields.LOST_OF_ROUTING, routing),
    ):
        assert not set(lost) & set(known)
        for text in lost.values():
            for named in re.findall(r"^use `([a-z_.]+)[^`]*` instead$", text):
                fields = known
                for name in named.split("."):
                    fields = fields[name].get("schema", {})


def test_a_directory_that_cannot_be_copied(
    old: Path, say: Callable[..., Any], operator: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rehearsal with files that only another user reads says so, in one line."""
    directory = operator(config="server: {drain: 5}\n")

    def refused(*_: object, **__: object) -> None:
        raise shutil.Error([("a", "b", "[Errno 13] Permission denied: 'a'"), ("c", "d", "no")])

    monkeypatch.setattr(shutil, "copytree", refused)
    said = say("import", old, "--dry-run", "--config-dir", directory)
    assert (said.code, said.err) == (
        1,
        f"not all of {directory} can be read, so it cannot be rehearsed with: [Errno 13] Permission denied: 'a'\n",
    )


@pytest.mark.parametrize(("text", "said"), [("a: b: c\n", "old.yml:1:5: not YAML"), ("", "is empty"), (None, "No such file")])
def test_what_cannot_be_read(
    text: str | None, said: str, say: Callable[..., Any], operator: Callable[..., Path], tmp_path: Path
) -> None:
    """Its own problem, with its place."""
    path = tmp_path / "old.yml"
    if text is not None:
        path.write_text(text)
    result = say("import", path, "--config-dir", operator())
    assert result.code == 1 and said in result.err


def test_routing_that_was_off(say: Callable[..., Any], operator: Callable[..., Path], tmp_path: Path) -> None:
    """What was not in force is not put in force."""
    path = tmp_path / "old.yml"
    path.write_text("model_routing: {enabled: false, aliases: {a: b}}\nserver: {port: 9}\n")
    said = say("import", path, "--config-dir", operator())
    assert said.code == 0 and ":1: model_routing: was switched off" in said.out
    assert "aliases" not in (tmp_path / "etc/config.yml").read_text()


def test_a_key_that_was_switched_off_stays_off(say: Callable[..., Any], operator: Callable[..., Path], tmp_path: Path) -> None:
    """Off is off, where 0 of a limit is none."""
    directory, path = operator(), tmp_path / "old.yml"
    path.write_text("providers:\n  openai: {keys: [{key: a, enabled: false}, {key: b, quota_limit: 0}]}\n")
    assert say("import", path, "--config-dir", directory).code == 0
    (spec,) = [one for one in load(Places(TOP, directory, None), {}).providers if one.name == "openai"]
    assert [(key.enabled, key.limits.quota) for key in spec.keys] == [(False, None), (True, None)]


HOSTILE = """\
providers:
  house: {base_url: "https://house.example.com/v1", keys: [{key: sk-of-house, label: eu-main}]}
  house-eu: {base_url: "https://eu.example.com/v1", keys: [{key: sk-of-eu, label: main}]}
  "a b": {base_url: "https://one.example.com/v1", keys: [{key: sk-one, label: main}]}
  "a-b": {base_url: "https://two.example.com/v1", keys: [{key: sk-two, label: main}]}
  open-ai: {base_url: "https://three.example.com/v1", keys: [{key: sk-three, label: main}]}
  openai: {base_url: "https://api.openai.com/v1", keys: [{key: sk-four, label: main}]}
  reader:
    base_url: https://five.example.com/v1
    keys: [{key: "${file:/etc/hostname}", label: main}]
    headers: {"x/key": a, "x/../../../outside-auth": b}
"""


def test_each_key_goes_to_its_own_provider(say: Callable[..., Any], operator: Callable[..., Path], tmp_path: Path) -> None:
    """However alike the names are, and whatever they hold: no file outside of secrets/ is written, none is read for a key."""
    directory = operator()
    outside = tmp_path / "outside-auth"
    outside.write_text("as it was")
    path = tmp_path / "old.yml"
    path.write_text(HOSTILE)
    assert say("import", path, "--config-dir", directory).code == 0
    keys = {
        spec.base_url: [key.secret.reveal() for key in spec.keys]
        for spec in load(Places(TOP, directory, None), {}).providers
        if spec.layer == "operator"
    }
    assert keys == {
        "https://house.example.com/v1": ["sk-of-house"],
        "https://eu.example.com/v1": ["sk-of-eu"],
        "https://one.example.com/v1": ["sk-one"],
        "https://two.example.com/v1": ["sk-two"],
        "https://three.example.com/v1": ["sk-three"],
        "https://api.openai.com/v1": ["sk-four"],
        "https://five.example.com/v1": ["${file:/etc/hostname}"],
    }
    assert outside.read_text() == "as it was"
    assert all(path.is_file() for path in (directory / "secrets").iterdir())
