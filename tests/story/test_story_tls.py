"""`server.tls` in a running relay: https from the first connection on, and a certificate that SIGHUP renews."""

from __future__ import annotations

import http.client
import re
import ssl
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from story_process import KEY, Relay
from story_providers import SECRETS, SERVER, both
from story_upstream import Recorder, ok

TESTS = Path(__file__).parents[1]
FIRST, RENEWED = TESTS / "upstream/localhost.pem", TESTS / "web/renewed.pem"


def ask(relay: Relay, trusted: Path, body: str | None = None) -> tuple[int, bytes]:
    """One call on a connection of its own, by a client that trusts this certificate only."""
    context = ssl.create_default_context(cafile=str(trusted))
    connection = http.client.HTTPSConnection("localhost", relay.port, context=context, timeout=10)
    try:
        headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
        connection.request("POST" if body else "GET", "/v1/chat/completions" if body else "/health", body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def diff(relay: Relay) -> str:
    command = [sys.executable, "-m", "monorelay", "diff", "--config-dir", str(relay.etc), "--pid", str(relay.pid)]
    environ = {"MONORELAY_STATE_DIR": str(relay.state), **SECRETS}
    return subprocess.run(command, cwd=TESTS.parent, env=environ, capture_output=True, text=True, timeout=60).stdout


def test_a_relay_that_serves_https(start: Callable[..., Relay], upstream: Recorder, tmp_path: Path) -> None:
    """It says https, renews its certificate by SIGHUP, and keeps the one it has while the new files do not fit together."""
    certificate, key = tmp_path / "etc/tls/cert.pem", tmp_path / "etc/tls/key.pem"
    certificate.parent.mkdir(parents=True)
    certificate.write_text(FIRST.read_text())
    key.write_text(FIRST.read_text())
    tls = {"certificate": "tls/cert.pem", "key": "tls/key.pem"}
    config = {"server": {**SERVER, "tls": tls}, "providers": both(upstream.origin)}
    relay = start(config, directory=tmp_path, environ=SECRETS)
    assert relay.url.startswith("https://")
    upstream.answer(ok(b'{"id": "1"}'))
    assert ask(relay, FIRST, '{"model": "gpt-acme"}') == (200, b'{"id": "1"}')

    certificate.write_text(RENEWED.read_text())
    said = relay.reload(outcome="refused")
    assert "config.yml:" in said and "server.tls.key: does not belong to the certificate beside it" in said
    assert ask(relay, FIRST)[0] == 200

    key.write_text(RENEWED.read_text())
    assert re.search(r"~ server\.tls: certificate \w+ until .* → certificate \w+ until ", diff(relay))
    relay.reload()
    assert diff(relay) == "nothing would change\n"
    assert ask(relay, RENEWED)[0] == 200
    with pytest.raises(ssl.SSLCertVerificationError):
        ask(relay, FIRST)
    relay.reload(outcome="unchanged")
