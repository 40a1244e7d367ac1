"""The words of Anthropic's messages: events of a stream, block types, and the status behind each error type."""

from __future__ import annotations

BLOCK_START = "content_block_start"
BLOCK_DELTA = "content_block_delta"
MESSAGE_STOP = "message_stop"

# Blocks that may start empty, and the field that then says so; every other block is content as soon as it starts.
EMPTY_BLOCKS = {"text": "text", "thinking": "thinking"}

ERROR_STATUS = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "conflict_error": 409,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}
