"""What a run says that its bundle will bear when it is served: read from ``report.json``."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from steelyard.errors import RunUnreadable
from steelyard.money.batching import Replica
from steelyard.money.calibration import USUAL, Calibration, replica_of
from steelyard.money.capacity import replicas
from steelyard.money.overhead import Overhead
from steelyard.spec import Serving, Traffic
from steelyard.units import Estimate, How

REPORT = "report.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What was measured of the bundle that a run ships, and what follows for a replica that answers requests.

    A replica is a server process that answers at once whatever has gathered, HTTP included, as
    :mod:`steelyard.money.batching` models it. What the server does around the model is as ``steelyard capacity RUN
    --measure`` found it, else assumed.

    Attributes
    ----------
    p50, p95, p99
        Latency of one row where nobody else asks, ms.
    busy
        The time that one row keeps a replica busy, ms.
    batched, batch
        Rows a second in batches of so many rows.
    target_ms
        The 95th percentile of latency that was asked for, ms.
    traffic
        How many requests a second were spoken of.
    machine
        Where it was measured, in words.
    overhead
        Of the server around the model.
    measured
        What was measured of the bundle's batches instead of the figures above, if it was.
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
    batch: int = 1
    overhead: Overhead = USUAL
    measured: Calibration | None = None

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
            return _of_report(report, Calibration.of_run(folder))
        except (KeyError, TypeError, ValueError, ValidationError, yaml.YAMLError):
            raise RunUnreadable(
                f"{place} says nothing of the latency of a bundle; name a run that has come to one"
            ) from None

    @property
    def peak_rps(self) -> float:
        """Requests a second in the busiest minute; 0 where no traffic is known."""
        return 0.0 if self.traffic is None else self.traffic.most_rps

    @property
    def replica(self) -> Replica:
        """The server process that the run's figures make."""
        if self.measured is not None and self.measured.threads == self.threads:
            return replace(self.measured.replica, overhead=self.overhead)
        return replica_of(self.busy.value, self.p50, self.p95, self.batched, self.batch, self.overhead)

    def load(self, target_ms: float | None = None) -> float:
        """Return the share of the time that one replica may be busy; without a target that of the run's spec."""
        target = self.target_ms if target_ms is None else target_ms
        return self.replica.busy(self.replica.capacity(target))

    def capacity(self, target_ms: float | None = None) -> Estimate:
        """Return how many requests a second one replica bears within a target of the 95th percentile, ms."""
        target = self.target_ms if target_ms is None else target_ms
        ends = [self.replica.scaled(end / self.busy.value) for end in _ends(self.busy)]
        rates = [each.capacity(target) for each in ends]
        source = f"the run's latency of one row; {self.overhead.source}"
        return Estimate(rates[0], min(rates), max(rates), How.ESTIMATED, "requests/s", source)

    def replicas(self, rps: float, *, pessimistic: bool = False) -> int:
        """Return how many replicas a rate needs; ``pessimistic`` takes the lower end of what one bears."""
        one = self.capacity()
        return replicas(rps, one.low if pessimistic else one.value)

    def latency(self, rps: float = 0.0) -> dict[str, float]:
        """Return the percentiles ``p50`` and ``p95`` of latency at a rate, ms; infinite where the queue only grows.

        Examples
        --------
        >>> from steelyard.money.overhead import NONE
        >>> one = Estimate(2.0, 2.0, 2.0, unit="ms")
        >>> made = Forecast(name="a", p50=one, p95=one, p99=one, busy=one, batched=one, overhead=NONE)
        >>> made.latency(), round(made.latency(250)["p95"], 1), made.latency(500)["p50"]
        ({'p50': 2.0, 'p95': 2.0}, 6.1, inf)
        """
        return dict(zip(("p50", "p95"), self.replica.latency(rps), strict=True))


def _ends(estimate: Estimate) -> tuple[float, float, float]:
    return estimate.value, estimate.low, estimate.high


def _of_report(report: Mapping[str, Any], measured: Calibration | None) -> Forecast:
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
        batch=int(Estimate.from_json(figures["throughput_batch_rows"]).value)
        if "throughput_batch_rows" in figures
        else 1,
        overhead=USUAL if measured is None else measured.overhead,
        measured=measured,
        machine=", ".join(str(machine[k]) + end for k, end in (("processor", ""), ("cores", " cores")) if k in machine),
    )
