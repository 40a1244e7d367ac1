"""What in a text looks like code: fences, traces of errors, names of files, brackets, lines with a margin.

Every expression is bounded, so that no text takes longer than its length: what is looked for comes from clients.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_FILE_NAME = re.compile(
    r"(?<=\w)\.(?:py|pyi|js|mjs|jsx|tsx?|vue|rs|go|java|kts?|swift|scala|c|cc|cpp|h|hpp|cs|rb|php|pl|lua|sql|sh|ps1|ya?ml|toml|json"
    r"|xml|html?|s?css|tf|proto|gradle|ipynb|ini|conf)\b"
)
_TRACE = re.compile(
    r'Traceback \(most recent|^[ \t]{1,40}at \S{1,200}|File "[^"\n]{1,300}", line [0-9]|panicked at|Exception in thread'
    r"|(?:Error|Exception):[ \t]|Segmentation fault|core dumped",
    re.M,
)
_BRACKETS = "{}()[];=<>"
_MARGIN = re.compile(r"^(?: {4}|\t)+\S", re.M)


def signs_of_code(text: str) -> Iterator[tuple[float, str]]:
    """How strong each sign is, between 0 and 1, and its name."""
    if "```" in text or "~~~" in text:
        yield 0.5, "a fence"
    if _TRACE.search(text):
        yield 0.5, "a trace of an error"
    names = len(_FILE_NAME.findall(text))
    if names:
        yield 1 - 0.75**names, f"{names} file names"
    if len(text) < 60:
        return
    density = sum(map(text.count, _BRACKETS)) / len(text)
    if density > 0.025:
        yield min(0.6, (density - 0.025) * 12), "brackets"
    lines = len(_MARGIN.findall(text))
    if lines >= 3:
        yield min(0.4, lines / 25), "lines with a margin"
