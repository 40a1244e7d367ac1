"""A value inside a JSON document, by a path as operators write it: names joined by dots, ``[n]`` for the n-th item from 0. Pure."""

from __future__ import annotations

import json
import math
import re
from typing import Any

_STEP = re.compile(r"\.?([^.\[\]]+)|\[(\d{1,9})\]")
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)


def balance_in(body: bytes, path: str, minus: str | None = None) -> float:
    """The number at ``path``, less the one at ``minus``. Raises ValueError with what is wrong in a sentence.

    >>> balance_in(b'{"data": {"total_credits": "20.00", "total_usage": 12.35}}', "data.total_credits", "data.total_usage")
    7.65
    """
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ValueError("the answer is not JSON") from error
    left = number_at(value, path)
    return left if minus is None else round(left - number_at(value, minus), 9)  # 20.00 - 12.35 is no 7.649999999999999


def number_at(value: Any, path: str) -> float:
    """A number, or text that is one. Raises ValueError."""
    found = value_at(value, path)
    if isinstance(found, str) and _NUMBER.fullmatch(found.strip()):
        found = float(found)
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise ValueError(f"there is no number at '{path}'")
    try:
        number = float(found)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueError(f"the number at '{path}' is too large")
    return number


def value_at(value: Any, path: str) -> Any:
    """None where the document has nothing there.

    >>> value_at({"infos": [{"total": "1.5"}]}, "infos[0].total")
    '1.5'
    """
    place = 0
    while place < len(path):
        step = _STEP.match(path, place)
        if step is None:
            raise ValueError(f"'{path}' is not a path: names joined by dots, [n] for an item")
        place = step.end()
        name, number = step.groups()
        if name is not None:
            value = value.get(name) if isinstance(value, dict) else None
        else:
            value = value[int(number)] if isinstance(value, list) and int(number) < len(value) else None
    return value
