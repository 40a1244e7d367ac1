"""What the shipped drop-ins add up to: each key in the environment enables its provider, and each name finds the right one."""

from __future__ import annotations

from pathlib import Path

import pytest

from monorelay.config.config import Config
from monorelay.config.load import find_places, load
from monorelay.errors import RelayError
from monorelay.plan.catalogue import Catalogue
from monorelay.plan.compile import compile_plan
from monorelay.plan.plan import Plan, Provider, Route

# The customary variable of each provider that waits for a key.
KEYS = {
    "openai": "OPENAI_API_KEY",
    "anthropic": "ANTHROPIC_API_KEY",
    "openrouter": "OPENROUTER_API_KEY",
    "nvidia-nim": "NVIDIA_API_KEY",
    "deepseek": "DEEPSEEK_API_KEY",
    "azure-openai": "AZURE_OPENAI_API_KEY",
    "bedrock-runtime": "AWS_BEARER_TOKEN_BEDROCK",
    "bedrock-mantle": "AWS_BEARER_TOKEN_BEDROCK",
    "bedrock-anthropic": "AWS_BEARER_TOKEN_BEDROCK",
    "cerebras": "CEREBRAS_API_KEY",
    "cohere-compat": "COHERE_API_KEY",
    "dashscope": "DASHSCOPE_API_KEY",
    "deepinfra": "DEEPINFRA_API_KEY",
    "fireworks": "FIREWORKS_API_KEY",
    "gemini-openai": "GEMINI_API_KEY",
    "groq": "GROQ_API_KEY",
    "hyperbolic": "HYPERBOLIC_API_KEY",
    "kimi-coding": "KIMI_API_KEY",
    "minimax": "MINIMAX_API_KEY",
    "mistral": "MISTRAL_API_KEY",
    "moonshot": "MOONSHOT_API_KEY",
    "nebius": "NEBIUS_API_KEY",
    "ollama-cloud": "OLLAMA_API_KEY",
    "perplexity": "PERPLEXITY_API_KEY",
    "sambanova": "SAMBANOVA_API_KEY",
    "siliconflow": "SILICONFLOW_API_KEY",
    "together": "TOGETHER_API_KEY",
    "xai": "XAI_API_KEY",
    "zai": "ZAI_API_KEY",
    "zai-coding": "ZAI_CODING_API_KEY",
    "zhipu": "ZHIPU_API_KEY",
}
# Servers on this machine: they need no key, so nothing tells whether they are there.
LOCAL = ("ollama", "vllm", "llama-cpp", "lm-studio")

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
    """Shipped providers wait for their keys; those that need none are switched off."""
    providers = shipped().providers.values()
    assert not [provider.name for provider in providers if provider.enabled]
    assert {provider.name for provider in providers if provider.dormant} == set(KEYS)
    assert {provider.name for provider in providers if not provider.dormant} == set(LOCAL)


@pytest.mark.parametrize("name", KEYS)
def test_a_key_enables_its_provider(name: str) -> None:
    """The customary variable is all it takes, and it enables nothing else but what the same key opens."""
    enabled = {provider.name for provider in shipped(name).providers.values() if provider.enabled}
    assert enabled == {other for other, variable in KEYS.items() if variable == KEYS[name]}


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
    (ALL, "chat", "mistral-large-latest", "mistral"),
    (ALL, "chat", "codestral-latest", "mistral"),
    (ALL, "chat", "grok-4", "xai"),
    (ALL, "chat", "gemini-2.5-pro", "gemini-openai"),
    (ALL, "chat", "models/gemini-2.5-pro", "gemini-openai"),
    (ALL, "embeddings", "gemini-embedding-001", "gemini-openai"),
    (ALL, "chat", "sonar-pro", "perplexity"),
    (ALL, "chat", "command-a-03-2025", "cohere-compat"),
    (ALL, "rerank", "rerank-v3.5", "cohere-compat"),
    (ALL, "embeddings", "embed-v4.0", "cohere-compat"),
    (ALL, "chat", "kimi-k2.5", "moonshot"),
    (ALL, "messages", "kimi-k2.5", "moonshot"),
    (ALL, "chat", "kimi-for-coding", "kimi-coding"),
    (("moonshot",), "chat", "kimi-for-coding", "moonshot"),
    (ALL, "chat", "glm-4.6", "zhipu"),
    (("zai", "zai-coding"), "chat", "glm-4.6", "zai"),
    (("zai-coding",), "messages", "glm-4.6", "zai-coding"),
    (ALL, "chat", "glm-4.6@zai-coding", "zai-coding"),
    (ALL, "chat", "qwen-plus", "dashscope"),
    (ALL, "chat", "qwen3-coder-plus", "dashscope"),
    (ALL, "chat", "qwen2.5-72b-instruct", "dashscope"),
    (ALL, "embeddings", "text-embedding-v4", "dashscope"),  # though text-embedding-* is another's
    (ALL, "chat", "MiniMax-M2", "minimax"),
    (ALL, "chat", "accounts/fireworks/models/gpt-oss-120b", "fireworks"),
    (ALL, "chat", "openai.gpt-oss-120b", "bedrock-mantle"),
    (ALL, "chat", "openai.gpt-oss-120b-1:0", "bedrock-runtime"),
    (ALL, "messages", "anthropic.claude-opus-4-8", "bedrock-anthropic"),
    (ALL, "chat", "anthropic.claude-opus-4-8", "bedrock-anthropic"),  # by translation
    (("azure-openai",), "chat", "gpt-4o", "azure-openai"),
    (("azure-openai", "openai"), "chat", "gpt-4o", "openai"),
    # A host of open models takes what nobody before it does; a market comes first.
    (ALL, "chat", "qwen/qwen3-32b", "openrouter"),
    (ALL, "chat", "llama-3.3-70b-versatile", "openrouter"),
    (ALL, "chat", "gpt-oss:120b", "openrouter"),
    (("groq", "together"), "chat", "llama-3.3-70b-versatile", "groq"),
    (("groq", "openai"), "chat", "gpt-4o", "openai"),
    (("openai", "azure-openai", "cerebras"), "chat", "gpt-oss-120b", "cerebras"),
    (("sambanova", "hyperbolic", "nebius"), "chat", "DeepSeek-V3", "sambanova"),
    (("ollama-cloud",), "messages", "gpt-oss:120b", "ollama-cloud"),
    (("siliconflow", "deepinfra"), "rerank", "BAAI/bge-reranker-v2-m3", "siliconflow"),
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
        ("rerank", "cohere-compat"): "https://api.cohere.ai/v2/rerank",
        ("messages", "moonshot"): "https://api.moonshot.ai/anthropic/v1/messages",
        ("messages", "zai-coding"): "https://api.z.ai/api/anthropic/v1/messages",
        ("chat", "zai-coding"): "https://api.z.ai/api/coding/paas/v4/chat/completions",
        ("credits", "zai-coding"): "https://api.z.ai/api/monitor/usage/quota/limit",
        ("messages", "minimax"): "https://api.minimax.io/anthropic/v1/messages",
        ("responses", "perplexity"): "https://api.perplexity.ai/v1/responses",
        ("messages", "bedrock-anthropic"): "https://bedrock-mantle.us-east-1.api.aws/anthropic/v1/messages",
        ("chat", "bedrock-runtime"): "https://bedrock-runtime.us-east-1.amazonaws.com/openai/v1/chat/completions",
        ("messages", "lm-studio"): "http://localhost:1234/v1/messages",
    }
    for (route, provider), url in urls.items():
        assert route_of(plan, route).lanes[provider].url.render({}, "", "") == url
    assert route_of(plan, "messages_beta").lanes["anthropic"].url.render({}, "", "").endswith("/v1/messages?beta=true")


def row(provider: Provider) -> str:
    """A provider's line in the table of docs/providers.md."""
    spec = provider.spec
    families = ("openai.chat", "OpenAI"), ("anthropic.messages", "Anthropic")
    dialects = " and ".join(family for word, family in families if word in provider.offers)
    shown = ", ".join(f"`{glob}`" for glob in spec.include[:4]) + (", …" if len(spec.include) > 4 else "")
    name = f"`{spec.name}`"
    variable = f"`{KEYS[spec.name]}`" if spec.name in KEYS else "none: `enabled: true`"
    balance = "yes" if spec.credits is not None else ""
    return f"| {name} | {variable} | {shown or 'any'} | {dialects} | {spec.rate_limits.scope} | {balance} |"


def test_the_page_about_providers_has_them_all() -> None:
    """docs/providers.md has a line for each shipped provider, in the order in which they are asked, and each line is true."""
    text = (Path(__file__).resolve().parent.parent.parent / "docs" / "providers.md").read_text()
    told = [line for line in text.splitlines() if line.startswith("| `") and line.count("|") == 7]
    assert told == [row(provider) for provider in shipped().providers.values()]
