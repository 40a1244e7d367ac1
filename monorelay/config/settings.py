"""config.yml: the part that only a restart can change, and the part that a reload takes over."""

from __future__ import annotations

from dataclasses import dataclass

from monorelay.config.fields import Origins, Secret


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
