"""The latest attempts of this worker, as they went out, so that one can be shown again as a curl command.

They are kept in memory only, within bounds, and without what a large upload held. Credentials are taken out when one is shown: by
the provider's own scrubber, and whatever a rule for headers or the query took from a reference.
"""

from __future__ import annotations

import shlex
from collections import deque

from monorelay.plan.resolution import Target
from monorelay.upstream.interface import UpstreamRequest
from monorelay.upstream.keypool import Key
from monorelay.upstream.upload import Upload

MOST = 200  # attempts
MOST_BYTES = 4 * 1024 * 1024  # of bodies, all together
LONGEST = 256 * 1024  # bytes of one body; a larger one is left out


# The call's id, its target, the key's label, the request, and the size of its body; -1 where that was left out.
_Kept = tuple[str, Target, str, UpstreamRequest, int]


class Recent:
    """Mutable: ``_kept``, the newest at the end, and ``_bytes``, the size of all bodies in it."""

    __slots__ = ("_kept", "_bytes")

    def __init__(self) -> None:
        self._kept: deque[_Kept] = deque()
        self._bytes = 0

    def __repr__(self) -> str:
        return f"<Recent {len(self._kept)} attempts, {self._bytes} bytes>"

    def note(self, call: str, target: Target, key: Key, request: UpstreamRequest) -> None:
        body = request.body
        size = len(body) if isinstance(body, bytes) else 0
        if size > LONGEST or isinstance(body, Upload):
            request = UpstreamRequest(request.method, request.url, request.headers, None, request.timeouts)
            size = -1
        self._kept.append((call, target, key.label, request, size))
        if size > 0:
            self._bytes += size
        while len(self._kept) > MOST or self._bytes > MOST_BYTES:
            self._bytes -= max(0, self._kept.popleft()[4])

    def curl(self, call: str) -> list[str]:
        """Every attempt of this call as a command, the first one first; none where it is not remembered (any more)."""
        return [_command(kept, number) for number, kept in enumerate((one for one in self._kept if one[0] == call), 1)]


def _command(kept: _Kept, number: int) -> str:
    _, target, label, request, size = kept
    provider = target.provider
    hidden = target.lane.request.secret_names
    auth = provider.spec.auth
    whole: list[str] = []  # a variable stands for all of a header's value, so that none is taken for the key alone
    lines = [
        f"curl -sS -X {request.method} {shlex.quote(target.lane.url.shown(request.url))}",
    ]
    for line in request.headers:
        name, colon, _ = line.partition(":")
        if colon and name.lower() in hidden:
            variable = _variable(name)
            value = f"{auth.prefix}KEY" if auth is not None and name.lower() == auth.header else "VALUE"
            whole.append(f"{variable}='{value}'")
            lines.append(f'  -H "{name}: ${variable}"')
        else:
            lines.append(f"  -H {shlex.quote(line)}")
    if isinstance(request.body, bytes):
        lines.append(f"  --data-raw {shlex.quote(request.body.decode('utf-8', 'backslashreplace'))}")
    elif size < 0:
        lines.append("  --data-binary @BODY    # it was too large to be kept")
    before = f"; before it, whole header values: {' '.join(whole)}" if whole else ""
    head = f"# attempt {number}: provider {provider.name}, key {label}{before}"
    text = " \\\n".join(lines)
    return provider.scrubber.clean(f"{head}\n{text}".encode()).decode()


def _variable(name: str) -> str:
    return "".join(letter if letter.isalnum() else "_" for letter in name.upper())
