"""What watches the server from inside: the log of predictions, traces, cost, and what Prometheus wants to know more."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from steelyard.errors import ServingRefused
from steelyard.serve.cost import Meter
from steelyard.serve.endpoint import Answered, Asking, Recorder
from steelyard.serve.faults import not_found
from steelyard.serve.http import Reply, Request, json_reply
from steelyard.serve.log.inputs import problem_of
from steelyard.serve.log.labels import parse_labels
from steelyard.serve.log.writer import PredictionLog
from steelyard.serve.table import Table
from steelyard.serve.tracing import Tracing

if TYPE_CHECKING:
    from steelyard.serve.app import App

_TOLD = {
    "steelyard_ready": "Whether models answer.",
    "steelyard_queue_limit_rows": "Rows that may wait for one model.",
}


def observed(app: App) -> App:
    """Return the application with all that its settings ask for beside it.

    Raises
    ------
    ServingRefused
        If the log names a column that the model does not read, or traces cannot be sent as the environment says.
    MissingExtra
        If a package is needed for the log or for traces that is not installed.
    """
    settings = app.settings
    if settings.traces:
        app.tracing = Tracing.from_environment()
        app.companions.append(app.tracing)
    if settings.price is not None:
        app.cost = Meter(
            settings.price, app.metrics, lambda: _busy(app), threads=settings.threads, share=1 / settings.workers
        )
        app.companions.append(app.cost)
    if settings.log is not None:
        for endpoint in app.repository:
            if problem := problem_of(settings.log.inputs, endpoint.stable.served.layout):
                raise ServingRefused(f"cannot serve: {problem}")
        app.log = PredictionLog(settings.log, app.metrics)
        app.companions.append(app.log)
        for endpoint in app.repository:
            endpoint.recorder = _recorder(app.log)
    return app


def _recorder(log: PredictionLog) -> Recorder:
    """Return what has the log take note of an answer, and of the stage that gave it."""

    def record(answered: Answered, table: Table, asking: Asking, seconds: float) -> None:
        stages = {row: told.stage for row, told in answered.staged.items()} if answered.staged else {}
        log.answered(answered, table, asking, seconds, stages)

    return record


def _busy(app: App) -> dict[tuple[str, str], float]:
    """Return the seconds that each version computed so far."""
    every = [deployed.metrics for endpoint in app.repository for deployed in endpoint]
    return {(counted.model, counted.version): counted.compute.total for counted in every}


def more(app: App, metrics: str) -> str:
    """Return the metrics that are told by whoever is asked: they are not added up over processes.

    Parameters
    ----------
    app
        The application.
    metrics
        Everything that was counted, as Prometheus reads it.
    """
    values = (int(app.is_ready), app.settings.queue * app.settings.workers)
    lines = [
        line for (name, about), value in zip(_TOLD.items(), values, strict=True) for line in _gauge(name, about, value)
    ]
    if app.cost is not None:
        lines += app.cost.ratios(metrics)
    return "\n".join(lines) + "\n"


def _gauge(name: str, about: str, value: float) -> Iterator[str]:
    yield f"# HELP {name} {about}"
    yield f"# TYPE {name} gauge"
    yield f"{name} {value:.15g}"


async def labels(app: App, request: Request) -> Reply:
    """Take labels for predictions of the log."""
    if app.log is None:
        raise not_found("this server keeps no log of predictions; start it with --log")
    body = await app.read(request)
    given = await app.apart(len(body), parse_labels, body, app.settings.limits)
    return json_reply(await app.log.labels.take(given))
