"""How many files and sockets this process may have open."""

from __future__ import annotations

import resource

ENOUGH = 65_536


def raise_limit() -> None:
    """As many as it may, up to ENOUGH. A stream takes two, and the usual limit of 1,024 is for programs that use select()."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = ENOUGH if hard == resource.RLIM_INFINITY else min(hard, ENOUGH)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        except (OSError, ValueError):
            pass  # some systems allow less than they say
