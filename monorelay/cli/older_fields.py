"""What the earlier system's file may say that has no counterpart here: why, and what to use instead."""

from __future__ import annotations

LOST = {
    "sso": "nobody logs in here: give each client a token of its own (`clients`)",
    "sync": "nothing is fetched from elsewhere: the files are the configuration, however they get there",
    "database": "the state directory holds all that is remembered (`server.state_dir`)",
    "cache": "answers are not cached",
}
LOST_OF_SERVER = {
    "jwt_secret": "nobody logs in here, so there is nothing to sign: give each client a token of its own (`clients`)",
    "debug": "`logging.level: debug` says more",
    "reload": "a reload is SIGHUP, or `monorelay reload`",
    "access_keys": "further credentials are `clients`, each by name and as a SHA-256",
    "api_keys": "further credentials are `clients`, each by name and as a SHA-256",
    "api_key": "use `access_key` instead",
    "address": "use `listen` (HOST:PORT) instead",
    "bind": "use `listen` (HOST:PORT) instead",
    "cors": "use `cors_origins` instead",
    "timeout": "use `timeouts` of a route or a provider instead",
    "max_body_size": "use `max_body` of a route instead",
    "ssl_certfile": "use `tls.certificate` instead",
    "ssl_keyfile": "use `tls.key` instead",
}
LOST_OF_ROUTING = {
    "mode": "there are no modes: aliases, cascades and `auto` are each in force where they are written",
    "fallback": "use `fallbacks` (glob → models) instead",
    "load_balancing": "use `balancing` (glob → providers) instead",
    "strategy": "use `balancing` (glob → providers) instead, or `key_selection.strategy` for keys",
}
LOST_OF_PROVIDERS = {
    "web_reverse": "only interfaces that are made for programs are spoken to",
    "test_model": "`monorelay check --live` asks for the list of models instead, which costs nothing",
    "console_url": "is nothing that the relay would use",
    "cost_per_m_input": "is the price of every model: `prices` can say it model by model",
    "cost_per_m_output": "is the price of every model: `prices` can say it model by model",
}
_OF_MODELS = "use `parameters` of `model_routing.models` (glob → settings) instead"
LOST_OF_PROVIDERS |= {"max_tokens": _OF_MODELS, "temperature": _OF_MODELS}
LOST_OF_PROVIDERS |= {
    old: f"use `{new}` instead"
    for old, new in {
        "api_base": "base_url",
        "url": "base_url",
        "endpoint": "base_url",
        "api_type": "extends",
        "type": "extends",
        "disabled": "enabled: false",
        "max_retries": "retry.max_retries",
        "retries": "retry.max_retries",
        "cooldown": "rate_limit_cooldown",
        "connect_timeout": "timeouts.connect",
        "read_timeout": "timeouts.idle",
        "request_timeout": "timeout",
        "model_list": "models.include",
        "allowed_models": "models.include",
        "excluded_models": "models.exclude",
        "blocked_models": "models.exclude",
        "extra_headers": "headers.request.set",
        "custom_headers": "headers.request.set",
        "rpm": "limits.rpm",
        "tpm": "limits.tpm",
        "rate_limit_rps": "limits.rps",
        "rate_limit_rpm": "limits.rpm",
        "rate_limit_tpm": "limits.tpm",
        "max_concurrency": "limits.concurrency",
        "quota_limit": "limits.quota",
    }.items()
}
LOST_OF_KEYS = {
    "name": "use `label` instead",
    "disabled": "use `enabled: false` instead",
    "rate_limit_rpm": "use `limits.rpm` instead",
    "rate_limit_tpm": "use `limits.tpm` instead",
    "max_concurrency": "use `limits.concurrency` instead",
    "quota_used": "what was used is not taken over: lower `limits.quota` by it",
    "metadata": "is nothing that the relay would use: a comment will do",
    "usage_count": "is counted anew",
    "last_used_at": "is counted anew",
}
