"""The words of OpenAI's Responses: events of a stream, and what its errors mean."""

from __future__ import annotations

COMPLETED = "response.completed"
INCOMPLETE = "response.incomplete"
FAILED = "response.failed"

# Events whose ``response`` names the object before anything was generated.
ANNOUNCING = frozenset({"response.created", "response.queued", "response.in_progress"})

# Items that are empty when they are added; what they will hold comes in deltas. Every other kind of item is a tool call.
EMPTY_ITEMS = frozenset({"message", "reasoning"})

# Codes of ``response.failed`` and ``error`` that chat/completions does not know. The many about images are the caller's fault.
ERROR_STATUS = {
    "invalid_prompt": 400,
    "data_residency_mismatch": 400,
    "bio_policy": 400,
    "misalignment_policy_violation": 400,
    "image_too_large": 400,
    "image_too_small": 400,
    "image_parse_error": 400,
    "image_content_policy_violation": 400,
    "image_file_too_large": 400,
    "unsupported_image_media_type": 400,
    "empty_image_file": 400,
    "failed_to_download_image": 400,
    "image_file_not_found": 400,
    "previous_response_not_found": 404,
    "vector_store_timeout": 500,
}
