"""What the shipped drop-ins add up to: each key in the environment enables its provider, and each name finds the right one."""

from __future__ import annotations

import pytest

from monorelay.config.config import Config
from monorelay.config.load import find_places, load
from monorelay.errors import RelayError
from monorelay.plan.catalogue import Catalogue
from monorelay.plan.compile import compile_plan
from monorelay.plan.plan import Plan, Route

KEYS = {
    "openai": "OPENAI_API_KEY",
    "anthropic": "ANTHROPIC_API_KEY",
    "openrouter": "OPENROUTER_API_KEY",
    "nvidia-nim": "NVIDIA_API_KEY",
    "deepseek": "DEEPSEEK_API_KEY",
}

# The contract's table: method, path → what it needs, or what the relay does by itself.
TABLE = """
POST /v1/chat/completions openai.chat
POST /v1/completions openai.completions
POST /v1/responses openai.responses
GET /v1/responses 426
GET,DELETE /v1/responses/{} openai.responses
POST /v1/responses/{}/cancel openai.responses
GET /v1/responses/{}/input_items openai.responses
POST /v1/embeddings openai.embeddings
POST /v1/moderations openai.moderations
POST /v1/audio/transcriptions openai.audio.transcriptions
POST /v1/audio/translations openai.audio.translations
POST /v1/audio/speech openai.audio.speech
POST /v1/images/generations openai.images.generations
POST /v1/images/edits openai.images.edits
POST /v1/images/variations openai.images.variations
GET,POST /v1/files openai.files
GET,DELETE /v1/files/{} openai.files
GET /v1/files/{}/content openai.files
GET,POST /v1/fine_tuning/jobs openai.fine_tuning
GET /v1/fine_tuning/jobs/{} openai.fine_tuning
POST /v1/fine_tuning/jobs/{}/cancel openai.fine_tuning
GET /v1/fine_tuning/jobs/{}/events openai.fine_tuning
GET /v1/fine_tuning/jobs/{}/checkpoints openai.fine_tuning
GET,POST /v1/batches openai.batches
GET /v1/batches/{} openai.batches
POST /v1/batches/{}/cancel openai.batches
GET,POST /v1/assistants openai.assistants
GET,POST,DELETE /v1/assistants/{} openai.assistants
GET,POST /v1/threads openai.assistants
GET,POST,DELETE /v1/threads/{} openai.assistants
GET,POST /v1/threads/{}/messages openai.assistants
GET,POST,DELETE /v1/threads/{}/messages/{} openai.assistants
GET,POST /v1/threads/{}/runs openai.assistants
POST /v1/threads/runs openai.assistants
GET,POST /v1/threads/{}/runs/{} openai.assistants
POST /v1/threads/{}/runs/{}/cancel openai.assistants
POST /v1/threads/{}/runs/{}/submit_tool_outputs openai.assistants
GET /v1/threads/{}/runs/{}/steps openai.assistants
GET /v1/threads/{}/runs/{}/steps/{} openai.assistants
GET /v1/models models
GET /v1/models/{...} model
GET /v1/credits credits
POST /v1/messages anthropic.messages
POST /v1/messages/beta anthropic.messages
POST /v1/messages/count_tokens anthropic.count_tokens
GET /v1/anthropic/models anthropic_models
POST /v1/rerank rerank
GET /health health
GET /api/info info
GET /metrics metrics
GET / welcome
"""
PUBLIC = {("GET", path) for path in ("/", "/health", "/v1/models", "/v1/models/{...}", "/api/info", "/v1/responses")}


def shipped(*enabled: str) -> Plan:
    environ = {KEYS[name]: f"sk-{name}" for name in enabled}
    config: Config = load(find_places_of_vendor(), environ)
    return compile_plan(config, 1)


def find_places_of_vendor():  # type: ignore[no-untyped-def]
    from dataclasses import replace

    return replace(find_places(None, {}), operator=None)


def route_of(plan: Plan, name: str) -> Route:
    return next(route for route in plan.routes if route.spec.name == name)


def without_names(path: str) -> str:
    import re

    return re.sub(r"\{[a-z_]+(\.\.\.)?\}", lambda match: "{" + (match[1] or "") + "}", path)


def test_every_row_of_the_contract_is_a_route() -> None:
    """Methods, paths and needs are those of the contract, no more and no fewer; public are only those it names."""
    expected = {}
    for row in TABLE.split("\n")[1:-1]:
        methods, path, does = row.split()
        expected.update({(method, path): does for method in methods.split(",")})
    plan = shipped()
    found = {}
    public = set()
    for route in plan.routes:
        spec = route.spec
        for method in spec.methods:
            place = (method, without_names(spec.path))
            found[place] = spec.needs or spec.answer or str(spec.reply.status if spec.reply else "")
            if spec.access == "public":
                public.add(place)
    assert found == expected
    assert public == PUBLIC


def test_without_keys_nothing_is_enabled() -> None:
    """Shipped providers wait for their keys; the one that needs none is switched off."""
    assert not [provider.name for provider in shipped().providers.values() if provider.enabled]


@pytest.mark.parametrize("name", KEYS)
def test_a_key_enables_its_provider(name: str) -> None:
    """The customary variable is all it takes, and it enables nothing else."""
    assert [provider.name for provider in shipped(name).providers.values() if provider.enabled] == [name]


ALL = tuple(KEYS)
NAMES = [
    (ALL, "chat", "gpt-4o", "openai"),
    (ALL, "chat", "gpt-6.1-sol", "openai"),
    (ALL, "chat", "o3", "openai"),
    (ALL, "chat", "o4-mini", "openai"),
    (ALL, "chat", "chatgpt-4o-latest", "openai"),
    (ALL, "responses", "ft:gpt-4o-mini:acme::1", "openai"),
    (ALL, "embeddings", "text-embedding-3-small", "openai"),
    (ALL, "speech", "tts-1", "openai"),
    (ALL, "transcriptions", "whisper-1", "openai"),
    (ALL, "image_generations", "dall-e-3", "openai"),
    (ALL, "moderations", "omni-moderation-latest", "openai"),
    (ALL, "messages", "claude-opus-4-8", "anthropic"),
    (ALL, "count_tokens", "claude-opus-4-8", "anthropic"),
    (ALL, "chat", "deepseek-chat", "deepseek"),
    (ALL, "messages", "deepseek-chat", "deepseek"),
    (ALL, "chat", "meta-llama/llama-4", "openrouter"),
    (ALL, "chat", "openai/gpt-4o", "openrouter"),
    (ALL, "chat", "claude-opus-4-8", "anthropic"),  # by translation
    (ALL, "chat", "meta/llama-3.1-8b-instruct@nvidia", None),
    (ALL, "chat", "meta/llama-3.1-8b-instruct@nvidia-nim", "nvidia-nim"),
    (("openrouter", "nvidia-nim"), "chat", "gpt-4o", "openrouter"),
    (("nvidia-nim",), "chat", "meta/llama-3.1-8b-instruct", "nvidia-nim"),
    (("openai",), "chat", "claude-opus-4-8", None),
]


@pytest.mark.parametrize(("enabled", "route", "model", "provider"), NAMES)
def test_a_plain_name_goes_where_one_expects(enabled: tuple[str, ...], route: str, model: str, provider: str | None) -> None:
    """A vendor's own names go to that vendor, everything else to a market of models, also before any list was read."""
    plan = shipped(*enabled)
    catalogue = Catalogue(plan, {}, 0)
    if provider is None:
        with pytest.raises(RelayError):
            catalogue.resolve(route_of(plan, route), model)
    else:
        (target,) = catalogue.resolve(route_of(plan, route), model).targets
        assert target.provider.name == provider


def test_addresses_of_offers_that_lie_elsewhere() -> None:
    """One key, two dialects, three base URLs; credits at each vendor's own path."""
    plan = shipped(*ALL)
    urls = {
        ("messages", "deepseek"): "https://api.deepseek.com/anthropic/v1/messages",
        ("completions", "deepseek"): "https://api.deepseek.com/beta/completions",
        ("chat", "deepseek"): "https://api.deepseek.com/chat/completions",
        ("credits", "deepseek"): "https://api.deepseek.com/user/balance",
        ("credits", "openrouter"): "https://openrouter.ai/api/v1/credits",
        ("messages", "openrouter"): "https://openrouter.ai/api/v1/messages",
        ("messages", "anthropic"): "https://api.anthropic.com/v1/messages",
        ("messages", "ollama"): "http://localhost:11434/v1/messages",
        ("chat", "openai"): "https://api.openai.com/v1/chat/completions",
    }
    for (route, provider), url in urls.items():
        assert route_of(plan, route).lanes[provider].url.render({}, "", "") == url
    assert route_of(plan, "messages_beta").lanes["anthropic"].url.render({}, "", "").endswith("/v1/messages?beta=true")
