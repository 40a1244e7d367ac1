"""``monorelay demo``: the relay with its built-in upstream, for a first look without any account.

The upstream is a process of its own on a free loopback port; the relay reaches it like any other, through two provider files that
are written to a private directory. Both end together, whichever ends first.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from monorelay.cli.command import Parser, declare
from monorelay.cli.run import address
from monorelay.daemon.reading import Outcome
from monorelay.daemon.start import Options
from monorelay.daemon.start import run as run_daemon

DESCRIPTION = """
Serve the shipped routes with a built-in upstream that answers every endpoint in both dialects: chat echoes, tools are called,
files are remembered, and models named demo-429, demo-cut, demo-slow and so on misbehave on purpose
(`python -m monorelay.demo --help` lists them).

It needs no account and no network, and leaves nothing behind. It prints lines to try, and where its own two provider files are:
edit one, send SIGHUP to the process, and see what changes.
"""
ACCESS_KEY = "sk-demo"
# Keys come from the environment, as they should; this is all of it that the demo's configuration sees.
ENVIRON = {"DEMO_ACCESS_KEY": ACCESS_KEY, "DEMO_UPSTREAM_KEY": "demo"}

FILES = {
    "config.yml": """
        server:
          access_key: "${{DEMO_ACCESS_KEY}}"
          detect_public_ip: false
          state_dir: state
        """,
    "providers.d/10-demo-openai.yml": """
        # The built-in upstream in the one dialect ...
        provider: demo-openai
        extends: openai-compatible
        base_url: {url}/v1
        keys: [{{label: main, secret: "${{DEMO_UPSTREAM_KEY}}"}}]
        offers:
          credits: /credits
        """,
    "providers.d/20-demo-anthropic.yml": """
        # ... and in the other.
        provider: demo-anthropic
        extends: anthropic-compatible
        base_url: {url}
        keys: [{{label: main, secret: "${{DEMO_UPSTREAM_KEY}}"}}]
        """,
}

WELCOME = """
Try it (Ctrl-C ends it):

  curl {url}/v1/chat/completions -H 'Authorization: Bearer {key}' -H 'Content-Type: application/json' \\
    -d '{{"model": "demo", "messages": [{{"role": "user", "content": "Hello!"}}]}}'

  OPENAI_BASE_URL={url}/v1 OPENAI_API_KEY={key} python3 -c 'import openai; \\
    print(openai.OpenAI().responses.create(model="demo", input="Hello!").output_text)'

  ANTHROPIC_BASE_URL={url} ANTHROPIC_API_KEY={key} claude --model demo-claude -p 'Hello!'

Its files are in {directory}; edit one, then: kill -HUP {pid}
"""


def add(parser: Parser) -> None:
    declare(parser, DESCRIPTION, run)
    parser.add_argument(
        "--listen",
        type=address,
        default=("127.0.0.1", 8787),
        metavar="HOST:PORT",
        help="where to serve (127.0.0.1:8787); port 0 takes any free one",
    )


def run(options: argparse.Namespace, environ: Mapping[str, str]) -> int:
    # The upstream ends when its standard input does, so it cannot outlive this process. A session of its own keeps Ctrl-C from it
    # until the relay has finished what it is doing.
    command = [sys.executable, "-m", "monorelay.demo", "--port", "0", "--until-eof"]
    environ_for_upstream = _environ_for_upstream(environ)
    with tempfile.TemporaryDirectory(prefix="monorelay-demo-") as directory:
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True, env=environ_for_upstream
        ) as upstream:
            assert upstream.stdin is not None and upstream.stdout is not None
            try:
                words = upstream.stdout.readline().decode().split()
                if not words:
                    print("the built-in upstream did not start", file=sys.stderr)
                    return 1
                code = _serve(options, environ, Path(directory), words[-1], upstream.stdout.fileno())
                return code or int(upstream.poll() is not None)
            finally:
                upstream.stdin.close()


def _serve(options: argparse.Namespace, environ: Mapping[str, str], directory: Path, upstream: str, lifeline: int) -> int:
    write_files(directory, upstream)

    def welcome(url: str) -> None:
        print(WELCOME.format(url=url, key=ACCESS_KEY, directory=directory, pid=os.getpid()), flush=True)

    return run_daemon(
        Options(
            read=partial(_read, directory, environ),
            environ=environ,
            listen=options.listen,
            after_ready=welcome,
            lifeline=lifeline,
        )
    )


def _read(directory: Path, environ: Mapping[str, str], generation: int, hosts: tuple[str, ...] | None) -> Outcome:
    """The shipped files and the demo's own, without what this machine has configured. Called in a child of the master."""
    from monorelay.config.load import Places, find_places, survey
    from monorelay.daemon.prepare import read

    places = Places(vendor=find_places(None, environ).vendor, operator=directory, runtime=None)
    return read(partial(survey, places, ENVIRON), generation, hosts)


def write_files(directory: Path, upstream: str) -> None:
    for name, text in FILES.items():
        path = directory / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(textwrap.dedent(text).lstrip().format(url=upstream), encoding="utf-8")


def _environ_for_upstream(environ: Mapping[str, str]) -> dict[str, str]:
    """The package must be found by the child as this process found it, also when neither is installed."""
    root = str(Path(__file__).resolve().parents[2])
    return {**environ, "PYTHONPATH": os.pathsep.join(filter(None, (root, environ.get("PYTHONPATH"))))}
