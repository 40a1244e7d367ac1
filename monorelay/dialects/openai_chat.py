"""The words of OpenAI's chat/completions, which completions and most OpenAI-compatible servers share."""

from __future__ import annotations

DONE = b"[DONE]"  # the data of the last event of a stream

# Keys of a ``delta`` that are no content; every other one is, once it holds something (text, reasoning, tool calls, audio, images).
ROLE_ONLY = frozenset({"role", "id", "name"})

# Two names of one thing: who says both is refused.
OTHER_NAMES = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}

# What an error's ``code`` or ``type`` means as an HTTP status. An exhausted quota is 402 here though the vendor's own HTTP status
# is 429: waiting a minute does not refill it, so the key needs the long rest.
ERROR_STATUS = {
    "invalid_request_error": 400,
    "badrequesterror": 400,
    "bad_request": 400,
    "context_length_exceeded": 400,
    "string_above_max_length": 400,
    "unsupported_parameter": 400,
    "unsupported_value": 400,
    "content_filter": 400,
    "content_policy_violation": 400,
    "moderation_blocked": 400,
    "image_generation_user_error": 400,
    "authentication_error": 401,
    "invalid_api_key": 401,
    "invalid_authentication": 401,
    "unauthorized": 401,
    "unauthenticated": 401,
    "insufficient_quota": 402,
    "insufficient_balance": 402,
    "insufficient_credits": 402,
    "billing_not_active": 402,
    "billing_hard_limit_reached": 402,
    "payment_required": 402,
    "permission_denied": 403,
    "insufficient_permissions": 403,
    "unsupported_country_region_territory": 403,
    "account_deactivated": 403,
    "forbidden": 403,
    "model_not_found": 404,
    "not_found": 404,
    "rate_limit_exceeded": 429,
    "rate_limit_reached": 429,
    "too_many_requests": 429,
    "resource_exhausted": 429,
    "requests": 429,
    "tokens": 429,
    "server_error": 500,
    "internal_error": 500,
    "internal_server_error": 500,
    "service_unavailable": 503,
    "unavailable": 503,
    "slow_down": 503,
    "timeout": 504,
    "deadline_exceeded": 504,
    "overloaded": 529,
    "engine_overloaded": 529,
    "server_overloaded": 529,
}
