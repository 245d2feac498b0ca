"""What a run said that its bundle would bear, beside what was measured under load."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from steelyard.load.maximum import Maximum
from steelyard.load.summary import Result
from steelyard.money import Forecast
from steelyard.units import Estimate


@dataclass(frozen=True, slots=True)
class Pair:
    """One figure twice: as it was predicted, and as it was measured."""

    what: str
    unit: str
    predicted: float
    measured: Estimate

    @property
    def ratio(self) -> float:
        """Measured over predicted; NaN where one of them is no number above 0."""
        ends = (self.predicted, self.measured.value)
        return self.measured.value / self.predicted if all(math.isfinite(e) and e > 0 for e in ends) else math.nan

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON; what is not finite becomes ``null``."""
        numbers = {"predicted": self.predicted, "ratio": self.ratio}
        finite = {name: value if math.isfinite(value) else None for name, value in numbers.items()}
        return {"what": self.what, "unit": self.unit, **finite, "measured": self.measured.to_json()}


def pairs(forecast: Forecast, result: Result, found: Maximum | None = None, p95_ms: float | None = None) -> list[Pair]:
    """Return what can be held side by side.

    Parameters
    ----------
    forecast
        What the run said.
    result
        A test. Of an open loop the prediction is that of its rate; of a closed one that of an idle replica, which holds
        for a single connection alone, so others are not compared.
    found
        The highest rate that kept a target, if one was looked for.
    p95_ms
        That target.
    """
    made = []
    if found is not None:
        most = forecast.capacity(p95_ms)
        made.append(Pair(f"highest rate within {p95_ms:g} ms at p95", "requests/s", most.value, found.rate))
    if result.mode == "open" or result.connections == 1:
        rate = result.asked if result.mode == "open" else 0.0
        said = forecast.latency(rate)
        at = f"at {rate:,.1f} requests/s" if rate else "with one connection"
        made += [Pair(f"{name} {at}", "ms", said[name], result.latency[name]) for name in ("p50", "p95")]
    return made


def describe_beside(forecast: Forecast, found: list[Pair]) -> str:
    """Return predictions and measurements as lines."""
    if not found:
        return f"the run {forecast.name!r} predicts nothing for several busy connections; use --rps or --find-max"
    where = f", on {forecast.machine}" if forecast.machine else ""
    cores = "1 core" if forecast.threads == 1 else f"{forecast.threads} cores"
    lines = [
        f"predicted by the run {forecast.name!r} for one replica of {cores}{where}, and measured:",
        f"  {forecast.overhead.source}",
        *(_line(pair) for pair in found),
    ]
    return "\n".join(lines)


def _line(pair: Pair) -> str:
    ratio = "no ratio" if math.isnan(pair.ratio) else f"{pair.ratio:.2f} times"
    return (
        f"  {pair.what + ', ' + pair.unit:46} {_number(pair.predicted):>9} {_number(pair.measured.value):>9}  ({ratio})"
    )


def _number(value: float) -> str:
    if math.isinf(value):
        return "never"
    return "none" if math.isnan(value) else f"{value:,.3g}" if value < 1000 else f"{value:,.0f}"


def beside_json(forecast: Forecast, found: list[Pair]) -> Mapping[str, Any]:
    """Return predictions and measurements as plain JSON."""
    return {
        "run": forecast.name,
        "machine": forecast.machine,
        "threads": forecast.threads,
        "figures": [pair.to_json() for pair in found],
    }
