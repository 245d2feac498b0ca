"""What an operator may set. All of it is checked at once, and what cannot be honoured is refused."""

from __future__ import annotations

import ipaddress
import math
import re
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path

from steelyard.errors import ServingRefused
from steelyard.serve.keys import Key
from steelyard.serve.limits import Limits
from steelyard.serve.log.settings import LogSettings
from steelyard.serve.price import MachinePrice
from steelyard.serve.releases.settings import Releasing

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_RANGES = {
    "workers": (1, 256, "processes"),
    "port": (0, 65535, "0 takes any free one"),
    "threads": (1, 256, "threads of one inference"),
    "batch": (0, 65536, "rows; 0 measures the best"),
    "max_delay_ms": (0, 10_000, "milliseconds"),
    "queue": (1, 1_000_000, "rows"),
    "deadline_ms": (1, 3_600_000, "milliseconds"),
    "keep_alive_seconds": (1, 3600, "seconds"),
    "grace_seconds": (0, 3600, "seconds"),
    "hang_seconds": (1, 3600, "seconds"),
    "start_seconds": (1, 86_400, "seconds"),
    "log_share": (0, 1, "share of requests"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How to serve one bundle.

    Raises
    ------
    ServingRefused
        If a setting is out of its range or cannot be honoured; every problem is named.

    Examples
    --------
    >>> Settings(port=70000, batch=-1)
    Traceback (most recent call last):
    steelyard.errors.ServingRefused: cannot serve:
      port must be from 0 to 65535 (0 takes any free one); got 70000
      batch must be from 0 to 65536 (rows; 0 measures the best); got -1
    """

    name: str = "model"
    """What clients call the model."""
    host: str = "127.0.0.1"
    port: int = 8000
    grpc_port: int | None = None
    """Where gRPC answers besides; ``None``: nowhere."""
    keys: tuple[Key, ...] = ()
    no_keys: bool = False
    """Let anybody in; only on a loopback address."""
    workers: int = 1
    """Processes that answer; limits, queue and threads are those of each."""
    threads: int = 1
    """Of ONNX Runtime, for one inference."""
    batch: int = 0
    """Most rows to compute at once; 0 takes the size that was measured to be best at the start."""
    max_delay_ms: float = 0.0
    """How long the first row of a batch may wait for others; with 0 nothing waits while the model is free."""
    queue: int = 1024
    """Most rows that may wait."""
    deadline_ms: float = 30_000.0
    """How long a request may wait in the queue, unless it asks for less."""
    limits: Limits = field(default_factory=Limits)
    keep_alive_seconds: int = 75
    grace_seconds: int = 30
    """How long requests in flight may take once the server was told to stop."""
    hang_seconds: float = 30.0
    """After which a worker whose event loop stands still is replaced."""
    start_seconds: float = 300.0
    """After which a worker that has not opened the bundle, and fetched it where it comes from a source, is replaced."""
    log_share: float = 0.0
    """Share of requests that are logged; those that end in an error of the server always are."""
    log: LogSettings | None = None
    """Where answered rows are logged, for labels that come later; ``None`` logs nothing."""
    traces: bool = False
    """Whether to send spans, as the environment variables of OpenTelemetry say."""
    price: MachinePrice | None = None
    """Of this machine; counts what the server costs."""
    repository: bool = False
    """Whether the calls under ``/v2/repository`` and ``/releases`` are answered."""
    escalate: Path | None = None
    """File of ``steelyard escalate``: which rows go to another server, or to a person."""
    releasing: Releasing = field(default_factory=Releasing)
    """How versions of the model are kept and changed."""
    certfile: Path | None = None
    keyfile: Path | None = None

    def __post_init__(self) -> None:
        """Check every setting.

        Raises
        ------
        ServingRefused
            If any cannot be honoured.
        """
        if problems := [*self._out_of_range(), *self._contradictions()]:
            raise ServingRefused("cannot serve:\n" + "\n".join(f"  {problem}" for problem in problems))

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the server."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def _out_of_range(self) -> Iterator[str]:
        for name, (low, high, what) in _RANGES.items():
            if not low <= getattr(self, name) <= high:
                yield f"{name} must be from {low} to {high} ({what}); got {getattr(self, name)}"
        for limit in fields(Limits):
            if not 0 < getattr(self.limits, limit.name) < math.inf:
                yield f"the limit {limit.name} must be above 0 and finite; got {getattr(self.limits, limit.name)}"

    def _contradictions(self) -> Iterator[str]:
        if not _NAME.fullmatch(self.name):
            yield f"the name {self.name!r} must be 1 to 64 letters, digits, '.', '_' or '-', a letter or digit first"
        if self.grpc_port is not None and not 0 <= self.grpc_port <= 65535:
            yield f"grpc_port must be from 0 to 65535 (0 takes any free one); got {self.grpc_port}"
        if self.grpc_port and self.grpc_port == self.port:
            yield f"HTTP and gRPC cannot share the port {self.port}; name another --grpc-port"
        if self.no_keys and self.keys:
            yield "no keys and keys were both asked for; give one of them"
        if self.no_keys and not self.is_loopback:
            yield f"without keys only a loopback address may be served; {self.host!r} is none: give a key"
        if 0 < self.batch > self.queue:
            yield f"a batch of {self.batch} rows never fits a queue of {self.queue}; make the queue longer"
        if self.max_delay_ms >= self.deadline_ms:
            yield f"max_delay_ms {self.max_delay_ms:g} must be below deadline_ms {self.deadline_ms:g}"
        yield from self.releasing.problems()
        if self.log is not None:
            yield from self.log.problems()
        yield from self._tls()

    def _tls(self) -> Iterator[str]:
        if self.certfile is None:
            if self.keyfile is not None:
                yield "a TLS key needs its certificate; give both"
            return
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(self.certfile, self.keyfile, password="")
        except FileNotFoundError:
            yield f"there is no file {self.certfile} or {self.keyfile}; name the TLS certificate and its key"
        except (OSError, ssl.SSLError) as problem:
            yield f"the TLS certificate {self.certfile} and its key cannot be used: {problem}"
