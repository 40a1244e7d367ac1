"""config.yml's routing: cascades, fallbacks, balancing, models, payload rules, complexity, affinity. All fields, mistakes."""

from __future__ import annotations

import pickle

import pytest
from config_house import LOCAL, House

from monorelay.config.affinity import AffinitySpec
from monorelay.config.balancing import BalancingSpec
from monorelay.config.cascades import CascadeSpec
from monorelay.config.circuit import CircuitSpec
from monorelay.config.complexity import ComplexitySpec, Thresholds
from monorelay.config.models import ModelSpec, SystemSpec
from monorelay.config.payload import PayloadRule
from monorelay.config.routing import RoutingSpec

WHOLE = """\
model_routing:
  cascades:
    smart: [gpt-4o@local, claude, llama]
    careful: {models: [a, b], context_length: [long], content_filter: [other]}
  fallbacks:
    "gpt-4o*": [claude]
    "claude-*": {models: [gpt-4o], context_length: [gpt-4.1]}
  balancing:
    "llama-*": least_busy
    "gpt-4o": {strategy: weighted, providers: [Lo-cal]}
    "gpt-5": {providers: [local]}
  models:
    "o3*": {timeouts: {first_byte: 600}, parameters: {reasoning_effort: high, "a.b": null}, system: {prepend: "${BRIEF}"}}
    "o*": {timeout: 5, system: {replace: "costs $$5", prepend: null}}
  global_params: {temperature: 0.2, top_k: 40, stop: ["a", 5, null], metadata: {on: no, off: true, deep: [{x: 1.0}]}}
  payload_transformation:
    rules:
      - {models: ["gpt-*"], routes: [chat], inject_params: {a.b: 1}, override_params: {store: false}, remove_params: [user]}
      - {remove_params: [x, y.z]}
  complexity:
    simple: s
    moderate: m
    complex: smart
    thresholds: {moderate: 0.3}
    weights: {code: 2, simple: -0.5}
    words: {code: [def, "class "], simple: []}
  affinity: {enabled: true, ttl: 30m, headers: [X-Session-Id, session-id], content: false}
  circuit: {failures: 0, open: 1m}
key_selection: {strategy: least_busy, hold: 5s, slow_start: 0}
retry: {enabled: true, budget: 0.1}
"""
CHAT = "route: chat\npath: /v1/chat\nmethods: [POST]\nneeds: openai.chat\nbody: json\nmodel: required\n"


def test_a_whole_routing(house: House) -> None:
    """Each field arrives in its spec, in the order of the file; JSON keeps YAML's own types."""
    house.environ = {"BRIEF": "Be brief."}
    config = house.local("").route(CHAT).settings(WHOLE).load()
    spec = config.routing
    assert spec.cascades == (
        CascadeSpec("smart", ("gpt-4o@local", "claude", "llama")),
        CascadeSpec("careful", ("a", "b"), ("long",), ("other",)),
    )
    assert spec.fallbacks == (CascadeSpec("gpt-4o*", ("claude",)), CascadeSpec("claude-*", ("gpt-4o",), ("gpt-4.1",)))
    assert spec.balancing == (
        BalancingSpec("llama-*", "least-busy"),
        BalancingSpec("gpt-4o", "weighted", ("local",)),
        BalancingSpec("gpt-5", "priority", ("local",)),
    )
    assert spec.models == (
        ModelSpec("o3*", {"first_byte": 600.0}, (("reasoning_effort", "high"), ("a.b", None)), SystemSpec("Be brief.")),
        ModelSpec("o*", {"first_byte": 5.0, "idle": 5.0}, (), SystemSpec(None, "costs $5")),
    )
    assert spec.global_params == (
        ("temperature", 0.2),
        ("top_k", 40),
        ("stop", ["a", 5, None]),
        ("metadata", {"on": "no", "off": True, "deep": [{"x": 1.0}]}),
    )
    assert spec.payload == (
        PayloadRule(("gpt-*",), ("chat",), (("a.b", 1),), (("store", False),), ("user",), 0),
        PayloadRule(remove=("x", "y.z"), index=1),
    )
    weights = (("code", 2.0), ("simple", -0.5))
    words = (("code", ("def", "class ")), ("simple", ()))
    assert spec.complexity == ComplexitySpec(True, "s", "m", "smart", Thresholds(0.3, 0.65), weights, words)
    assert spec.affinity == AffinitySpec(True, 1800.0, ("x-session-id", "session-id"), False)
    assert spec.circuit == CircuitSpec(0, 60.0)
    assert (spec.strategy, spec.hold, spec.slow_start) == ("least-busy", 5.0, 0.0)
    assert (spec.retry.max_retries, spec.retry_budget) == (2, 0.1)
    assert config.warnings == ()
    lines = {
        ("cascades", "smart", "models", 1): 3,
        ("cascades", "careful", "context_length", 0): 4,
        ("fallbacks", "claude-*"): 7,
        ("balancing", "llama-*", "strategy"): 9,
        ("models", "o*", "timeouts", "idle"): 14,
        ("payload_transformation", "rules", 1): 19,
        ("complexity", "complex"): 23,
    }
    assert {path: spec.origins.of("model_routing", *path).line for path in lines} == lines
    assert pickle.loads(pickle.dumps(config)) == config


def test_what_is_not_said_has_a_default(house: House) -> None:
    """Without a word of routing there is nothing of it."""
    spec = house.load().routing
    assert spec == RoutingSpec(spec.origins)


@pytest.mark.parametrize(
    ("before", "after", "is_changed"),
    [
        ("cascades: {a: [b]}", "cascades: {a: {models: [b]}} # as a mapping", False),
        ("cascades: {a: [b]}", "cascades: {a: [b, c]}", True),
        ("global_params: {a: 1}", "global_params: {a: true}", True),
        ("balancing: {a: latency}", "balancing: {a: cheapest}", True),
    ],
)
def test_the_digest_tells_what_is_served(house: House, before: str, after: str, is_changed: bool) -> None:
    """Two ways to write one thing are one configuration."""
    digests = [house.settings(f"model_routing:\n  {text}\n").load().digest for text in (before, after)]
    assert (digests[0] != digests[1]) is is_changed


def test_payload_rules_can_be_switched_off(house: House) -> None:
    """All together, and their mistakes are told all the same."""
    text = "model_routing: {{payload_transformation: {{enabled: false, rules: [{}]}}}}\n"
    assert house.settings(text.format("{remove_params: [a]}")).load().routing.payload == ()
    house.settings(text.format("{}"))
    assert len(house.problems()) == 1


COMPLEXITY = {
    "{words: {code: [a]}}": False,
    "{enabled: false, simple: a}": False,
    "{simple: a, moderate: b, complex: c}": True,
    "{enabled: false, simple: a, moderate: b, complex: c}": False,
}


def test_a_list_of_words_without_a_weight_is_told(house: House) -> None:
    """A list of another name is a part of the score once it has a weight; without one it is a warning."""
    written = house.settings("model_routing: {complexity: {words: {legal: [clause]}, weights: {fiscal: 1, legal: 1}}}\n")
    assert "words has no list of this name" in written.problems()[0]
    house.settings("model_routing: {complexity: {words: {legal: [clause], fiscal: [tax]}, weights: {legal: 1}}}\n")
    assert house.warnings() == [
        "operator/config.yml:1:55: model_routing.complexity.words.fiscal: does not count: weights has no such name"
    ]


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("fallbacks: {fast: [c]}", "3:15: model_routing.fallbacks.fast: does not count: fast is an alias"),
        ("balancing: {smart: weighted}", "3:15: model_routing.balancing.smart: does not count: smart is a cascade"),
        ("provider_mapping: {smart: local}", "3:22: model_routing.provider_mapping.smart: does not count: smart is a cascade"),
        ("models: {smart: {timeout: 5}}", "3:12: model_routing.models.smart: counts for smart@PROVIDER only: smart is a cascade"),
        ("model_overrides: {fast: c}", "3:21: model_routing.model_overrides.fast: counts for fast@PROVIDER only: fast is an alias"),
        ("fallbacks: {own: [c]}", None),  # an alias of the model of its own name, at one provider: that model has this fallback
        ("fallbacks: {gpt-5: [c]}", None),  # and one of other letters
    ],
)
def test_a_rule_for_a_name_that_stands_for_others_is_told(house: House, written: str, told: str | None) -> None:
    """By the time it is looked at, what the name stands for is in its place."""
    house.write({"vendor/providers.d/local.yml": LOCAL}).settings(f"""model_routing:
  aliases: {{fast: b, own: own@local, gpt-5: GPT-5}}
  {written}
  cascades: {{smart: [b, c]}}
""")
    found = [line.partition(", and what")[0] for line in house.warnings() if "config.yml" in line]
    assert found == ([f"operator/config.yml:{told}"] if told else [])


def test_a_provider_that_is_listed_twice_is_asked_once(house: House) -> None:
    house.write({"vendor/providers.d/local.yml": LOCAL})
    settings = house.settings("model_routing: {balancing: {m: {providers: [local, local]}}}\n").load()
    assert settings.routing.balancing[0].providers == ("local",)


@pytest.mark.parametrize("written", COMPLEXITY)
def test_complexity_is_on_as_soon_as_its_models_are_named(house: House, written: str) -> None:
    """The word lists that are shipped switch nothing on."""
    spec = house.settings(f"model_routing: {{complexity: {written}}}\n").load().routing.complexity
    assert spec is not None
    assert spec.enabled is COMPLEXITY[written]


REFERENCE = "must not hold a ${reference}: a secret would end up in a body; $$ is a dollar"
# What stands in `model_routing` → the problems, with the file and `model_routing` in front of each left out.
PROBLEMS: dict[str, list[str]] = {
    "cascades: {a: b}": ["2:14: cascades.a: must be a list or a mapping (lines of `key: value`)"],
    "cascades: {a: []}": ["2:14: cascades.a: is missing: it names one model at least"],
    "cascades: {a: {context_length: [b]}}": ["2:14: cascades.a.models: is missing: it names one model at least"],
    "cascades: {a: {model: [b]}}": ["2:18: cascades.a.model: unknown field, did you mean models?"],
    "cascades: {a: [b, 5]}": ["2:21: cascades.a.1: must be text: put it in quotes"],
    "cascades: {a: ['b*']}": ["2:18: cascades.a.0: must be one model's name: * and ? have no meaning here"],
    "cascades: {'a*': [b]}": ["2:14: cascades.a*: must be one model's name: * and ? have no meaning here"],
    "cascades: {a: [b@lokal]}": ["2:18: cascades.a.models.0: no provider is called lokal, did you mean local?"],
    "cascades: {a: {models: [b], content_filter: [b@lokal]}}": [
        "2:48: cascades.a.content_filter.0: no provider is called lokal, did you mean local?"
    ],
    "aliases: {'gpt-*': b}": ["2:13: aliases.gpt-*: must be one model's name: * and ? have no meaning here"],
    "aliases: {a: 'gpt-*'}": ["2:13: aliases.a: must be one model's name: * and ? have no meaning here"],
    "aliases: {a: ''}": ["2:13: aliases.a: must be a model's name, without spaces around it"],
    "aliases: {a@Local: b, '@cf/b': c}": ["2:13: aliases.a@Local: is never looked at: it is the model a at provider local"],
    "cascades: {a@local: [b]}": ["2:14: cascades.a@local: is never looked at: it is the model a at provider local"],
    "balancing: {a: {providers: []}}": ["2:19: balancing.a.providers: names nobody: leave it out for all that serve the model"],
    "cascades: {a: [b]}\n  aliases: {a: c}": ["2:14: cascades.a: an alias has the same name (ROOT/operator/config.yml:3)"],
    "cascades: {a: [b, a]}": ["2:14: cascades.a: goes round in a circle: a → a"],
    "cascades: {a: [x, b], b: [y, c]}\n  aliases: {c: a}": ["3:13: aliases.c: goes round in a circle: c → a → b → c"],
    "cascades: {a: {models: [x], context_length: [a]}}": ["2:14: cascades.a: goes round in a circle: a → a"],
    "cascades: {a: [x, auto]}\n  complexity: {simple: s, moderate: m, complex: a}": [
        "2:14: cascades.a: goes round in a circle: a → auto → a"
    ],
    "complexity: {simple: auto, moderate: m, complex: c}": ["2:3: complexity: goes round in a circle: auto → auto"],
    "complexity: {simple: s, moderate: m, complex: c}\n  cascades: {auto: [x]}": [
        "3:14: cascades.auto: is the name that model_routing.complexity answers to"
    ],
    "complexity: {simple: a, moderate: m@lokal, complex: c}": [
        "2:27: complexity.moderate: no provider is called lokal, did you mean local?"
    ],
    "complexity: {enabled: true, simple: a}": [
        "2:3: complexity.complex: is missing: auto chooses among three",
        "2:3: complexity.moderate: is missing: auto chooses among three",
    ],
    "complexity: {thresholds: {moderate: 0.7}}": ["2:29: complexity.thresholds.moderate: moderate must be less than complex"],
    "complexity: {thresholds: {moderate: 0.7, complex: 0.7}}": [
        "2:44: complexity.thresholds.complex: moderate must be less than complex"
    ],
    "complexity: {thresholds: {complex: 2}}": ["2:29: complexity.thresholds.complex: must be 1 or less"],
    "complexity: {words: {code: def}}": ["2:24: complexity.words.code: must be a list"],
    "complexity: {weights: {Code: 1}}": [
        "2:26: complexity.weights.Code: is not the name of a part: lower-case letters, digits and _"
    ],
    "complexity: {weights: {lenght: 1}}": [
        "2:26: complexity.weights.lenght: is no part of the score, and words has no list of this name, did you mean length?"
    ],
    "complexity: {words: {length: [long]}}": ["2:24: complexity.words.length: is a part that looks for no words"],
    "fallbacks: {a: [b, a]}": ["2:22: fallbacks.a.models.1: is the model that failed"],
    "fallbacks: {a: [b]}\n  aliases: {b: A}": ["2:19: fallbacks.a.models.0: is a, the model that failed"],
    "fallbacks: {a: [b@lokal]}": ["2:19: fallbacks.a.models.0: no provider is called lokal, did you mean local?"],
    "balancing: {a: fastest}": ["2:15: balancing.a: must be one of priority, weighted, least-busy, latency, cheapest"],
    "balancing: {a: {strategy: latncy}}": [
        "2:19: balancing.a.strategy: must be one of priority, weighted, least-busy, latency, cheapest, did you mean latency?"
    ],
    "balancing: {a: {providers: [local, lokal]}}": [
        "2:38: balancing.a.providers.1: no provider is called lokal, did you mean local?"
    ],
    "models: {a: {parameters: {b: [1, '${A}']}}}": [f"2:36: models.a.parameters.b.1: {REFERENCE}"],
    "models: {a: {parameters: {b: $5}}}": [
        "2:29: models.a.parameters.b: a lone $: write $$ for a dollar, ${NAME} for an environment variable"
    ],
    "models: {a: {system: {prepend: ''}}}": ["2:25: models.a.system.prepend: must not be empty"],
    "models: {a: {timeouts: {idle: 0}}}": ["2:27: models.a.timeouts.idle: must be more than 0"],
    "global_params: {a: {b: '${A}'}}": [f"2:23: global_params.a.b: {REFERENCE}"],
    "global_params: {model: x}": [
        "2:19: global_params.model: is not a parameter: aliases, cascades and model_overrides decide which model is asked"
    ],
    "global_params: {a..b: x}": [
        "2:19: global_params.a..b: is not the name of a field, nor several joined by dots, such as metadata.user"
    ],
    "global_params: {a.b.c: 1, a.b: {}}": ["2:19: global_params.a.b.c: is a part of a.b, which is set here, too: say it there"],
    "payload_transformation: {rules: [{models: [a]}]}": [
        "2:36: payload_transformation.rules.0: changes nothing: it needs inject_params, override_params or remove_params"
    ],
    "payload_transformation: {rules: [{override_params: {'*': 5}}]}": [
        "2:55: payload_transformation.rules.0.override_params.*: must not begin with *: the model and stream would be among what it"
        " means"
    ],
    "payload_transformation: {rules: [{remove_params: ['*.x']}]}": [
        "2:53: payload_transformation.rules.0.remove_params.0: must not begin with *: the model and stream would be among what it"
        " means"
    ],
    "payload_transformation: {rules: [{remove_params: [stream]}]}": [
        "2:53: payload_transformation.rules.0.remove_params.0: is not a parameter: the client decides how its answer comes"
    ],
    "affinity: {headers: [x-api-key]}": ["2:24: affinity.headers.0: carries a credential, which is no conversation's name"],
    "affinity: {ttl: 0}": ["2:14: affinity.ttl: must be more than 0"],
    "provider_mapping: {'gpt-*': local, 'gpt-4*': local, 'claude': local}": [
        "2:38: provider_mapping.gpt-4*: never matches: 'gpt-*' (ROOT/operator/config.yml:2) takes all of it"
    ],
    "model_overrides: {'*': a, b: c}": ["2:29: model_overrides.b: never matches: '*' (ROOT/operator/config.yml:2) takes all of it"],
    "fallbacks: {'GPT-4': [a], 'gpt-4': [b]}": [
        "2:29: fallbacks.gpt-4: never matches: 'GPT-4' (ROOT/operator/config.yml:2) takes all of it"
    ],
    "balancing: {'a?*': latency, 'a*b': latency}": [
        "2:31: balancing.a*b: never matches: 'a?*' (ROOT/operator/config.yml:2) takes all of it"
    ],
    "circuit: {failures: -1}": ["2:13: circuit.failures: must be 0 or more"],
}


@pytest.mark.parametrize("line", PROBLEMS)
def test_problems(house: House, line: str) -> None:
    """Each fault gets one sentence at its own place."""
    house.environ = {"A": "sk-a"}
    house.write({"vendor/providers.d/local.yml": LOCAL}).settings(f"model_routing:\n  {line}\n")
    found = [problem.removeprefix("operator/config.yml:").replace("model_routing.", "", 1) for problem in house.problems()]
    assert found == [sentence.replace("ROOT/", "") for sentence in PROBLEMS[line]]


OTHER_SECTIONS = {
    "key_selection: {hold: 11m}": ["1:17: key_selection.hold: must not be longer than ten minutes: the client waits"],
    "retry: {budget: 2}": ["1:9: retry.budget: must be 1 or less"],
    "retry: {retry_on_status: [403]}": [
        "1:27: retry.retry_on_status.0: 403 is the caller's fault, and would be again:"
        " of 4xx, only 408, 409 and 425 can be tried again"
    ],
}


@pytest.mark.parametrize("line", OTHER_SECTIONS)
def test_problems_of_other_sections(house: House, line: str) -> None:
    """What is beside model_routing."""
    assert house.settings(line + "\n").problems() == [f"operator/config.yml:{sentence}" for sentence in OTHER_SECTIONS[line]]


# What stands in `model_routing` → the warnings. Circles that end, models that stand in for each other: none.
WARNINGS: dict[str, list[str]] = {
    "models: {'*': {timeout: 5}, 'a': {timeout: 6}}": [],
    "balancing: {'*': null, 'a*b': latency}": [],
    "fallbacks: {'gpt-4o*': [claude, gpt-4o-mini], 'claude*': [gpt-4o], gpt-5: ['gpt-5@local']}": [],
    "cascades: {a: [b, c], b: [c, 'a@local'], c: [auto]}": [],
    "aliases: {a: b}\n  cascades: {b: [c], c: [d, e], f: [b, c, b]}": [],
    "complexity: {simple: s, moderate: m, complex: c}\n  aliases: {auto: x}": [
        "3:13: aliases.auto: hides the model of this name that model_routing.complexity makes"
    ],
    "payload_transformation: {rules: [{routes: [chta, 'c*'], remove_params: [a]}]}": [
        "2:46: payload_transformation.rules.0.routes.0: no route is called so, did you mean chat?"
    ],
}


@pytest.mark.parametrize("line", WARNINGS)
def test_warnings(house: House, line: str) -> None:
    """What works, but was hardly meant, is told and does not stand in the way."""
    house.write({"vendor/providers.d/local.yml": LOCAL}).route(CHAT).settings(f"model_routing:\n  {line}\n")
    found = [warning.removeprefix("operator/config.yml:").replace("model_routing.", "", 1) for warning in house.warnings()]
    assert found == [sentence.replace("ROOT/", "") for sentence in WARNINGS[line]]


def test_globs_of_a_provider_are_looked_at_too(house: House) -> None:
    """Prices and quirks by model: the first match counts there as well."""
    house.local(
        "prices:\n  '*': {input: 1}\n  gpt-4: {input: 2}\nquirks:\n  models: {'o*': {max_tokens: 5}, 'o1': {max_tokens: 6}}\n"
    )
    assert [warning.rpartition("/")[2] for warning in (line.partition(": ")[0] for line in house.warnings())] == [
        "local.yml:6:3",
        "local.yml:8:35",
    ]


def test_a_chain_as_long_as_a_file_is_walked(house: House) -> None:
    """Ten thousand aliases one after the other, and a circle at their end."""
    names = "".join(f"    n{number}: n{number + 1}\n" for number in range(9000))
    house.settings(f"model_routing:\n  aliases:\n{names}    n9000: n8999\n")
    assert house.problems() == [
        "operator/config.yml:9002:5: model_routing.aliases.n8999: goes round in a circle: n8999 → n9000 → n8999"
    ]
