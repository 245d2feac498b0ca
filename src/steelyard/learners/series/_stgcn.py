"""Many related series on a graph: which series tell of which, and convolutions in time around those on the graph.

Yu, Yin, Zhu: Spatio-temporal graph convolutional networks: a deep learning framework for traffic forecasting. IJCAI
2018, arXiv 1709.04875.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from steelyard.contracts import Columns, Feed, Floats, Prior, Problem, Refusal, Schema, Setting, Split, Task, Work
from steelyard.data.histories import line_of
from steelyard.learners._table import guess, refuse_without
from steelyard.learners.nets.course import COURSE, Told
from steelyard.learners.nets.learner import NetLearner
from steelyard.learners.nets.reading import Held, PlainReading, Reading
from steelyard.learners.nets.scale import Scale
from steelyard.learners.series._choice import some_of
from steelyard.learners.series._rows import calendar_feed, history_feed, refuse_others
from steelyard.recipe import Plan

if TYPE_CHECKING:
    from torch import nn

FEWEST_SERIES = 3
SHORTEST, LONGEST = 9, 96
"""Steps of a history that two blocks can take."""
NEIGHBOURS = 12
"""Most series that one is tied to where no graph is given."""
LEAST = 1e-6
MOST_SEEN = 2_000
"""Histories that sizes and ties are read off."""

SETTINGS: Mapping[str, Setting] = {
    **COURSE,
    "epochs": replace(COURSE["epochs"], default=30),
    "learning_rate": replace(COURSE["learning_rate"], default=0.004),
    "batch": replace(COURSE["batch"], default=32),
    "width": Setting(default=16, options=(8, 16, 32, 64), about="Channels of a block."),
    "dropout": Setting(default=0.1, low=0.0, high=0.5, about="Share of states that a training step leaves out."),
}


class Stgcn(NetLearner):
    """Two blocks of gated convolutions in time around one on the graph of the series; all steps ahead at once.

    The graph is the one of ``forecast.graph``; without one, each series is tied to those whose steps moved most alike
    in training. Columns known ahead are not read beyond the origin.
    """

    name = "stgcn"
    about = "Graph convolutions over related series, in PyTorch; the graph is given, or learned from correlations."
    settings = SETTINGS
    problems = frozenset({Problem.FORECASTING})
    gain = 0.4

    def accepts(self, task: Task, schema: Schema) -> Refusal | None:
        """Refuse what is no forecast of several series side by side, and histories too short or long for its blocks."""
        del schema
        if (refusal := refuse_others(self.name, task)) is not None:
            return refusal
        series, steps = len(task.series), line_of(task).history
        if series < FEWEST_SERIES:
            return Refusal(
                f"{self.name} ties {FEWEST_SERIES} series or more that stand side by side (forecast.together), and "
                f"this task has {series}: use 'dlinear' or 'gbdt-lags'."
            )
        if not SHORTEST <= steps <= LONGEST:
            return Refusal(
                f"{self.name} takes histories of {SHORTEST} to {LONGEST} steps, not {steps:,}: set forecast.history."
            )
        return refuse_without(self.name, "torch")

    def prior(self, task: Task, schema: Schema, rows: int) -> Prior:
        """Say what training should cost: by the products that one row takes."""
        del schema
        products = len(task.series) * line_of(task).history * 16 * 16 * 20 + len(task.series) ** 2 * 16 * 24
        return guess(seconds=8 + 5e-11 * products * rows * int(str(SETTINGS["epochs"].default)), gain=self.gain)

    def reading(self, train: Split, work: Work, settings: Told) -> Related:
        """Return the histories, with the sizes of the channels and the graph of the series."""
        del settings
        task = work.task
        feed, calendar = history_feed(task), calendar_feed(task, work.schema)
        seen = PlainReading((feed,)).material(some_of(train, MOST_SEEN).columns).arrays["history"].astype(np.float64)
        spread = seen.std(axis=(0, 1))
        return Related(
            feeds=(feed,) if calendar is None else (feed, calendar),
            mean=seen.mean(axis=(0, 1)),
            spread=np.where(spread > LEAST, spread, 1.0),
            laplacian=scaled_laplacian(adjacency_of(task, seen[:, :, : len(task.series)])),
        )

    def scale(self, train: Split, work: Work) -> Scale:
        """Return mean and spread of each series' histories, the same for every step ahead."""
        told = self.reading(train, work, Told({}, Plan()))
        own = slice(len(work.task.series))
        return Scale(np.tile(told.mean[own], work.task.horizon), np.tile(told.spread[own], work.task.horizon))

    def net(self, reading: Reading, task: Task, settings: Told) -> nn.Module:
        """Return an untrained net."""
        import torch  # noqa: PLC0415 - describing a learner loads no PyTorch

        from steelyard.learners.series._stgcn_net import StgcnNet  # noqa: PLC0415 - as above

        assert isinstance(reading, Related), "the reading is the one of this family"
        options = reading.feeds[0].options
        sizes = (int(options["steps"]), task.horizon, int(options["channels"]), int(settings.number("width", 16)))
        mean, spread, laplacian = (
            torch.from_numpy(part.astype(np.float32)) for part in (reading.mean, reading.spread, reading.laplacian)
        )
        dated = len(reading.feeds) > 1
        return StgcnNet(sizes, mean, spread, laplacian, dropout=settings.number("dropout", 0.0), dated=dated)


@dataclass(frozen=True, slots=True, kw_only=True)
class Related:
    """Histories of series that are tied, and the calendar ahead where times are moments.

    ``mean`` and ``spread`` are those of each channel, ``laplacian`` the scaled one of the series.
    """

    feeds: tuple[Feed, ...]
    mean: Floats
    spread: Floats
    laplacian: Floats

    @property
    def files(self) -> Mapping[str, bytes]:
        """Nothing beside the graph is read."""
        return {}

    def material(self, columns: Columns) -> Held:
        """Return the histories of some rows."""
        return PlainReading(self.feeds).material(columns)


def adjacency_of(task: Task, seen: Floats) -> Floats:
    """Return how strongly series are tied, (series, series): as given, or the nearest by correlation of their steps.

    Parameters
    ----------
    task
        Its timeline may hold the edges of a graph.
    seen
        Histories of training rows, (n, steps, series).
    """
    series, edges = seen.shape[2], line_of(task).edges
    if edges:
        made = np.zeros((series, series))
        for one, other, weight in edges:
            made[int(one), int(other)] = weight
        return np.maximum(made, made.T) * (1 - np.eye(series))
    moves = np.diff(seen, axis=1).reshape(-1, series)
    moves = moves - moves.mean(axis=0)
    norms = np.maximum(np.linalg.norm(moves, axis=0), LEAST)
    alike = np.maximum((moves.T @ moves) / np.outer(norms, norms), 0.0) * (1 - np.eye(series))
    kept = min(NEIGHBOURS, series - 1)
    border = np.sort(alike, axis=1)[:, -kept][:, None]
    return np.where((alike >= border) | (alike >= border).T, alike, 0.0)


def scaled_laplacian(adjacency: Floats) -> Floats:
    """Return the normalised Laplacian of a graph, scaled to eigenvalues from -1 to 1.

    Examples
    --------
    >>> scaled_laplacian(np.array([[0.0, 1.0], [1.0, 0.0]])).tolist()
    [[0.0, -1.0], [-1.0, 0.0]]
    """
    degrees = adjacency.sum(axis=1)
    root = np.where(degrees > 0, 1 / np.sqrt(np.maximum(degrees, LEAST)), 0.0)
    laplacian = np.eye(len(adjacency)) - root[:, None] * adjacency * root
    largest = max(float(np.linalg.eigvalsh(laplacian)[-1]), LEAST)
    return np.asarray(2 * laplacian / largest - np.eye(len(adjacency)))
