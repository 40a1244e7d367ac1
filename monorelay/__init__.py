"""MonoRelay: one OpenAI-compatible and one Anthropic-compatible endpoint in front of every LLM provider.

The rooms, and the way they may look (a room imports rooms below it, never beside or above):

    cli → daemon → web → relay → plan → config
                          │       └──→ dialects
                          ├──→ upstream       config, dialects, upstream, store: four islands;
                          └──→ store          none imports another. errors and clock lie below all.

config     drop-ins (YAML) become frozen specs, or a list of problems with file, line and column
dialects   wire languages of bodies, streams and errors: pure, sans-io
upstream   the only room that opens sockets outward: the engine, its stand-in, rehearsed faults, the key pool
store      what is remembered on disk
plan       all specs become one immutable plan: routes, lanes, programs for headers and bodies, the catalogue
relay      the straight line of one request: call → aim → target → key → attempt → verdict → delivery
web        everything Tornado serves: the switchboard, the relay delegate, the reply, the relay's own answers
daemon     the process: master, workers, reload, drain
demo       the built-in upstream, a process of its own; imports nothing of the rest but errors
cli        one file per command

A request enters in ``web/delegate.py`` and is carried by ``relay/line.py``: read these two first. A room of many
files has a map of its own in its ``__init__.py``.
"""

__version__ = "0.1.0"
