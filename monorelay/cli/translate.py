"""``monorelay translate``: one body, from one dialect to another, as a call would do it."""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from collections.abc import Mapping
from typing import Any

from monorelay.cli.command import Parser, declare

DESCRIPTION = """
Translate a body as the relay would, without calling anybody. FILE is what one side sent; - reads standard input.

    monorelay translate --from anthropic.messages --to openai.chat request.json
        a client's request, as the provider would receive it

    monorelay translate --from anthropic.messages --to openai.chat --response answer.json
    monorelay translate --from anthropic.messages --to openai.chat --stream answer.sse
        a provider's answer, as the client would receive it

--from is what the client speaks, --to what the provider speaks, in both directions. What gets lost on the way is printed to
standard error, one line per field, with the reason where one is known. Ids and times are fixed, so that outputs can be compared.

exit codes: 0 translated, 1 it cannot be (the reason is printed), 2 no such translation
"""


def add(parser: Parser) -> None:
    declare(parser, DESCRIPTION, run)
    parser.add_argument("--from", dest="client", required=True, metavar="CAPABILITY", help="what the client speaks: openai.chat …")
    parser.add_argument("--to", dest="upstream", required=True, metavar="CAPABILITY", help="what the provider speaks")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--response", action="store_true", help="FILE is the provider's whole answer")
    what.add_argument("--stream", action="store_true", help="FILE is the provider's event stream")
    parser.add_argument("--request", metavar="FILE", help="the client's request that the answer belongs to (for tools it named)")
    parser.add_argument("--model", default="", help="the model's name at the provider; the request's own by default")
    parser.add_argument("--strict", action="store_true", help="refuse instead of losing anything")
    parser.add_argument("file", metavar="FILE", help="the body; - = standard input")


def run(options: argparse.Namespace, environ: Mapping[str, str]) -> int:
    from monorelay.dialects.interface import Hints, Truncated, Untranslatable
    from monorelay.dialects.quirks import NO_QUIRKS
    from monorelay.dialects.table import PAIRS, translator_for

    translator = translator_for(options.client, options.upstream)
    if translator is None:
        known = "\n".join(f"    --from {client} --to {upstream}" for client, upstream in PAIRS)
        print(f"no translation from {options.client} to {options.upstream}; there are:\n{known}", file=sys.stderr)
        return 2
    about_answer = options.response or options.stream
    if options.request and not about_answer:
        print("--request belongs to an answer: say --response or --stream", file=sys.stderr)
        return 2
    try:
        given = _read(options.file)
        raw = _read(options.request) if options.request else b"{}" if about_answer else given
        body = _object(raw)
        if about_answer and not options.request:
            body = _smallest_request(options.client, options.stream)
            raw = json.dumps(body).encode()
        count = itertools.count(1)
        hints = Hints(
            model=options.model or str(body.get("model", "")),
            created=0,
            new_id=lambda prefix: f"{prefix}{next(count):024d}",
            quirks=NO_QUIRKS,
            strict=options.strict,
        )
        translation = translator.begin(body, raw, hints)
        if options.stream:
            transducer = translation.stream()
            _write(transducer.feed(given))
            _write(transducer.close())
            if transducer.error is not None and not transducer.opened:
                print(f"the stream begins with an error: {transducer.error.body.message}", file=sys.stderr)
                return 1
        elif options.response:
            _write(translation.answer(given))
        else:
            _write(translation.request)
    except OSError as error:
        if error.filename is None:  # not a file of ours, but the output, which `main` knows about
            raise
        print(f"{error.filename} cannot be read: {error.strerror}", file=sys.stderr)
        return 1
    except json.JSONDecodeError as error:
        print(f"what was given is not JSON: {error}", file=sys.stderr)
        return 1
    except (Untranslatable, Truncated, ValueError) as error:
        print(str(error) or "the answer was cut", file=sys.stderr)
        return 1
    for field in translation.lost if not about_answer else ():
        print(f"lost: {field}", file=sys.stderr)
    return 0


def _smallest_request(client: str, stream: bool) -> dict[str, Any]:
    """What a client must at least have asked for an answer to come."""
    turns: dict[str, Any] = {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 1024}
    if client.endswith(".responses"):
        turns = {"input": "Hello"}
    elif client.endswith(".completions"):
        turns = {"prompt": "Hello"}
    return {"model": "model", "stream": stream, **turns}


def _object(raw: bytes) -> dict[str, Any]:
    body = json.loads(raw)
    if not isinstance(body, dict):
        raise ValueError("the request is not a JSON object")
    return body


def _read(name: str) -> bytes:
    if name == "-":
        return sys.stdin.buffer.read()
    with open(name, "rb") as file:
        return file.read()


def _write(data: bytes) -> None:
    sys.stdout.write(data.decode("utf-8", "replace"))
    if data and not data.endswith(b"\n"):
        sys.stdout.write("\n")
