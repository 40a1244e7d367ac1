"""Drop-ins become frozen specs, or every problem of every file at once. An island: no socket, no Tornado, no rendering.

``load.py`` is the way in: directories → ``config.py``'s one value. A field is declared once, in the file of its subject: Cerberus
schema, one-line help, frozen dataclass and reader stand on one screen, and docs and man pages are written from them.

    load.py config.py                   everything, in order; what comes of it
    dropins.py files.py                 which files there are and which wins; one file, and the cache that makes a reload cheap
    document.py references.py           YAML text with the place of every value; ``${…}``
    schema.py checker.py problems.py    how a field is declared, what is wrong with a document, and how that is said
    reading.py scalars.py fields.py fragments.py json_values.py     from a checked document to specs, and what these share

    settings.py tls.py                  config.yml: what only a restart changes, and what a reload takes over
    routing.py chains.py globs.py       ``model_routing``; names that lead to names, globs that take what another one takes
    cascades.py balancing.py complexity.py affinity.py circuit.py models.py payload.py retry.py     its parts; changes of bodies
    route.py headers.py                 a route drop-in; header programs
    provider.py                         a provider drop-in, and its parts:
    keys.py limits.py rate_limits.py prices.py credits.py quirks.py refusals.py faults.py fixtures.py
    crossrefs.py                        what one file says about another

    effective.py describe.py snapshot.py digest.py      what is in force, value by value, as a whole, to compare, as one word
    reference.py prose_providers.py prose_routes.py prose_settings.py       docs/drop-ins.md
    writing.py                          values as YAML, for the commands that write files
"""
