"""`monorelay doctor`: each thing around the relay in one line, with what to do about it."""

from __future__ import annotations

import socket
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from monorelay.cli import machine_findings
from monorelay.cli.file_findings import certificate
from monorelay.cli.machine_findings import owner_of, port_of
from monorelay.config.fields import Secret
from monorelay.config.tls import TlsSpec
from monorelay.plan.secure import end_of
from monorelay.upstream.curl_build import build, ca_trouble

HERE = Path(__file__).parent
LOCAL = "provider: local\nextends: openai-compatible\nbase_url: http://127.0.0.1:9/v1\nauth: none\n"

Operator = Callable[..., Path]
Say = Callable[..., Any]


def spec_of(pem: Path) -> TlsSpec:
    return TlsSpec(pem.read_text(), Secret(pem.read_text()))


def told(said: Any) -> dict[str, list[dict[str, str]]]:
    found: dict[str, list[dict[str, str]]] = {}
    for finding in said.value:
        found.setdefault(finding["subject"], []).append(finding)
    return found


def test_all_is_well(operator: Operator, say: Say, tmp_path: Path) -> None:
    """Nothing but `ok` and what this machine lacks; everything is looked at; exit 0."""
    (tmp_path / "state").mkdir()
    directory = operator(config="server: {port: 0}\n", providers__50_local=LOCAL)
    said = say("doctor", "--config-dir", directory)
    assert said.code == 0, said.out
    subjects = [line[9:].partition(":")[0] for line in said.out.splitlines()]
    assert set(subjects) == {
        *("versions", "libcurl", "certificates", "clock", "open files", "files", "configuration", "state", "port", "names")
    }


def test_the_readme_of_the_packages_is_no_secret(operator: Operator, say: Say) -> None:
    """What a package lays into secrets/ may be read by everybody."""
    directory = operator(config="server: {port: 0}\n", providers__50_local=LOCAL)
    (directory / "secrets").mkdir()
    (directory / "secrets/README").write_text("one file each\n")
    (directory / "secrets/README").chmod(0o644)
    assert "ok       secrets: " in say("doctor", "--config-dir", directory).out


def test_what_is_wrong(operator: Operator, say: Say, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each problem with what to do; exit 1."""
    monkeypatch.setenv("SSL_CERT_FILE", "/no/such/file")
    state = tmp_path / "state"
    state.mkdir()
    (state / "monorelay.db").write_bytes(b"this is no database" * 1000)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        directory = operator(
            config=f"server: {{port: {port}, tls: {{certificate: expired.pem}}}}\n",
            providers__50_local=LOCAL.replace("127.0.0.1:9", "no-such-host.invalid"),
        )
        (directory / "expired.pem").write_text((HERE / "expired.pem").read_text())
        (directory / "secrets").mkdir()
        (directory / "secrets/openai-main").write_text("sk-x")
        (directory / "secrets/openai-main").chmod(0o644)
        said = say("doctor", "--json", "--config-dir", directory)
    assert said.code == 1
    problems = {subject: found[0] for subject, found in told(said).items() if found[0]["grade"] == "problem"}
    assert set(problems) == {"certificates", "secrets", "database", "port", "server.tls", "names"}
    assert "/no/such/file" in problems["certificates"]["text"]
    assert problems["secrets"]["advice"] == f"chmod o-rwx {directory}/secrets/*"
    assert "not a database" in problems["database"]["text"]
    assert f"127.0.0.1:{port} is in use by process " in problems["port"]["text"]
    assert "expired" in problems["server.tls"]["text"]
    assert problems["names"]["text"].startswith("no-such-host.invalid (local): ")


def test_a_configuration_that_is_refused(operator: Operator, say: Say) -> None:
    """Its first problem; the machine is looked at all the same."""
    said = say("doctor", "--json", "--config-dir", operator(config="server: {prot: 1}\n"))
    found = told(said)
    assert said.code == 1 and "server.prot" in found["configuration"][0]["text"] and "clock" in found


def test_a_database_of_a_newer_release(operator: Operator, say: Say, tmp_path: Path) -> None:
    """It is not touched, and told."""
    (tmp_path / "state").mkdir()
    with sqlite3.connect(tmp_path / "state/monorelay.db") as connection:
        connection.execute("PRAGMA user_version = 999")
    connection.close()
    said = say("doctor", "--json", "--config-dir", operator(config="server: {port: 0}\n"))
    assert "newer release" in told(said)["database"][0]["text"]


def test_who_has_the_port() -> None:
    """This process, here; nobody, where it is free."""
    import os

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        owner = owner_of(port)
        assert owner is not None and owner[0] == os.getpid()
        assert port_of("127.0.0.1", port).grade == "problem"
    assert port_of("127.0.0.1", port).text == f"127.0.0.1:{port} is free"
    assert port_of("no-such-host.invalid", 80).grade == "problem"


def test_a_socket_that_systemd_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside the relay it is not in the way; without one it is told, and nobody is advised to end it."""
    systemd, relay, other = (1, "/sbin/init"), (7, "/usr/bin/python3 /usr/bin/monorelay run"), (9, "nginx: master process")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for owners, grade, text in (
            ([systemd, relay], "ok", "is served by monorelay, process 7"),
            ([systemd], "warning", "is kept open by systemd"),
            ([other], "problem", "is in use by process 9 (nginx"),
        ):
            monkeypatch.setattr(machine_findings, "_owners", lambda _, owners=owners: iter(owners))
            found = port_of("127.0.0.1", port)
            assert found.grade == grade and text in found.text and (owners == [other]) == ("end it" in found.advice)


def test_an_address_of_ipv6_is_shown_in_brackets() -> None:
    """As it is written in a URL."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        assert port_of("::ffff:127.0.0.1", other.getsockname()[1]).text.startswith("[::ffff:127.0.0.1]:")


def test_libcurl_is_known() -> None:
    """Its version, TLS and HTTP/2 are those that it says itself; its certificates are found, or the file is named that is not."""
    import pycurl

    assert build().version in pycurl.version and build().tls.partition("/")[0] in pycurl.version
    assert ca_trouble({}) == ""
    assert ca_trouble({"SSL_CERT_FILE": "/no/such/file"}).startswith("/no/such/file: ")


def test_a_certificate_that_ends_soon() -> None:
    """Two weeks before, it is a warning."""
    spec = spec_of(HERE.parent / "web/renewed.pem")
    end = end_of(spec)
    assert end > time.time()
    assert [finding.grade for finding in certificate(spec, end - 10 * 86_400)] == ["warning"]
    assert [finding.grade for finding in certificate(spec, end - 20 * 86_400)] == ["ok"]
    assert list(certificate(None, 0.0)) == []


def test_a_clock_that_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """A year that cannot be is a problem: no certificate would be valid."""
    moment = time.gmtime(0)
    monkeypatch.setattr(machine_findings.time, "gmtime", lambda: moment)
    assert [finding.grade for finding in machine_findings.clock()] == ["problem"]


@pytest.mark.parametrize(("installed", "grade"), [("6.1", "problem"), ("6.2", "ok"), ("6.10.1", "ok"), ("7", "ok")])
def test_floors(installed: str, grade: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A library below its floor is named."""
    monkeypatch.setattr(machine_findings, "FLOORS", {"tornado": (6, 2)})
    monkeypatch.setattr(machine_findings, "version", lambda name: installed)
    assert [finding.grade for finding in machine_findings.versions()] == [grade]
