"""Whose template cannot be compiled, and where it stands.

A lane is made of what a route, a provider and an offer say. Where it cannot be made, this finds the one sentence at fault, so that
the problem names the file in which it was written, once, however many lanes it spoils.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from monorelay.config.fields import HeaderPair, Origin, Origins, Text
from monorelay.config.problems import Problem, dotted
from monorelay.config.provider import OfferSpec, ProviderSpec
from monorelay.config.route import RouteSpec
from monorelay.plan.table import parameter_names
from monorelay.plan.templates import KEY_VARIABLES, REQUEST_VARIABLES, TemplateError, compile_template
from monorelay.plan.urls import URL_VARIABLES

Sentence = tuple[Origin, tuple[str, ...], Text, frozenset[str]]  # place, path, template, the variables it may use


def lane_variables(route: RouteSpec) -> frozenset[str]:
    """What the request headers of a lane may say."""
    return KEY_VARIABLES | REQUEST_VARIABLES | set(parameter_names(route.path))


def lane_faults(route: RouteSpec, provider: ProviderSpec, offer: OfferSpec) -> Iterator[Problem]:
    """Every template of a lane's provider and offer that cannot be compiled."""
    return _faults(_of_provider(provider, offer, lane_variables(route)))


def route_faults(route: RouteSpec) -> Iterator[Problem]:
    """Every template of a route that cannot be compiled, whoever serves it."""
    return _faults(_of_headers(route.origins, (), route.headers, lane_variables(route)))


def once_per_place(problems: Iterable[Problem]) -> list[Problem]:
    """Sorted, and of those about one value only the first: lanes differ in which variables there would have been."""
    found: dict[tuple[str, int, int, str], Problem] = {}
    for problem in problems:
        found.setdefault((problem.file, problem.line, problem.column, problem.path), problem)
    return sorted(found.values())


def _faults(sentences: Iterable[Sentence]) -> Iterator[Problem]:
    for origin, path, text, allowed in sentences:
        try:
            compile_template(text, allowed)
        except TemplateError as error:
            yield Problem(origin.file, origin.line, origin.column, dotted(path), str(error))


def _of_provider(provider: ProviderSpec, offer: OfferSpec, variables: frozenset[str]) -> Iterator[Sentence]:
    at = ("offers", offer.capability)
    if offer.base_url is None:
        yield provider.origins.of("base_url"), ("base_url",), provider.base_url, URL_VARIABLES
    else:
        yield provider.origins.of(*at, "base_url"), (*at, "base_url"), offer.base_url, URL_VARIABLES
    yield provider.origins.of(*at, "path"), (*at, "path"), offer.path, URL_VARIABLES
    yield from _of_headers(provider.origins, (), provider.headers, variables)
    yield from _of_headers(provider.origins, at, offer.headers, variables)


def _of_headers(origins: Origins, at: tuple[str, ...], pair: HeaderPair, variables: frozenset[str]) -> Iterator[Sentence]:
    for direction, rules, allowed in (("request", pair.request, variables), ("response", pair.response, frozenset[str]())):
        for step, texts in (("default", rules.default), ("set", rules.set)):
            for name, text in texts:
                path = (*at, "headers", direction, step, name)
                yield origins.of(*path), path, text, allowed
