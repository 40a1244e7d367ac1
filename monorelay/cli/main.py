"""The command line: ``monorelay COMMAND``.

Exit codes are the same everywhere: 0 all is well, 78 (EX_CONFIG) the configuration is at fault and its problems are printed, 2 the
command line itself is, 1 anything else.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from keyword import iskeyword

from monorelay import __version__
from monorelay.config.problems import ConfigError
from monorelay.daemon.start import BAD_CONFIGURATION

DESCRIPTION = """\
One OpenAI-compatible and one Anthropic-compatible endpoint in front of every LLM provider.

What is served is data: drop-in files in routes.d/ (where requests come in) and providers.d/ (where they go).
They are read from three places, the later over the earlier:

    the shipped ones      beside the program, or $MONORELAY_VENDOR_DIR
    yours                 /etc/monorelay, or --config-dir; config.yml lies there too
    temporary ones        $RUNTIME_DIRECTORY, when it is set
"""
EPILOG = """\
First steps:
    monorelay demo                      try everything, without any account
    monorelay providers                 which providers are shipped, and where each looks for its key
    monorelay enable openai             give one its key: it is asked for, and written to a file of its own
    monorelay run                       serve those that have one
    monorelay reload                    put a change in force, without dropping a request, or say what is wrong with it
"""
# Name → its line in the list of commands. A command's own file is loaded when it is the one.
COMMANDS = {
    "run": "serve, in the foreground",
    "reload": "put the files in force, and say what came of it",
    "status": "what a running relay serves, and what came of its last reload",
    "check": "say what is wrong with the files, without touching anything",
    "routes": "every route, and who serves it",
    "providers": "every provider, its state and what it offers",
    "explain": "which provider gets a model, and which line decided that",
    "curl": "show what a recent request sent upstream, as curl commands",
    "enable": "switch a provider on: asks for its key",
    "disable": "switch a provider off, and keep its keys",
    "edit": "change a provider in your editor, checked before it counts",
    "doctor": "what on this machine would keep it from serving",
    "import": "take over a config.yml of the earlier system",
    "dump": "the configuration in force, every value with its origin",
    "diff": "what a reload would change",
    "translate": "show a body in another dialect, and what it loses on the way",
    "demo": "try everything with a built-in upstream, without any account",
}


def parser(chosen: str | None) -> argparse.ArgumentParser:
    """The whole command line; the arguments of a command are known only if it is the chosen one."""
    top = argparse.ArgumentParser(
        prog="monorelay", description=DESCRIPTION, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    top.add_argument("--version", action="version", version=f"monorelay {__version__}")
    commands = top.add_subparsers(title="commands", metavar="COMMAND", dest="command", required=True)
    for name, summary in COMMANDS.items():
        command = commands.add_parser(name, help=summary)
        if name == chosen:
            import_module(f"monorelay.cli.{name}{'_' * iskeyword(name)}").add(command)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit code."""
    words = sys.argv[1:] if arguments is None else arguments
    options = parser(next((word for word in words if word in COMMANDS), None)).parse_args(words)
    try:
        code: int = options.run(options, _surroundings(options))
        sys.stdout.flush()
        return code
    except ConfigError as error:
        for problem in error.problems:
            print(problem, file=sys.stderr)
        return BAD_CONFIGURATION
    except ModuleNotFoundError as error:
        library = (error.name or "monorelay").partition(".")[0]
        if library == "monorelay":
            raise
        print(
            f"this Python ({sys.executable}) lacks the library {library}. In a checkout this finds, or makes, one that has all:\n"
            f"    sh packaging/python.sh run -m monorelay {shlex.join(words)}",
            file=sys.stderr,
        )
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader of our output has seen enough (`monorelay routes | head`). What is buffered has nowhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 1


def _surroundings(options: argparse.Namespace) -> Mapping[str, str]:
    """The environment of every command that looks at the files as the service would; the service has its own."""
    if options.command == "run":
        return os.environ
    from monorelay.cli.relay_user import with_credentials  # not above: what ``run`` loads stays in every process of the relay

    return with_credentials(getattr(options, "config_dir", None), os.environ)
