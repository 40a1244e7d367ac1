"""What `monorelay doctor` looks at of the files: who may read them, the state directory, providers' host names, the certificate."""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import stat
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

from monorelay.cli.findings import Finding, ok, problem, warning
from monorelay.config.load import Places
from monorelay.config.problems import name_of_user, reason_of
from monorelay.config.scalars import is_template
from monorelay.config.tls import TlsSpec
from monorelay.daemon.statedir import USUAL, existing_state_dir
from monorelay.plan.plan import Plan
from monorelay.plan.secure import end_of
from monorelay.store.health import trouble_of

LITTLE_ROOM = 100 * 1024 * 1024  # bytes
DNS_LIMIT = 5.0
DAY = 86_400.0
SOON = 14  # days before a certificate ends


def permissions(places: Places) -> Iterator[Finding]:
    """Who may read the configuration, and above all its secrets."""
    directory = places.operator
    if directory is None or not directory.is_dir():
        yield ok("files", f"{directory} is not there: only what is shipped is served")
        return
    if directory.stat().st_mode & stat.S_IWOTH:
        yield problem("files", f"{directory} can be changed by everybody", f"chmod o-w {directory}")
    secrets = directory / "secrets"
    if not secrets.is_dir():
        yield ok("files", f"{directory} can be read")
        return
    try:
        files = sorted(path for path in secrets.iterdir() if path.is_file() and path.name != "README")  # the packages' own
        open_to_all = [path.name for path in files if path.stat().st_mode & 0o007]
        closed = [path.name for path in files if not os.access(path, os.R_OK, effective_ids=True)]
    except OSError as error:
        yield problem("secrets", f"{secrets} cannot be read: {reason_of(error)}", _who_may())
        return
    if open_to_all:
        yield problem("secrets", f"everybody may read {', '.join(open_to_all)} in {secrets}", f"chmod o-rwx {secrets}/*")
    if closed:
        user = name_of_user()
        yield problem("secrets", f"the user {user} may not read {', '.join(closed)} in {secrets}", _who_may())
    if not open_to_all and not closed:
        yield ok("secrets", f"{secrets} is read by its owner and group only")


def _who_may() -> str:
    """What to do where the rights are missing: root knows that they are the relay's own, anybody else may just be the wrong one."""
    return "chown, chgrp or chmod it" if os.getuid() == 0 else "run this as root or as the relay's user"


def state(asked: str | None, environ: Mapping[str, str]) -> Iterator[Finding]:
    directory = existing_state_dir(asked, environ)
    if directory is None:
        named = asked or environ.get("MONORELAY_STATE_DIR")
        text = f"{named or USUAL} is not there"
        yield (
            ok("state", f"{text} yet: a start makes it")
            if named
            else warning("state", f"{text}: what the relay remembers ends with it", "server.state_dir, or $MONORELAY_STATE_DIR")
        )
        return
    if not os.access(directory, os.W_OK | os.X_OK, effective_ids=True):
        yield problem("state", f"the user {name_of_user()} may not write to {directory}", _who_may())
        return
    free = shutil.disk_usage(directory).free
    if free < LITTLE_ROOM:
        yield warning("state", f"{directory} has {free // 1024 // 1024} MiB left", "make room: nothing new will be remembered")
    database = directory / "monorelay.db"
    if trouble := trouble_of(database):
        yield problem("database", f"{database} {trouble}", "a start sets a damaged file aside and begins a new one")
    else:
        yield ok("state", f"{directory}" + (", its database is whole" if database.exists() else ", no database yet"))


def names(plan: Plan) -> Iterator[Finding]:
    """Whether the host of each provider that takes calls is known to the name servers."""
    hosts: dict[str, list[str]] = {}
    for provider in plan.providers.values():
        if provider.enabled and not is_template(provider.spec.base_url):
            hosts.setdefault(urlsplit(provider.spec.base_url).hostname or "", []).append(provider.name)
    if not hosts:
        yield warning("names", "no provider is on", "monorelay enable PROVIDER")
        return
    began = time.monotonic()
    pool = ThreadPoolExecutor(min(len(hosts), 16))
    asked = {host: pool.submit(socket.getaddrinfo, host, 443, type=socket.SOCK_STREAM) for host in hosts}
    known = []
    for host, providers in hosts.items():
        try:
            asked[host].result(max(0.0, began + DNS_LIMIT - time.monotonic()))
            known.append(host)
        except TimeoutError:
            yield problem("names", f"{host} ({', '.join(providers)}): no answer in {DNS_LIMIT:g} s", "look at /etc/resolv.conf")
        except OSError as error:
            yield problem(
                "names", f"{host} ({', '.join(providers)}): {error.strerror}", "is it misspelt, or is this machine offline?"
            )
    pool.shutdown(wait=False, cancel_futures=True)
    if known:
        yield ok("names", f"{', '.join(known)} {'is' if len(known) == 1 else 'are'} known")


def certificate(spec: TlsSpec | None, now: float) -> Iterator[Finding]:
    if spec is None:
        return
    try:
        days = (end_of(spec) - now) / DAY
    except ssl.SSLCertVerificationError as error:
        yield problem("server.tls", f"clients will refuse the certificate: {error.verify_message}", "renew it, and reload")
        return
    text = f"the certificate is valid for {int(days)} more days"
    yield warning("server.tls", text, "renew it, and reload") if days < SOON else ok("server.tls", text)
