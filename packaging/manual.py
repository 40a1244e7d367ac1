"""The man pages, written from what the program itself knows: ``python3 packaging/manual.py DIRECTORY`` fills the directory.

monorelay.1 is the command line's own help; the pages of section 5 are chapters of docs/drop-ins.md, which is written from the
schemas. So a page cannot differ from `monorelay COMMAND --help` or from the reference. Both builds call this.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from monorelay import __version__
from monorelay.cli.main import COMMANDS, DESCRIPTION, EPILOG, parser
from monorelay.config.reference import page as reference

# Page → what it is, and the chapters of the reference that it holds: a name, or from one up to another ("" = the end).
CHAPTERS: dict[str, tuple[str, tuple[str | tuple[str, str], ...]]] = {
    "monorelay.yml.5": ("where MonoRelay's files live, and what config.yml says", ("Where files live", ("config.yml", ""))),
    "monorelay-routes.5": ("route drop-ins of MonoRelay", ("Routes", ("Headers", "config.yml"))),
    "monorelay-providers.5": ("provider drop-ins of MonoRelay", (("Providers", "config.yml"),)),
}
PAGES = ("monorelay.1", *CHAPTERS)

FILES = (
    ("/etc/monorelay/config.yml, /etc/monorelay/config.d/*.yml", "your settings"),
    ("/etc/monorelay/routes.d/*.yml, /etc/monorelay/providers.d/*.yml", "your drop-ins, over the shipped ones"),
    ("/etc/monorelay/secrets/", "keys that drop-ins refer to as ${file:secrets/NAME}"),
    ("/usr/share/monorelay/", "the shipped drop-ins; upgrades replace them"),
    ("/run/monorelay/", "temporary drop-ins of the service, gone when it stops"),
    ("/var/lib/monorelay/", "what the relay remembers, and the access key made at installation"),
)
EXITS = (
    ("0", "all is well"),
    ("1", "something failed, or a reload was refused"),
    ("2", "the command line is at fault"),
    ("78", "the configuration is at fault; its problems are printed"),
)


# ---------------------------------------------------------------------------------------------------- text to troff


def plain(text: str) -> str:
    """Text that troff prints as it stands."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("`", "\\(ga").replace("^", "\\(ha")
    return re.sub(r"(?m)^(?=\.)", r"\\&", escaped.replace("~", "\\(ti"))


def prose(markdown: str) -> str:
    """One paragraph: code and strong words in bold, links as their text."""
    parts = re.split(r"(`[^`]+`|\*\*[^*]+\*\*|\*\w[^*`]+\*)", re.sub(r"\[([^\]]+)\]\([^)]+\)", r"\1", markdown))
    return "".join(f"\\fB{plain(_bare(part))}\\fR" if index % 2 else plain(part) for index, part in enumerate(parts))


def _bare(marked: str) -> str:
    return marked[1:-1] if marked.startswith("`") else marked.strip("*")


def block(text: str) -> Iterator[str]:
    """Lines that keep their breaks."""
    yield from (".PP", ".RS 4", ".nf", *(plain(line) if line else ".sp" for line in text.splitlines()), ".fi", ".RE")


def entry(term: str, text: str) -> Iterator[str]:
    yield from (".TP", f"\\fB{plain(term)}\\fR", prose(text))


def head(name: str, summary: str) -> Iterator[str]:
    title, section = name.rsplit(".", 1)
    day = time.strftime("%Y-%m-%d", time.gmtime(int(os.environ.get("SOURCE_DATE_EPOCH", time.time()))))
    yield f'.TH {plain(title.upper())} {section} {day} "monorelay {__version__}" "MonoRelay"'
    yield ".ad l"
    yield from (".SH NAME", f"{plain(title)} \\- {plain(summary)}")


# ---------------------------------------------------------------------------------------------------- section 5


def chapters(page: str) -> dict[str, str]:
    parts = re.split(r"(?m)^## (.+)\n", page)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def titles(name: str, known: Sequence[str]) -> Iterator[str]:
    """The chapters of a page, in their order."""
    for part in CHAPTERS[name][1]:
        first, end = part if isinstance(part, tuple) else (part, "")
        begin = known.index(first)
        yield from known[begin : known.index(end) if end else None] if isinstance(part, tuple) else (first,)


def from_markdown(text: str) -> Iterator[str]:
    """The Markdown that the reference is written in: paragraphs, lists, tables and blocks of code."""
    for match in re.finditer(r"```\w*\n(?P<code>[\s\S]*?)```|(?P<table>(?:^\|.*\n?)+)|(?P<text>(?:^(?!```|\|).+\n?)+)", text, re.M):
        if match["code"] is not None:
            yield from block(match["code"])
        elif match["table"]:
            yield from _table(match["table"].splitlines())
        else:
            for item in re.split(r"(?m)^(?=\* )", match["text"]):
                words = " ".join(item.split())
                if words:
                    yield from (".IP \\(bu 2", prose(words[2:])) if words.startswith("* ") else (".PP", prose(words))


def _table(rows: list[str]) -> Iterator[str]:
    cells = [[cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", row)[1:-1]] for row in rows]
    for first, *others in cells[2:]:
        if cells[0][0] == "field":
            kind, default, meaning = others
            yield from entry(first.strip("`"), f"{meaning} ({kind}; {default})" if default else f"{meaning} ({kind})")
        else:
            yield from (".TP", prose(first), prose("; ".join(others)))


def drop_in_page(name: str) -> Iterator[str]:
    known = chapters(reference())
    yield from head(name, CHAPTERS[name][0])
    for title in titles(name, tuple(known)):
        yield f".SH {plain(title.upper())}"
        yield from from_markdown(known[title])
    yield from see_also(name)


# ---------------------------------------------------------------------------------------------------- section 1


def command(name: str) -> argparse.ArgumentParser:
    """The parser of one command, with its arguments."""
    found: argparse.ArgumentParser = next(
        action.choices[name] for action in parser(name)._actions if isinstance(action, argparse._SubParsersAction)
    )
    return found


def command_page(name: str) -> Iterator[str]:
    yield from head(name, "a relay for LLM providers, with one OpenAI-compatible and one Anthropic-compatible endpoint")
    yield from (".SH SYNOPSIS", "\\fBmonorelay\\fR \\fICOMMAND\\fR [\\fIoption\\fR...]", ".SH DESCRIPTION")
    yield from laid_out(DESCRIPTION)
    yield from laid_out(EPILOG)
    yield ".SH COMMANDS"
    for word, summary in COMMANDS.items():
        one = command(word)
        yield from (f".SS {word}", plain(f"{summary[0].upper()}{summary[1:]}."))
        yield from block(" ".join(one.format_usage().removeprefix("usage: ").split()))
        yield from laid_out(one.description or "")
        for action in one._actions:
            if action.help and action.dest != "help":
                yield from entry(written(action), " ".join((action.help % {**vars(action), "prog": one.prog}).split()))
    yield ".SH FILES"
    for path, what in FILES:
        yield from entry(path, what)
    yield ".SH EXIT STATUS"
    for code, what in EXITS:
        yield from entry(code, what)
    yield from see_also(name)


def laid_out(text: str) -> Iterator[str]:
    """Help texts are laid out by hand: paragraphs of prose flow, whatever is indented or in columns keeps its lines."""
    for paragraph in text.strip("\n").split("\n\n"):
        if re.search(r"(?m)^\s|\S {2,}\S", paragraph):
            yield from block(paragraph)
        elif paragraph.strip():
            yield from (".PP", plain(" ".join(paragraph.split())))


def written(action: argparse.Action) -> str:
    value = action.metavar if isinstance(action.metavar, str) else action.dest.upper()
    if not action.option_strings:
        return value
    return ", ".join(action.option_strings) + (f" {value}" if action.nargs != 0 else "")


def see_also(name: str) -> Iterator[str]:
    others = (page.rsplit(".", 1) for page in PAGES if page != name)
    yield from (".SH SEE ALSO", ", ".join(f"\\fB{plain(title)}\\fR({section})" for title, section in others))


def page(name: str) -> str:
    lines = command_page(name) if name == "monorelay.1" else drop_in_page(name)
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    for each in PAGES:
        (target / each).write_text(page(each), encoding="utf-8")
