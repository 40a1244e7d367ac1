"""Specs become the compiled, immutable plan. Pure: no socket, no file, no clock.

``compile.py`` is the way in. What a request needs is found in ``plan.table`` (path → route), ``route.lanes`` (provider → everything
that was rendered beforehand) and a ``catalogue.Catalogue`` (model → targets).
"""
