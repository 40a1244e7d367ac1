"""GET /: how to point clients here. Nothing secret, and nothing about what is configured."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import jinja2


@cache
def _page() -> jinja2.Template:
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True)
    return environment.get_template("welcome.html")


@cache
def welcome_page(base_url: str, version: str, is_open: bool) -> bytes:
    """``base_url`` ends in /v1; clients of the other family want it without."""
    return _page().render(base_url=base_url, origin=base_url.removesuffix("/v1"), version=version, open=is_open).encode()
