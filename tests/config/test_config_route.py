"""A route drop-in: every field, several in one file, and what is said when it is wrong."""

from __future__ import annotations

import pytest
from config_house import House

from monorelay.config.fields import QueryRules
from monorelay.config.route import ReplySpec

WHOLE = """\
route: ocr
path: /v1/ocr/{kind}/{rest...}
methods: [POST, GET]
needs: acme.ocr
upstream: /{kind}/x/{rest...}
access: public
body: json
model: optional
refers: [previous_response_id]
max_body: 20MiB
query: {set: {beta: "true"}, remove: [provider]}
timeouts: {total: 1h}
timeout: 30
stream: {keepalive: 0}
headers: {request: {forward: [content-type]}, response: {remove: {server: null}}}
"""


def test_a_whole_route(house: House) -> None:
    """Each field arrives in the spec."""
    (spec,) = house.route(WHOLE).routes()
    assert (spec.name, spec.path, spec.methods) == ("ocr", "/v1/ocr/{kind}/{rest...}", ("POST", "GET"))
    assert (spec.needs, spec.answer, spec.reply, spec.upstream) == ("acme.ocr", None, None, "/{kind}/x/{rest...}")
    assert (spec.access, spec.body, spec.model, spec.refers) == ("public", "json", "optional", ("previous_response_id",))
    assert spec.max_body == 20 * 1024 * 1024
    assert spec.query == QueryRules(set=(("beta", "true"),), remove=("provider",))
    assert spec.timeouts == {"total": 3600.0, "first_byte": 30.0, "idle": 30.0}
    assert spec.keepalive == 0.0
    assert spec.headers.request.forward == ("content-type",)
    assert spec.headers.response.remove == (("server", None),)


def test_what_is_not_said_has_a_default(house: House) -> None:
    """Four lines are a route."""
    (spec,) = house.route("route: h\npath: /h\nmethods: [GET]\nneeds: x\n").routes()
    assert (spec.upstream, spec.access, spec.body, spec.model, spec.refers) == ("", "required", "none", "none", ())
    assert (spec.max_body, spec.timeouts, spec.keepalive) == (64 * 1024 * 1024, None, 15.0)


def test_several_routes_in_one_file(house: House) -> None:
    """A list of routes, each with its own places."""
    house.route(
        "routes:\n"
        "  - {route: a, path: /a, methods: [GET], answer: health}\n"
        "  - route: b\n    path: /b\n    methods: [GET]\n    answer: info\n"
    )
    a, b = house.routes()
    assert (a.name, a.answer, b.name, b.answer) == ("a", "health", "b", "info")
    assert (b.origins.of("route").line, b.origins.of("answer").line, b.origins.of("methods", 0).line) == (3, 6, 5)
    assert (a.origins.of("path").line, a.origins.of("path").column) == (2, 16)


def test_anchors_are_shared_between_routes(house: House) -> None:
    """A family of routes says its headers once."""
    house.route(
        "routes:\n"
        "  - {route: a, path: /a, methods: [GET], needs: x, headers: &h {request: {forward: [X-A]}}}\n"
        "  - {route: b, path: /b, methods: [GET], needs: x, headers: *h}\n"
    )
    assert [spec.headers.request.forward for spec in house.routes()] == [("x-a",), ("x-a",)]


def test_a_fixed_reply(house: House) -> None:
    """Status, headers and the words of the envelope."""
    house.route(
        "route: a\npath: /a\nmethods: [GET]\nreply: {status: 426, headers: {Upgrade: h2c}, error: {type: t, message: No.}}\n"
    )
    assert house.routes()[0].reply == ReplySpec(426, (("upgrade", "h2c"),), "t", "No.")


START = "route: a\npath: /a/{id}\nmethods: [POST]\n"
# What stands from line 4 on → the problems, with the file in front of each left out.
PROBLEMS: dict[str, list[str]] = {
    "": ["1:1: says nothing to do: a route has exactly one of needs, answer and reply"],
    "need: x": ["4:1: need: unknown field, did you mean needs?"],
    "needs: x\nanswer: health": ["5:1: answer: stands beside needs: a route has exactly one of needs, answer and reply"],
    "answer: helth": [
        "4:1: answer: must be one of models, model, anthropic_models, health, info, metrics, welcome, did you mean health?"
    ],
    "needs: Chat": ["4:1: needs: is not a capability: lower-case words joined by dots, such as openai.chat"],
    "needs: x\nbody: jsno": ["5:1: body: must be one of json, multipart, stream, none, did you mean json?"],
    "needs: x\nbody: json\nmodel: requried": ["6:1: model: must be one of required, optional, none, did you mean required?"],
    "needs: x\nmodel: required": ["5:1: model: a model can be read from a json or multipart body only, and the body is none"],
    "needs: x\nbody: stream\nmodel: optional": [
        "6:1: model: a model can be read from a json or multipart body only, and the body is stream"
    ],
    "needs: x\nbody: jsn\nmodel: required": ["5:1: body: must be one of json, multipart, stream, none, did you mean json?"],
    "needs: x\nbody: multipart\nrefers: [file]": [
        "6:1: refers: fields can be read from a json body only, and the body is multipart"
    ],
    "needs: x\naccess: pubilc": ["5:1: access: must be one of required, public, did you mean public?"],
    "needs: x\nupstream: /{id}/{nope}": ["5:1: upstream: uses {nope}, which the path does not have"],
    "needs: x\nupstream: /{id...}": ["5:1: upstream: uses {id...}, which the path does not have"],
    "needs: x\nmax_body: 64mb": ["5:1: max_body: is not a size: write bytes, or 64KiB, 10MB, 2GiB"],
    "needs: x\nstream: {keepalive: -1}": ["5:10: stream.keepalive: must not be negative"],
    "needs: x\nquery: {set: {a: true}}": ["5:15: query.set.a: must be text: put it in quotes"],
    "needs: x\nquery: {remvoe: [a]}": ["5:9: query.remvoe: unknown field, did you mean remove?"],
    "needs: x\nheaders: {request: {set: {x-a: '${NOPE}'}}}": [
        "5:27: headers.request.set.x-a: the environment variable NOPE is not set (write ${NOPE:-} where it may be missing)"
    ],
    "answer: health\nupstream: /{id}\ntimeout: 5\nbody: none": [
        "5:1: upstream: only a route with needs has this; this one has answer",
        "6:1: timeout: only a route with needs has this; this one has answer",
    ],
    "reply: {}": ["4:1: reply.error: is missing", "4:1: reply.status: is missing"],
    "reply: {status: 99, error: {type: t, message: ''}}": [
        "4:9: reply.status: must be 200 or more",
        "4:38: reply.error.message: must not be empty",
    ],
    "reply: {status: 410, headers: {connection: x}, error: {type: t, message: m}}": [
        "4:32: reply.headers.connection: is written by the server itself"
    ],
}


@pytest.mark.parametrize("lines", PROBLEMS)
def test_problems(house: House, lines: str) -> None:
    """Each fault gets one sentence at its own place."""
    assert house.route(START + lines + "\n").problems() == [f"operator/routes.d/10-r.yml:{line}" for line in PROBLEMS[lines]]


HEADS: dict[str, list[str]] = {
    "rout: a\npath: /a\nmethods: [GET]\n": ["1:1: rout: unknown field, did you mean route?"],
    "path: /a\nmethods: [GET]\n": ["1:1: route: is missing"],
    "route: a\nmethods: [GET]\n": ["1:1: path: is missing"],
    "route: a\npath: /a\n": ["1:1: methods: is missing"],
    "route: a\npath: /a\nmethods: []\n": ["3:1: methods: is missing"],
    "route: a\npath: /a\nmethods: GET\n": ["3:1: methods: must be a list"],
    "route: a\npath: /a\nmethods: [get, HEAD]\n": [
        "3:11: methods.0: must be one of GET, POST, PUT, PATCH, DELETE, did you mean GET?",
        "3:16: methods.1: HEAD is not listed: it is served wherever GET is one of the relay's own answers",
    ],
    "route: a\npath: a\nmethods: [GET]\n": ["2:1: path: must begin with /"],
    "route: a b\npath: /a\nmethods: [GET]\n": [
        "1:1: route: is not a name: up to 64 letters, digits, '.', '_' and '-', a letter or digit first"
    ],
}


@pytest.mark.parametrize("head", HEADS)
def test_problems_of_the_first_lines(house: House, head: str) -> None:
    """Name, path and methods are required; a misspelt one is not missing, too."""
    assert house.route(head + "answer: health\n").problems() == [f"operator/routes.d/10-r.yml:{line}" for line in HEADS[head]]


def test_problems_in_a_list_of_routes(house: House) -> None:
    """The path says which item, and the line is its own."""
    house.route("routes:\n  - route: a\n    path: /a\n    methods: [GET]\n    knd: x\n    answer: health\n  - 5\n")
    assert house.problems() == [
        "operator/routes.d/10-r.yml:5:5: routes.0.knd: unknown field",
        "operator/routes.d/10-r.yml:7:5: routes.1: must be a mapping (lines of `key: value`)",
    ]


def test_two_routes_cannot_answer_one_call(house: House) -> None:
    """By name, and by method and path, however the parameters are called; both places are told."""
    one = "route: {}\npath: {}\nmethods: {}\nanswer: health\n"
    house.write(
        {
            "vendor/routes.d/10-a.yml": one.format("a", "/v1/{id}", "[GET, POST]"),
            "operator/routes.d/20-b.yml": one.format("b", "/v1/{name}", "[PUT, POST]"),
            "operator/routes.d/30-c.yml": one.format("a", "/v2", "[GET]"),
            "operator/routes.d/40-d.yml": one.format("d", "/v1/{id...}", "[GET]"),
        }
    )
    assert house.problems() == [
        "operator/routes.d/20-b.yml:2:1: path: POST /v1/{name} is served by route a already (vendor/routes.d/10-a.yml:2)",
        "operator/routes.d/30-c.yml:1:1: route: another route is called a (vendor/routes.d/10-a.yml:1)",
    ]
