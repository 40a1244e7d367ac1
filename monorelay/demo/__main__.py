"""``python -m monorelay.demo``: the built-in upstream as a process of its own."""

from __future__ import annotations

import argparse
import sys

import monorelay.demo
from monorelay.demo.app import serve
from monorelay.demo.handler import Pace


def main() -> None:
    usual = Pace()
    parser = argparse.ArgumentParser(
        prog="python -m monorelay.demo",
        description=monorelay.demo.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--port", type=int, default=0, help="loopback port to listen on; 0, the default, takes a free one")
    parser.add_argument("--word", type=float, default=usual.word, metavar="SECONDS", help="between two words (%(default)s)")
    parser.add_argument(
        "--moment", type=float, default=usual.moment, metavar="SECONDS", help="until a batch or a run is done (%(default)s)"
    )
    parser.add_argument("--slow", type=float, default=usual.slow, metavar="SECONDS", help="how slow demo-slow is (%(default)s)")
    parser.add_argument("--until-eof", action="store_true", help="end when standard input ends: with whoever started this")
    options = parser.parse_args()
    try:
        serve(options.port, Pace(options.word, options.moment, options.slow), options.until_eof)
    except OSError as error:
        sys.exit(f"demo upstream: port {options.port} cannot be used: {error.strerror}")


if __name__ == "__main__":
    main()
