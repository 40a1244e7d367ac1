"""The whole configuration: where it is looked for, all problems at once, secrets, the digest, pickling, and the cache."""

from __future__ import annotations

import json
import pickle
import traceback
from pathlib import Path

import pytest
from config_house import LOCAL, TEMPLATE, House

import monorelay
from monorelay.clock import ManualClock
from monorelay.config import files
from monorelay.config.config import Config
from monorelay.config.load import DocumentCache, Places, find_places, load
from monorelay.config.problems import ConfigError, Problem
from monorelay.config.provider import ProviderSpec

# ---------------------------------------------------------------------------------------------------- places


def test_named_places(tmp_path: Path) -> None:
    """--config-dir and the environment name the layers."""
    (tmp_path / "vendor").mkdir()
    (tmp_path / "mine").mkdir()
    environ = {"MONORELAY_VENDOR_DIR": str(tmp_path / "vendor"), "RUNTIME_DIRECTORY": "/run/monorelay:/run/other"}
    assert find_places(tmp_path / "mine", environ) == Places(tmp_path / "vendor", tmp_path / "mine", Path("/run/monorelay"))


def test_usual_places(tmp_path: Path) -> None:
    """Without any of them: /etc/monorelay, whether or not it exists, and no runtime layer."""
    places = find_places(None, {"MONORELAY_VENDOR_DIR": str(tmp_path), "RUNTIME_DIRECTORY": ""})
    assert (places.operator, places.runtime) == (Path("/etc/monorelay"), None)


def test_a_relative_directory_is_told_in_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A problem must be found from anywhere."""
    (tmp_path / "conf").mkdir()
    monkeypatch.chdir(tmp_path)
    places = find_places(Path("conf"), {"MONORELAY_VENDOR_DIR": "."})
    assert (places.vendor, places.operator) == (tmp_path, tmp_path / "conf")


def test_in_a_checkout_the_tree_is_the_vendor() -> None:
    """Whoever clones and runs gets the shipped drop-ins, and no others."""
    tree = Path(monorelay.__file__).resolve().parent.parent
    if not (tree / "setup.py").is_file():
        pytest.skip("not in a checkout")
    assert find_places(None, {}).vendor == tree


@pytest.mark.parametrize("what", ["does not exist", "is not a directory"])
def test_a_directory_that_was_named_must_exist(tmp_path: Path, what: str) -> None:
    """A misspelt --config-dir is no open relay."""
    path = tmp_path / "conf"
    if what == "is not a directory":
        path.write_text("")
    with pytest.raises(ConfigError) as caught:
        find_places(path, {"MONORELAY_VENDOR_DIR": str(tmp_path)})
    assert str(caught.value) == f"{path}: {what} (--config-dir names it)"
    with pytest.raises(ConfigError) as caught:
        find_places(None, {"MONORELAY_VENDOR_DIR": str(path)})
    assert str(caught.value) == f"{path}: {what} ($MONORELAY_VENDOR_DIR names it)"


# ---------------------------------------------------------------------------------------------------- problems

OPENAI = LOCAL.replace("local", "openai")


def test_all_problems_of_all_files_are_told_at_once(house: House) -> None:
    """YAML, schema, references and cross-references together, sorted by place."""
    house.write(
        {
            "vendor/providers.d/openai.yml": OPENAI + "rate_limit_cooldwon: 5\n",
            "operator/providers.d/a.yml": "provider: a\nextends: nope\n",
            "operator/providers.d/b.yml": "provider: [\n",
            "operator/providers.d/c.yml": "provider: c\nextends: openai-compatible\nbase_url: ${NOPE}\npriority: high\n",
            "operator/routes.d/r.yml": "route: r\npath: r\nmethods: [GET]\nanswer: health\n",
            "operator/config.yml": "server: {port: x}\nmodel_routing: {provider_mapping: {a: opneai}}\n",
            "operator/config.d/x.yml": "a: 1\na: 2\n",
        }
    )
    assert house.problems() == [
        "operator/config.d/x.yml:2:1: a: duplicate key (first on line 1)",
        "operator/config.yml:1:10: server.port: must be a whole number",
        "operator/config.yml:2:36: model_routing.provider_mapping.a: no provider is called opneai, did you mean openai?",
        "operator/providers.d/a.yml:2:1: extends: no template is called nope",
        "operator/providers.d/b.yml:2:1: not YAML: did not find expected node content",
        "operator/providers.d/c.yml:3:1: base_url: the environment variable NOPE is not set"
        " (write ${NOPE:-} where it may be missing)",
        "operator/providers.d/c.yml:4:1: priority: must be a whole number",
        "operator/routes.d/r.yml:2:1: path: must begin with /",
        "vendor/providers.d/openai.yml:4:1: rate_limit_cooldwon: unknown field, did you mean rate_limit_cooldown?",
    ]


def test_a_problem_is_found_by_the_path_it_names(house: House) -> None:
    """Two layers may hold files of one name, so the whole path is told; it ends like the drop-in's short name."""
    house.local("rate_limit_cooldwon: 5\n")
    with pytest.raises(ConfigError) as caught:
        house.load()
    (problem,) = caught.value.problems
    assert Path(problem.file).read_text().splitlines()[problem.line - 1].startswith("rate_limit_cooldwon")
    assert "providers.d/local.yml:4:1: rate_limit_cooldwon: unknown field, did you mean rate_limit_cooldown?" in str(problem)


def test_problems_survive_pickling() -> None:
    """The master tells them to others."""
    error = ConfigError((Problem("f", 1, 2, "a.b", "is wrong"), Problem("g", 0, 0, "", "is gone", "warning")))
    copy = pickle.loads(pickle.dumps(error))
    assert (str(copy), copy.problems) == ("f:1:2: a.b: is wrong\ng: is gone", error.problems)


def test_strange_keys_are_shown_in_one_line(house: House) -> None:
    """A key of line breaks and a key of a thousand letters."""
    house.local(f'"a\\nb": 1\n{"x" * 1000}: 1\n')
    assert house.problems() == [
        "operator/providers.d/local.yml:4:1: a\\nb: unknown field",
        f"operator/providers.d/local.yml:5:1: {'x' * 77}...: unknown field",
    ]


# ---------------------------------------------------------------------------------------------------- secrets

SECRET = "sk-Very5ecret"
HOLDING = f"""\
keys: [{{label: a, secret: "${{KEY}}"}}, {{label: b, secret: {SECRET}-inline}}]
headers: {{request: {{set: {{x-token: "Token ${{KEY}}"}}}}}}
"""


def secretive(house: House) -> House:
    house.environ = {"KEY": SECRET, "ACCESS": f"{SECRET}-access"}
    return house.local(HOLDING).settings("server: {access_key: '${ACCESS}'}\n")


def test_nothing_that_prints_a_config_prints_a_secret(house: House) -> None:
    """repr, str, format, warnings, and the digest know fingerprints only; json refuses."""
    config = secretive(house).load()
    (provider,) = config.providers
    secret = provider.keys[0].secret
    shown = [repr(config), str(config), f"{config}", repr(provider.keys), f"{secret} {secret!r}", config.digest]
    shown += [str(warning) for warning in config.warnings]
    assert not any("Very5ecret" in text for text in shown)
    assert provider.keys[0].secret.fingerprint in repr(config)
    with pytest.raises(TypeError):
        json.dumps(provider.keys[0].secret)
    with pytest.raises(TypeError):
        "".join([provider.keys[0].secret])  # type: ignore[list-item]


BROKEN = [
    "keys: [{label: a, secret: '${KEY} x'}]",
    "keys: [{label: a, secret: '${KEY}', weight: '${KEY}', enabled: '${KEY}'}]",
    "base_uri: '${KEY}'\npriority: '${KEY}'\nenabled: '${KEY}'\nauth: '${KEY}'\ntimeout: '${KEY}'\nrate_limit_cooldown: '${KEY}'",
    "keys: [{label: '${KEY} ', secret: '${KEY}'}]",
    "headers: {request: {set: {a: '${KEY}{{'}, forward: ['${KEY} '], remove: ['${KEY} '], only: {a: ['${KEY} ']}}}",
    "offers: {a: '${KEY}', b: {path: '${KEY}', base_url: '${KEY}', auth: {header: '${KEY} ', prefix: '${KEY}\n'}}}",
    "models: {include: ['${KEY} ']}\ntemplate: '${KEY}'",
    "keys: [{label: a, secret: sk-Very5ecret b}]",
    "keys: sk-Very5ecret",
    "keys: [[sk-Very5ecret]]",
    "keys: [{label: sk-Very5ecret b, secret: x}]",
    "keys: [{secret: {sk: sk-Very5ecret}}]",
    "keys: [{secret: !sk-Very5ecret x}]",
    "keys: [{secret: *sk-Very5ecret}]",
    "keys: [{secret: 'sk-Very5ecret}]",
    "keys: [{secret: sk-Very5ecret: x}]",
    "keys: [{secret: $sk-Very5ecret}]",
    "keys: [{secret: '${sk-Very5ecret}'}]",
    "keys: [{secret: @sk-Very5ecret}]",
    "auth: sk-Very5ecret\nenabled: sk-Very5ecret\ntimeout: sk-Very5ecret",
    "base_url: https://sk-Very5ecret:x@h/v1",
]


@pytest.mark.parametrize("lines", BROKEN)
def test_no_problem_shows_a_value(house: House, lines: str) -> None:
    """Whatever is wrong with a file, its values stay in it; the traceback of the error has none of them either."""
    house.environ = {"KEY": SECRET}
    with pytest.raises(ConfigError) as caught:
        house.local(lines + "\n").load()
    told = "".join(traceback.format_exception(caught.value))
    assert "local.yml" in told
    assert "Very5ecret" not in told


# ---------------------------------------------------------------------------------------------------- pickle, digest


def test_a_config_survives_pickling(house: House) -> None:
    """The master sends it to its workers, secrets included."""
    config = secretive(house).load()
    copy: Config = pickle.loads(pickle.dumps(config))
    assert copy == config
    assert copy.providers[0].keys[0].secret.reveal() == SECRET
    assert copy.providers[0].origins.of("keys", 0, "secret") == config.providers[0].origins.of("keys", 0, "secret")


HEADERS = "headers: {request: {set: {a: '${KEY}'}}}\n"
KEYS = "keys: ['${KEY}']\n"
LIMITS = "timeouts: {idle: 5, total: null}\n"
MINE = "operator/providers.d/local.yml"
ALIASES = "model_routing: {aliases: {a: b}}\n"


def whole(house: House) -> House:
    house.environ = {"KEY": "one"}
    house.local(KEYS + HEADERS + LIMITS)
    house.route("route: r\npath: /r\nmethods: [GET]\nneeds: openai.chat\n")
    return house.settings("server: {port: 1}\n" + ALIASES)


SAME = {
    "nothing": {},
    "a comment": {MINE: "# new\n\n" + LOCAL + KEYS + "# more\n" + HEADERS + LIMITS},
    "another spelling": {MINE: LOCAL + KEYS + HEADERS.replace("a:", "A:") + "timeouts: {idle: 5000ms, total: ~}\n"},
    "another order": {"operator/config.yml": ALIASES + "server: {port: 1}\n"},
    "a default that is said": {"operator/config.yml": "server: {port: 1, workers: 1}\n" + ALIASES},
    "a file in two": {"operator/config.yml": "server: {port: 1}\n", "operator/config.d/a.yml": ALIASES},
    "a template that nobody extends": {"vendor/providers.d/x.yml": "provider: x\ntemplate: true\n"},
    "another layer": {MINE: "# moved\n", "runtime/providers.d/local.yml": LOCAL + KEYS + HEADERS + LIMITS},
}
OTHER = {
    "a key": {"KEY": "two"},
    "a limit": {MINE: LOCAL + KEYS + HEADERS + LIMITS.replace("5", "6")},
    "a limit that is not switched off": {MINE: LOCAL + KEYS + HEADERS + "timeouts: {idle: 5}\n"},
    "a template where a literal was": {MINE: LOCAL + KEYS + HEADERS.replace("${KEY}", "one") + LIMITS},
    "an alias": {"operator/config.yml": "server: {port: 1}\n" + ALIASES.replace("b}", "c}")},
    "a port": {"operator/config.yml": "server: {port: 2}\n" + ALIASES},
    "a route": {"operator/routes.d/10-r.yml": "route: r\npath: /r\nmethods: [GET, POST]\nneeds: openai.chat\n"},
    "an inherited offer": {"vendor/providers.d/openai-compatible.yml": TEMPLATE + "  credits: /c\n"},
}


@pytest.mark.parametrize("case", SAME)
def test_the_digest_stays(house: House, case: str) -> None:
    """What changes nothing that is served is no change."""
    before = whole(house).load().digest
    assert house.write(SAME[case]).load().digest == before


@pytest.mark.parametrize("case", OTHER)
def test_the_digest_changes(house: House, case: str) -> None:
    """What changes anything that is served is one."""
    before = whole(house).load().digest
    change = dict(OTHER[case])
    house.environ["KEY"] = change.pop("KEY", "one")
    assert house.write(change).load().digest != before


# ---------------------------------------------------------------------------------------------------- cache


def test_the_cache_spares_the_parsing(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that has not changed is not parsed again; references are looked up again all the same."""
    parsed: list[str] = []
    house.environ = {"KEY": "one"}
    house.local("keys: ['${KEY}']\n").settings("server: {port: 1}\n")
    real = files.parse
    monkeypatch.setattr(files, "parse", lambda text, file: parsed.append(Path(file).name) or real(text, file))
    cache = DocumentCache(ManualClock(now=4e9))
    first = house.load(cache)
    assert sorted(parsed) == ["config.yml", "local.yml", "openai-compatible.yml"]
    house.environ = {"KEY": "two"}
    parsed.clear()
    second = house.load(cache)
    assert parsed == []
    assert first.providers[0].keys[0].secret != second.providers[0].keys[0].secret
    house.local("keys: ['${KEY}']\npriority: 3\n")
    assert house.load(cache).providers[0].priority == 3
    assert parsed == ["local.yml"]


def test_the_cache_remembers_problems_and_forgets_files(house: House) -> None:
    """A broken file is told again at the next load; a file that is gone is dropped."""
    cache = DocumentCache(ManualClock(now=4e9))
    house.local("prioritty: 3\n")
    for _ in range(2):
        with pytest.raises(ConfigError, match="unknown field"):
            house.load(cache)
    assert len(cache) == 2
    (house.root / "operator/providers.d/local.yml").unlink()
    assert house.load(cache).providers == ()
    assert len(cache) == 1


def test_a_file_that_has_just_changed_is_not_trusted(house: House) -> None:
    """Two edits of one size within one tick of the file system's clock look the same, so the first is not kept."""
    path = house.local("priority: 1\n").root / "operator/providers.d/local.yml"
    cache = DocumentCache(ManualClock(now=path.stat().st_ctime_ns / 1e9 + 0.05))
    house.load(cache)
    assert len(cache) == 0


def test_what_is_merged_does_not_leak_into_the_cache(house: House) -> None:
    """Loading twice from one cache gives the same twice, with short forms and inheritance in play."""
    house.environ = {"A": "x"}
    house.local("timeout: 5\noffers: {openai.chat: {timeout: 6}, a: /a}\nkeys: ['${A}']\nheaders: {request: {set: {X-A: b}}}\n")
    house.settings("providers: {second: {extends: openai-compatible, base_url: 'http://s', timeout: 7}}\n")
    cache = DocumentCache(ManualClock(now=4e9))
    first, second = house.load(cache), house.load(cache)
    assert first == second
    assert first.digest == second.digest == house.load().digest


def test_five_hundred_providers(house: House) -> None:
    """Many files are read, and each knows its own."""
    house.write(
        {
            f"operator/providers.d/{n:03}.yml": f"provider: p{n}\nextends: openai-compatible\n"
            f"base_url: http://p{n}/v1\nkeys: ['${{K:-k{n}}}']\n"
            for n in range(500)
        }
    )
    config = house.load()
    assert [spec.base_url for spec in config.providers] == [f"http://p{n}/v1" for n in range(500)]
    assert len({spec.keys[0].secret.fingerprint for spec in config.providers}) == 500


def test_the_shipped_drop_ins_load_without_a_word() -> None:
    """What is in the repository is right, with no key and with every key."""
    tree = Path(monorelay.__file__).resolve().parent.parent
    if not list((tree / "providers.d").glob("*.yml")):
        pytest.skip("not in a checkout")
    config = load(Places(tree, None, None), {})
    assert config.warnings == ()
    assert all(isinstance(spec, ProviderSpec) and not spec.keys for spec in config.providers)
