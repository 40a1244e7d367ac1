"""Say what this Python lacks of the requirements in setup.py, one line each; exit 1 if it lacks anything.

    python3 packaging/missing.py REQUIRES SUITE TOOLS         what is missing or outside its bounds
    python3 packaging/missing.py --list REQUIRES              every requirement, for pip

It needs nothing but the standard library, because it is asked before anything is installed.
"""

from __future__ import annotations

import ast
import re
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

SETUP = Path(__file__).resolve().parent.parent / "setup.py"
FLOOR = (3, 11)


def requirements(names: list[str]) -> list[str]:
    """The lists of those names in setup.py, read as literals."""
    lists: dict[str, list[str]] = {}
    for node in ast.parse(SETUP.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.List) and isinstance(node.targets[0], ast.Name):
            lists[node.targets[0].id] = ast.literal_eval(node.value)
    return [requirement for name in names for requirement in lists[name]]


def numbers(text: str) -> tuple[int, ...]:
    """``6.0.3+b1`` → (6, 0, 3): enough for the bounds that setup.py uses."""
    found = re.match(r"\d+(\.\d+)*", text)
    return tuple(map(int, found.group().split("."))) if found else ()


def fault(requirement: str) -> str | None:
    """Why the requirement is not met, or None."""
    name, bounds = re.fullmatch(r"([A-Za-z0-9_.-]+)(.*)", requirement).groups()
    try:
        installed = version(name)
    except PackageNotFoundError:
        return f"{requirement} is not installed"
    for bound in filter(None, bounds.split(",")):
        operator, limit = re.fullmatch(r"(>=|<)(.+)", bound).groups()
        if (numbers(installed) >= numbers(limit)) != (operator == ">="):
            return f"{requirement} is wanted, {installed} is installed"
    return None


def main(arguments: list[str]) -> int:
    if arguments and arguments[0] == "--list":
        print("\n".join(requirements(arguments[1:])))
        return 0
    faults = [found for requirement in requirements(arguments) if (found := fault(requirement))]
    if sys.version_info < FLOOR:
        faults.insert(0, f"Python {FLOOR[0]}.{FLOOR[1]} is wanted, this is {sys.version.split()[0]}")
    print("\n".join(faults), end="\n" if faults else "")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
