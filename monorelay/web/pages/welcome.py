"""GET /: how to point clients here. Nothing secret, and nothing about what is configured."""

from __future__ import annotations

from functools import cache
from pathlib import Path


@cache
def welcome_page(base_url: str, version: str, is_open: bool) -> bytes:
    """``base_url`` ends in /v1; clients of the other family want it without."""
    import jinja2  # by the first visitor: a worker that nobody visits does without its memory

    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True)
    page = environment.get_template("welcome.html")
    return page.render(base_url=base_url, origin=base_url.removesuffix("/v1"), version=version, open=is_open).encode()
