"""What a cascade may lose against its dear member, unit by unit, for each aim that is a mean over independent units.

============================ ======================================== ============================================
aim                          a unit                                   the largest loss
============================ ======================================== ============================================
accuracy, f1_micro           a row                                    1 (a wrong decision instead of a right one)
balanced_accuracy, recall    one row of each class (of the positive   1
                             class for recall in a binary task)
roc_auc, binary              a positive row and a negative one        1 (the wrong order instead of the right one)
brier                        a row                                    1, of three classes or more 2
log_loss                     a row, its loss counted as at most       :data:`NATS`
                             :data:`NATS`
value                        a row                                    the widest distance between two outcomes of one
                                                                      class, for a thousand decisions
============================ ======================================== ============================================

Rows are drawn into pairs and tuples without looking at what is in them, each used once, so that units are independent
and the mean over them is exactly the aim (:func:`steelyard.tasks.metric`). The other aims are no such means (F1 and
precision are ratios, the calibration error compares bins, errors of numbers have no bound): nothing is promised there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from steelyard.contracts import NUMERIC, Answer, Evidence, Floats, Ints, Problem, Task
from steelyard.promise.pvalues import DOUBT, Paired, units_needed
from steelyard.tasks.money import DECISIONS, brought, widest

NATS = -math.log(1e-3)
"""Most that one row counts in a promise about log loss, which has no upper end: that of a probability of 0.001."""
DRAWS = 4
"""How many ways of drawing rows into units are averaged over."""

Mask = NDArray[np.bool_]
Losses = Callable[[Task, NDArray[np.int64], Answer], Floats]


@dataclass(frozen=True, slots=True)
class Stake:
    """``paired(kept)`` is what is lost if the cheap member answers the rows in ``kept``; ``span`` the largest loss.

    ``counted`` says that losses are all or nothing and units have no weights.
    """

    units: int
    span: float
    counted: bool
    paired: Callable[[Mask], Paired]


def can_promise(task: Task) -> bool:
    """Tell whether the aim of a task is a mean over independent units."""
    if task.problem in NUMERIC or (task.aim == "value" and not widest(task)):
        return False
    return task.aim in {*_PER_ROW, "balanced_accuracy", "recall"} or _by_pairs(task)


def at_stake(task: Task, evidence: Evidence) -> Stake:
    """Return what may be lost where the first of two members answers for the second; the task must allow a promise."""
    if task.aim in _PER_ROW:
        return _of_rows(task, evidence)
    if _by_pairs(task):
        return _of_pairs(task, evidence)
    alone = task.aim == "recall" and task.problem is Problem.BINARY
    return _of_tuples(task, evidence, [_positive(task)] if alone else range(task.width))


def rows_needed(task: Task, tolerance: float, *, most: float = DOUBT) -> int:
    """Return the fewest rows on which a promise about the aim could hold, classes being as frequent as each other."""
    units = units_needed(tolerance / _span(task), counted=task.aim in _COUNTED or _by_pairs(task), most=most)
    return units * (task.width if task.aim not in _PER_ROW else 1)


def _by_pairs(task: Task) -> bool:
    return task.problem is Problem.BINARY and task.aim == "roc_auc"


def _positive(task: Task) -> int:
    return len(task.classes) - 1 if task.positive is None else task.classes.index(task.positive)


# ------------------------------------------------------------------------------------------- one row a unit


def _wrong(task: Task, truth: NDArray[np.int64], answer: Answer) -> Floats:
    del task
    return np.asarray(np.not_equal(answer.decided, truth), dtype=np.float64)


def _squares(task: Task, truth: NDArray[np.int64], answer: Answer) -> Floats:
    happened = np.equal.outer(truth, np.arange(task.width))
    halves: Floats = np.square(answer.scores - happened).sum(axis=1) / 2
    return halves


def _nats(task: Task, truth: NDArray[np.int64], answer: Answer) -> Floats:
    del task
    told = answer.scores[np.arange(len(truth)), truth]
    return np.asarray(-np.log(np.maximum(told, math.exp(-NATS))) / NATS, dtype=np.float64)


def _money(task: Task, truth: NDArray[np.int64], answer: Answer) -> Floats:
    return np.asarray(-brought(task, truth, answer) / widest(task), dtype=np.float64)


_PER_ROW: dict[str, Losses] = {
    "accuracy": _wrong,
    "f1_micro": _wrong,
    "brier": _squares,
    "log_loss": _nats,
    "value": _money,
}
"""Loss of each row as a share of the largest difference between two of them."""
_COUNTED = frozenset({"accuracy", "f1_micro"})


def _span(task: Task) -> float:
    """Return the largest difference between the losses of two rows, in units of the aim."""
    if task.aim == "brier":
        return 1.0 if task.problem is Problem.BINARY else 2.0
    return {"log_loss": NATS, "value": DECISIONS * widest(task)}.get(task.aim, 1.0)


def _of_rows(task: Task, evidence: Evidence) -> Stake:
    lost, weights = _lost(task, evidence, _PER_ROW[task.aim]), _scaled(evidence.weights)
    shaped = None if weights is None else weights[None, :]
    signs = task.aim in _COUNTED

    def paired(kept: Mask) -> Paired:
        return Paired(np.where(kept, lost, 0.0)[None, :], shaped, signs=signs)

    return Stake(len(lost), _span(task), signs and weights is None, paired)


def _lost(task: Task, evidence: Evidence, per_row: Losses) -> Floats:
    truth = np.asarray(evidence.target, dtype=np.int64)
    cheap, dear = (per_row(task, truth, answer) for answer in evidence.answers)
    return cheap - dear


def _scaled(weights: Floats | None) -> Floats | None:
    """Return weights from 0 to 1; the largest one seen is taken for the largest there is."""
    return None if weights is None else np.asarray(weights / weights.max(), dtype=np.float64)


# -------------------------------------------------------------------------------------- several rows a unit


def _drawn(evidence: Evidence, groups: Sequence[Ints], figures: Sequence[Floats]) -> Ints:
    """Draw as many tuples as the smallest group has rows, one row of each group: shape (draws, groups, tuples).

    Rows are first put in the order of their figures, so that the same rows in another order give the same tuples.
    """
    keys = figures if evidence.weights is None else [*figures, evidence.weights]
    random, most = np.random.default_rng(0), min(map(len, groups))
    ordered = [group[np.lexsort([key[group] for key in keys])] for group in groups]
    return np.array([[random.permutation(group)[:most] for group in ordered] for _ in range(DRAWS)], dtype=np.int64)


def _weights_of(drawn: Ints, evidence: Evidence) -> Floats | None:
    """Return each tuple's weight: the product over its rows, so that a mean over tuples is one within each group."""
    if evidence.weights is None:
        return None
    together: Floats = np.asarray(evidence.weights)[drawn].prod(axis=1)
    return _scaled(together)


def _of_tuples(task: Task, evidence: Evidence, codes: Sequence[int]) -> Stake:
    truth, lost = np.asarray(evidence.target), _lost(task, evidence, _wrong)
    sure = [answer.scores.max(axis=1) for answer in evidence.answers]
    drawn = _drawn(evidence, [np.flatnonzero(truth == code) for code in codes], [*sure, lost])
    weights, signs = _weights_of(drawn, evidence), len(codes) == 1

    def paired(kept: Mask) -> Paired:
        return Paired((kept * lost)[drawn].mean(axis=1), weights, signs=signs)

    return Stake(drawn.shape[2], 1.0, signs and weights is None, paired)


def _of_pairs(task: Task, evidence: Evidence) -> Stake:
    code = _positive(task)
    hits = np.asarray(evidence.target) == code
    cheap, dear = (np.asarray(answer.scores[:, code]) for answer in evidence.answers)
    drawn = _drawn(evidence, [np.flatnonzero(hits), np.flatnonzero(~hits)], [cheap, dear])
    if evidence.weights is None:
        drawn = drawn[:1]  # losses are counted, in one draw
    weights, before = _weights_of(drawn, evidence), _disorder(dear[drawn])

    def paired(kept: Mask) -> Paired:
        return Paired(_disorder(np.where(kept, cheap, dear)[drawn]) - before, weights, signs=True)

    return Stake(drawn.shape[2], 1.0, weights is None, paired)


def _disorder(scores: Floats) -> Floats:
    """Return 1 where the positive row of a pair scores below the negative one, 0.5 where both score the same."""
    positive, negative = scores[:, 0], scores[:, 1]
    return np.asarray((positive < negative) + 0.5 * (positive == negative), dtype=np.float64)
