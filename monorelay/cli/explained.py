"""An explanation as text, for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from monorelay.cli.table import columns

_LINES = (("legs", ""), ("context_length", "when it is too long"), ("content_filter", "when its content is refused"))


def text_of(model: str, group: Sequence[dict[str, Any]]) -> str:
    """Explanations that differ in their route only, as one."""
    first = group[0]
    lines = [f"{model} on {', '.join(one['route'] for one in group)}"]
    lines += _steps(first["steps"])
    if "refusal" in first:
        return "\n".join([*lines, f"  refused: {first['refusal']['status']} {_refusal(first['refusal'])}"])
    if "complexity" in first:
        score = first["complexity"]
        seen = "it is a heuristic" if score["parts"] else "there was nothing to look at: give a request with --body"
        lines.append(f"  score {score['value']} ({score['level']}; {seen})")
        lines += columns([(f"    {part['part']}", f"{part['value']:+}", part["reason"]) for part in score["parts"]]).splitlines()
    for name, when in _LINES:
        for leg in first.get(name, ()):
            lines += _leg(leg, when, in_full=len(group) == 1)
    if len(group) > 1:
        lines += [f"  the same on {one['route']}: {url}" for one in group[1:] for url in _urls(one)]
        lines.append("  --route ROUTE shows time-outs, headers, and what becomes of the body")
    return "\n".join(lines)


def _steps(steps: Sequence[dict[str, Any]]) -> list[str]:
    rows = [(f"  {step['rule']}", step["text"], step["origin"] or "") for step in steps]
    return columns(rows).splitlines() if rows else []


def _leg(leg: dict[str, Any], when: str, in_full: bool) -> Iterator[str]:
    if "refusal" in leg:
        yield f"  → {leg['model']}: passed over: {_refusal(leg['refusal'])}"
    if "strategy" in leg:
        yield f"  {leg['model']} is balanced by {leg['strategy']}:"
    for target in leg["targets"]:
        yield from _target(target, when, in_full)


def _target(target: dict[str, Any], when: str, in_full: bool) -> Iterator[str]:
    """``in_full``: with what each of several routes has for itself."""
    does = target.get("answered_by")
    if does is not None:
        does = "does not offer this: the relay answers itself"
    elif "refusal" in target:
        does = f"refused: {_refusal(target['refusal'])}"
    else:
        way = "" if target["native"] else f", translated to {target['capability']}"
        does = f"{target['request']['method']} {target['request']['url']}{way}"
    yield f"  → '{target['model']}' at {target['provider']}{f' ({when})' if when else ''}: {does}"
    if target["keys"]:
        what = "keys" if target["needs_key"] else "no key needed"
        yield f"      {what}: {', '.join(_key(key, target) for key in target['keys'])}"
    if not in_full:
        return
    if "request" in target:
        limits = (f"{name} {limit:g} s" for name, limit in target["timeouts"].items() if limit is not None)
        yield f"      time-outs: {', '.join(limits) or 'none'}"
    for step in target.get("body_changes", ()):
        yield f"      body: {step['rule']}: {step['text']}{_at(step['origin'])}"
    for field in target.get("lost", ()):
        yield f"      lost: {field}"
    for line in target.get("request", {}).get("headers", ()):
        yield f"      {line}"
    if "body" in target.get("request", {}):
        yield f"      {target['request']['body']}"


def _key(key: dict[str, Any], target: dict[str, Any]) -> str:
    label = f"{key['label']} " if target["needs_key"] else ""
    if key["usable"]:
        return f"{label}usable"
    wait = f", free in {key['free_in']:g} s" if "free_in" in key else ""
    return f"{label}{key.get('reason', 'not usable')}{wait}"


def _urls(one: dict[str, Any]) -> Iterator[str]:
    for leg in one["legs"]:
        for target in leg["targets"]:
            if "request" in target:
                yield f"{target['request']['method']} {target['request']['url']}"


def _refusal(refusal: dict[str, Any]) -> str:
    return f"{refusal['type']}: {refusal['message']}"


def _at(origin: str | None) -> str:
    return f" ({origin})" if origin else ""
