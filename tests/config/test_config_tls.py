"""server.tls: files are read when the configuration is, and what cannot be a certificate or a key is told where it is named."""

from __future__ import annotations

import pytest
from config_house import House

from monorelay.config.fields import Secret

CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----"
KEY = "-----BEGIN PRIVATE KEY-----\nMIGH\n-----END PRIVATE KEY-----"


@pytest.fixture
def pair(house: House) -> House:
    """A house with files of the right shape; only the plan looks into them."""
    return house.write(
        {"operator/tls/cert.pem": CERTIFICATE + "\n", "operator/tls/key.pem": KEY, "operator/both.pem": KEY + CERTIFICATE}
    )


@pytest.mark.parametrize("version", ["1.3", '"1.3"'])
def test_two_files(pair: House, version: str) -> None:
    """Relative paths begin at the configuration directory; the key is a secret, so no text form shows it."""
    tls = (
        pair.settings(f"server: {{tls: {{certificate: tls/cert.pem, key: tls/key.pem, min_version: {version}}}}}\n")
        .load()
        .server.tls
    )
    assert tls is not None and tls.certificate == CERTIFICATE and tls.key == Secret(KEY) and tls.min_version == "1.3"
    assert "MIGH" not in repr(tls)


def test_one_file_with_both(pair: House) -> None:
    """Without a key the certificate's file holds it, too; TLS 1.2 is the least."""
    tls = pair.settings("server: {tls: {certificate: both.pem}}\n").load().server.tls
    assert tls is not None and tls.key == Secret(KEY + CERTIFICATE) and tls.min_version == "1.2"


def test_a_reference_to_the_text_itself(pair: House) -> None:
    """What systemd hands over as a credential is taken as it is."""
    pair.environ = {"CREDENTIALS_DIRECTORY": str(pair.root / "operator/tls")}
    tls = pair.settings("server: {tls: {certificate: tls/cert.pem, key: '${cred:key.pem}'}}\n").load().server.tls
    assert tls is not None and tls.key == Secret(KEY)


def test_a_renewed_pair_changes_the_digest(pair: House) -> None:
    """The text of config.yml stays the same, and yet a reload has something to do."""
    before = pair.settings("server: {tls: {certificate: both.pem}}\n").load().digest
    assert pair.load().digest == before
    pair.write({"operator/both.pem": (KEY + CERTIFICATE).replace("MIIB", "MIIC")})
    assert pair.load().digest != before


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("certificate: tls/gone.pem", "1:16: server.tls.certificate: {root}/operator/tls/gone.pem cannot be read: No such file"),
        ("key: tls/key.pem", "1:10: server.tls.certificate: is missing"),
        ("certificate: tls/key.pem", "1:16: server.tls.certificate: holds no certificate in PEM form"),
        ("certificate: tls/cert.pem", "1:16: server.tls.certificate: holds no private key in PEM form: name its file as `key`"),
        ("certificate: tls/cert.pem, key: config.yml", "1:43: server.tls.key: holds no private key"),
        ("certificate: tls/cert.pem, key: locked.pem", "1:43: server.tls.key: is protected by a passphrase"),
        ("certificate: both.pem, min_version: 1.1", "1:39: server.tls.min_version: must be one of 1.2, 1.3"),
        ("certificate: both.pem, cert: x", "1:39: server.tls.cert: unknown field"),
    ],
)
def test_what_cannot_be_served(pair: House, written: str, said: str) -> None:
    """Each with the place of the field."""
    pair.write({"operator/locked.pem": KEY.replace("PRIVATE", "ENCRYPTED PRIVATE")})
    problem = pair.settings(f"server: {{tls: {{{written}}}}}\n").problems()[0].replace(str(pair.root), "{root}")
    assert problem.startswith("operator/config.yml:" + said.replace("{root}/", "")), problem
