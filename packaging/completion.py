"""Completion for three shells, written from the command line's own parsers: ``python3 packaging/completion.py DIRECTORY``.

It makes monorelay (bash), _monorelay (zsh) and monorelay.fish. Commands and options are the parsers'; where an argument is called
PROVIDER, the names of the provider drop-ins are offered, elsewhere files.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from manual import COMMANDS, command

# The shipped drop-ins and the operator's, by file name: asking the relay itself would take a third of a second at each Tab.
PROVIDERS = (
    "for file in /usr/share/monorelay/providers.d/*.yml /etc/monorelay/providers.d/*.yml; do "
    'name=${file##*/}; [ -e "$file" ] && echo "${name%.yml}"; done'
)

FISH = """\
# fish completion for monorelay
function __monorelay_providers
    for file in /usr/share/monorelay/providers.d/*.yml /etc/monorelay/providers.d/*.yml
        basename $file .yml
    end
end"""


def options(name: str) -> list[argparse.Action]:
    return [action for action in command(name)._actions if action.option_strings]


def takes_provider(name: str) -> bool:
    return any(
        "PROVIDER" in (action.metavar, action.dest.upper()) for action in command(name)._actions if not action.option_strings
    )


def words(name: str) -> str:
    return " ".join(word for action in options(name) for word in action.option_strings)


def summary(action: argparse.Action) -> str:
    """The help in one short line, without what a shell would take for its own."""
    return re.sub(r"[\[\]'`$\\\"]", "", " ".join((action.help or "").replace("%%", "%").split()))[:70]


def bash() -> str:
    cases = "\n".join(
        f'        {name}) words="{words(name)}"; providers={"yes" if takes_provider(name) else ""} ;;' for name in COMMANDS
    )
    return f"""\
# bash completion for monorelay
_monorelay() {{
    local current=${{COMP_WORDS[COMP_CWORD]}} words="" providers="" command="" word
    for word in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
        case $word in -*) ;; *) command=$word; break ;; esac
    done
    case $command in
        "") words="{" ".join(COMMANDS)} --help --version" ;;
{cases}
    esac
    if [ -n "$providers" ] && [[ $current != -* ]]; then
        words=$({PROVIDERS})
    fi
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}}
complete -o bashdefault -o default -F _monorelay monorelay
"""


def zsh() -> str:
    commands = "\n".join(f"        '{name}:{line.replace(chr(39), '')}'" for name, line in COMMANDS.items())
    cases = "\n".join(f"        {name})\n            _arguments {_zsh_arguments(name)} ;;" for name in COMMANDS)
    return f"""\
#compdef monorelay
_monorelay_providers() {{
    local -a names
    names=(${{(f)"$({PROVIDERS})"}})
    compadd -a names
}}
_monorelay() {{
    local -a commands
    local context state state_descr line
    typeset -A opt_args
    commands=(
{commands}
    )
    _arguments -C '--help[what it is]' '--version[its version]' '1:command:->command' '*::argument:->argument'
    if [[ $state == command ]]; then
        _describe command commands
        return
    fi
    case $line[1] in
{cases}
    esac
}}
_monorelay "$@"
"""


def _zsh_arguments(name: str) -> str:
    told = []
    for action in options(name):
        value = "" if action.nargs == 0 else f":{(action.metavar or action.dest).lower()}:_files"
        told += [f"'{word}[{summary(action).replace(':', chr(92) + ':')}]{value}'" for word in action.option_strings]
    return " ".join([*told, "'*:provider:_monorelay_providers'" if takes_provider(name) else "'*:file:_files'"])


def fish() -> str:
    lines = [FISH, "complete -c monorelay -f -n __fish_use_subcommand -l help -d 'what it is'"]
    lines.append("complete -c monorelay -f -n __fish_use_subcommand -l version -d 'its version'")
    for name, line in COMMANDS.items():
        seen = f"'__fish_seen_subcommand_from {name}'"
        lines.append(f"complete -c monorelay -f -n __fish_use_subcommand -a {name} -d '{line.replace(chr(39), '')}'")
        for action in options(name):
            flags = " ".join(f"-l {word[2:]}" if word.startswith("--") else f"-s {word[1:]}" for word in action.option_strings)
            value = "" if action.nargs == 0 else " -r"
            lines.append(f"complete -c monorelay -n {seen} {flags}{value} -d '{summary(action)}'")
        if takes_provider(name):
            lines.append(f"complete -c monorelay -f -n {seen} -a '(__monorelay_providers)'")
    return "\n".join(lines) + "\n"


FILES = {"monorelay": bash, "_monorelay": zsh, "monorelay.fish": fish}

if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    for file, write in FILES.items():
        (target / file).write_text(write(), encoding="utf-8")
