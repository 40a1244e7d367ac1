"""The map of monorelay/__init__.py holds: every import, library, name and file is where it may be.

The rules read the source, not the running program, and each finding is a line that an editor can jump to.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parent.parent
PACKAGE = TOP / "monorelay"
LONGEST = 400

# room → the rooms it may import. errors and clock, and the package's own __version__, lie below all (but for demo).
BELOW = {
    "config": (),
    "dialects": (),
    "upstream": (),
    "store": (),
    "plan": ("config", "dialects"),
    "relay": ("plan", "config", "dialects", "upstream", "store"),
    "web": ("relay", "plan", "config", "dialects", "upstream", "store"),
    "daemon": ("web", "relay", "plan", "config", "dialects", "upstream", "store"),
    "demo": (),
    "cli": ("daemon", "web", "relay", "plan", "config", "dialects", "upstream", "store"),
}
GROUND = ("errors", "clock")
# What the master must not load: what does not survive a fork, and what would make every process of the relay larger.
NOT_FOR_THE_MASTER = ("tornado", "pycurl", "asyncio", "sqlite3", "yaml", "cerberus", "jinja2")

# library → the only places that import it, as globs of paths in the package.
ROOMS_OF_LIBRARIES = {
    "yaml": ("config/document.py",),
    "cerberus": ("config/*",),
    "jinja2": ("plan/templates.py", "web/*"),
    "pycurl": ("upstream/curl*.py",),
    "sqlite3": ("store/*",),
    "tornado": ("web/*", "daemon/*", "upstream/*", "demo/*"),
    "psutil": ("web/*",),
}
# Words in the names of shipped providers that are not a vendor's own: dialects, English, and models that anybody serves.
GENERIC = set("openai anthropic compatible compat local cloud chat only relay runtime together coding studio llama".split())


def sources() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def relative(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def room_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE).parts
    return parts[0] if len(parts) > 1 else ""


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """(line, dotted name) of every import, inside functions too. ``from a import b`` counts as a.b."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: a relative import"
            for alias in node.names:
                yield node.lineno, f"{node.module}.{alias.name}"


def finding(path: Path, line: int, sentence: str) -> str:
    text = path.read_text(encoding="utf-8").splitlines()[line - 1].strip() if line else ""
    return f"{path.relative_to(TOP)}:{line}: {sentence}: {text}"


def test_rooms_look_down_only() -> None:
    """A room imports rooms below it, never beside or above."""
    findings = []
    for path in sources():
        room = room_of(path)
        if room == "":
            continue  # the package's own files: the map, errors, clock, and __main__, which is the command line's door
        allowed = (room, *BELOW[room])
        ground = ("errors",) if room == "demo" else GROUND
        for line, name in imports(path):
            package, _, rest = name.partition(".")
            if package != "monorelay" or rest.partition(".")[0] in (*allowed, *ground, "__version__", ""):
                continue
            findings.append(finding(path, line, f"{room} must not import {name}"))
    assert not findings, "\n".join(findings)


def test_every_room_is_on_the_map() -> None:
    """A folder of the package is a room that the map names; nothing else lies beside the rooms."""
    folders = {path.name for path in PACKAGE.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert folders == set(BELOW)
    assert {path.name for path in PACKAGE.glob("*.py")} <= {"__init__.py", "__main__.py", "errors.py", "clock.py"}


@pytest.mark.parametrize("room", sorted(set(BELOW) - {"demo"}))
def test_a_rooms_own_map_is_whole(room: str) -> None:
    """A room names each of its files there, and no other; a folder in it has a docstring of its own."""
    told = ast.get_docstring(tree(PACKAGE / room / "__init__.py")) or ""
    assert set(re.findall(r"\b[a-z_0-9]+\.py\b", told)) == {path.name for path in (PACKAGE / room).glob("*.py")} - {"__init__.py"}
    for folder in (PACKAGE / room).glob("*/__init__.py"):
        assert ast.get_docstring(tree(folder)), f"{folder} says nothing"


def test_the_ground_stands_alone() -> None:
    """errors and clock import nothing of the package."""
    for name in GROUND:
        assert not [found for _, found in imports(PACKAGE / f"{name}.py") if found.startswith("monorelay")]


def test_the_master_stays_small() -> None:
    """`monorelay run`, up to its first fork, loads no event loop, no curl, no database, no YAML, no schemas and no templates."""
    modules = "monorelay.cli.main, monorelay.cli.run, monorelay.cli.demo, monorelay.daemon.start, sys"
    code = f"import {modules}; print(*[name for name in {NOT_FOR_THE_MASTER} if name in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=TOP, capture_output=True, text=True, check=True, timeout=60)
    assert loaded.stdout.split() == []


def test_each_library_lives_in_one_room() -> None:
    """A library outside the standard one is imported only where the map says, and none is imported that the map does not know."""
    findings = []
    for path in sources():
        for line, name in imports(path):
            library = name.split(".")[0]
            if library == "monorelay" or (library in sys.stdlib_module_names and library not in ROOMS_OF_LIBRARIES):
                continue
            places = ROOMS_OF_LIBRARIES.get(library, ())
            if not any(fnmatchcase(relative(path), place) for place in places):
                findings.append(finding(path, line, f"{library} may be imported in {', '.join(places) or 'no room'}"))
    assert not findings, "\n".join(findings)


def test_secrets_are_revealed_in_one_place() -> None:
    """``.reveal(`` is called in plan/templates.py and nowhere else."""
    findings = [
        finding(path, node.lineno, "a secret is revealed here")
        for path in sources()
        if relative(path) != "plan/templates.py"
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Attribute) and node.attr == "reveal"
    ]
    assert not findings, "\n".join(findings)


def vendor_names() -> list[str]:
    words = {word for path in (TOP / "providers.d").glob("*.yml") for word in (path.stem, *re.split(r"[-_.\d]+", path.stem))}
    return sorted(word for word in words if len(word) > 3 and not set(re.split(r"[-_]", word)) & GENERIC)


def test_no_vendor_is_named_in_python() -> None:
    """Vendors are data: no provider of providers.d/ is named in the package, in comments neither."""
    names = vendor_names()
    assert names, "providers.d/ is empty"
    pattern = re.compile(rf"\b({'|'.join(map(re.escape, names))})\b", re.IGNORECASE)
    findings = [
        finding(path, number, "a vendor's name")
        for path in sources()
        for number, text in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if pattern.search(text)
    ]
    assert not findings, "\n".join(findings)


def test_a_file_is_one_subject() -> None:
    """Every file that says anything opens with a docstring and stays within 400 lines."""
    findings = []
    for path in sources():
        lines = path.read_text(encoding="utf-8").count("\n")
        if lines and not ast.get_docstring(tree(path)):
            findings.append(finding(path, 1, "no docstring"))
        if lines > LONGEST:
            findings.append(finding(path, LONGEST, f"{lines} lines, two subjects?"))
    assert not findings, "\n".join(findings)


@pytest.mark.parametrize("folder", ["monorelay", "routes.d", "providers.d", "config.d", "packaging", "docs"])
def test_nothing_is_left_for_later(folder: str) -> None:
    """No file of the product carries a note to its authors."""
    notes = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b|NotImplementedError|\bfor now\b")
    findings = [
        finding(path, number, "a note to the authors")
        for path in sorted((TOP / folder).rglob("*"))
        if path.suffix in {".py", ".yml", ".md", ".sh", ".html"}
        for number, text in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if notes.search(text)
    ]
    assert not findings, "\n".join(findings)
