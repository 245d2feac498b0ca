"""What models of trees are trained on, and what their sums mean: the classes that are there, or values on one scale."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.contracts import Floats, Ints, Problem, Setting, Split, Task
from steelyard.learners._boosting import Scale
from steelyard.learners._graph import Graph
from steelyard.learners._head import probabilities, seal
from steelyard.learners._solve import ABSENT
from steelyard.recipe import Settings
from steelyard.tasks import metric


@dataclass(frozen=True, slots=True)
class Outcomes:
    """The target as a model learns it: ``present`` are the class codes that training rows have.

    A model has one sum a row for two classes (log-odds of the second) and for values, else one a class that is
    there; classes without a row get :data:`~steelyard.learners._solve.ABSENT`.
    """

    task: Task
    present: Ints
    scale: Scale
    varied: bool
    """Whether rows differ, without which there is nothing to learn."""

    @classmethod
    def of(cls, train: Split, task: Task) -> Outcomes:
        """Look at the target of the training rows."""
        if task.problem is Problem.REGRESSION:
            return cls(task, np.zeros(0, np.int64), Scale.of(train, task), bool(np.ptp(train.target) > 0))
        present = np.unique(train.target)
        return cls(task, present, Scale(), len(present) > 1)

    @property
    def sums(self) -> int:
        """Sums that a model makes a row."""
        return len(self.present) if self.task.problem is Problem.MULTICLASS else 1

    def coded(self, split: Split) -> NDArray[Any]:
        """Return the target as codes of the classes that are there, counted from 0, or as scaled values."""
        if self.task.problem is Problem.REGRESSION:
            return self.scale.target(split)
        return np.searchsorted(self.present, split.target)

    @property
    def constant(self) -> Floats:
        """Sums, shape (sums,), where there is nothing to learn: one class, or rows without a difference."""
        if self.task.problem is Problem.BINARY and len(self.present) == 1:
            return np.array([ABSENT if self.present[0] == 0 else -ABSENT])
        return np.zeros(self.sums)

    def scores(self, sums: Floats) -> Floats:
        """Return scores, shape (n, width), of a model's sums, shape (n,) or (n, sums)."""
        if self.task.problem is Problem.REGRESSION:
            return self.scale.scores(sums, self.task)
        if self.task.problem is Problem.BINARY:
            return probabilities(sums)
        all_ = np.full((len(sums), self.task.width), ABSENT)
        all_[:, self.present] = sums
        return probabilities(all_)

    def loss(self, sums: Floats, split: Split, weights: Floats | None) -> float:
        """Return the mean loss of sums: squared error of scaled values, or log loss."""
        if self.task.problem is Problem.REGRESSION:
            return float(np.average((sums.reshape(-1) - self.coded(split)) ** 2, weights=weights))
        likely = self.scores(sums)[np.arange(len(split)), split.target]
        return float(np.average(-np.log(np.maximum(likely, 1e-300)), weights=weights))

    def seal(self, graph: Graph, sums: str) -> bytes:
        """Add the nodes from a model's sums to ``scores``, and return the graph."""
        if self.task.problem is Problem.MULTICLASS and len(self.present) < self.task.width:
            places = (self.present.reshape(-1, 1) == np.arange(self.task.width)).astype(np.float32)
            sums = graph.add("MatMul", sums, graph.constant(places))
            sums = graph.add("Add", sums, graph.constant(((1 - places.sum(axis=0)) * ABSENT).astype(np.float32)))
        return seal(graph, self.scale.undo(graph, sums, self.task), self.task)


def weight_settings(task: Task) -> dict[str, Setting]:
    """Return whether classes weigh alike, where the aim counts decisions class by class or in money.

    Elsewhere such weights would only spoil the probabilities, and tuning would lose tries on them.
    """
    if task.problem is Problem.REGRESSION or metric(task.aim).needs != "decided" or task.aim == "accuracy":
        return {}
    about = "Whether a rare class weighs as much as any other."
    return {"class_weight": Setting(default="none", options=("none", "balanced"), about=about)}


def weights_of(split: Split, settings: Settings) -> Floats | None:
    """Return the weights of rows; balanced, those of every class that is there have the same sum."""
    if settings.get("class_weight") != "balanced":
        return split.weights
    own = np.ones(len(split)) if split.weights is None else split.weights
    sums = np.bincount(split.target, weights=own)
    return np.asarray(own * (own.sum() / np.count_nonzero(sums)) / sums[split.target])
