"""What a decision of several trials is worth, on the same rows and the same resamples: what returns are made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from steelyard.contracts import NUMERIC, Answer, Floats, Ints, Problem, Task, Trial
from steelyard.data import Dataset
from steelyard.measure.resampling import Bootstrap
from steelyard.search.making import part_answer, validation_of
from steelyard.search.store import Store
from steelyard.tasks import metric
from steelyard.tasks.money import DECISIONS

RESAMPLES = 1000


@dataclass(frozen=True, slots=True)
class Rate:
    """How the value of a decision follows from one rate of right decisions, everything else as measured.

    ``value = share * (rate * right + (1 - rate) * wrong) + rest``; each is a number on the rows as they are, then one
    for each resample, shape (1 + resamples,).
    """

    metric: str
    rate: Floats
    share: Floats
    right: Floats
    wrong: Floats
    rest: Floats

    def ordered(self, order: Ints) -> Rate:
        """Return it with the resamples in another order."""
        parts = (self.rate, self.share, self.right, self.wrong, self.rest)
        return Rate(self.metric, *(part[order] for part in parts))

    def needed(self, value: Floats) -> Floats:
        """Return the rate at which a decision is worth ``value``; not finite where the rate makes no difference."""
        slope = self.share * (self.right - self.wrong)
        with np.errstate(divide="ignore", invalid="ignore"):
            return (value - self.rest - self.share * self.wrong) / slope


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Money a decision by name, and the share of each class: on the rows as they are, then for each resample.

    ``value`` holds arrays of shape (1 + resamples,), ``shares`` one of shape (1 + resamples, classes). ``rate`` is
    ``None`` where values are not one for each pair of classes.
    """

    rows: int
    value: Mapping[str, Floats]
    shares: Floats
    rate: Rate | None


def sample(store: Store, dataset: Dataset, trials: Mapping[str, Trial]) -> Sample:
    """Resample the validation rows once for all trials; ``chosen`` is the one whose rates are looked at.

    Raises
    ------
    RunUnreadable
        If the answers of a trial are gone.
    """
    where, held = validation_of(dataset)
    rows, task = dataset.partition.validation, dataset.task
    groups = None if dataset.clusters is None else dataset.clusters[rows]
    bootstrap = Bootstrap(rows=len(rows), groups=groups, weights=held.weights, seed=0)
    answers = {name: part_answer(store.answers(trial.recipe), where) for name, trial in trials.items()}
    truth = np.asarray(held.target)
    found = [_figures(task, truth, answers, bootstrap, counts) for counts in _counts(bootstrap, held.weights)]
    joined = {name: np.concatenate([figures[name] for figures in found]) for name in found[0]}
    kept = np.isfinite(np.stack([joined[f"value {name}"] for name in answers])).all(axis=0)
    kept[0] = True
    joined = {name: figures[kept] for name, figures in joined.items()}
    rate = None
    if "rate" in joined:
        rate = Rate(_rate_name(task), *(joined[part] for part in ("rate", "share", "right", "wrong", "rest")))
    return Sample(
        rows=len(rows),
        value={name: joined[f"value {name}"] for name in answers},
        shares=joined.get("classes", np.empty((len(next(iter(joined.values()))), 0))),
        rate=rate,
    )


def _counts(bootstrap: Bootstrap, weights: Floats | None) -> list[Floats]:
    """Return the rows as they are, then the resamples."""
    whole = np.ones(bootstrap.rows) if weights is None else np.asarray(weights, dtype=np.float64)
    return [whole[None, :], *bootstrap.counts(bootstrap.affordable(RESAMPLES))]


def _figures(
    task: Task, truth: NDArray[np.generic], answers: Mapping[str, Answer], bootstrap: Bootstrap, counts: Floats
) -> dict[str, Floats]:
    judge = metric("value", task)
    found = {f"value {name}": judge.resample(task, truth, a, counts) / DECISIONS for name, a in answers.items()}
    if task.problem in NUMERIC:
        return found
    codes = truth.astype(np.int64)
    total = counts.sum(axis=1)
    onehot = np.zeros((bootstrap.rows, task.width))
    onehot[np.arange(bootstrap.rows), codes] = 1.0
    found["classes"] = counts @ onehot / total[:, None]
    if task.value is not None:
        decided = np.asarray(answers["chosen"].decided, dtype=np.int64)
        found |= _rate(task, codes, decided, counts / total[:, None])
    return found


def _rate(task: Task, truth: Ints, decided: Ints, counts: Floats) -> dict[str, Floats]:
    """Split the value of a decision by one rate: recall where there is a positive class, accuracy elsewhere."""
    matrix = np.asarray(task.value, dtype=np.float64)
    worth, right = matrix[truth, decided], truth == decided
    positive = _positive(task)
    spoken = np.ones(len(truth), dtype=bool) if positive is None else truth == positive
    share = counts @ spoken.astype(np.float64)
    hits, misses = counts @ (spoken & right).astype(np.float64), counts @ (spoken & ~right).astype(np.float64)
    if positive is None:
        usual_right, usual_wrong = float(np.mean(np.diag(matrix))), _mean_wrong(matrix)
    else:
        usual_right, usual_wrong = float(matrix[positive, positive]), float(matrix[positive, 1 - positive])
    with np.errstate(divide="ignore", invalid="ignore"):
        return {
            "rate": hits / share,
            "share": share,
            "right": np.where(hits > 0, counts @ (worth * (spoken & right)) / hits, usual_right),
            "wrong": np.where(misses > 0, counts @ (worth * (spoken & ~right)) / misses, usual_wrong),
            "rest": counts @ (worth * ~spoken),
        }


def _mean_wrong(matrix: Floats) -> float:
    off = ~np.eye(len(matrix), dtype=bool)
    return float(matrix[off].mean())


def _positive(task: Task) -> int | None:
    if task.problem is not Problem.BINARY or task.positive is None:
        return None
    return task.classes.index(task.positive)


def _rate_name(task: Task) -> str:
    return "accuracy" if _positive(task) is None else "recall"


def people_value(matrix: Floats, shares: Floats, right: Floats) -> Floats:
    """Return what a decision by people is worth, given how often they are right in each class.

    Wrong decisions of a class fall on the other classes evenly.

    Parameters
    ----------
    matrix
        Money by true and by decided class, shape (classes, classes).
    shares
        Of each class among the rows, shape (draws, classes).
    right
        How often a row of each class is decided rightly, shape (draws, classes).

    Examples
    --------
    >>> people_value(np.array([[0.0, -1.0], [-5.0, 2.0]]), np.array([[0.5, 0.5]]), np.array([[1.0, 0.8]]))
    array([0.3])
    """
    wrong = (matrix.sum(axis=1) - np.diag(matrix)) / (len(matrix) - 1)
    each = right * np.diag(matrix) + (1.0 - right) * wrong
    return np.asarray((shares * each).sum(axis=1))
