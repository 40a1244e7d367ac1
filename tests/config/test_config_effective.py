"""What is in force, value by value: where each was written, what is built in, and that it can be written down and read again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from config_house import House

from monorelay.config.config import Config
from monorelay.config.describe import Description, described
from monorelay.config.digest import digest_of
from monorelay.config.effective import Value, default_of, flat
from monorelay.config.load import Places, load, survey
from monorelay.config.provider import PROVIDER
from monorelay.config.settings import SERVER
from monorelay.config.writing import lines, scalar

TOP = Path(__file__).parents[2]
ENVIRON = {"KEY": "sk-main", "ACCESS": "sk-access", "OLD": "sk-old", "URL": "http://127.0.0.1:9"}
SETTINGS = """\
server: {access_key: "${ACCESS}", cors_origins: "*", drain: 1m}
clients: {ci: {sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08, provider: local}}
model_routing:
  aliases: {best: llama3@local, "a: b": "yes", "4e2": "null"}
  provider_mapping: {"b-*": local}
  cascades: {smart: [gpt-4o@openai, llama3@local], careful: {models: [a], context_length: [b]}}
  fallbacks: {"gpt-4o*": [llama3]}
  balancing: {"llama-*": latency, "gpt-4o": {strategy: weighted, providers: [openai, local]}}
  models: {"o3*": {timeouts: {first_byte: 600}, parameters: {reasoning_effort: high}, system: {prepend: "Be brief."}}}
  global_params: {temperature: 0.2}
  payload_transformation: {rules: [{models: [x], inject_params: {a: {b: [1, null]}}, remove_params: [c]}]}
  complexity: {simple: a, moderate: b, complex: c, thresholds: {complex: 0.7}}
  affinity: {enabled: true}
key_selection: {hold: 2}
retry: {enabled: true, budget: 0.5}
tool_calling: {unsupported_models: ["x*", "y#z"]}
providers:
  openai: {priority: 3, timeout: 20, keys: ["${KEY}"], quirks: {models: {"gpt-3*": {drop: [seed]}}}}
"""
LOCAL = """\
provider: local
extends: openai-compatible
base_url: ${URL}/v1
keys:
  - {label: main, secret: "${KEY}"}
  - {label: gone, secret: "${NOWHERE:-}", enabled: false}
  - {label: old, key: "${OLD}", quota_limit: 3, usage_window_limits: {window_5h: 7}, expires_at: 2099-01-01}
models: {include: [llama3, "qwen-*"]}
auth: {header: api-key}
headers: {request: {set: {X-Other: "${KEY}", x-t: "{{ model }}"}, remove: {anthropic-beta: ["a-*"], x-y: null}}}
offers: {openai.chat: {path: "/c{{ label }}", timeout: 3}, credits: /credits}
limits: {rps: 2, 5h: 1000}
rate_limits:
  cooldown_scope: key+model
  remaining: [{remaining: x-left, reset: x-reset, format: duration}]
  body: ["try again in {wait}"]
prices: {"gpt-4o": {input: 2.5, output: 10}}
retry: {max_retries: 1, retry_on_status: [500]}
ignore: {status: [418], errors: ["*glitch*"]}
refusals: {context_length: ["*maximum*"]}
session_header: x-session
credits: {balance: data.total, minus: data.used}
translate: false
"""
ROUTES = """\
routes:
  - {route: plain, path: /plain, methods: [GET], reply: {status: 418, error: {type: teapot, message: "I am: a teapot"}}}
  - {route: own, path: "/own/{id...}", methods: [GET, POST], needs: acme.own, body: stream, query: {set: {a: "1"}}, timeout: 5}
"""


@pytest.fixture
def rich(tmp_path: Path) -> House:
    """The shipped files, and an operator's of every kind above them."""
    house = House(tmp_path)
    house.environ = dict(ENVIRON)
    house.places = replace(house.places, vendor=TOP)
    house.write(
        {"operator/config.yml": SETTINGS, "operator/providers.d/50-local.yml": LOCAL, "operator/routes.d/90-own.yml": ROUTES}
    )
    return house


def described_of(house: House) -> Description:
    return described(survey(house.places, house.environ))


def written(description: Description, directory: Path) -> Places:
    """The description as files of an operator who has no other layers."""
    parts = {"config.yml": description.settings}
    parts.update({f"providers.d/{number:02}-{name}.yml": tree for number, (name, tree) in enumerate(description.providers.items())})
    parts.update({f"routes.d/{name}.yml": tree for name, tree in description.routes.items()})
    for name, tree in parts.items():
        path = directory / "operator" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines(tree, lambda value: str(value.origin or "built in"))))
    (directory / "vendor").mkdir()
    return Places(directory / "vendor", directory / "operator", None)


def same(config: Config) -> str:
    """A digest for which time-outs written down are those that are built in."""
    built_in = {"connect": 10.0, "first_byte": 120.0, "idle": 120.0, "total": None}
    providers = [replace(spec, timeouts={**built_in, **(spec.timeouts or {})}) for spec in config.providers]
    offers = [sorted(map(repr, spec.offers)) for spec in providers]
    providers = [replace(spec, offers=()) for spec in providers]
    routes = sorted(config.routes, key=lambda spec: spec.name)
    return digest_of(config.startup, config.server, config.clients, config.routing, config.tools, providers, offers, routes)


def test_what_is_in_force_can_be_written_and_read_again(rich: House, tmp_path: Path) -> None:
    """All that is shown, defaults included, means the same when it is a configuration of its own."""
    again = load(written(described_of(rich), tmp_path / "again"), rich.environ)
    assert same(again) == same(rich.load())


def test_every_value_has_its_origin(rich: House) -> None:
    """The file and line of whoever wrote it last: the operator, the shipped provider, the template; None = built in."""
    description = described_of(rich)
    local, openai = dict(flat(description.providers["local"])), dict(flat(description.providers["openai"]))
    own = f"{rich.root}/operator"
    assert str(local["base_url",].origin) == f"{own}/providers.d/50-local.yml:3"
    assert str(local["offers", "openai.models", "path"].origin).startswith(f"{TOP}/providers.d/openai-compatible.yml:")
    assert str(openai["base_url",].origin).startswith(f"{TOP}/providers.d/openai.yml:")
    assert str(openai["timeouts", "idle"].origin) == f"{own}/config.yml:18" and openai["timeouts", "idle"].value == 20
    assert openai["timeouts", "connect"] == Value(10, None) and openai["timeouts", "total"] == Value(None, None)
    settings = dict(flat(description.settings))
    assert settings["server", "port"] == Value(8787, None) and settings["server", "host"] == Value("127.0.0.1", None)
    chat = dict(flat(description.routes["chat"]))
    assert chat["max_body",] == Value("64MiB", None) and chat["path",].origin is not None
    assert ("timeouts", "idle") not in chat and ("strict",) not in dict(flat(description.routes["plain"]))


SECRET = """\
provider: local
extends: openai-compatible
base_url: https://x.example
keys: [sk-inline, {label: a, secret: "${NONE:-sk-default}"}, {label: b, secret: "${KEY}"}]
headers: {request: {set: {x-api-key: sk-header, x-trace: plain}}}
offers: {openai.chat: {path: /c, query: {set: {api_key: sk-query}}}}
"""


def test_no_secret_is_among_them(rich: House) -> None:
    """Literals are masked wherever a credential may stand, and so is a reference's default; a bare reference stays."""
    rich.write({"operator/providers.d/50-local.yml": SECRET, "operator/config.yml": "server: {access_key: sk-key}\n"})
    description = described_of(rich)
    said = repr(description)
    for secret in ("sk-inline", "sk-default", "sk-header", "sk-query", "sk-key", "sk-main"):
        assert secret not in said
    local = dict(flat(description.providers["local"]))
    keys = next(spec for spec in rich.load().providers if spec.name == "local").keys
    shown = [local["keys", 0], local["keys", 1, "secret"], local["keys", 2, "secret"]]
    assert [value.fingerprint for value in shown] == [key.secret.fingerprint for key in keys]
    assert [value.value for value in shown] == [f"<secret {shown[0].fingerprint}>", f"<secret {shown[1].fingerprint}>", "${KEY}"]
    assert local["headers", "request", "set", "x-trace"].value == "plain"


@pytest.mark.parametrize(
    ("schema", "name", "default"),
    [(SERVER, "port", 8787), (SERVER, "access_key_enabled", True), (PROVIDER, "auth", "bearer"), (PROVIDER, "enabled", "auto")],
)
def test_defaults_come_from_the_schemas(schema: dict[str, dict[str, object]], name: str, default: object) -> None:
    """A default that the reference page names is a value."""
    assert default_of(schema[name]) == default


@pytest.mark.parametrize("name", ["access_key", "public_host", "state_dir", "tls", "cors_origins"])
def test_words_about_a_default_are_no_value(name: str) -> None:
    """ "found out" and "none" are English."""
    assert not isinstance(default_of(SERVER[name]), str | int | bool)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "yes",
        "null",
        "~",
        "4e2",
        "1.50",
        "0x10",
        "a: b",
        "a #b",
        "- a",
        "[x",
        "{x}",
        "*x",
        "&x",
        "!x",
        "%x",
        "@x",
        "`x",
        "'",
        '"',
    ]
    + [
        "ü",
        "a\nb",
        "\t",
        "\u2028",
        "\x7f",
        "\x85",
        "😀",
        "\\",
        "a:",
        "gpt-4*",
        "http://x/y",
        "${X}",
        1,
        1.5,
        True,
        None,
        20.0,
        1e-7,
    ],
)
def test_scalars_read_back(rich: House, value: object) -> None:
    """Whatever a value is, its YAML gives it back, as a key too if it is text."""
    from monorelay.config.document import parse

    entries = f"k: {scalar(value)}\nl: [x, {scalar(value, inside=True)}]\n" + (
        f"{scalar(value)}: 1\n" if isinstance(value, str) and value not in ("", "k", "l") else ""
    )
    read = parse(entries, "x.yml").value
    assert read is not None and read["k"] == value and type(read["k"]) in (type(value), int)
    assert read["l"] == ["x", value] and (len(read) == 2 or list(read)[2] == value)
