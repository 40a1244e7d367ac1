"""What a check finds wrong with files that were imported, in the words of the file that they came from.

A rule for models that does not hold (a target nobody serves, a provider that is not there) is left out and told, so that one of
them does not keep everything else from being taken over. Whatever else is wrong is the operator's to mend: the import is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path as Directory

from monorelay.cli.older_outcome import Note, Outcome
from monorelay.config.document import parse
from monorelay.config.fields import Path
from monorelay.config.problems import Problem, dotted

RULES = "model_routing"


@dataclass(frozen=True, slots=True)
class Imported:
    """Files that were written for an outcome: each name's text, below ``directory``."""

    texts: Mapping[str, str]
    directory: Directory

    def path_of(self, problem: Problem) -> Path | None:
        """Where in the outcome a problem is; None where it is in another file."""
        name = next((name for name in self.texts if str(self.directory / name) == problem.file), None)
        if name is None:
            return None
        marks = parse(self.texts[name], name).marks
        here = [path for path, mark in marks.items() if mark == (problem.line, problem.column)] or [()]
        within = next((path for path in here if dotted(path) == problem.path), here[-1])
        return ("providers", Directory(name).stem, *within) if name.startswith("providers.d/") else within


def leave_out(problems: tuple[Problem, ...], imported: Imported, outcome: Outcome, file: str) -> bool:
    """Takes the rules at fault out of the outcome, and notes each; whether there was one.

    ``file``: where the operator would write the rule that is meant.
    """
    found = {path: problem for problem in problems if (path := imported.path_of(problem)) and path[0] == RULES and len(path) > 1}
    outermost = {path for path in found if not any(path[:length] in found for length in range(2, len(path)))}
    told = [
        outcome.told(path, f"is left out: {_message(problem, path)}; write what is meant into {file} yourself")
        for path, problem in found.items()
    ]
    for path in sorted(outermost, key=lambda path: (len(path), str(path[-1]).zfill(6)), reverse=True):
        outcome.leave_out(path)
    outcome.notes += told
    return bool(found)


def in_old_words(problems: tuple[Problem, ...], imported: Imported, outcome: Outcome) -> Iterator[Note | Problem]:
    """Each problem with its line in the old file; one of another file as it is."""
    for problem in problems:
        path = imported.path_of(problem)
        yield outcome.told(path, _message(problem, path)) if path is not None else problem


def _message(problem: Problem, path: Path) -> str:
    """With the name of what is not there, which has no place of its own."""
    name = problem.path.rpartition(".")[2]
    return problem.message if not name or not path or name == dotted(path[-1:]) else f"{name} {problem.message}"
