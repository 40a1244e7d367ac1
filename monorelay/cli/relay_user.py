"""Root's commands, as the service of the packages sees things: with its user's rights, and with the credentials systemd gave it.

Root may read every file, the relay may not: what a check as root finds well, a reload would then refuse. So where root asks about
/etc/monorelay, it asks as whoever owns /var/lib/monorelay: systemd gives that directory to the User= of the unit. Any other
directory (--config-dir) is looked at as whoever runs the command.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from monorelay.daemon import statedir

CREDENTIALS = Path("/run/credentials/monorelay.service")  # as long as a service with LoadCredential= runs


def with_credentials(config_dir: Path | None, environ: Mapping[str, str]) -> Mapping[str, str]:
    """The environment, and in it where the running service's credentials are, if this user may read them.

    They are as old as the service: a reload reads these, too.
    """
    if config_dir is not None or environ.get("CREDENTIALS_DIRECTORY") or not os.access(CREDENTIALS, os.R_OK | os.X_OK):
        return environ
    return {**environ, "CREDENTIALS_DIRECTORY": str(CREDENTIALS)}


@contextmanager
def as_relay_user(config_dir: Path | None) -> Iterator[None]:
    """What is done within has the rights of the relay's user, where root asks about the relay of the packages."""
    user = _owner() if config_dir is None and os.geteuid() == 0 else None
    if user is None:
        yield
        return
    uid, gid, groups = user
    before = os.getgroups(), os.getegid()
    try:
        os.setgroups(groups)
        os.setegid(gid)
        os.seteuid(uid)
        yield
    finally:
        os.seteuid(0)
        os.setegid(before[1])
        os.setgroups(before[0])


def _owner() -> tuple[int, int, list[int]] | None:
    """User, group and further groups; None where there is no such directory, or where it is root's own."""
    try:
        found = statedir.USUAL.stat()
    except OSError:
        return None
    if found.st_uid == 0:
        return None
    try:
        entry = pwd.getpwuid(found.st_uid)
    except KeyError:  # DynamicUser=, and the service is down
        return found.st_uid, found.st_gid, []
    return entry.pw_uid, entry.pw_gid, os.getgrouplist(entry.pw_name, entry.pw_gid)
