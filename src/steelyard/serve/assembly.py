"""From settings to an application: opens what is to be served, warms it up, and puts the parts together."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import partial
from pathlib import Path

from steelyard.bundle.signing import Trust
from steelyard.errors import ServingRefused
from steelyard.serve.app import App
from steelyard.serve.batching import GATHER, GATHER_ALONE, Batcher
from steelyard.serve.endpoint import Deployed, Endpoint
from steelyard.serve.escalation import Escalating, open_escalation
from steelyard.serve.metrics import Metrics, ModelMetrics
from steelyard.serve.model import Served, open_served
from steelyard.serve.observing import observed
from steelyard.serve.releases.board import Board
from steelyard.serve.releases.opener import Opener
from steelyard.serve.releases.shelf import is_shelf
from steelyard.serve.releases.watch import Watch
from steelyard.serve.repository import Repository
from steelyard.serve.settings import Settings


def make_app(folder: Path, settings: Settings, metrics: Metrics | None = None) -> App:
    """Return the application that serves one bundle, or the versions of a shelf, ready to answer.

    Parameters
    ----------
    folder
        The bundle, or the shelf.
    settings
        How to serve it.
    metrics
        Where to count; left out, in this process alone.

    Raises
    ------
    BundleRefused
        If the bundle cannot be opened or does not answer.
    ServingRefused
        If something was set that cannot be honoured here, or what it names cannot be had.
    SwitchesDamaged, RunUnwritable
        If the log of a shelf cannot be followed.
    SigningRefused
        If a key to trust is none.
    """
    metrics = metrics or Metrics()
    if settings.releasing.sources or is_shelf(folder):
        return observed(_app_of_shelf(folder, settings, metrics))
    if given := settings.releasing.of_a_shelf():
        raise ServingRefused(f"{folder} is no shelf of versions, as {' and '.join(given)} need; see steelyard shelve")
    return observed(_app_of_bundle(folder, settings, metrics))


def _app_of_bundle(folder: Path, settings: Settings, metrics: Metrics) -> App:
    trust = Trust(settings.releasing.trust) if settings.releasing.trust else None
    served = open_served(settings.name, folder, threads=settings.threads, trust=trust)
    served.warm_up()
    deployed, escalation = _deployed(served, settings, metrics), None
    if settings.escalate is not None:
        escalation = open_escalation(settings.escalate, served, metrics, workers=settings.workers)
    repository = Repository()
    repository.add(Endpoint(replace(deployed, escalation=escalation)))
    app = App(settings, repository, metrics)
    if escalation is not None:
        app.escalation = escalation
        app.companions.append(escalation)
    return app


def _app_of_shelf(folder: Path, settings: Settings, metrics: Metrics) -> App:
    escalating = None
    if settings.escalate is not None:
        escalating = Escalating(settings.escalate, metrics, workers=settings.workers)
    deploy = partial(_deployed, settings=settings, metrics=metrics, escalating=escalating)
    opener = Opener(settings.name, folder, settings.releasing, threads=settings.threads, deploy=deploy)
    board = Board(opener, settings.releasing, metrics)
    if settings.releasing.watching.enabled:
        board.each_tick.append(Watch(board).look)
    repository = Repository()
    repository.add(board.endpoint)
    app = App(settings, repository, metrics)
    app.board = board
    app.companions.append(board)
    if escalating is not None:
        app.escalation = escalating.required()
        app.companions.append(app.escalation)
    return app


def _deployed(served: Served, settings: Settings, metrics: Metrics, escalating: Escalating | None = None) -> Deployed:
    """Return a version with a queue before it."""
    counted = ModelMetrics(metrics, served.name, served.version)
    batcher = Batcher(
        served,
        counted,
        batch=settings.batch or min(served.batch, settings.queue),
        queue=settings.queue,
        max_delay=settings.max_delay_ms / 1000,
        gather=GATHER if len(os.sched_getaffinity(0)) > settings.workers else GATHER_ALONE,
    )
    return Deployed(served, batcher, counted, None if escalating is None else escalating.of(served))
