"""``python -m monorelay``: the same as the command ``monorelay``."""

from __future__ import annotations

import sys

from monorelay.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
