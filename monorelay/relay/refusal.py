"""Answers that say no: the relay's own errors, and the upstream's refusals on their way to the client."""

from __future__ import annotations

import json
from math import ceil
from typing import TYPE_CHECKING

from monorelay.dialects.envelopes import error_bytes
from monorelay.dialects.interface import Translation
from monorelay.errors import UPSTREAM, ErrorBody, RelayError
from monorelay.plan.resolution import Target
from monorelay.relay.call import Call, Reply
from monorelay.relay.deliver import REFUSAL_HELD
from monorelay.relay.inflate import Inflater, Undecodable
from monorelay.relay.outcome import Broke, Headers, Outcome, Refused, RefusedInStream

if TYPE_CHECKING:
    from monorelay.relay.trail import Trail

JSON = ("content-type", "application/json")
WRAPPED = 500  # characters of a foreign error page that the message quotes


def error_headers(error: RelayError) -> list[tuple[str, str]]:
    """The header fields that belong to an error of our own, besides the call's."""
    headers = [JSON, *error.headers]
    if error.retry_after is not None:
        headers.append(("retry-after", str(max(1, ceil(error.retry_after)))))
    if not error.curable:
        headers.append(("x-should-retry", "false"))
    return headers


def refuse(call: Call, reply: Reply, error: RelayError, trail: Trail) -> None:
    """Ends the call with an error of our own; after the commit nothing is left but to cut."""
    if reply.begun:
        reply.cut()
        return
    headers = [*error_headers(error), ("x-request-id", call.id), ("x-monorelay-request-id", call.id)]
    if error.upstream_status is not None:
        trail.upstream_status = error.upstream_status
    reply.whole(error.status, [*headers, *trail.headers()], error_bytes(call.family, error.body))


def relay_refusal(
    call: Call, reply: Reply, target: Target, translation: Translation, outcome: Refused | RefusedInStream, trail: Trail
) -> int:
    """The caller's own fault: the upstream's status, and its words in the client's dialect. Returns the status."""
    status, body = _words(call, target, translation, outcome)
    headers = [pair for pair in target.lane.response.pairs(outcome.headers) if pair[0] not in ("content-type", "content-encoding")]
    if not any(name == "x-request-id" for name, _ in headers):
        headers.append(("x-request-id", call.id))
    reply.whole(status, [JSON, *headers, ("x-monorelay-request-id", call.id), *trail.headers()], body)
    return status


def _words(call: Call, target: Target, translation: Translation, outcome: Refused | RefusedInStream) -> tuple[int, bytes]:
    if isinstance(outcome, RefusedInStream):
        return outcome.error.status, target.provider.scrubber.clean(error_bytes(call.family, outcome.error.body))
    body = target.provider.scrubber.clean(decoded(outcome.body, dict(outcome.headers).get("content-encoding", "")))
    own = translation.refusal(outcome.status, body)
    if own is not None:
        return outcome.status, own
    text = f"[{target.provider.name}] The upstream refused the request with status {outcome.status}: {excerpt(body)}"
    return outcome.status, error_bytes(call.family, ErrorBody("invalid_request_error", text))


def upstream_error(target: Target, outcome: Outcome) -> RelayError:
    """503 upstream_error: what went wrong upstream, in a sentence that holds no key."""
    name = target.provider.name
    match outcome:
        case Refused(status=status) if 300 <= status < 400:
            text = f"the upstream answered with a redirect ({status}), and redirects are never followed; check base_url"
            return _upstream(name, text, status, outcome.headers)
        case Refused(status=status) if status in (401, 402, 403):
            text = f"the upstream refused our key with status {status}; the key rests, and the log names it"
            return _upstream(name, text, status, outcome.headers)
        case Refused(status=status, headers=headers, body=body):
            quoted = excerpt(target.provider.scrubber.clean(decoded(body, dict(headers).get("content-encoding", ""))))
            return _upstream(name, f"the upstream answered with status {status}: {quoted}", status, headers)
        case RefusedInStream(error=error, headers=headers):
            quoted = excerpt(target.provider.scrubber.clean(error.body.message.encode("utf-8", "replace")))
            return _upstream(name, f"the upstream answered 200, and then with an error: {quoted}", 200, headers)
        case _:
            assert isinstance(outcome, Broke)
            reason = excerpt(target.provider.scrubber.clean(outcome.failure.reason.encode("utf-8", "replace")))
            text = f"no whole answer from the upstream ({outcome.failure.phase}): {reason}"
            return _upstream(name, text, outcome.status, ())


def _upstream(name: str, text: str, status: int | None, headers: Headers) -> RelayError:
    kept = tuple((field, value) for field, value in headers if field in ("retry-after", "retry-after-ms"))
    return RelayError(UPSTREAM, f"[{name}] {text[0].upper()}{text[1:]}", upstream_status=status, headers=kept)


def decoded(body: bytes, encoding: str) -> bytes:
    """A refusal's body as text: gzip and deflate are undone, within bounds; anything else stays as it is."""
    try:
        return Inflater(encoding.strip().lower()).beginning(body, REFUSAL_HELD)
    except Undecodable:
        return body


def excerpt(body: bytes) -> str:
    """What a person would quote of an error body: its message when it is JSON that has one, else its first characters."""
    text = body.decode("utf-8", "replace").strip()
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError):
        parsed = None
    if isinstance(parsed, dict):
        error = parsed.get("error", parsed)
        message = error.get("message") if isinstance(error, dict) else error
        if isinstance(message, str) and message:
            text = message
    return " ".join(text.split())[:WRAPPED] or "(an empty body)"
