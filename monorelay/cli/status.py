"""``monorelay status``: what a running relay says of itself."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping
from typing import Any

from monorelay.cli.command import Parser, add_json, declare
from monorelay.cli.relay_socket import add_relay, inquire

DESCRIPTION = """
Print which generation a running relay serves, what came of its last reload, its workers, and where it listens and remembers.

exit codes: 0 it runs, 1 none was found, or it does not answer
"""


def add(parser: Parser) -> None:
    declare(parser, DESCRIPTION, run)
    add_relay(parser)
    add_json(parser)


def run(options: argparse.Namespace, environ: Mapping[str, str]) -> int:
    answers = inquire(options, environ, {"ask": "status"}, {"ask": "workers"})
    if answers is None:
        return 1
    status, workers = answers
    said = {worker["pid"]: worker for worker in workers["answers"]}
    if options.json:
        status["workers"] = [{**worker, **said.get(worker["pid"], {})} for worker in status["workers"]]
        print(json.dumps(status, indent=2))
        return 0
    last = status["last_reload"]
    print(f"monorelay {status['version']}, process {status['pid']}: {status['state']}")
    print(f"generation   {status['generation']}, {status['summary']}")
    print(f"last reload  {_last(last)}")
    for problem in last["problems"]:
        print(f"             {problem}")
    for number, worker in enumerate(status["workers"]):
        print(f"{'workers' if not number else '':<11}  {_worker(worker, said.get(worker['pid']))}")
    print(f"listening    {status['listening']}")
    print(f"state        {status['state_dir']}")
    return 0


def _last(last: Mapping[str, Any]) -> str:
    at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(last["at"]))
    return f"none since the start, {at}" if last["outcome"] == "started" else f"{last['outcome']}, {at} (attempt {last['attempt']})"


def _worker(worker: Mapping[str, Any], said: Mapping[str, Any] | None) -> str:
    if said is None:
        return f"process {worker['pid']}: {'does not answer' if worker['ready'] else 'starting'}"
    return f"process {worker['pid']}: generation {said['generation']}, {said['in_flight']} in flight"
