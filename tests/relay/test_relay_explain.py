"""What a request would do, told instead of done."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from plan_specs import keys, route
from relay_stage import JSON, Stage, chat, play, provider

from monorelay.config.cascades import CascadeSpec
from monorelay.config.complexity import ComplexitySpec
from monorelay.config.fields import HeaderPair, HeaderRules, QueryRules, Secret
from monorelay.config.models import ModelSpec
from monorelay.config.rate_limits import RateLimitsSpec
from monorelay.config.settings import ClientSpec
from monorelay.upstream.scripted import reply

OK = reply(200, b'{"id": "chatcmpl-1"}', [JSON])


def stage_of(**more: Any) -> Stage:
    rules = HeaderRules(set=(("x-org", Secret("org-secret-1")), ("x-plain", "shown"), ("x-mixed", "k {{ key }}")))
    one = provider("one", keys=keys("a", "b", b=False), include=("m",), headers=HeaderPair(request=rules))
    two = provider("two", "anthropic.messages", keys=keys("c"), include=("n",))
    more.setdefault("cascades", (CascadeSpec("both", ("m", "n"), context_length=("n",)),))
    return Stage(one, two, scripts=[OK], **more)


async def told(stage: Stage, body: Any, **fields: Any) -> dict[str, Any]:
    answer = await stage.carry(body, x_monorelay_explain="true", **fields)
    assert answer.status == 200 and stage.engine.requests == []
    found: dict[str, Any] = json.loads(answer.body)
    return found


def test_every_step_and_every_target_is_told() -> None:
    """With the rule's place, the state of the keys, the request as it would go out; and nothing goes out."""

    async def scene() -> None:
        stage = stage_of(models=(ModelSpec("m", {"idle": 7.0}, (("top_k", 5),)),))
        found = await told(stage, chat(model="both", messages=[{"role": "user", "content": "hi"}], max_tokens=9))
        assert found["cascade"] == "both" and found["steps"][0]["rule"] == "cascade"
        first, second = (leg["targets"][0] for leg in found["legs"])
        assert [key["label"] for key in first["keys"]] == ["a", "b"]
        assert first["keys"][1] == {"label": "b", "usable": False, "in_flight": 0, "reason": "disabled"}
        assert first["timeouts"]["idle"] == 7.0 and first["circuit"] == "closed"
        assert json.loads(first["request"]["body"]) == {
            "model": "m",
            "messages": [{"role": "user", "content": "hi"}],
            "max_tokens": 9,
            "top_k": 5,
        }
        assert first["body_changes"][0]["text"]
        assert second["capability"] == "anthropic.messages" and not second["native"]
        assert json.loads(second["request"]["body"])["model"] == "n"
        assert found["context_length"][0]["targets"][0]["provider"] == "two"

    play(scene)


def test_keys_are_told_as_they_stand_for_this_model() -> None:
    """One that has expired is not usable, and one that cools for another model only is."""

    async def scene() -> None:
        first, second = keys("a", "b")
        limits = RateLimitsSpec(scope="key+model")
        one = provider("one", keys=(replace(first, expires_at=1.0), second), include=("m", "n"), rate_limits=limits)
        stage = Stage(one, scripts=[reply(429, b"", [("retry-after", "30")])])
        await stage.carry(chat(model="m"))
        for model, expected in (("m", {"expired", "cooling"}), ("n", {"expired", None})):
            answer = await stage.carry(chat(model=model), x_monorelay_explain="true")
            shown = json.loads(answer.body)["legs"][0]["targets"][0]["keys"]
            assert {key.get("reason") for key in shown} == expected

    play(scene)


def test_no_secret_is_told() -> None:
    """Neither a key nor what a header rule took from a reference."""

    async def scene() -> None:
        found = await told(stage_of(), chat(model="m"))
        headers = found["legs"][0]["targets"][0]["request"]["headers"]
        assert {"x-plain: shown", "x-org: (hidden)", "x-mixed: (hidden)", "authorization: (hidden)"} <= set(headers)
        assert "sk-a" not in json.dumps(found) and "org-secret" not in json.dumps(found)

    play(scene)


def test_the_score_of_auto_is_told_in_its_parts() -> None:
    async def scene() -> None:
        stage = stage_of(complexity=ComplexitySpec(True, "m", "m", "n"))
        found = await told(stage, chat(model="auto", messages=[{"role": "user", "content": "hi"}]))
        assert found["complexity"]["level"] == "simple" and found["legs"][0]["targets"][0]["model"] == "m"
        assert isinstance(found["complexity"]["parts"], list)

    play(scene)


def test_only_the_access_key_may_ask() -> None:
    """A named client may not, nor anybody on a public route of a closed relay."""

    async def scene() -> None:
        stage = stage_of()
        answer = await stage.carry(chat(model="m"), client=ClientSpec("ci", "0" * 64), x_monorelay_explain="true")
        assert (answer.status, answer.error["type"]) == (403, "auth_error")
        public = stage_of(routes=(route(access="public"),))
        assert (await public.carry(chat(model="m"), x_monorelay_explain="true")).status == 403
        opened = stage_of(routes=(route(access="public"),), access_key=None)
        assert (await opened.carry(chat(model="m"), x_monorelay_explain="true")).status == 200

    play(scene)


def test_the_way_to_a_refusal_is_told() -> None:
    """Which rule led to where nobody is, and what a client would get there."""

    async def scene() -> None:
        found = await told(stage_of(provider_mapping=(("gone*", "two"),)), chat(model="gone"))
        assert (found["route"], found["model"]) == ("chat", "gone")
        assert [step["rule"] for step in found["steps"]] == ["provider_mapping"]
        assert found["refusal"]["status"] == 404 and found["refusal"]["type"] == "model_not_found"
        assert found["refusal"]["message"].startswith("[two] Provider 'two' does not include")

    play(scene)


def test_a_body_that_cannot_be_read_is_refused() -> None:
    async def scene() -> None:
        assert (await stage_of().carry(b"{", x_monorelay_explain="true")).status == 400

    play(scene)


@pytest.mark.parametrize("value", ["false", "0", ""])
def test_another_value_asks_for_nothing(value: str) -> None:
    async def scene() -> None:
        stage = stage_of()
        await stage.carry(chat(model="m"), x_monorelay_explain=value)
        (request,) = stage.engine.requests
        assert not any("explain" in line for line in request.headers)

    play(scene)


def test_recent_attempts_can_be_shown_as_curl() -> None:
    """Each attempt of a call with its key's label; credentials are variables, and what was quoted stays one word for a shell."""

    async def scene() -> None:
        stage = stage_of()
        await stage.carry(
            chat(model="m", messages=[{"role": "user", "content": "it's $HOME `x`"}]), content_type="application/json"
        )
        (command,) = stage.resources.recent.curl("call-1")
        head, _, rest = command.partition("\n")
        values = "AUTHORIZATION='Bearer KEY' X_ORG='VALUE' X_MIXED='VALUE'"
        assert head == f"# attempt 1: provider one, key a; before it, whole header values: {values}"
        assert rest.startswith("curl -sS -X POST https://one.example/v1/openai/chat")
        assert '-H "authorization: $AUTHORIZATION"' in command and '-H "x-org: $X_ORG"' in command
        assert "sk-a" not in command and "org-secret" not in command
        import shlex

        words = shlex.split(command.partition("\n")[2])
        assert json.loads(words[words.index("--data-raw") + 1])["messages"][0]["content"] == "it's $HOME `x`"
        assert stage.resources.recent.curl("call-2") == []

    play(scene)


def test_a_secret_in_the_query_is_shown_nowhere() -> None:
    """Some providers take their credential there: it is sent, and neither explained nor remembered in plain text."""

    async def scene() -> None:
        rules = QueryRules(set=(("sig", Secret("query secret/1")), ("v", "2")))
        stage = Stage(provider("one"), routes=(route(query=rules),), scripts=[OK])
        found = await told(stage, chat(model="m"))
        assert found["legs"][0]["targets"][0]["request"]["url"].endswith("/chat?sig=(hidden)&v=2")
        await stage.carry(chat(model="m"))
        assert stage.engine.requests[0].url.endswith("/chat?sig=query%20secret%2F1&v=2")
        (command,) = stage.resources.recent.curl("call-1")
        assert "?sig=(hidden)&v=2'" in command and "secret%2F1" not in command

    play(scene)


def test_what_is_remembered_of_attempts_is_bounded() -> None:
    """In number and in bytes; a body that is too large is left out."""

    async def scene() -> None:
        stage = stage_of()
        stage.engine.scripts.clear()
        stage.engine.scripts.append(lambda request: OK)
        for size in (300_000, *[200_000] * 40):
            await stage.carry(chat(model="m", messages=["x" * size]))
        assert stage.resources.recent._bytes <= 4 * 1024 * 1024
        big = stage_of()
        await big.carry(chat(model="m", messages=["x" * 300_000]))
        (command,) = big.resources.recent.curl("call-1")
        assert "--data-binary @BODY" in command and len(command) < 2000

    play(scene)
