"""``${…}``: values that live outside the file. Resolved when a spec is built, never cached, never taken apart again.

``${NAME}`` and ``${env:NAME}`` are environment variables, ``${NAME:-default}`` has something to fall back on (unset or empty),
``${file:PATH}`` is a file's text, ``${cred:NAME}`` a systemd credential, ``$$`` a dollar. Any other ``$`` is a mistake.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from monorelay.config.problems import reason_of

MAX_FILE = 64 * 1024

_TOKEN = re.compile(r"\$(?:(?P<dollar>\$)|\{(?P<inner>[^}]*)\})?")
_VARIABLE = re.compile(r"(?:env:)?(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?P<fallback>:-(?P<default>.*))?", re.DOTALL)


class Missing(ValueError):
    """What a reference names is not there."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """``referred``: at least one part came from outside."""

    text: str
    referred: bool


@dataclass(frozen=True, slots=True)
class References:
    """Where references are looked up. ``directory`` is what relative paths of ``${file:…}`` start from."""

    environ: Mapping[str, str]
    directory: Path | None

    def resolve(self, written: str) -> Resolved:
        """Raises ValueError with a sentence that never holds a value, Missing where something is not set."""
        if "$" not in written:
            return Resolved(written, False)
        referred = False

        def expand(token: re.Match[str]) -> str:
            nonlocal referred
            if token["dollar"]:
                return "$"
            if token["inner"] is None:
                raise ValueError("a lone $: write $$ for a dollar, ${NAME} for an environment variable")
            referred = True
            return self._look_up(token["inner"])

        text = _TOKEN.sub(expand, written)
        if "\x00" in text or not _is_utf8(text):
            raise ValueError("what the reference gives is not text (UTF-8 without NUL)")
        return Resolved(text, referred)

    def _look_up(self, inner: str) -> str:
        if variable := _VARIABLE.fullmatch(inner):
            return self._variable(variable)
        kind, _, name = inner.partition(":")
        if kind == "file" and name:
            return self.file(name)
        if kind == "cred" and name:
            return self._credential(name)
        raise ValueError("not a reference: write ${NAME}, ${NAME:-default}, ${file:PATH} or ${cred:NAME}, and $$ for a dollar")

    def _variable(self, variable: re.Match[str]) -> str:
        value = self.environ.get(variable["name"])
        if variable["fallback"]:
            default = variable["default"]
            if "$" in default.replace("$$", ""):
                raise ValueError("the default of a reference is plain text; write $$ for a dollar in it")
            return value or default.replace("$$", "$")
        if value is None:
            name = variable["name"]
            raise Missing(f"the environment variable {name} is not set (write ${{{name}:-}} where it may be missing)")
        return value

    def _credential(self, name: str) -> str:
        directory = self.environ.get("CREDENTIALS_DIRECTORY")
        if "/" in name or name in (".", ".."):
            raise ValueError("a credential is a name without slashes")
        if not directory:
            raise Missing(f"the credential {name} is missing: $CREDENTIALS_DIRECTORY is not set (LoadCredential= sets it)")
        return self._text(Path(directory, name))

    def file(self, name: str) -> str:
        """The text of a file, named from the configuration directory on. Raises ValueError, Missing where it cannot be read."""
        path = Path(name)
        if not path.is_absolute():
            if self.directory is None:
                raise ValueError("a relative path needs a configuration directory")
            path = self.directory / path
        return self._text(path)

    def _text(self, path: Path) -> str:
        try:
            if not stat.S_ISREG(path.stat().st_mode):  # opening a FIFO would wait for its writer
                raise ValueError(f"{path} is not a regular file")
            with path.open("rb") as file:
                content = file.read(MAX_FILE + 1)
        except OSError as error:
            raise Missing(f"{path} cannot be read: {reason_of(error)}") from error
        if len(content) > MAX_FILE:
            raise ValueError(f"{path} is larger than {MAX_FILE // 1024} KiB")
        try:
            return content.decode().rstrip("\r\n")
        except UnicodeDecodeError as error:
            raise ValueError(f"{path} is not UTF-8") from error


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
