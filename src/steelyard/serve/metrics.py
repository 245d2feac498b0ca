"""What is counted, as Prometheus reads it.

The counters are plain numbers in plain lists: the event loop alone writes them, so that nothing is locked. Counting one
request costs 1.5 microseconds so; with prometheus_client, whose counters lock, 12 (CPython 3.11).
"""

from __future__ import annotations

import collections
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)

_N = TypeVar("_N", bound="Counter")


class Histogram:
    """How often values fell between bounds.

    Examples
    --------
    >>> seconds = Histogram((0.1, 1.0))
    >>> for value in (0.05, 0.1, 0.5, 7.0):
    ...     seconds.observe(value)
    >>> list(seconds.lines("x", "")) [:3]
    ['x_bucket{le="0.1"} 2', 'x_bucket{le="1"} 3', 'x_bucket{le="+Inf"} 4']
    """

    __slots__ = ("_bounds", "_counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = tuple(bounds)
        self._counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    @property
    def count(self) -> int:
        """How many values there were."""
        return sum(self._counts)

    def observe(self, value: float) -> None:
        """Count a value."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self.total += value

    def lines(self, name: str, labels: str) -> Iterator[str]:
        """Yield the lines of a metric; ``labels`` is ``""`` or like ``model="m"``."""
        before, below = f"{labels}," if labels else "", 0
        for bound, count in zip((*map(_written, self._bounds), "+Inf"), self._counts, strict=True):
            below += count
            yield f'{name}_bucket{{{before}le="{bound}"}} {below}'
        around = f"{{{labels}}}" if labels else ""
        yield f"{name}_sum{around} {self.total:.9g}"
        yield f"{name}_count{around} {below}"


def _written(bound: float) -> str:
    return f"{bound:g}" if bound < 1000 else str(int(bound))


class ModelMetrics:
    """What is counted of one model."""

    __slots__ = ("batch_rows", "compute", "failed", "last", "model", "requests", "rows", "version", "wait")

    def __init__(self, model: str, version: str) -> None:
        self.model, self.version = model, version
        self.wait = Histogram(SECONDS)
        """Seconds that each request spent in the queue."""
        self.compute = Histogram(SECONDS)
        """Seconds that each batch took to compute."""
        self.batch_rows = Histogram(ROWS)
        self.requests = 0
        """Requests that were answered."""
        self.failed = 0
        """Requests that reached the queue and were not answered."""
        self.rows = 0
        self.last = 0.0
        """When the last batch was computed, seconds since the epoch."""


class Counter:
    """A number that only grows."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0.0

    def add(self, amount: float = 1.0) -> None:
        """Count."""
        self.value += amount


class Gauge(Counter):
    """A number that rises and falls."""

    __slots__ = ()

    def set(self, value: float) -> None:
        """Say what it is now."""
        self.value = value


class Metrics:
    """What is counted of one server process."""

    __slots__ = ("_families", "_numbers", "errors", "latency", "requests")

    def __init__(self) -> None:
        self._families = dict(_FAMILIES)
        self._numbers: dict[str, Counter] = {}
        self.requests: collections.Counter[tuple[str, int]] = collections.Counter()
        """By route and HTTP status."""
        self.errors: collections.Counter[str] = collections.Counter()
        """By cause."""
        self.latency = {route: Histogram(SECONDS) for route in ("predict", "infer")}
        """Seconds from the headers of a request to its answer."""

    def counter(self, name: str, about: str, **labels: object) -> Counter:
        """Return a number that only grows."""
        return self._kept(name, ("counter", about), labels, Counter())

    def gauge(self, name: str, about: str, **labels: object) -> Gauge:
        """Return a number that rises and falls."""
        return self._kept(name, ("gauge", about), labels, Gauge())

    def _kept(self, name: str, described: tuple[str, str], labels: dict[str, object], number: _N) -> _N:
        self._families[name] = described
        written = ",".join(f'{label}="{value}"' for label, value in labels.items())
        self._numbers[f"{name}{{{written}}}" if written else name] = number
        return number

    def ended(self, route: str, status: int, cause: str, seconds: float) -> None:
        """Count a request."""
        self.requests[route, status] += 1
        if cause:
            self.errors[cause] += 1
        if (histogram := self.latency.get(route)) is not None:
            histogram.observe(seconds)

    def text(self, models: Iterable[tuple[ModelMetrics, int]], in_flight: int) -> str:
        """Return everything in the text format of Prometheus.

        Parameters
        ----------
        models
            What was counted of each model, and the rows that wait for it now.
        in_flight
            Requests that are worked on now.
        """
        lines = [*self._of_server(in_flight)]
        for counted, waiting in models:
            lines += _of_model(counted, waiting)
        lines += (f"{name} {number.value:.12g}" for name, number in self._numbers.items())
        return "\n".join(_described(lines, self._families)) + "\n"

    def _of_server(self, in_flight: int) -> Iterator[str]:
        for (route, status), count in sorted(self.requests.items()):
            yield f'steelyard_requests_total{{route="{route}",code="{status}"}} {count}'
        for cause, count in sorted(self.errors.items()):
            yield f'steelyard_errors_total{{cause="{cause}"}} {count}'
        yield f"steelyard_requests_in_flight {in_flight}"
        for route, histogram in self.latency.items():
            yield from histogram.lines("steelyard_request_seconds", f'route="{route}"')


def _of_model(counted: ModelMetrics, waiting: int) -> Iterator[str]:
    labels = f'model="{counted.model}",version="{counted.version}"'
    yield f"steelyard_rows_total{{{labels}}} {counted.rows}"
    yield f"steelyard_queue_rows{{{labels}}} {waiting}"
    yield from counted.wait.lines("steelyard_queue_wait_seconds", labels)
    yield from counted.compute.lines("steelyard_compute_seconds", labels)
    yield from counted.batch_rows.lines("steelyard_batch_rows", labels)


_FAMILIES = {
    "steelyard_requests_total": ("counter", "Requests by route and HTTP status."),
    "steelyard_errors_total": ("counter", "Requests without an answer, by cause."),
    "steelyard_requests_in_flight": ("gauge", "Requests that are worked on now."),
    "steelyard_request_seconds": ("histogram", "From the headers of a request to its answer."),
    "steelyard_rows_total": ("counter", "Rows that were answered."),
    "steelyard_queue_rows": ("gauge", "Rows that wait now."),
    "steelyard_queue_wait_seconds": ("histogram", "Time that a request spent in the queue."),
    "steelyard_compute_seconds": ("histogram", "Time that the model took for a batch."),
    "steelyard_batch_rows": ("histogram", "Rows that were computed at once."),
}


def _described(lines: Sequence[str], families: Mapping[str, tuple[str, str]]) -> Iterator[str]:
    """Yield the lines family by family, each after its description, as the format wants it."""
    for family, (kind, about) in families.items():
        mine = [line for line in lines if _family_of(line, families) == family]
        if mine:
            yield f"# HELP {family} {about}"
            yield f"# TYPE {family} {kind}"
            yield from mine


def _family_of(line: str, families: Mapping[str, tuple[str, str]]) -> str:
    name = line.partition("{")[0].partition(" ")[0]
    return name if name in families else name.rpartition("_")[0]
