"""Where to cut rows that stand in order: what every cut is worth, which is best, and between which ends it lies."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from steelyard.bundle.scores import worth_of
from steelyard.contracts import Answer, Evidence, Floats, Ints, Task
from steelyard.tasks.money import brought

NEVER = math.nextafter(1.0, 2.0)
"""A threshold that no probability reaches."""
ENDS = (0.025, 0.975)
RESAMPLES = 1000
FARTHEST = 60.0
"""Logarithm of the odds beyond which no probability is told from 0 or 1."""
WORK = 4_000_000
"""Rows times resamples that an interval may take."""
LEAST = 40
"""Resamples that reach the ends of a 95% interval, however many rows there are."""
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Cuts:
    """Weighted counts of outcomes at every place where the ordered rows can be cut, each of shape (cuts,)."""

    tp: Floats
    fp: Floats
    fn: Floats
    tn: Floats


def _ratio(part: Floats, whole: Floats) -> Floats:
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)


def _accuracy(c: Cuts) -> Floats:
    return _ratio(c.tp + c.tn, c.tp + c.tn + c.fp + c.fn)


def _balanced(c: Cuts) -> Floats:
    return (_ratio(c.tp, c.tp + c.fn) + _ratio(c.tn, c.tn + c.fp)) / 2


def _f1(c: Cuts) -> Floats:
    return _ratio(2 * c.tp, 2 * c.tp + c.fp + c.fn)


def _f1_macro(c: Cuts) -> Floats:
    return (_f1(c) + _ratio(2 * c.tn, 2 * c.tn + c.fp + c.fn)) / 2


AIMS: dict[str, Callable[[Cuts], Floats]] = {
    "accuracy": _accuracy,
    "balanced_accuracy": _balanced,
    "f1": _f1,
    "f1_macro": _f1_macro,
    "f1_micro": _accuracy,
}
"""Aims that one threshold serves. Precision or recall alone are not among them: deciding nothing, or everything,
would be best."""


def ends_of(best: Callable[[Floats], float], rows: int) -> tuple[float, float, float]:
    """Return what is best on some rows, and the ends of its 95% interval over resamples of them.

    Rows are taken as independent of each other; the resamples are the same each time.
    """
    random, resamples = np.random.default_rng(0), min(RESAMPLES, max(LEAST, WORK // max(1, rows)))
    found = best(np.ones(rows))
    draws = [
        best(np.bincount(random.integers(0, rows, rows), minlength=rows).astype(np.float64)) for _ in range(resamples)
    ]
    low, high = (float(end) for end in np.quantile(draws, ENDS, method="nearest"))
    return found, min(low, found), max(high, found)


def chosen(low: float, high: float, rows: int) -> dict[str, float]:
    """Return what a rule says of the place it chose."""
    return {"low": low, "high": high, "rows": rows}


@dataclass(frozen=True, slots=True)
class Ordered:
    """Rows in the order in which they become positive, and where they can be cut: before all, and after each end.

    ``change`` is what a row's becoming positive adds in money; ``hits`` marks the positive rows, for counts. Rows of
    equal ``keys`` cannot be cut apart.
    """

    keys: Floats
    ends: Ints
    hits: Mask
    weights: Floats
    change: Floats | None

    @classmethod
    def of(cls, keys: Floats, hits: Mask, weights: Floats, change: Floats | None) -> Ordered:
        """Order rows by their keys, lowest first; the same rows in another order give the same."""
        ties = [hits, weights] if change is None else [change, hits, weights]
        order = np.lexsort([*ties, keys])
        ordered = keys[order]
        ends = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))
        return cls(ordered, ends, hits[order], weights[order], None if change is None else change[order])

    def worth(self, aim: Callable[[Cuts], Floats] | None, counts: Floats) -> Floats:
        """Return what each cut is worth under weights of rows, (n,) to (cuts,); of money what it adds."""
        if aim is None:
            assert self.change is not None
            return self._sums(counts * self.change)
        tp, fp = self._sums(counts * self.hits), self._sums(counts * ~self.hits)
        return aim(Cuts(tp=tp, fp=fp, fn=tp[-1] - tp, tn=fp[-1] - fp))

    def _sums(self, per_row: Floats) -> Floats:
        return np.append(0.0, np.cumsum(per_row)[self.ends])

    def best(self, aim: Callable[[Cuts], Floats] | None, places: Floats, believed: float) -> tuple[float, float, float]:
        """Return the best place to cut and the ends of its 95% interval, over resamples of the rows.

        Of places that are equally good the one nearest to what is believed is taken.
        """
        return ends_of(lambda counts: self._place(aim, counts, places, believed), len(self.keys))

    def best_place(self, places: Floats, believed: float) -> float:
        """Return the place to cut that brings most money, as :meth:`best` does, without its interval."""
        return self._place(None, np.ones(len(self.keys)), places, believed)

    def _place(self, aim: Callable[[Cuts], Floats] | None, counts: Floats, places: Floats, believed: float) -> float:
        worth = self.worth(aim, counts * self.weights)
        most = float(worth.max())
        good = np.flatnonzero(worth >= most - 1e-12 * max(1.0, abs(most)))
        return float(places[good[np.argmin(np.abs(places[good] - believed))]])


def score_cut(evidence: Evidence, hits: Mask, weights: Floats, task: Task, positive: int) -> tuple[float, float, float]:
    """Return the best threshold on the score of the positive class, and the ends of its interval."""
    answer = evidence.answers[0]
    aim = None if task.value is not None else AIMS[task.aim]
    scores = np.asarray(answer.scores[:, positive], dtype=np.float64)
    change = None if aim is not None else gains(task, evidence.target, answer, positive)
    rows = Ordered.of(-scores, hits, weights, change)
    levels = -rows.keys[rows.ends]
    above, below = levels, np.append(levels[1:], 0.0)
    middle = (above + below) / 2
    places = np.append(NEVER, np.where(middle > below, middle, above))  # neighbours in double have no middle
    places[-1] = 0.0  # everything is positive, unseen lower scores too
    return rows.best(aim, places, _prior_belief(task, positive))


def odds_cut(evidence: Evidence, hits: Mask, weights: Floats, task: Task, positive: int) -> tuple[float, float, float]:
    """Return by how much to multiply the odds of the positive class before the row's own money decides.

    A row becomes positive at odds of its own, which depend on what is at stake in it; rows are put in the order of
    those. Rows that pay for being wrong, or that no odds change, stay as they are.
    """
    answer = evidence.answers[0]
    turn = turning_odds(task, answer.scores, answer.amounts, positive)
    free = np.isfinite(turn) & (turn > 0)
    change = gains(task, evidence.target, answer, positive)
    rows = Ordered.of(np.log(turn[free]), hits[free], weights[free], change[free])
    if not len(rows.keys):
        return 1.0, 1.0, 1.0
    levels = rows.keys[rows.ends]
    places = np.concatenate([[levels[0] - 1], (levels[:-1] + levels[1:]) / 2, [levels[-1] + 1]])
    places = np.clip(places, -FARTHEST, FARTHEST)
    between = np.searchsorted(levels, 0.0)  # odds as they are: the place among those of its gap that is believed in
    if not np.any(levels == 0.0):
        places[between] = 0.0
    at, low, high = (math.exp(place) for place in rows.best(None, places, 0.0))
    return at, low, high


def turning_odds(task: Task, scores: Floats, amounts: Floats | None, positive: int) -> Floats:
    """Return by how much each row's odds would have to rise for it to be called positive: 0 always, infinite never.

    Examples
    --------
    >>> from steelyard.contracts import Problem
    >>> task = Task(problem=Problem.BINARY, target="y", aim="value", classes=("n", "y"), value=((0, -1), (-5, 0)))
    >>> turning_odds(task, np.array([[0.9, 0.1], [0.5, 0.5]]), None, 1).round(2).tolist()
    [1.8, 0.2]
    """
    other = 1 - positive
    sure = np.zeros((len(scores), 2))
    lost, won = sure.copy(), sure.copy()
    lost[:, other], won[:, positive] = 1.0, 1.0
    if_not, if_so = worth_of(task, lost, amounts), worth_of(task, won, amounts)
    against = (if_not[:, other] - if_not[:, positive]) * scores[:, other]
    for_ = (if_so[:, positive] - if_so[:, other]) * scores[:, positive]
    found = np.where(against > 0, np.inf, 0.0)
    plain = for_ > 0
    found[plain] = np.maximum(against[plain], 0.0) / for_[plain]
    found[(for_ < 0) | (~plain & (against <= 0))] = np.inf
    return found


def gains(task: Task, target: NDArray[np.generic], answer: Answer, positive: int) -> Floats:
    """Return what calling each row positive brings more than calling it negative, as it turned out, shape (n,)."""
    rows = len(target)
    yes, no = (
        Answer(answer.scores, np.full(rows, code, np.int64), amounts=answer.amounts)
        for code in (positive, 1 - positive)
    )
    return brought(task, target, yes) - brought(task, target, no)


def _prior_belief(task: Task, positive: int) -> float:
    """Return the threshold that is best for calibrated probabilities: Elkan 2001, equation 2; 0.5 without values.

    Examples
    --------
    >>> from steelyard.contracts import Problem
    >>> value = ((0.0, -1.0), (-5.0, 0.0))
    >>> task = Task(problem=Problem.BINARY, target="y", aim="value", classes=("n", "y"), positive="y", value=value)
    >>> round(_prior_belief(task, 1), 4)
    0.1667
    """
    if task.value is None:
        return 0.5
    other, worth = 1 - positive, worth_of(task, np.eye(2))
    gain_if_negative = float(worth[other, other] - worth[other, positive])
    gain_if_positive = float(worth[positive, positive] - worth[positive, other])
    whole = gain_if_negative + gain_if_positive
    return min(max(gain_if_negative / whole, 0.0), 1.0) if whole > 0 else 0.5
