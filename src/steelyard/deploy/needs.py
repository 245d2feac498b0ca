"""What a replica needs, and how many of them: from the rehearsal, and from what the run was chosen for."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from steelyard.deploy.rehearsal import Rehearsal
from steelyard.money import Forecast
from steelyard.money.overhead import Overhead
from steelyard.money.serving import USUAL_LOAD
from steelyard.serve import Limits

_MIB = 2**20
_BODIES = Limits().held_bytes
"""Bytes of long bodies that a server reads at once, at most."""
_ROOM, _STEP = 1.25, 16
_LEAST, _MOST = 2, 4
"""Replicas where no traffic is known."""
_SLOWER = 10.0
"""How many times as long a start may take in the cluster as it took here."""
_PROBE = 2
"""Seconds between two looks at a server that starts."""


@dataclass(frozen=True, slots=True)
class Needs:
    """What to ask a cluster for.

    Attributes
    ----------
    least, most
        Replicas.
    load
        Share of the time that a replica may be busy.
    queue
        Rows that wait for one replica on average where it is that busy.
    cores
        That the inferences of a replica use at once: those of one, times the workers.
    memory_mib, memory_limit_mib
        Memory to reserve for a replica, and the most it may take.
    start_probes
        How often a server that starts is looked at, every 2 s, before it is given up.
    reasons
        Where the figures come from, as sentences.
    """

    least: int
    most: int
    load: float
    queue: float
    cores: int
    memory_mib: int
    memory_limit_mib: int
    start_probes: int
    reasons: tuple[str, ...]

    @classmethod
    def of(cls, rehearsal: Rehearsal, threads: int, forecast: Forecast | None, *, workers: int = 1) -> Needs:
        """Return the needs of one deployment, whose replicas have so many workers of so many threads each."""
        least, most, load, why = _replicas(_with_http(forecast, rehearsal.request_ms), threads, workers)
        bodies = workers * _BODIES
        memory = _rounded(_ROOM * rehearsal.memory_bytes / _MIB)
        start = max(15, math.ceil(_SLOWER * rehearsal.seconds / _PROBE))
        used = (
            f"memory: {rehearsal.memory_bytes / _MIB:,.0f} MiB at the peak of one start here, with a quarter on top; "
            f"the limit leaves room for {bodies // _MIB} MiB of long requests besides"
        )
        took = f"start: {rehearsal.seconds:.1f} s here until it was ready; {start * _PROBE} s are allowed"
        queue = workers * max(1.0, load**2 / (1 - load))
        limit = _rounded(memory + bodies / _MIB)
        return cls(least, most, load, queue, threads * workers, memory, limit, start, (why, used, took))


def _rounded(mib: float) -> int:
    return _STEP * math.ceil(mib / _STEP)


def _with_http(forecast: Forecast | None, request_ms: float | None) -> Forecast | None:
    """Return a forecast in which the server takes as long around a row as it did here.

    A run measures the bundle alone; around a small model the server takes longer than the model itself. What was
    calibrated for the run is the better measurement, and stays.
    """
    if forecast is None or forecast.measured is not None or request_ms is None:
        return forecast
    around = Overhead(
        turn_ms=0.0,
        request_ms=max(0.0, request_ms - forecast.busy.value),
        delay_ms=forecast.overhead.delay_ms,
        source="the processor time of a request in one start here",
    )
    return replace(forecast, overhead=around)


def _replicas(forecast: Forecast | None, threads: int, workers: int) -> tuple[int, int, float, str]:
    """Return the least and the most replicas, the load of each, and why."""
    if forecast is None or forecast.threads != threads or forecast.traffic is None or not forecast.traffic.mean_rps:
        cores = "1 thread" if threads == 1 else f"{threads} threads"
        why = f"replicas: {_LEAST} to {_MOST} are assumed, as no run says how many requests come to servers of {cores}"
        return _LEAST, _MOST, USUAL_LOAD, why
    mean = math.ceil(forecast.replicas(forecast.traffic.mean_rps) / workers)
    peak = math.ceil(forecast.replicas(forecast.peak_rps, pessimistic=True) / workers)
    least = max(_LEAST, mean)
    most = max(least, peak) + 1
    load, busy = forecast.load(), forecast.replica.busy_ms
    several = "" if workers == 1 else f"of {workers} workers, "
    why = (
        f"replicas: {mean} for {forecast.traffic.mean_rps:g} requests/s on average and {peak} for a peak of "
        f"{forecast.peak_rps:g}, each {several}busy at most {load:.0%} of the time with {busy:.2g} ms a "
        f"request (from the run and one start here, estimated); at least {_LEAST}, at most one more than the peak needs"
    )
    return least, most, load, why
