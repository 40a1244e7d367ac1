"""``${…}``: where values come from, and what is said when they are not there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from monorelay.config.references import Missing, References

SET = {"NAME": "value", "EMPTY": "", "DOLLAR": "a$b${NAME}", "file": "odd", "BYTES": "\udce9"}

RESOLVED = {
    "plain": ("plain", False),
    "$$": ("$", False),
    "a$$b$${NAME}": ("a$b${NAME}", False),
    "${NAME}": ("value", True),
    "${env:NAME}": ("value", True),
    "<${NAME}/${NAME}>": ("<value/value>", True),
    "${EMPTY}": ("", True),
    "${EMPTY:-default}": ("default", True),
    "${NOPE:-}": ("", True),
    "${NOPE:-a b:-c}": ("a b:-c", True),
    "${env:NOPE:-x}": ("x", True),
    "${NOPE:-5$$}": ("5$", True),
    "${NAME:-default}": ("value", True),
    "${DOLLAR}": ("a$b${NAME}", True),
    "${file:-x}": ("odd", True),
    "${file:secret}": ("from a file", True),
    "${file:lines}": ("one\ntwo", True),
    "${file:empty}": ("", True),
    "${cred:token}": ("from systemd", True),
}


@pytest.fixture
def references(tmp_path: Path) -> References:
    (tmp_path / "secret").write_text("from a file\n")
    (tmp_path / "lines").write_text("one\ntwo\r\n\n")
    (tmp_path / "empty").write_text("")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    (tmp_path / "nul").write_bytes(b"a\x00b")
    (tmp_path / "large").write_bytes(b"x" * 65537)
    (tmp_path / "largest").write_bytes(b"x" * 65536)
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "credentials").mkdir()
    (tmp_path / "credentials" / "token").write_text("from systemd")
    return References({**SET, "CREDENTIALS_DIRECTORY": str(tmp_path / "credentials")}, tmp_path)


@pytest.mark.parametrize("written", RESOLVED)
def test_a_reference_gives_its_value_once(references: References, written: str) -> None:
    """What a reference gives is taken as it is, dollars included, and it is known that it came from outside."""
    resolved = references.resolve(written)
    assert (resolved.text, resolved.referred) == RESOLVED[written]


LONE = "a lone $: write $$ for a dollar, ${NAME} for an environment variable"
NONE = "not a reference: write ${NAME}, ${NAME:-default}, ${file:PATH} or ${cred:NAME}, and $$ for a dollar"
REFUSED = {
    "$": LONE,
    "$NAME": LONE,
    "cost: $5": LONE,
    "${NAME": LONE,
    "$$$": LONE,
    "${}": NONE,
    "${5}": NONE,
    "${a-b}": NONE,
    "${NAME:default}": NONE,
    "${vault:x}": NONE,
    "${file:}": NONE,
    "${NOPE:-$X}": "the default of a reference is plain text; write $$ for a dollar in it",
    "${NOPE:-${NAME}}": "the default of a reference is plain text; write $$ for a dollar in it",
    "${cred:../x}": "a credential is a name without slashes",
    "${file:binary}": "ROOT/binary is not UTF-8",
    "${file:nul}": "what the reference gives is not text (UTF-8 without NUL)",
    "${BYTES}": "what the reference gives is not text (UTF-8 without NUL)",
    "${file:large}": "ROOT/large is larger than 64 KiB",
    "${file:fifo}": "ROOT/fifo is not a regular file",
    "${file:credentials}": "ROOT/credentials is not a regular file",
}
MISSING = {
    "${NOPE}": "the environment variable NOPE is not set (write ${NOPE:-} where it may be missing)",
    "${file:nope}": "ROOT/nope cannot be read: No such file or directory",
    "${file:/nope/at/all}": "/nope/at/all cannot be read: No such file or directory",
    "${cred:nope}": "ROOT/credentials/nope cannot be read: No such file or directory",
}


@pytest.mark.parametrize("written", [*REFUSED, *MISSING])
def test_what_is_no_reference_is_refused(references: References, written: str) -> None:
    """Whatever else has a dollar in it is a mistake, and what is missing is told apart."""
    with pytest.raises(ValueError) as caught:
        references.resolve(written)
    expected = {**REFUSED, **MISSING}[written].replace("ROOT", str(references.directory))
    assert str(caught.value) == expected
    assert isinstance(caught.value, Missing) is (written in MISSING)


def test_a_file_may_be_as_large_as_its_limit(references: References) -> None:
    """The limit itself is allowed."""
    assert len(references.resolve("${file:largest}").text) == 65536


def test_without_systemd_there_are_no_credentials() -> None:
    """The sentence says who would set them."""
    with pytest.raises(Missing, match=r"the credential x is missing: \$CREDENTIALS_DIRECTORY is not set"):
        References({}, None).resolve("${cred:x}")


def test_without_a_directory_paths_must_be_absolute(tmp_path: Path) -> None:
    """Nothing is ever read from wherever the process happens to stand."""
    (tmp_path / "x").write_text("y")
    assert References({}, None).resolve(f"${{file:{tmp_path}/x}}").text == "y"
    with pytest.raises(ValueError, match="a relative path needs a configuration directory"):
        References({}, None).resolve("${file:x}")
