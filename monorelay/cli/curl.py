"""``monorelay curl REQUEST_ID``: the upstream calls of a recent request, as commands to run by hand."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping

from monorelay.cli.command import Parser, add_json, declare
from monorelay.cli.relay_socket import add_relay, inquire

DESCRIPTION = """
Print every attempt that a running relay made upstream for a request, as a curl command: what to send to a provider's support,
or to run again by hand. The id is the answer's x-monorelay-request-id, which the log has as call=.

Credentials are shell variables in it, each the whole value of its header (AUTHORIZATION='Bearer KEY'); the comment above each
command names them. The relay remembers its latest few hundred attempts in memory, and no body over 256 KiB.

    monorelay curl 8c1f20a9b3d400000017

exit codes: 0 printed, 1 the request is not remembered, or no relay was found
"""


def add(parser: Parser) -> None:
    declare(parser, DESCRIPTION, run)
    parser.add_argument("id", metavar="REQUEST_ID", help="x-monorelay-request-id of an answer")
    add_relay(parser)
    add_json(parser)


def run(options: argparse.Namespace, environ: Mapping[str, str]) -> int:
    answers = inquire(options, environ, {"ask": "curl", "id": options.id})
    if answers is None:
        return 1
    attempts = (answers[0]["answer"] or {}).get("attempts", [])
    if not attempts:
        print(f"no attempt of request {options.id} is remembered: it is unknown, too old, or made none", file=sys.stderr)
        return 1
    print(json.dumps(attempts, indent=2) if options.json else "\n\n".join(attempts))
    return 0
