"""Conversations stay where they were answered: softly, by configuration, and always where somebody signed what they hold."""

from __future__ import annotations

from typing import Any

import pytest
from plan_specs import keys
from relay_stage import JSON, Stage, chat, play, provider, route

from monorelay.config.affinity import AffinitySpec
from monorelay.config.balancing import BalancingSpec
from monorelay.config.settings import ClientSpec
from monorelay.upstream.scripted import reply

OK = reply(200, b'{"id": "chatcmpl-1"}', [JSON])
LIMITED = reply(429, b"{}", [JSON, ("retry-after", "9")])
ON = AffinitySpec(enabled=True, ttl=100.0, headers=("x-session-id",))


def stage_of(*scripts: Any, affinity: AffinitySpec = ON, **more: Any) -> Stage:
    return Stage(provider(keys=keys("a", "b", "c")), scripts=scripts or [lambda request: OK], affinity=affinity, **more)  # type: ignore[arg-type]


def talk(first: str, *more: str) -> dict[str, Any]:
    """A conversation that began so and went on with further turns."""
    turns = [{"role": "user" if number % 2 == 0 else "assistant", "content": text} for number, text in enumerate((first, *more))]
    return chat(messages=[{"role": "system", "content": "Be kind."}, *turns])


def used(stage: Stage) -> str:
    """The key of each exchange, in order."""
    lines = [line for request in stage.engine.requests for line in request.headers if line.startswith("authorization")]
    return "".join(line[-1] for line in lines)


def test_off_by_default_keys_take_turns() -> None:
    async def scene() -> None:
        stage = stage_of(affinity=AffinitySpec(headers=("x-session-id",)))
        for _ in range(3):
            await stage.carry(talk("hello"), x_session_id="s1")
        assert used(stage) == "abc"

    play(scene)


def test_who_names_a_cache_stays_with_it_in_any_case() -> None:
    """prompt_cache_key belongs to the key that filled the cache."""

    async def scene() -> None:
        stage = stage_of(affinity=AffinitySpec())
        for name in ("one", "two", "one", "two"):
            await stage.carry({**talk("hello"), "prompt_cache_key": name})
        assert used(stage) == "abab"

    play(scene)


NAMED: dict[str, tuple[Any, Any]] = {
    "by a header": (lambda name: (talk("hello"), {"x_session_id": name}), "aabab"),
    "by prompt_cache_key": (lambda name: ({**talk("hello"), "prompt_cache_key": name}, {}), "aabab"),
    "by how it began": (lambda name: (talk(name, "answer", "go on"), {}), "aabab"),
}


@pytest.mark.parametrize("way", NAMED)
def test_a_conversation_keeps_its_key(way: str) -> None:
    """However it is named; another one gets another."""
    make, expected = NAMED[way]

    async def scene() -> None:
        stage = stage_of()
        for name in ("one", "one", "two", "one", "two"):
            body, fields = make(name)
            await stage.carry(body, **fields)
        assert used(stage) == expected

    play(scene)


def test_without_content_only_names_count() -> None:
    async def scene() -> None:
        stage = stage_of(affinity=AffinitySpec(enabled=True, content=False))
        for _ in range(2):
            await stage.carry(talk("hello"))
        assert used(stage) == "ab"

    play(scene)


def test_the_pin_is_soft_and_ends() -> None:
    """A key that rests is passed over and the conversation moves; after ttl nothing is known of it."""

    async def scene() -> None:
        stage = stage_of(OK, LIMITED, OK, OK, OK)
        for _ in range(3):
            await stage.carry(talk("hello"))
        assert used(stage) == "aabb"
        stage.clock.advance(100.0)
        await stage.carry(talk("hello"))
        assert used(stage) == "aabbc"

    play(scene)


def test_clients_share_no_conversations() -> None:
    """The same name from another client is another conversation."""

    async def scene() -> None:
        stage = stage_of()
        for client in ("x", "y", "x"):
            await stage.carry(talk("hello"), client=ClientSpec(client, "0" * 64), x_session_id="s1")
        assert used(stage) == "aba"

    play(scene)


def test_a_balanced_conversation_stays_with_its_provider() -> None:
    """Only where that is switched on, or where it holds what that provider has signed."""

    async def scene() -> None:
        routes = (route("messages", "/v1/messages", needs="anthropic.messages", model="required"),)
        providers = [provider(name, "anthropic.messages", keys=keys(name), include=("m",)) for name in ("one", "two")]
        message = reply(200, b'{"type": "message", "content": []}', [JSON])
        signed = {"type": "thinking", "thinking": "…", "signature": "c2lnbmVkIGJ5IHNvbWVib2R5IHdobyBrbm93cyBob3c="}
        plain = {"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]}
        holding = {
            **plain,
            "messages": [*plain["messages"], {"role": "assistant", "content": [signed]}, {"role": "user", "content": "go on"}],  # type: ignore[misc]
        }
        stage = Stage(
            *providers,
            routes=routes,
            scripts=[lambda request: message],  # type: ignore[list-item]
            balancing=(BalancingSpec("m", "weighted"),),
        )
        stage.resources.draw = lambda: 0.9
        await stage.carry(plain)
        stage.resources.draw = lambda: 0.1
        await stage.carry(holding)
        await stage.carry(plain)
        assert [request.url.partition("//")[2][:3] for request in stage.engine.requests] == ["two", "two", "one"]

    play(scene)


def test_a_provider_is_told_which_conversation_it_is() -> None:
    """By the header that its file names, as a digest that stays the same; not where the client's own is forwarded."""

    async def scene() -> None:
        one = provider(session_header="x-session-affinity", keys=keys("a"))
        stage = Stage(one, scripts=[lambda request: OK])  # type: ignore[list-item]
        for text in ("hello", "hello", "other"):
            await stage.carry(talk(text))
        sent = [line.partition(": ")[2] for request in stage.engine.requests for line in request.headers if "affinity" in line]
        assert sent[0] == sent[1] != sent[2] and len(sent) == 3
        assert "hello" not in "".join(sent)

    play(scene)
