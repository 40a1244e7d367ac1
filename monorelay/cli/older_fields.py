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
}
LOST_OF_ROUTING = {
    "mode": "there are no modes: aliases, cascades and `auto` are each in force where they are written",
}
LOST_OF_PROVIDERS = {
    "web_reverse": "only interfaces that are made for programs are spoken to",
    "test_model": "`monorelay check --live` asks for the list of models instead, which costs nothing",
    "console_url": "is nothing that the relay would use",
    "cost_per_m_input": "is the price of every model: `prices` can say it model by model",
    "cost_per_m_output": "is the price of every model: `prices` can say it model by model",
}
LOST_OF_KEYS = {
    "quota_used": "what was used is not taken over: lower `limits.quota` by it",
    "metadata": "is nothing that the relay would use: a comment will do",
    "usage_count": "is counted anew",
    "last_used_at": "is counted anew",
}
