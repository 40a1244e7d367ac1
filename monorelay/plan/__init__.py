"""Specs become the compiled, immutable plan. Pure: no socket, no file, no clock.

``compile.py`` is the way in. What a request needs is found in ``plan.table`` (path → route), ``route.lanes`` (provider → everything
that was rendered beforehand), ``plan.payload`` (what the operator changes in bodies) and a ``catalogue.Catalogue`` (model →
resolution).

    plan.py           the compiled whole, as values
    compile.py        config → plan, or all problems
    dead_ends.py template_faults.py     problems that need an explanation of their own
    table.py urls.py headers.py templates.py        route table, URL and header programs; where a secret becomes text
    payload.py body_paths.py            changes of bodies, and the paths into them
    secure.py         a certificate, ready to be shown

    catalogue.py      model → resolution, remembered; the lists of all names
    naming.py serving.py resolving.py   what a name stands for, who serves it, both in order
    resolution.py steps.py              what comes of it, and the rules that decided
    globs.py near.py                    patterns of names, and names that somebody probably meant

    outcome.py        what became of a reload
"""
