"""What is sent to a target: the body in its dialect, with the operator's rules applied, and the finished request around it.

Nothing here opens a socket: ``explain`` and the replay of a provider's own cases show with these functions what would be sent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from monorelay.dialects.interface import Hints, Translation, Untranslatable
from monorelay.dialects.tool_text import without_tools
from monorelay.errors import INVALID_REQUEST, RelayError
from monorelay.plan.headers import header_safe
from monorelay.plan.plan import Lane
from monorelay.plan.resolution import Target
from monorelay.relay.call import Asked, Body, Call, Rewrite
from monorelay.upstream.interface import UpstreamRequest
from monorelay.upstream.upload import Upload


def begin_translation(
    call: Call, asked: Asked, target: Target, now: float, new_id: Callable[[str], str]
) -> tuple[Translation, tuple[str, ...]]:
    """The request in the target's dialect, and what it lost. Raises RelayError (400) where it cannot be said there.

    In order: the rules of the configuration, in the client's own dialect; tools as text for models that take none; translation.
    """
    try:
        return _begun(call, asked, target, now, new_id)
    except RecursionError:  # the body could just be read, from fewer frames than it takes to change it
        text = f"[{target.provider.name}] The request cannot be sent to this provider: its body is nested too deeply to be changed."
        raise RelayError(INVALID_REQUEST, text) from None


def _begun(
    call: Call, asked: Asked, target: Target, now: float, new_id: Callable[[str], str]
) -> tuple[Translation, tuple[str, ...]]:
    lane = target.lane
    body, raw = asked.json, asked.raw
    is_renamed = bool(target.model) and target.model != asked.model
    lost: tuple[str, ...] = ()
    changes = call.plan.payload.changes(call.route.spec, call.route.spec.needs or "", target.asked, body) if body else None
    if changes and asked.rewritten is not None:
        body = {name: value for name, value in {**body, **changes.fields}.items() if name not in changes.removed}
    if call.plan.toolless is not None and body and call.plan.toolless.fullmatch(target.model):
        body, lost = without_tools(lane.translator.client, body)
    if (changes or lost) and asked.rewritten is not None:
        raw = _rewritten(asked, body, asked.rewritten, target.model if is_renamed else None)
    elif is_renamed:
        raw = asked.named(target.model)
    hints = Hints(target.model, int(now), new_id, lane.quirks_of(target.model), lane.strict)
    try:
        if lost and lane.strict:
            raise Untranslatable(lost[0], f"the model takes no '{lost[0]}', and nothing may be lost on this way (strict)")
        ours = [name for name in changes.fields if name not in asked.json] if changes and lane.strict else []
        translation, left_out = _translated(lane, body, raw, hints, ours)
    except Untranslatable as error:
        text = f"[{target.provider.name}] The request cannot be sent to this provider: {error}"
        raise RelayError(INVALID_REQUEST, text, param=error.field) from error
    return translation, (*lost, *left_out, *translation.lost)


def _translated(
    lane: Lane, body: Mapping[str, Any], raw: bytes, hints: Hints, ours: list[str]
) -> tuple[Translation, tuple[str, ...]]:
    """What ``ours`` names, the operator's rules have added: where nothing of the client's may be lost, it is left out."""
    left_out: tuple[str, ...] = ()
    while True:
        try:
            return lane.translator.begin(body, raw, hints), left_out
        except Untranslatable as error:
            if error.field not in ours or error.field in left_out:
                raise
            left_out = (*left_out, error.field)
            body = {name: value for name, value in body.items() if name != error.field}


def _rewritten(asked: Asked, body: Mapping[str, Any], rewrite: Rewrite, model: str | None) -> bytes:
    """The client's bytes, changed only where ``body`` holds another thing than came."""
    came = asked.json
    changed = {name: value for name, value in body.items() if name not in came or value is not came[name]}
    return rewrite(changed, [name for name in came if name not in body], model)


def upstream_request(call: Call, target: Target, fingerprint: str, body: Body, session: str = "") -> UpstreamRequest:
    """The finished request for this target with the key of this fingerprint. ``session`` names the conversation, or is "".

    Raises RelayError (400) for a model that would climb out of the place that a template gives it.
    """
    lane = target.lane
    values = {"model": header_safe(target.model), "request_id": call.id, "client": call.client.name if call.client else ""}
    if call.parameters:
        values.update({name: header_safe(value) for name, value in call.parameters.items()})
    headers = lane.request.lines(call.fields, fingerprint, values)
    if body or isinstance(body, Upload):
        headers = _with_content_type(headers, call, call.route.spec.body)
    if session and target.provider.spec.session_header is not None:
        headers = _with_session(headers, target.provider.spec.session_header, session)
    return UpstreamRequest(
        method=call.method,
        url=lane.url.render(call.parameters, call.query, target.model),
        headers=headers,
        body=body if isinstance(body, Upload) or body else None,
        timeouts=target.timeouts,
    )


def own_request(lane: Lane, fingerprint: str, query: str = "") -> UpstreamRequest:
    """A request that no client made: for a list of models, or for what a key has left."""
    return UpstreamRequest(
        method="GET",
        url=lane.url.render({}, query, ""),
        headers=lane.request.lines({}, fingerprint, {"model": "", "request_id": "", "client": ""}),
        body=None,
        timeouts=lane.timeouts,
    )


def _with_content_type(headers: tuple[str, ...], call: Call, body: str) -> tuple[str, ...]:
    """The body keeps the type that the client gave it: without one, libcurl would call it a web form."""
    if any(line[:13].lower() == "content-type:" for line in headers):
        return headers
    kind = call.fields.get("content-type") or ("application/json" if body == "json" else "application/octet-stream")
    return (*headers, f"content-type: {kind}")


def _with_session(headers: tuple[str, ...], name: str, session: str) -> tuple[str, ...]:
    """The provider's own word for a conversation, unless a rule has said one already."""
    begin = f"{name.lower()}:"
    return headers if any(line.lower().startswith(begin) for line in headers) else (*headers, f"{name}: {session}")
