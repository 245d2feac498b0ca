"""What is counted, as Prometheus reads it.

To count something more, hold what :meth:`Metrics.counter`, :meth:`Metrics.gauge` or :meth:`Metrics.histogram` returns
and call it; that is all, whatever the number of workers::

    escalated = metrics.counter("steelyard_escalated_rows_total", "Rows that went on.", model="m", version="1")
    escalated.add(3)

The event loop alone may count, so that nothing is locked. Counting one request costs 1.5 microseconds so; with
prometheus_client, whose counters lock, 12 (CPython 3.11). Any worker answers for all of them, exactly and at one
moment; see :mod:`steelyard.serve.counting`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from steelyard.serve.counting import Board, Counter, Gauge, Histogram, Kind, Region, Series, Totals

SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)

_GAUGES = frozenset({Kind.GAUGE, Kind.LATEST, Kind.SHARED})
_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


class Metrics:
    """What one process of a server counts, and what all of them have counted.

    Parameters
    ----------
    board
        The regions of all processes; left out, this is the only one.
    region
        That of this process.
    """

    def __init__(self, board: Board | None = None, region: Region | None = None) -> None:
        self.board = board or Board(1)
        self.region = region or self.board.regions[0]
        self.requests = Labelled(
            self, "steelyard_requests_total", "Requests by route and HTTP status.", "route", "code"
        )
        self.errors = Labelled(self, "steelyard_errors_total", "Requests without an answer, by cause.", "cause")
        self.in_flight = self.gauge("steelyard_requests_in_flight", "Requests that are worked on now.")
        self.latency: dict[str, Histogram] = {}
        for route in ("predict", "infer"):
            self.time(route)
        if len(self.board.regions) == 1:
            of_workers(self)[0].set(1)

    def counter(self, name: str, about: str, /, **labels: object) -> Counter:
        """Return a number that only grows; the same name and labels give the same number."""
        series = Series(name, Kind.COUNTER, about, _written_labels(labels))
        return Counter(series, self.region.cells(series))

    def gauge(self, name: str, about: str, /, *, latest: bool = False, shared: bool = False, **labels: object) -> Gauge:
        """Return a number that rises and falls, added up over workers.

        If ``latest`` it is a moment, of which the last counts; if ``shared`` all workers see the same, and the
        greatest counts.
        """
        kind = Kind.LATEST if latest else Kind.SHARED if shared else Kind.GAUGE
        series = Series(name, kind, about, _written_labels(labels))
        return Gauge(series, self.region.cells(series))

    def histogram(self, name: str, about: str, bounds: Sequence[float], /, **labels: object) -> Histogram:
        """Return counts of values between bounds."""
        series = Series(name, Kind.HISTOGRAM, about, _written_labels(labels), tuple(map(float, bounds)))
        return Histogram(series, self.region.cells(series))

    def time(self, route: str) -> None:
        """Have the requests of a route be timed from now on."""
        about = "From the headers of a request to its answer."
        self.latency[route] = self.histogram("steelyard_request_seconds", about, SECONDS, route=route)

    def ended(self, route: str, status: int, cause: str, seconds: float) -> None:
        """Count a request."""
        self.requests[route, status].add()
        if cause:
            self.errors[cause,].add()
        if (histogram := self.latency.get(route)) is not None:
            histogram.observe(seconds)

    def totals(self) -> Totals:
        """Return what all processes have counted until now.

        Raises
        ------
        Fault
            503 if the supervisor stands still while it puts the counters in order.
        """
        return self.board.read()

    def text(self) -> str:
        """Return everything in the text format of Prometheus.

        Raises
        ------
        Fault
            503 if the supervisor stands still while it puts the counters in order.
        """
        totals = self.totals()
        lines = [*_text_of(totals), *_of_processes(totals, self.board.began)]
        return "\n".join(lines) + "\n"


class Labelled(dict[tuple[object, ...], Counter]):
    """Counters of one name by the values of their labels, made when they are first asked for."""

    def __init__(self, metrics: Metrics, name: str, about: str, *labels: str) -> None:
        super().__init__()
        self._metrics, self._name, self._about, self._labels = metrics, name, about, labels

    def __missing__(self, values: tuple[object, ...]) -> Counter:
        """Make a counter."""
        labels = dict(zip(self._labels, values, strict=True))
        made = self[values] = self._metrics.counter(self._name, self._about, **labels)
        return made


class ModelMetrics:
    """What is counted of one version of a model."""

    __slots__ = ("batch_rows", "compute", "failed", "last", "model", "requests", "rows", "version", "wait", "waiting")

    def __init__(self, metrics: Metrics, model: str, version: str) -> None:
        self.model, self.version = model, version
        of: dict[str, Any] = {"model": model, "version": version}
        self.rows = metrics.counter("steelyard_rows_total", "Rows that were answered.", **of)
        self.requests = metrics.counter("steelyard_answered_total", "Requests that the model answered.", **of)
        self.failed = metrics.counter(
            "steelyard_unanswered_total", "Requests that reached the queue and were not answered.", **of
        )
        self.waiting = metrics.gauge("steelyard_queue_rows", "Rows that wait now.", **of)
        self.last = metrics.gauge(
            "steelyard_last_batch_timestamp_seconds", "When the last batch was computed.", latest=True, **of
        )
        self.wait = metrics.histogram(
            "steelyard_queue_wait_seconds", "Time that a request spent in the queue.", SECONDS, **of
        )
        self.compute = metrics.histogram(
            "steelyard_compute_seconds", "Time that the model took for a batch.", SECONDS, **of
        )
        self.batch_rows = metrics.histogram("steelyard_batch_rows", "Rows that were computed at once.", ROWS, **of)


def of_workers(metrics: Metrics) -> tuple[Gauge, Counter]:
    """Return how many worker processes answer, and how often one had to be started anew."""
    answering = metrics.gauge("steelyard_workers", "Processes that answer.")
    return answering, metrics.counter("steelyard_worker_restarts_total", "Workers that ended and were replaced.")


def _written_labels(labels: dict[str, object]) -> str:
    return ",".join(f'{name}="{str(value).translate(_ESCAPES)}"' for name, value in labels.items())


def _text_of(totals: Totals) -> Iterator[str]:
    """Yield every series, family by family, each after its description, as the format wants it."""
    families: dict[str, list[tuple[Series, list[float]]]] = {}
    for series, values in totals:
        families.setdefault(series.name, []).append((series, values))
    for name, family in families.items():
        first = family[0][0]
        yield from _described(name, "gauge" if first.kind in _GAUGES else first.kind, first.about)
        for series, values in sorted(family, key=lambda pair: pair[0].labels):
            yield from _lines(series, values)


def _described(name: str, kind: str, about: str) -> Iterator[str]:
    yield f"# HELP {name} {about}"
    yield f"# TYPE {name} {kind}"


def _lines(series: Series, values: Sequence[float]) -> Iterator[str]:
    name, labels = series.name, series.labels
    around = f"{{{labels}}}" if labels else ""
    if series.kind is not Kind.HISTOGRAM:
        yield f"{name}{around} {_number(values[0])}"
        return
    before, below = f"{labels}," if labels else "", 0.0
    for bound, count in zip((*map(_number, series.bounds), "+Inf"), values[:-1], strict=True):
        below += count
        yield f'{name}_bucket{{{before}le="{bound}"}} {_number(below)}'
    yield f"{name}_sum{around} {_number(values[-1])}"
    yield f"{name}_count{around} {_number(below)}"


def _number(value: float) -> str:
    return str(int(value)) if value.is_integer() else repr(value)


def _of_processes(totals: Totals, began: float) -> Iterator[str]:
    """Yield what Prometheus's users expect of every process, over all of them."""
    told = (
        ("steelyard_connections", "gauge", "Connections that are open.", totals.connections),
        (
            "process_cpu_seconds_total",
            "counter",
            "Processor time of all processes, those that have ended too.",
            totals.cpu_seconds,
        ),
        (
            "process_resident_memory_bytes",
            "gauge",
            "Memory of all processes; what they share counts for each.",
            totals.resident_bytes,
        ),
        ("process_start_time_seconds", "gauge", "When the server started.", began),
    )
    for name, kind, about, value in told:
        yield from _described(name, kind, about)
        yield f"{name} {_number(float(value))}"
