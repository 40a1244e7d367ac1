"""What the fronts of these tests serve: one provider with a few keys, and a route of every kind. Values, no YAML."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from plan_specs import config, provider, route
from raw_upstream import RawUpstream

from monorelay.config.config import Config
from monorelay.config.fields import HeaderPair, HeaderRules, Secret
from monorelay.config.keys import KeySpec
from monorelay.config.route import ReplySpec, RouteSpec

TOKEN = "sk-relay"
KEY_MARK = b"sk-upstream-key"  # every provider's key begins with it
CHAT, MESSAGES, FILES, EDITS = "/v1/chat/completions", "/v1/messages", "/v1/files", "/v1/images/edits"


def key_specs(*labels: str) -> tuple[KeySpec, ...]:
    return tuple(KeySpec(label, Secret(f"{KEY_MARK.decode()}-{label}")) for label in labels)


ROUTES: tuple[RouteSpec, ...] = (
    route(),
    route("messages", MESSAGES, needs="anthropic.messages", model="required"),
    route("file_upload", FILES, needs="openai.files", body="stream", max_body=2 << 30),
    route(
        "file_content",
        FILES + "/{file_id}/content",
        methods=("GET",),
        needs="openai.files",
        upstream="/{file_id}/content",
        headers=HeaderPair(request=HeaderRules(forward=("accept-encoding", "range"))),
    ),
    route("files", FILES + "/{file_id}", methods=("GET", "DELETE"), needs="openai.files", upstream="/{file_id}"),
    route("edits", EDITS, needs="openai.images.edits", body="multipart", model="optional"),
    route("models", "/v1/models", methods=("GET",), answer="models", access="public"),
    route("health", "/health", methods=("GET",), answer="health", access="public"),
    route("metrics", "/metrics", methods=("GET",), answer="metrics"),
    route(
        "responses_get",
        "/v1/responses",
        methods=("GET",),
        access="public",
        reply=ReplySpec(426, (), "invalid_request_error", "POST."),
    ),
)
CAPABILITIES = ("openai.chat", "anthropic.messages", "openai.files", "openai.images.edits")


def relay_config(
    upstream: RawUpstream,
    keys: Sequence[str] = ("a", "b"),
    *,
    connect: float = 5.0,
    first_byte: float = 5.0,
    idle: float = 5.0,
    total: float | None = None,
    body_timeout: float = 10.0,
    routes: tuple[RouteSpec, ...] = ROUTES,
    keepalive: float = 0.0,
) -> Config:
    """Two keys at one upstream; ``keepalive`` is that of every route."""
    timeouts = {"connect": connect, "first_byte": first_byte, "idle": idle, "total": total}
    acme = provider(
        "acme", *CAPABILITIES, base_url=upstream.url("/up"), keys=key_specs(*keys), timeouts=timeouts, rate_limit_cooldown=30.0
    )
    whole_config = config(acme, routes=tuple(replace(one, keepalive=keepalive) for one in routes), access_key=TOKEN)
    return replace(whole_config, server=replace(whole_config.server, body_timeout=body_timeout))
