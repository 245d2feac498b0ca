"""From the log of a test to figures: percentiles, rates, endings, lateness, processor time."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import numpy as np

from steelyard.contracts import Floats
from steelyard.load.arrivals import Plan
from steelyard.load.percentiles import percentile, percentiles
from steelyard.load.wire import LOST, NO_CONNECTION, PENDING, TIMED_OUT, Log
from steelyard.units import Estimate, Seconds

_WORDS = {
    TIMED_OUT: "timed out",
    LOST: "connection lost",
    NO_CONNECTION: "no connection",
    PENDING: "not answered",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a test found, the warm-up left out.

    Attributes
    ----------
    mode
        ``"open"`` (planned arrivals) or ``"closed"`` (busy connections).
    asked
        Planned requests per second; NaN in a closed loop.
    seconds
        Length of what was counted.
    requests
        How many were planned in it.
    rate
        Good answers per second.
    latency
        Percentiles by name, in ms from the *planned* time; a request without a good answer counts as infinitely late,
        so neither errors nor timeouts can flatter them.
    answered
        The same of the requests with a good answer alone.
    endings
        How many ended how: ``"200"``, ``"503"``, ``"timed out"``...
    late
        The 99th percentile of how late the generator itself was, in ms.
    connections
        The most that were open at once.
    server_cpu
        Processor time of the server per request, in ms, if its process was named.
    own_share
        Share of one core that the generator took.
    """

    mode: str
    asked: float
    seconds: float
    requests: int
    rate: float
    latency: Mapping[str, Estimate]
    answered: Mapping[str, Estimate]
    endings: Mapping[str, int]
    late: float
    connections: int
    server_cpu: Estimate | None = None
    own_share: float = math.nan

    @property
    def failed(self) -> int:
        """Requests without a good answer."""
        return sum(count for how, count in self.endings.items() if not _is_good(how))

    @property
    def timeouts(self) -> int:
        """Requests that were given up on."""
        return self.endings.get(_WORDS[TIMED_OUT], 0)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON; what is not finite becomes ``null``."""
        return {
            "mode": self.mode,
            "asked_rps": _finite(self.asked),
            "seconds": self.seconds,
            "requests": self.requests,
            "achieved_rps": _finite(self.rate),
            "latency_ms": {name: estimate.to_json() for name, estimate in self.latency.items()},
            "answered_latency_ms": {name: estimate.to_json() for name, estimate in self.answered.items()},
            "endings": dict(self.endings),
            "failed": self.failed,
            "timeouts": self.timeouts,
            "generator_late_p99_ms": _finite(self.late),
            "connections": self.connections,
            "server_cpu_ms_per_request": None if self.server_cpu is None else self.server_cpu.to_json(),
            "generator_core_share": _finite(self.own_share),
        }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _is_good(how: str) -> bool:
    return how.isdecimal() and HTTPStatus.OK <= int(how) < HTTPStatus.MULTIPLE_CHOICES


def summarise(
    log: Log,
    plan: Plan,
    *,
    begin: float,
    mode: str,
    connections: int = 0,
    server: Seconds | None = None,
    own: float = math.nan,
) -> Result:
    """Return the figures of a test.

    Parameters
    ----------
    log
        Every request.
    plan
        What was asked for.
    begin
        When counting began, on the clock of the log.
    mode
        ``"open"`` or ``"closed"``.
    connections
        The most that were open at once.
    server, own
        Processor time, in seconds, that the server and the generator took while counting.
    """
    planned, taken, done, status = (np.array(v) for v in (log.planned, log.taken, log.done, log.status))
    good = (status >= HTTPStatus.OK) & (status < HTTPStatus.MULTIPLE_CHOICES)
    counted = (planned >= begin) & (planned <= begin + plan.seconds)
    latency: Floats = np.where(good, (done - planned) * 1e3, math.inf)[counted]
    in_time = int((good & (done >= begin) & (done <= begin + plan.seconds)).sum())
    ended = int(((status != PENDING) & (done >= begin) & (done <= begin + plan.seconds)).sum())
    return Result(
        mode=mode,
        asked=plan.rate if mode == "open" else math.nan,
        seconds=plan.seconds,
        requests=int(counted.sum()),
        rate=in_time / plan.seconds,
        latency=percentiles(latency),
        answered=percentiles(latency[good[counted]]),
        endings=_endings(status[counted].tolist()),
        late=percentile(np.sort((taken - planned)[counted] * 1e3), 0.99),
        connections=connections,
        server_cpu=_per_request(server, ended),
        own_share=own / plan.seconds,
    )


def _endings(statuses: list[int]) -> dict[str, int]:
    return {_WORDS.get(status, str(status)): count for status, count in sorted(Counter(statuses).items(), reverse=True)}


def _per_request(server: Seconds | None, requests: int) -> Estimate | None:
    if server is None or not requests:
        return None
    unsure = 0.02  # two readings, each within a tick of 10 ms
    ends = (max(0.0, server - unsure), server + unsure)
    low, value, high = (1e3 * each / requests for each in (ends[0], float(server), ends[1]))
    return Estimate(value, low, high, unit="ms", source=f"/proc, over {requests:,} requests; within the ticks of 10 ms")
