"""What the operator puts into bodies: in its order, where it belongs, with the line that says so, and at no cost elsewhere."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import plan_specs as specs
import pytest

from monorelay.config.fields import Origin, Origins
from monorelay.config.models import ModelSpec, SystemSpec
from monorelay.config.payload import PayloadRule
from monorelay.config.route import RouteSpec
from monorelay.config.routing import RoutingSpec
from monorelay.plan.payload import UNCHANGED, Changes, PayloadProgram, compile_payload

CHAT = specs.route()
RESPONSES = specs.route("responses", "/v1/responses", needs="openai.responses", model="required")
CANCEL = specs.route("response_cancel", "/v1/responses/{id}/cancel", needs="openai.responses")
MESSAGES = specs.route("messages", "/v1/messages", needs="anthropic.messages", model="required")
COUNT = specs.route("count_tokens", "/v1/messages/count_tokens", needs="anthropic.count_tokens", model="required")
COMPLETIONS = specs.route("completions", "/v1/completions", needs="openai.completions", model="required")
EMBEDDINGS = specs.route("embeddings", "/v1/embeddings", needs="openai.embeddings", model="required")
SPEECH = specs.route("transcriptions", "/v1/audio", needs="openai.audio.transcriptions", body="multipart", model="required")


def program(**routing: Any) -> PayloadProgram:
    return compile_payload(specs.config(**routing))


def changed(one: PayloadProgram, body: dict[str, Any], route: RouteSpec = CHAT, model: str = "gpt-4o") -> Changes:
    """The changes; and the body stays as it came."""
    before = copy.deepcopy(body)
    assert route.needs is not None
    found = one.changes(route, route.needs, model, body)
    assert body == before
    return found


def model(glob: str, system: SystemSpec | None = None, **parameters: Any) -> ModelSpec:
    return ModelSpec(glob, parameters=tuple(parameters.items()), system=system)


def asked(**more: Any) -> dict[str, Any]:
    return {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}], **more}


def test_defaults() -> None:
    """They are added where the client said nothing; a model's win over the global ones, a later entry over an earlier one."""
    one = program(
        global_params=(("temperature", 0.2), ("top_p", 0.9), ("user", "all")),
        models=(model("gpt-*", top_p=0.8, seed=1), model("claude-*", seed=9), model("gpt-4*", seed=2)),
    )
    assert changed(one, asked()).fields == {"temperature": 0.2, "user": "all", "top_p": 0.8, "seed": 2}
    assert changed(one, asked(temperature=1, seed=None)).fields == {"user": "all", "top_p": 0.8}
    assert changed(one, asked(), model="o3").fields == {"temperature": 0.2, "top_p": 0.9, "user": "all"}


def test_a_default_is_taken_back() -> None:
    """Null for a model that does not take the parameter: nothing is added, and what the client says stays."""
    one = program(global_params=(("temperature", 0.2),), models=(model("o3*", temperature=None),))
    assert changed(one, asked(), model="o3") is UNCHANGED
    assert changed(one, asked(temperature=1), model="o3") is UNCHANGED
    assert changed(one, asked(), model="gpt-4o").fields == {"temperature": 0.2}


def test_what_the_client_said_by_another_name() -> None:
    """A request that holds both names of one thing would be refused."""
    one = program(global_params=(("max_tokens", 100),))
    assert changed(one, asked(max_completion_tokens=5)) is UNCHANGED
    assert changed(one, asked()).fields == {"max_tokens": 100}
    assert changed(one, asked(max_completion_tokens=5), MESSAGES).fields == {"max_tokens": 100}


def test_rules() -> None:
    """Inject, then override, then remove; rule by rule, each on what the one before it left."""
    one = program(
        global_params=(("a", 1),),
        payload=(
            PayloadRule(inject=(("b", 1), ("c", 1)), override=(("c", 2),), remove=("a", "d")),
            PayloadRule(inject=(("a", 3), ("c", 3)), index=1),
        ),
    )
    found = changed(one, asked(d=4))
    assert (dict(found.fields), found.removed) == ({"b": 1, "c": 2, "a": 3}, ("d",))


def test_rules_of_models_and_routes() -> None:
    """A rule belongs to the models and routes that it names, by globs; without routes, to those that carry messages."""
    rules = (
        PayloadRule(("gpt-*", "o3"), (), (("of_model", 1),)),
        PayloadRule((), ("embed*", "count_tokens", "transcriptions"), (("of_route", 1),), index=1),
    )
    one = program(payload=rules)
    assert changed(one, asked()).fields == {"of_model": 1}
    assert changed(one, asked(), MESSAGES, "GPT-5").fields == {"of_model": 1}
    assert changed(one, asked(), model="claude") is UNCHANGED
    assert changed(one, {"input": "x"}, EMBEDDINGS).fields == {"of_route": 1}
    assert changed(one, asked(), COUNT).fields == {"of_route": 1}
    assert changed(one, {}, SPEECH) is UNCHANGED


def test_where_defaults_and_system_belong() -> None:
    """Defaults only where a model answers; instructions where there is a place for them."""
    one = program(global_params=(("top_p", 1),), models=(model("*", SystemSpec(prepend="Be brief.")),))
    both = {"top_p": 1, "messages": [{"role": "system", "content": "Be brief."}, *asked()["messages"]]}
    assert changed(one, asked()).fields == both
    assert changed(one, {"input": "Hi"}, RESPONSES).fields == {"top_p": 1, "instructions": "Be brief."}
    assert changed(one, asked(), MESSAGES).fields == {"top_p": 1, "system": "Be brief."}
    assert changed(one, asked(), COUNT).fields == {"system": "Be brief."}
    assert changed(one, {"prompt": "Hi"}, COMPLETIONS).fields == {"top_p": 1}
    assert changed(one, {"input": "Hi"}, EMBEDDINGS) is UNCHANGED
    assert changed(one, {}, CANCEL) is UNCHANGED
    assert changed(one, {}, SPEECH) is UNCHANGED


def test_system_of_several_entries() -> None:
    """Of each of its two fields the last word counts; rules come before it."""
    one = program(
        models=(
            model("*", SystemSpec(prepend="A", replace="B")),
            model("gpt-*", SystemSpec(replace="C")),
            model("o3", SystemSpec(prepend="D")),
        ),
        payload=(PayloadRule(override=(("system", "of the rule"),)),),
    )
    found = changed(one, asked(system="client's"), MESSAGES)
    assert found.fields == {"system": "A\n\nC"}
    assert [step.rule for step in found.steps] == ["override_params", "system", "system"]


def test_deep_paths() -> None:
    """A changed field is told whole; its neighbours are the client's own."""
    one = program(payload=(PayloadRule(override=(("tools.*.function.strict", True),), remove=("metadata.secret",)),))
    tools = [{"function": {"name": "f"}}, {"function": {"name": "g", "strict": True}}]
    found = changed(one, asked(tools=tools, metadata={"secret": "s", "kept": 1}))
    assert found.fields == {
        "tools": [{"function": {"name": "f", "strict": True}}, tools[1]],
        "metadata": {"kept": 1},
    }
    assert found.removed == ()


def test_what_changes_nothing() -> None:
    """A rule that finds all as it wants it does nothing: the bytes go up as they came."""
    one = program(payload=(PayloadRule(inject=(("a", 1),), override=(("b", 2),), remove=("c",)),))
    found = changed(one, asked(a=5, b=2))
    assert found is UNCHANGED
    assert not found


def test_steps() -> None:
    """Each change is told with the line that made it; one that did nothing is not."""
    places: Any = {
        ("model_routing", "global_params", "temperature"): Origin("config.yml", 3, 5),
        ("model_routing", "models", "gpt-*", "parameters", "seed"): Origin("config.yml", 5, 5),
        ("model_routing", "payload_transformation", "rules", 0, "inject_params", "top_p"): Origin("config.yml", 7, 5),
        ("model_routing", "payload_transformation", "rules", 0, "override_params", "n"): Origin("config.yml", 8, 5),
        ("model_routing", "payload_transformation", "rules", 0, "remove_params", 1): Origin("config.yml", 9, 5),
        ("model_routing", "models", "gpt-*", "system", "replace"): Origin("config.yml", 10, 5),
        ("model_routing", "models", "gpt-*", "system", "prepend"): Origin("config.yml", 11, 5),
    }
    routing = RoutingSpec(
        Origins(Origin("config.yml"), places),
        global_params=(("temperature", 0.2), ("user", "me")),
        models=(model("gpt-*", SystemSpec("Be brief.", "Be kind."), seed=1),),
        payload=(PayloadRule(inject=(("top_p", 1),), override=(("n", [1, 2]),), remove=("absent", "stop")),),
    )
    found = changed(compile_payload(replace(specs.config(), routing=routing)), asked(user="you", stop="x"))
    assert [(step.rule, step.text, str(step.origin)) for step in found.steps] == [
        ("global_params", "temperature: 0.2, where the client said nothing", "config.yml:3"),
        ("parameters", "seed: 1, where the client said nothing", "config.yml:5"),
        ("inject_params", "top_p: 1, where it was missing", "config.yml:7"),
        ("override_params", "n becomes [1, 2]", "config.yml:8"),
        ("remove_params", "stop is taken out", "config.yml:9"),
        ("system", '"Be kind." takes the place of the client\'s instructions', "config.yml:10"),
        ("system", '"Be brief." stands before the instructions', "config.yml:11"),
    ]


def test_a_long_value_is_shown_in_part() -> None:
    """A step is one line."""
    one = program(models=(model("*", SystemSpec(prepend="x" * 9000)),))
    assert all(len(step.text) < 150 for step in changed(one, asked()).steps)


def test_the_memory_is_bounded() -> None:
    """Names of models come from clients; however many they think of, answers stay right and memory bounded."""
    one = program(models=(model("gpt-*", seed=1),))
    for number in range(9000):
        assert changed(one, asked(), model=f"gpt-{number}").fields == {"seed": 1}
    assert len(one._memory) <= 8192


def best(work: Callable[[], object]) -> float:
    took = []
    for _ in range(200):
        begun = time.perf_counter()
        for _ in range(20):
            work()
        took.append((time.perf_counter() - begun) / 20)
    return min(took)


@pytest.mark.parametrize("routing", [{}, {"models": (model("gpt-*", seed=1),)}])
def test_nothing_costs_nothing(routing: dict[str, Any]) -> None:
    """Where nothing applies, a request pays less than half a microsecond; the best of many runs, because machines are busy."""
    one, body = program(**routing), asked()
    assert one.changes(CHAT, "openai.chat", "claude", body) is UNCHANGED
    assert best(lambda: one.changes(CHAT, "openai.chat", "claude", body)) < 0.5e-6
