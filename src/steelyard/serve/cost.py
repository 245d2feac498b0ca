"""What the server has cost so far, idle time included, and by computing alone."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from steelyard.serve.faults import not_found
from steelyard.serve.http import Reply, Request, json_reply
from steelyard.serve.metrics import Metrics
from steelyard.serve.price import MachinePrice

if TYPE_CHECKING:
    from steelyard.serve.app import App

_TICK = 1.0
"""Seconds between two additions."""
_MILLION = 1_000_000
_ANSWERED = re.compile(r'route="(?:predict|infer)",code="200"')
_RATIOS = {
    "steelyard_cost_per_request": "Cost of this server so far, idle time included, over requests answered.",
    "steelyard_cost_per_million_predictions": "The same over a million rows answered.",
}


class Meter:
    """Adds up the cost of a server process as time goes by (:class:`steelyard.serve.app.Companion`).

    Parameters
    ----------
    price
        Of the machine.
    metrics
        Where the cost is counted.
    busy
        Returns the seconds that each model was computing so far, by model and version.
    threads
        Processors that one inference holds.
    share
        Part of the machine that this process stands for: 1 over the number of workers.
    """

    def __init__(
        self,
        price: MachinePrice,
        metrics: Metrics,
        busy: Callable[[], Mapping[tuple[str, str], float]],
        *,
        threads: int,
        share: float = 1.0,
    ) -> None:
        self.price = price
        self._busy, self._threads, self._share = busy, threads, share
        currency = price.per_hour.currency
        self._total = metrics.counter(
            "steelyard_cost_total", "Price of the machine times time, idle time included.", currency=currency
        )
        self._compute = metrics.counter(
            "steelyard_compute_cost_total", "The same for the time that models computed alone.", currency=currency
        )
        self._seen: dict[tuple[str, str], float] = {}
        self._last = time.monotonic()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to add up."""
        self._task = asyncio.create_task(self._run())

    async def stop(self, grace: float) -> None:
        """Add what is left."""
        del grace
        if self._task is not None:
            self._task.cancel()
        self.tick()

    def tick(self) -> None:
        """Add what has come since the last time."""
        now = time.monotonic()
        self._total.add((now - self._last) * self.price.per_second * self._share)
        self._last = now
        for model, seconds in self._busy().items():
            more = max(0.0, seconds - self._seen.get(model, 0.0))
            self._seen[model] = seconds
            self._compute.add(more * self._threads * self.price.per_processor_second)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(_TICK)
            self.tick()

    def ratios(self, metrics: str) -> Iterator[str]:
        """Yield the lines of what one request and a million predictions have cost.

        Parameters
        ----------
        metrics
            Everything that was counted, by all processes, as Prometheus reads it.
        """
        total, currency = summed(metrics, "steelyard_cost_total"), self.price.per_hour.currency
        requests, rows = _answered(metrics), summed(metrics, "steelyard_rows_total") / _MILLION
        for (name, about), count in zip(_RATIOS.items(), (requests, rows), strict=True):
            yield f"# HELP {name} {about}"
            yield f"# TYPE {name} gauge"
            if count:
                yield f'{name}{{currency="{currency}"}} {total / count:.9g}'

    def to_json(self, metrics: str) -> dict[str, Any]:
        """Return what the server has cost so far, and what that rests on."""
        price = self.price
        total, compute = summed(metrics, "steelyard_cost_total"), summed(metrics, "steelyard_compute_cost_total")
        requests, rows = _answered(metrics), summed(metrics, "steelyard_rows_total")
        return {
            "currency": price.per_hour.currency,
            "price_per_hour": f"{price.per_hour.amount:f} {price.per_hour.currency}",
            "price_source": price.source,
            "processors": price.processors,
            "seconds": round(total / price.per_second, 3),
            "requests": int(requests),
            "predictions": int(rows),
            "total": total,
            "compute": compute,
            "share_idle": 1 - compute / total if total else None,
            "per_request": total / requests if requests else None,
            "per_million_predictions": total / rows * _MILLION if rows else None,
            "per_million_predictions_compute_alone": compute / rows * _MILLION if rows else None,
            "assumed": [
                "the whole machine is paid for by this server, from the moment that its model was loaded",
                f"an inference holds {self._threads} of {price.processors} processors, at equal shares of the price",
                "reading and writing requests is in the total, not in the compute; network and people are in neither",
            ],
        }


def summed(metrics: str, name: str, labels: re.Pattern[str] | None = None) -> float:
    r"""Return the sum of a metric over all of its labels, or over those that fit a pattern.

    Examples
    --------
    >>> summed('rows{m="a"} 2\nrows{m="b"} 3\nrows_total 9', "rows")
    5.0
    """
    total = 0.0
    for line in metrics.splitlines():
        found, _, value = line.rpartition(" ")
        own, _, its = found.partition("{")
        if own == name and (labels is None or labels.search(its)):
            total += float(value)
    return total


def _answered(metrics: str) -> float:
    return summed(metrics, "steelyard_requests_total", _ANSWERED)


async def cost(app: App, request: Request) -> Reply:
    """Tell what the server has cost so far."""
    del request
    if app.cost is None:
        raise not_found("this server was told no price; start it with --price-per-hour")
    app.cost.tick()
    return json_reply(app.cost.to_json(app.metrics.text()))
