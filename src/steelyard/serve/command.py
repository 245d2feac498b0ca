"""What ``steelyard serve`` does with its options."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from steelyard.serve.keys import Key, Scope, new_secret, parse_key, read_keys
from steelyard.serve.limits import limits_from
from steelyard.serve.log import parse_log
from steelyard.serve.log.settings import LogSettings
from steelyard.serve.price import parse_price
from steelyard.serve.releases.settings import Releasing, Watching, read_watching
from steelyard.serve.run import serve as serve_until_told
from steelyard.serve.settings import Settings

_SAME = (
    *("host", "port", "grpc_port", "name", "no_keys", "workers", "threads", "batch", "max_delay_ms", "queue"),
    *("deadline_ms", "hang_seconds", "start_seconds", "log_share", "traces", "repository", "escalate"),
)
"""Options that are a setting under the same name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The options of the command; ``None`` and empty words are unset."""

    host: str
    port: int
    grpc_port: int | None
    name: str
    key: list[str] | None
    keys: Path | None
    no_keys: bool
    workers: int
    threads: int
    batch: int
    max_delay_ms: float
    queue: int
    deadline_ms: float
    max_rows: int
    max_body_mb: int
    limit: list[str] | None
    grace: int
    hang_seconds: float
    start_seconds: float
    log_share: float
    repository: bool
    escalate: Path | None
    stable: str
    state: Path | None
    source: list[str] | None
    trust: list[Path] | None
    watch: Path | None
    log: str | None
    log_sample: float | None
    log_inputs: str | None
    log_rows: int | None
    log_mb: float | None
    log_days: float | None
    traces: bool
    price_per_hour: str | None
    tls_cert: Path | None
    tls_key: Path | None


def serve(bundle: Path, asked: Asked) -> None:
    """Serve a bundle, or a shelf, until a signal; without keys make one, and say it once.

    Raises
    ------
    ServingRefused, BundleRefused
        As :func:`steelyard.serve.serve`, and if an option cannot be honoured.
    """
    keys = [parse_key(text) for text in asked.key or ()] + list(read_keys(asked.keys) if asked.keys else ())
    secret = "" if keys or asked.no_keys else new_secret()
    if secret:
        keys.append(Key.of(secret, frozenset(Scope) - {Scope.ADMIN}))
    settings = _settings(asked, tuple(keys))
    serve_until_told(bundle, settings, announce=lambda address, beside: _announce(address, beside, secret))


def _settings(asked: Asked, keys: tuple[Key, ...]) -> Settings:
    return Settings(
        **{name: getattr(asked, name) for name in _SAME},
        keys=keys,
        limits=limits_from(asked.limit or (), rows=asked.max_rows, body_bytes=asked.max_body_mb * 2**20),
        grace_seconds=asked.grace,
        log=_log(asked),
        price=parse_price(asked.price_per_hour),
        releasing=Releasing(
            stable=asked.stable,
            state=asked.state,
            sources=tuple(asked.source or ()),
            trust=tuple(asked.trust or ()),
            watching=read_watching(asked.watch) if asked.watch else Watching(),
        ),
        certfile=asked.tls_cert,
        keyfile=asked.tls_key,
    )


def _log(asked: Asked) -> LogSettings | None:
    return parse_log(
        asked.log,
        sample=asked.log_sample,
        inputs=asked.log_inputs,
        rows=asked.log_rows,
        megabytes=asked.log_mb,
        days=asked.log_days,
    )


def _announce(address: str, grpc_address: str, secret: str) -> None:
    """Say where the server answers, and the key that was made for it: it is kept nowhere."""
    shown = f"; key (shown this once): {secret}" if secret else ""
    beside = f", gRPC at {grpc_address}" if grpc_address else ""
    sys.stdout.write(f"serving at {address}, to try at {address}/docs{beside}{shown}\n")
    sys.stdout.flush()
