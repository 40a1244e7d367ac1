"""Header fields without which an upstream of a dialect refuses any request.

A client that speaks the dialect sends them itself; a translated request has them from here, unless the provider's file says more.
"""

from __future__ import annotations

from collections.abc import Mapping

# The version whose vocabulary the translators write: https://platform.claude.com/docs/en/api/versioning
DEMANDED: Mapping[str, tuple[tuple[str, str], ...]] = {"anthropic.messages": (("anthropic-version", "2023-06-01"),)}
