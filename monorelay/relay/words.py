"""What a refusal is about, and whether nobody is to see it: the dialect's own codes, then what the provider's file says."""

from __future__ import annotations

from monorelay.dialects.envelopes import as_json
from monorelay.dialects.refusal_kinds import Kind, error_words, kind_of_error, kind_of_refusal
from monorelay.errors import ErrorBody
from monorelay.plan.plan import Words
from monorelay.plan.resolution import Target
from monorelay.relay.outcome import Outcome, Refused, RefusedInStream
from monorelay.relay.refusal import decoded


def kind_of(target: Target, outcome: Refused | RefusedInStream) -> Kind:
    """ "" where no other model and no other provider could do better."""
    capability = target.lane.translator.upstream
    if isinstance(outcome, RefusedInStream):
        error = outcome.error
        kind = kind_of_error(capability, error.status, error.body)
        return kind or _by_words(target.provider.words, _words_of(error.body))
    body = decoded(outcome.body, dict(outcome.headers).get("content-encoding", ""))
    kind = kind_of_refusal(capability, outcome.status, body)
    if kind not in ("", "not_offered") or not _has_words(target.provider.words):
        return kind
    return _by_words(target.provider.words, error_words(body)) or kind


def judged_status(target: Target, outcome: Outcome, status: int | None) -> int | None:
    """The status by which a refusal is judged. A 403 that blames what somebody wrote is theirs, and says nothing of the key: else
    one client's words would rest the keys of all.
    """
    blames = status == 403 and isinstance(outcome, Refused | RefusedInStream) and kind_of(target, outcome) == "content_filter"
    return 400 if blames else status


def is_ignored(target: Target, outcome: Outcome) -> bool:
    """Whether nobody is to see this refusal: by the provider's file, or because it says no more than that this key has no such
    model, which is nothing to rest it for.
    """
    if isinstance(outcome, Refused) and outcome.status == 403 and kind_of(target, outcome) == "model_not_found":
        return True
    spec, pattern = target.provider.spec.ignore, target.provider.words.ignored
    if not spec.status and pattern is None:
        return False
    match outcome:
        case Refused(status=status, headers=headers, body=body):
            if status in spec.status:
                return True
            if pattern is None:
                return False
            words = error_words(decoded(body, dict(headers).get("content-encoding", "")))
        case RefusedInStream(error=error):
            if error.status in spec.status:
                return True
            words = _words_of(error.body)
        case _:
            return False
    return pattern is not None and any(pattern.fullmatch(word) for word in words)


def _has_words(words: Words) -> bool:
    return bool(words.context_length or words.content_filter or words.model_not_found)


def _by_words(patterns: Words, words: tuple[str, ...]) -> Kind:
    for word in words:
        if patterns.context_length is not None and patterns.context_length.fullmatch(word):
            return "context_length"
        if patterns.content_filter is not None and patterns.content_filter.fullmatch(word):
            return "content_filter"
        if patterns.model_not_found is not None and patterns.model_not_found.fullmatch(word):
            return "model_not_found"
    return ""


def _words_of(error: ErrorBody) -> tuple[str, ...]:
    return error_words(as_json({"error": {"type": error.type, "code": error.code, "message": error.message}}))
