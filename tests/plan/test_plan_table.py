"""The route table."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from monorelay.plan.table import RouteTable, has_dot_segment, parameter_names


@dataclass(frozen=True)
class Row:
    path: str
    methods: tuple[str, ...] = ("GET",)


ROWS = (
    Row("/v1/files", ("GET", "POST")),
    Row("/v1/files/{file_id}", ("GET", "DELETE")),
    Row("/v1/files/{file_id}/content"),
    Row("/v1/models/{id...}"),
    Row("/v1/threads/runs", ("POST",)),
    Row("/v1/threads/{thread_id}", ("GET", "POST")),
    Row("/v1/threads/{thread_id}/runs/{run_id}"),
    Row("/v1/x/{a}/b"),
    Row("/v1/x/{rest...}"),
)
TABLE = RouteTable(ROWS)


@pytest.mark.parametrize(
    ("method", "path", "found", "values"),
    [
        ("GET", "/v1/files", "/v1/files", {}),
        ("POST", "/v1/files", "/v1/files", {}),
        ("GET", "/v1/files/f-1", "/v1/files/{file_id}", {"file_id": "f-1"}),
        ("GET", "/v1/files/f%2F1/content", "/v1/files/{file_id}/content", {"file_id": "f%2F1"}),
        ("GET", "/v1/models/a/b/c", "/v1/models/{id...}", {"id": "a/b/c"}),
        ("GET", "/v1/models/a%2Fb", "/v1/models/{id...}", {"id": "a%2Fb"}),
        ("POST", "/v1/threads/runs", "/v1/threads/runs", {}),
        ("GET", "/v1/threads/runs", "/v1/threads/{thread_id}", {"thread_id": "runs"}),
        ("GET", "/v1/threads/t/runs/r", "/v1/threads/{thread_id}/runs/{run_id}", {"thread_id": "t", "run_id": "r"}),
        ("GET", "/v1/x/1/b", "/v1/x/{a}/b", {"a": "1"}),
        ("GET", "/v1/x/1/c", "/v1/x/{rest...}", {"rest": "1/c"}),
        ("PUT", "/v1/files", None, {}),
        ("GET", "/v1/files/", None, {}),
        ("GET", "/v1/models/", None, {}),
        ("GET", "/v1/models", None, {}),
        ("GET", "/nothing", None, {}),
        ("GET", "/v1/files/..", None, {}),
        ("GET", "/v1/files/%2e%2E/content", None, {}),
        ("GET", "/v1/models/a/../../credits", None, {}),
        ("GET", "/v1/models/a%2F..%2Fb", None, {}),
    ],
)
def test_the_most_literal_route_wins_and_parameters_stay_raw(
    method: str, path: str, found: str | None, values: dict[str, str]
) -> None:
    """A path is compared segment by segment, undecoded; a dot segment is no route at all."""
    row, parameters = TABLE.find(method, path)
    assert (row.path if row else None, parameters) == (found, values)


@pytest.mark.parametrize(
    ("path", "methods"),
    [("/v1/files", ("GET", "POST")), ("/v1/threads/runs", ("POST", "GET")), ("/v1/files/f", ("GET", "DELETE")), ("/nothing", ())],
)
def test_a_known_path_tells_its_methods(path: str, methods: tuple[str, ...]) -> None:
    """405 needs ``Allow``; an unknown path has none."""
    assert TABLE.methods(path) == methods


def test_parameter_names_are_read_from_the_path() -> None:
    """In the order of the path, the rest parameter without its dots."""
    assert parameter_names("/v1/{a}/x/{b...}") == ["a", "b"]


@pytest.mark.parametrize(
    "path",
    ["/a/./b", "/a/%2e/b", "/a/..", "/a/%2e%2e%2fb", "/a/..\\b", "/a/..;/b", "/a/..%3Bx=1/b", "/a/.;b", "/a/..%00", "/a/..%20/b"],
)
def test_dot_segments_are_seen_through_encodings(path: str) -> None:
    """What a server upstream might decode and follow is caught here."""
    assert has_dot_segment(path)


@pytest.mark.parametrize("path", ["/a/b.c", "/a/...", "/a/.b", "/v1/models/gpt-4.1", "/a;..", "/a/x..;y"])
def test_dots_inside_names_are_no_dot_segments(path: str) -> None:
    assert not has_dot_segment(path)
