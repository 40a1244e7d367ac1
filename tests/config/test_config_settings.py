"""config.yml and config.d: every field, how files are laid upon each other, and what refers to providers."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest
from config_house import LOCAL, House

from monorelay.config.fields import Secret
from monorelay.config.load import load
from monorelay.config.settings import ClientSpec, StartupSpec

DIGEST = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
WHOLE = f"""\
server:
  listen: "[::1]:9000"
  workers: 3
  state_dir: state
  access_key: ${{KEY}}
  access_key_enabled: true
  public_host: relay.example.com
  detect_public_ip: false
  cors_origins: ["https://a.example", "http://b.example:3000"]
  body_timeout: 5s
  drain: 1m
clients:
  ci: {{sha256: {DIGEST.upper()}, provider: LOCAL}}
  other: {{sha256: "{"0" * 63}1"}}
model_routing:
  aliases: {{fast: slow, slow: x@local, "4e2": y}}
  provider_mapping: {{"b-*": Lo-cal, "a-*": local}}
  model_overrides: {{"c-*": d}}
key_selection: {{strategy: round_robin}}
logging: {{level: debug}}
"""


def test_a_whole_config_yml(house: House) -> None:
    """Each field arrives in its spec; names of providers in their own spelling, mappings in their own order."""
    house.environ = {"KEY": "sk-access"}
    config = house.local("").settings(WHOLE).load()
    assert config.startup == StartupSpec("::1", 9000, 3, f"{house.root}/operator/state")
    server = config.server
    assert (server.access_key, server.access_key_enabled, server.public_host) == (Secret("sk-access"), True, "relay.example.com")
    assert (server.detect_public_ip, server.cors_origins) == (False, ("https://a.example", "http://b.example:3000"))
    assert (server.body_timeout, server.drain, server.log_level) == (5.0, 60.0, "debug")
    assert config.clients == (ClientSpec("ci", DIGEST, "local"), ClientSpec("other", "0" * 63 + "1", None))
    routing = config.routing
    assert routing.aliases == (("fast", "slow"), ("slow", "x@local"), ("4e2", "y"))
    assert routing.provider_mapping == (("b-*", "local"), ("a-*", "local"))
    assert (routing.model_overrides, routing.strategy) == ((("c-*", "d"),), "round-robin")
    assert routing.origins.of("model_routing", "aliases", "slow").line == 16
    assert server.origins.of("server", "drain").line == 11


def test_what_is_not_said_has_a_default(house: House) -> None:
    """No config.yml at all is a configuration."""
    config = house.load()
    assert config.startup == StartupSpec("127.0.0.1", 8787, 1, None)
    assert (config.server.access_key, config.server.cors_origins, config.server.log_level) == (None, (), "info")
    assert (config.clients, config.routing.strategy) == ((), "round-robin")


ACCESS = {
    "access_key: sk-inline": (Secret("sk-inline"), True),
    "access_key: ''": (None, True),
    "access_key: ${NOPE:-}": (None, True),
    "access_key: ${KEY}": (Secret("sk-access"), True),
    "access_key: sk-inline\n  access_key_enabled: false": (None, False),
}


@pytest.mark.parametrize("lines", ACCESS)
def test_access_key(house: House, lines: str) -> None:
    """An empty key is none, and one that is switched off is none."""
    house.environ = {"KEY": "sk-access"}
    server = house.settings(f"server:\n  {lines}\n").load().server
    assert (server.access_key, server.access_key_enabled) == ACCESS[lines]


SMALL = {
    "listen: 0.0.0.0:80": ("startup", "host", "0.0.0.0"),
    "host: '::1'": ("startup", "host", "::1"),
    "port: 0": ("startup", "port", 0),
    "port: ${PORT}": ("startup", "port", 9999),
    "listen: 127.0.0.1:${PORT}": ("startup", "port", 9999),
    "state_dir: /var/lib/x": ("startup", "state_dir", "/var/lib/x"),
    "cors_origins: '*'": ("server", "cors_origins", ("*",)),
    "detect_public_ip: ${NO}": ("server", "detect_public_ip", False),
}


@pytest.mark.parametrize("line", SMALL)
def test_server_fields(house: House, line: str) -> None:
    """Forms that the whole example does not show."""
    house.environ = {"PORT": "9999", "NO": "false"}
    part, name, expected = SMALL[line]
    assert getattr(getattr(house.settings(f"server:\n  {line}\n").load(), part), name) == expected


# What stands in config.yml → the problems, with the file in front of each left out.
PROBLEMS: dict[str, list[str]] = {
    "sever: {port: 1}": ["1:1: sever: unknown field, did you mean server?"],
    "server: {prot: 1}": ["1:10: server.prot: unknown field, did you mean port?"],
    "server: 5": ["1:1: server: must be a mapping (lines of `key: value`)"],
    "server:": ["1:1: server: has no value"],
    "server: {port: '80'}": ["1:10: server.port: must be a whole number"],
    "server: {port: 99999}": ["1:10: server.port: must be 65535 or less"],
    "server: {listen: 8787}": ["1:10: server.listen: must be text: put it in quotes"],
    "server: {listen: localhost}": ["1:10: server.listen: must be HOST:PORT, such as 127.0.0.1:8787 or [::1]:8787"],
    "server: {listen: 'a:1', host: b, port: 2}": ["1:25: server.host: stands beside listen, which says the same: keep one of them"],
    "server: {listen: 'a:1', port: 2}": ["1:25: server.port: stands beside listen, which says the same: keep one of them"],
    "server: {workers: 0}": ["1:10: server.workers: must be 1 or more"],
    "server: {access_key: 5}": ["1:10: server.access_key: must be text: put it in quotes"],
    "server: {access_key: a b}": ["1:10: server.access_key: the access key holds a space, a line break or a control character"],
    "server: {access_key_enabled: no}": ["1:10: server.access_key_enabled: must be a boolean: write true or false, without quotes"],
    "server: {cors_origins: [x]}": [
        "1:25: server.cors_origins.0: must be * or an origin without a path, such as https://chat.example.com"
    ],
    "server: {cors_origins: x}": [
        "1:10: server.cors_origins: must be * or an origin without a path, such as https://chat.example.com"
    ],
    "server: {body_timeout: 0}": ["1:10: server.body_timeout: must be more than 0"],
    "logging: {level: inof}": ["1:11: logging.level: must be one of debug, info, warning, error, did you mean info?"],
    "key_selection: {strategy: round_robbin}": [
        "1:17: key_selection.strategy: must be one of round-robin, random, weighted, least-busy, did you mean round-robin?"
    ],
    "clients: {ci: {provider: nope}}": [
        "1:11: clients.ci.sha256: is missing",
        "1:16: clients.ci.provider: no provider is called nope",
    ],
    "clients: {ci: {sha256: abc, provider: lcoal}}": [
        "1:16: clients.ci.sha256: must be the SHA-256 of the token: 64 hex digits, as `printf %s TOKEN | sha256sum` prints them",
        "1:29: clients.ci.provider: no provider is called lcoal, did you mean local?",
    ],
    f"clients: {{a: {{sha256: {DIGEST}}}, b: {{sha256: {DIGEST.upper()}}}}}": [
        "1:94: clients.b.sha256: is the token of client a, too"
    ],
    "model_routing: {provider_mapping: {'gpt-*': lokal}}": [
        "1:36: model_routing.provider_mapping.gpt-*: no provider is called lokal, did you mean local?"
    ],
    "model_routing: {aliases: {a: b@lokal}}": ["1:27: model_routing.aliases.a: no provider is called lokal, did you mean local?"],
    "model_routing: {aliases: {a: [b, c]}}": ["1:27: model_routing.aliases.a: must be text"],
    "model_routing: {aliases: {a: a}}": ["1:27: model_routing.aliases.a: goes round in a circle: a → a"],
    "model_routing: {aliases: {x: a, a: b, b: c, c: a}}": ["1:33: model_routing.aliases.a: goes round in a circle: a → b → c → a"],
    "model_routing: {aliases: {a: b, b: a, c: d, d: c}}": [
        "1:27: model_routing.aliases.a: goes round in a circle: a → b → a",
        "1:39: model_routing.aliases.c: goes round in a circle: c → d → c",
    ],
    "model_routing: {complexty: {}}": ["1:17: model_routing.complexty: unknown field, did you mean complexity?"],
    "providers: {local: {provider: x}}": ["1:21: providers.local.provider: unknown field"],
    "providers: {a b: {base_url: 'http://x'}}": [
        "1:13: providers.a b: is not a name: up to 64 letters, digits, '.', '_' and '-', a letter or digit first"
    ],
    "providers: {local: }": ["1:13: providers.local: has no value"],
}


@pytest.mark.parametrize("text", PROBLEMS)
def test_problems(house: House, text: str) -> None:
    """Each fault gets one sentence at its own place."""
    house.write({"vendor/providers.d/local.yml": LOCAL}).settings(text + "\n")
    assert house.problems() == [f"operator/config.yml:{line}" for line in PROBLEMS[text]]


HARMLESS = {
    "a version of a model": "{a: claude@20240620}",
    "a name that begins with an at sign": '{a: "@cf/meta/llama"}',
    "a chain that ends": "{a: b, b: c}",
    "an alias that names its own provider": "{a: a@Local}",
    "two models that name each other's provider": "{a: b@local, b: a@local}",
    "a version before the provider": "{a: claude@default@local}",
}


@pytest.mark.parametrize("case", HARMLESS)
def test_aliases_that_are_no_problem(house: House, case: str) -> None:
    """An @ belongs to the name where no provider can be meant, and ends the chain where one is."""
    house.write({"vendor/providers.d/local.yml": LOCAL}).settings(f"model_routing: {{aliases: {HARMLESS[case]}}}\n")
    assert house.warnings() == []


# ---------------------------------------------------------------------------------------------------- config.d


def test_config_d_is_laid_upon_config_yml(house: House) -> None:
    """Mapping by mapping, in the order of file names; what config.yml says may be said again."""
    house.write(
        {
            "operator/config.yml": "server: {port: 1, workers: 2}\nmodel_routing: {aliases: {a: b, c: d}}\n",
            "operator/config.d/10-a.yml": "server: {port: 5}\nmodel_routing: {aliases: {e: f, a: g}}\n",
            "operator/config.d/20-b.yaml": "server: {drain: 4}\n",
            "operator/config.d/30-c.yml": "",
            "operator/providers.d/local.yml": LOCAL,
            "operator/config.d/40-d.yml": "providers: {new: {extends: openai-compatible, base_url: 'http://n'}}\n",
        }
    )
    config = house.load()
    assert (config.startup.port, config.startup.workers, config.server.drain) == (5, 2, 4.0)
    assert config.routing.aliases == (("a", "g"), ("c", "d"), ("e", "f"))
    assert [spec.name for spec in config.providers] == ["local", "new"]
    assert str(config.server.origins.of("server", "port")).endswith("config.d/10-a.yml:1")
    assert str(config.server.origins.of("server", "workers")).endswith("config.yml:1")


def test_one_leaf_in_two_files_of_config_d_is_a_problem(house: House) -> None:
    """Also where one of them writes a whole mapping, and the other a part of it."""
    house.write(
        {
            "operator/config.d/1.yml": "server: {port: 1}\n"
            "providers: {p: {base_url: 'http://p', offers: {a: /a}, timeout: 5, auth: {header: x}}}\n",
            "operator/config.d/2.yml": "server: {port: 2, workers: 1}\n",
            "operator/config.d/3.yml": "providers: {p: {auth: none, timeouts: {idle: 5}}}\n",
        }
    )
    assert house.problems() == [
        "operator/config.d/2.yml:1:10: server.port: is written in operator/config.d/1.yml:1, too",
        "operator/config.d/3.yml:1:17: providers.p.auth: is written in operator/config.d/1.yml:2, too",
        "operator/config.d/3.yml:1:40: providers.p.timeouts.idle: is written in operator/config.d/1.yml:2, too",
    ]


def test_a_config_yaml_is_told_that_nobody_reads_it(house: House) -> None:
    """The name is config.yml."""
    house.write({"operator/config.yaml": "server: {port: 1}\n"})
    assert house.warnings() == ["operator/config.yaml: is not read: its name must be config.yml"]
    assert house.load().startup.port == 8787


def test_an_unreadable_config_yml_is_a_problem(house: House) -> None:
    """A directory in its place, for example."""
    os.makedirs(house.root / "operator/config.yml")
    assert house.problems() == ["operator/config.yml: is a directory"]


@pytest.mark.parametrize("text", ["", "# all of it is commented out\n"])
def test_an_empty_config_yml_says_nothing(house: House, text: str) -> None:
    """Packages ship one that is all comments."""
    assert house.settings(text).load().startup == StartupSpec()


# ---------------------------------------------------------------------------------------------------- the vendor's config.d


def test_the_vendors_defaults_lie_below_config_yml(house: House) -> None:
    """Mapping by mapping, lists whole; a file of the same name does not replace it; each value knows where it was written."""
    house.write(
        {
            "vendor/config.d/50-a.yml": "model_routing: {affinity: {ttl: 5m, headers: [x-a, x-b]}, aliases: {a: b}}\n",
            "vendor/config.d/60-b.yml": "tool_calling: {auto_downgrade: false}\nretry: {enabled: true}\n",
            "vendor/config.d/70-c.yml": "key_selection: {hold: 1s, slow_start: 1}\n",
            "operator/config.yml": "model_routing: {affinity: {headers: [x-c]}, cascades: {c: [d]}}\n",
            "operator/config.d/50-a.yml": "model_routing: {aliases: {e: f}}\nkey_selection: {hold: 2s}\n",
        }
    )
    config = house.load()
    routing = config.routing
    assert (routing.affinity.ttl, routing.affinity.headers) == (300.0, ("x-c",))
    assert (routing.aliases, len(routing.cascades)) == ((("a", "b"), ("e", "f")), 1)
    assert (routing.hold, routing.retry.max_retries, config.tools.auto_downgrade) == (2.0, 2, False)
    assert routing.slow_start == 1.0
    assert str(routing.origins.of("model_routing", "affinity", "ttl")).endswith("/vendor/config.d/50-a.yml:1")
    assert str(routing.origins.of("model_routing", "affinity", "headers")).endswith("/operator/config.yml:1")
    assert str(routing.origins.of("logging")).endswith("/operator/config.yml:1")


def test_the_vendors_defaults_need_no_operator(house: House) -> None:
    """Who has no configuration of his own has them, too."""
    house.write({"vendor/config.d/50-a.yml": "model_routing: {affinity: {ttl: 5m}}\n"})
    for places in (house.places, replace(house.places, operator=None)):
        routing = load(places, {}).routing
        assert (routing.affinity.ttl, routing.origins.root.file.rpartition("/")[2]) == (300.0, "config.yml")


def test_a_vendor_has_no_say_in_the_rest(house: House) -> None:
    """Who listens, who may call, who is asked: that is the operator's."""
    house.write(
        {
            "vendor/config.d/1.yml": "server: {port: 1}\nclients: {}\nproviders: {}\nlogging: {level: debug}\nmodel_rooting: {}\n",
            "vendor/config.d/2.yml": "retry: {max_retries: 1}\n",
            "vendor/config.d/3.yml": "retry: {max_retries: 2}\n",
        }
    )
    sentence = "is the operator's to say: a vendor's file may hold key_selection, model_routing, retry, tool_calling"
    assert house.problems() == [
        f"vendor/config.d/1.yml:1:1: server: {sentence}",
        f"vendor/config.d/1.yml:2:1: clients: {sentence}",
        f"vendor/config.d/1.yml:3:1: providers: {sentence}",
        f"vendor/config.d/1.yml:4:1: logging: {sentence}",
        "vendor/config.d/1.yml:5:1: model_rooting: unknown field, did you mean model_routing?",
        "vendor/config.d/3.yml:1:9: retry.max_retries: is written in vendor/config.d/2.yml:1, too",
    ]
