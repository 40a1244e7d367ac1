"""config.yml: the part that only a restart can change, and the part that a reload takes over."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path as Directory
from typing import Any

from monorelay.config.fields import Origins, Path, Secret
from monorelay.config.keys import read_secret
from monorelay.config.provider import INLINE
from monorelay.config.provider import unfold as unfold_provider
from monorelay.config.quirks import TOOL_CALLING
from monorelay.config.reading import Node, Place
from monorelay.config.retry import DEFAULT_RETRY
from monorelay.config.routing import KEY_SELECTION, MODEL_ROUTING, unfold_routing
from monorelay.config.scalars import choice, duration, filled, flag, limit, name, sha256, whole
from monorelay.config.schema import Schema, field
from monorelay.config.tls import TLS, TlsSpec, read_tls


@dataclass(frozen=True, slots=True)
class StartupSpec:
    """What a running process cannot change. ``state_dir`` None = the environment decides (docs)."""

    host: str = "127.0.0.1"
    port: int = 8787
    workers: int = 1
    state_dir: str | None = None


@dataclass(frozen=True, slots=True)
class ClientSpec:
    """A named client token, kept only as the SHA-256 of the token (64 hex digits, lower case)."""

    name: str
    sha256: str
    provider: str | None = None


@dataclass(frozen=True, slots=True)
class ServerSpec:
    """``access_key`` is None when there is none, when it is empty, or when ``access_key_enabled`` is false."""

    origins: Origins
    access_key: Secret | None = None
    access_key_enabled: bool = True
    public_host: str = ""
    detect_public_ip: bool = True
    cors_origins: tuple[str, ...] = ()
    body_timeout: float = 30.0  # seconds a client may stall inside its body
    drain: float = 30.0  # seconds that SIGTERM waits for calls in flight
    log_level: str = "info"
    allow_faults: bool = False  # providers may have ``faults``
    tls: TlsSpec | None = None


# ---------------------------------------------------------------------------------------------------- schema


def host(value: Any) -> str:
    """A name or an address to listen on, without brackets."""
    text = str(value).strip().removeprefix("[").removesuffix("]")
    if re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,252})", text):
        return text
    try:
        return str(ipaddress.IPv6Address(text))
    except ValueError:
        raise ValueError("must be a host name or an address: 127.0.0.1, 0.0.0.0 (everywhere), ::1, relay.local") from None


PORT = whole(0, 65535)


def listen(value: Any) -> tuple[str, int]:
    """``HOST:PORT``, an IPv6 address in brackets."""
    match = re.fullmatch(r"\s*(\[[^\]]*\]|[^\[\]:]+):([0-9]{1,5})\s*", str(value))
    if match is None:
        raise ValueError("must be HOST:PORT, such as 127.0.0.1:8787 or [::1]:8787")
    return host(match[1]), PORT(match[2])


def public_host(value: Any) -> str:
    """A bare host, or an origin that begins with http:// or https://; empty = not said."""
    text = str(value).strip()
    origin = text if "://" in text else f"https://{text}"
    if text and not re.fullmatch(r"https?://[A-Za-z0-9._\[\]:-]+(/[!-~]*)?", origin):
        raise ValueError("must be a host such as relay.example.com, or begin with http:// or https://")
    return text


def cors_origin(value: Any) -> str:
    text = str(value)
    if text != "*" and not re.fullmatch(r"[a-z][a-z0-9+.-]*://[A-Za-z0-9._\[\]:-]+", text):
        raise ValueError("must be * or an origin without a path, such as https://chat.example.com")
    return text


_LEVEL = choice("debug", "info", "warning", "error")

SERVER: Schema = {
    "listen": field("string", "Where it listens.", reads=listen, default="127.0.0.1:8787", shown="HOST:PORT"),
    "host": field("string", "The same said in two fields: the host …", reads=host, default="127.0.0.1"),
    "port": field("integer", "… and the port.", reads=PORT, default="8787"),
    "workers": field("integer", "Worker processes.", reads=whole(1, 256), default="1"),
    "state_dir": field(
        "string",
        "Where it remembers things; relative to the configuration directory.",
        reads=filled,
        default="`$MONORELAY_STATE_DIR`, else `/var/lib/monorelay`",
    ),
    "tls": field("dict", "Serve https, with this certificate; a reload reads it anew.", schema=TLS),
    "access_key": field("string", "The credential clients send, best as a reference.", default="none"),
    "access_key_enabled": field("boolean", "`false` = the access key is not accepted.", reads=flag, default="true"),
    "public_host": field("string", "The name clients know it by: a bare host means https.", reads=public_host, default="found out"),
    "detect_public_ip": field("boolean", "May ask the internet for its own address.", reads=flag, default="true"),
    "cors_origins": field(
        ["list", "string"],
        'Web pages that may call it; `"*"` = all.',
        reads=lambda value: cors_origin(value) if isinstance(value, str) else value,
        shown="list of origins, or *",
        texts=field("string", reads=cors_origin),
    ),
    "body_timeout": field(
        ["number", "string"], "How long a client may stall inside its body.", reads=limit, default="30", shown="duration"
    ),
    "allow_faults": field("boolean", "`true`: providers may have `faults`; for rehearsals only.", reads=flag, default="false"),
    "drain": field(["number", "string"], "How long a stop waits for calls.", reads=duration, default="30", shown="duration"),
}
CLIENT: Schema = {
    "sha256": field("string", "The token's SHA-256: `printf %s TOKEN | sha256sum`.", reads=sha256, default="required"),
    "provider": field("string", "The provider whose credits it sees.", reads=name),
}
SETTINGS: Schema = {
    "server": field("dict", "The relay itself.", schema=SERVER),
    "clients": field(
        "dict",
        "Further credentials, by name.",
        shown="name → client",
        keysrules=field("string", reads=name),
        valuesrules=field("dict", schema=CLIENT),
    ),
    "model_routing": field("dict", "How a model's name finds its provider.", schema=MODEL_ROUTING),
    "key_selection": field("dict", "How a key is picked.", schema=KEY_SELECTION),
    "retry": field("dict", "Further attempts after a failure, with every provider that says nothing else.", schema=DEFAULT_RETRY),
    "tool_calling": field("dict", "What happens to tools that a model cannot take.", schema=TOOL_CALLING),
    "logging": field(
        "dict", "What is logged.", schema={"level": field("string", "debug, info, warning or error.", reads=_LEVEL, default="info")}
    ),
    "providers": field(
        "dict",
        "Provider drop-ins written in place; the provider of that name in a lower layer is extended.",
        shown="name → provider",
        keysrules=field("string", reads=name),
        valuesrules=field("dict", schema=INLINE),
    ),
}


def unfold(value: dict[str, Any], places: dict[Path, Place]) -> None:
    """Write the short forms out."""
    if isinstance(value.get("model_routing"), dict):
        unfold_routing(value["model_routing"], places, ("model_routing",))
    providers = value.get("providers")
    for own_name, provider in providers.items() if isinstance(providers, dict) else ():
        if isinstance(provider, dict):
            unfold_provider(provider, places, ("providers", own_name))


# ---------------------------------------------------------------------------------------------------- readers


def read_startup(server: Node, directory: Directory | None) -> StartupSpec:
    usual = StartupSpec()
    if server["listen"].value is not None:
        for other in ("host", "port"):
            if server[other].value is not None:
                server[other].wrong("stands beside listen, which says the same: keep one of them")
                break
    at = server["listen"].read(listen, None) or (server["host"].read(host, usual.host), server["port"].read(PORT, usual.port))
    state_dir = server["state_dir"].read(filled, None)
    if state_dir is not None and directory is not None:
        state_dir = str(directory / state_dir)
    return StartupSpec(*at, workers=server["workers"].read(whole(1, 256), usual.workers), state_dir=state_dir)


def read_server(server: Node, logging: Node, origins: Origins) -> ServerSpec:
    usual = ServerSpec(origins)
    key = read_secret(server["access_key"], "the access key")
    enabled = server["access_key_enabled"].read(flag, usual.access_key_enabled)
    written = server["cors_origins"]
    allowed = [written] if isinstance(written.value, str) else list(written.items())
    return ServerSpec(
        origins=origins,
        access_key=key if key and enabled else None,
        access_key_enabled=enabled,
        public_host=server["public_host"].read(public_host, usual.public_host),
        detect_public_ip=server["detect_public_ip"].read(flag, usual.detect_public_ip),
        cors_origins=tuple(origin for node in allowed if (origin := node.read(cors_origin, None)) is not None),
        body_timeout=server["body_timeout"].read(limit, usual.body_timeout),
        drain=server["drain"].read(duration, usual.drain),
        log_level=logging["level"].read(_LEVEL, usual.log_level),
        allow_faults=server["allow_faults"].read(flag, usual.allow_faults),
        tls=read_tls(server["tls"]),
    )


def read_clients(clients: Node) -> tuple[ClientSpec, ...]:
    found: list[ClientSpec] = []
    for own_name, node in clients.entries():
        if node["sha256"].value is None:
            node.missing("sha256")
        digest = node["sha256"].read(sha256, "")
        twin = next((client.name for client in found if digest and client.sha256 == digest), None)
        if twin is not None:
            node["sha256"].wrong(f"is the token of client {twin}, too")
        found.append(ClientSpec(own_name, digest, node["provider"].read(name, None)))
    return tuple(found)
