"""What a run says that its bundle will bear when it is served: read from ``report.json``."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from steelyard.errors import RunUnreadable
from steelyard.money.serving import busy_share
from steelyard.spec import Serving, Traffic
from steelyard.units import Estimate

_LN2, _LN20 = math.log(2), math.log(20)
REPORT = "report.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What was measured of the bundle that a run ships, and what follows for a replica that answers requests.

    A replica is taken to answer one row at a time on ``threads`` cores, as in :mod:`steelyard.money.serving`: what the
    server does around the model is not in it, nor what it gains by answering rows together.

    Attributes
    ----------
    p50, p95, p99
        Latency of one row where nobody else asks, ms.
    busy
        The time that one row keeps a replica busy, ms.
    batched
        Rows a second in large batches.
    target_ms
        The 95th percentile of latency that was asked for, ms.
    traffic
        How many requests a second were spoken of.
    machine
        Where it was measured, in words.
    """

    name: str
    p50: Estimate
    p95: Estimate
    p99: Estimate
    busy: Estimate
    batched: Estimate
    threads: int = 1
    target_ms: float | None = None
    traffic: Traffic | None = None
    machine: str = ""

    @classmethod
    def of_run(cls, folder: Path) -> Forecast:
        """Read the report of a run.

        Raises
        ------
        RunUnreadable
            If there is none, it is damaged, or nothing was weighed.
        """
        place = folder / REPORT
        try:
            report = json.loads(place.read_bytes())
        except FileNotFoundError:
            raise RunUnreadable(f"{folder} holds no {REPORT}; name the folder of a run that came to an end") from None
        except (OSError, ValueError) as problem:
            raise RunUnreadable(
                f"{place} cannot be read ({problem}); `steelyard report {folder}` makes it anew"
            ) from None
        try:
            return _of_report(report)
        except (KeyError, TypeError, ValueError, ValidationError, yaml.YAMLError):
            raise RunUnreadable(
                f"{place} says nothing of the latency of a bundle; name a run that has come to one"
            ) from None

    @property
    def peak_rps(self) -> float:
        """Requests a second in the busiest minute; 0 where no traffic is known."""
        if self.traffic is None:
            return 0.0
        return max(self.traffic.mean_rps, self.traffic.peak_rps or 0.0)

    def load(self, target_ms: float | None = None) -> float:
        """Return the share of the time that one replica may be busy; without a target that of the run's spec."""
        return busy_share(self.busy.value, self.p95.value, self.target_ms if target_ms is None else target_ms)

    def capacity(self, target_ms: float | None = None) -> Estimate:
        """Return how many requests a second one replica bears within a target of the 95th percentile, ms."""
        target = self.target_ms if target_ms is None else target_ms
        pairs = zip(_ends(self.busy), _ends(self.p95), strict=True)
        rates = [1000 * busy_share(busy, p95, target) / busy for busy, p95 in pairs]
        return Estimate(rates[0], min(rates), max(rates), unit="requests/s", source="the run's latency of one row")

    def replicas(self, rps: float, *, pessimistic: bool = False) -> int:
        """Return how many replicas a rate needs; ``pessimistic`` takes the lower end of what one bears."""
        one = self.capacity()
        return max(1, math.ceil(rps / (one.low if pessimistic else one.value)))

    def latency(self, rps: float = 0.0) -> dict[str, float]:
        """Return the percentiles ``p50`` and ``p95`` of latency at a rate, ms; infinite where the queue only grows.

        The wait is the exponential one of :func:`steelyard.money.serving.busy_share`.

        Examples
        --------
        >>> one = Estimate(2.0, 2.0, 2.0, unit="ms")
        >>> made = Forecast(name="a", p50=one, p95=one, p99=one, busy=one, batched=one)
        >>> made.latency(), round(made.latency(250)["p95"], 1), made.latency(500)["p50"]
        ({'p50': 2.0, 'p95': 2.0}, 8.0, inf)
        """
        rho = rps * self.busy.value / 1000
        wait = math.inf if rho >= 1 else self.busy.value * rho / (1 - rho)
        return {"p50": self.p50.value + _LN2 * wait, "p95": self.p95.value + _LN20 * wait}


def _ends(estimate: Estimate) -> tuple[float, float, float]:
    return estimate.value, estimate.low, estimate.high


def _of_report(report: Mapping[str, Any]) -> Forecast:
    figures = report["decision"]["figures"]
    found = {name: Estimate.from_json(figures[f"latency_{name}_ms"]) for name in ("p50", "p95", "p99")}
    busy = Estimate.from_json(figures["latency_mean_ms"]) if "latency_mean_ms" in figures else found["p50"]
    serving = Serving.model_validate((yaml.safe_load(report["spec"]) or {}).get("serving") or {})
    if not all(math.isfinite(e.value) and e.value > 0 for e in (*found.values(), busy)):
        raise ValueError("a latency is no number above 0")
    machine = report.get("machine") or {}
    return Forecast(
        name=str(report["name"]),
        **found,
        busy=busy,
        batched=Estimate.from_json(figures["throughput_rps"]),
        threads=serving.threads,
        target_ms=serving.latency_p95_ms,
        traffic=serving.traffic,
        machine=", ".join(str(machine[k]) + end for k, end in (("processor", ""), ("cores", " cores")) if k in machine),
    )
