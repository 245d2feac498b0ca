"""Targets that look wrong: a small model that never saw a row disagrees with its target, and is sure of it.

For classes by confident learning: Northcutt, Jiang, Chuang, "Confident Learning: Estimating Uncertainty in Dataset
Labels", JAIR 2021 (arXiv 1911.00068), as cleanlab does it. For numbers by residuals many robust deviations away.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from steelyard.contracts import Floats, Ints, Kind, Problem, Split, Work
from steelyard.errors import need
from steelyard.learners._block import Block
from steelyard.learners._categories import Codes
from steelyard.learners._numbers import Numbers
from steelyard.learners._prelude import Prelude, beside
from steelyard.levers.data._changes import Act, Change, named, said

FOLDS = 5
ROUNDS, LEAVES = 60, 15
FAR_OFF = 8.0
"""Robust standard deviations of a residual from which a number is doubted."""
LIGHT = 0.1
"""What the weight of a doubted row is multiplied by where it is weighed."""


def doubted(split: Split, work: Work, how: str, most: float) -> Iterator[Change]:
    """Yield rows whose target is doubted, the most doubtful first.

    Parameters
    ----------
    split
        Rows to train on, shape (n,).
    work
        The task, the columns, a seed and threads.
    how
        ``"drop"``, ``"correct"`` or ``"weigh"``.
    most
        Largest share of the rows to change.

    Raises
    ------
    MissingExtra
        If cleanlab is not installed and the targets are classes.
    """
    matrix = _matrix(split, work)
    if matrix is None:
        return
    regression = work.task.problem is Problem.REGRESSION
    order, guess, why = (_far_off if regression else _unconfident)(split, matrix, work)
    old, new = named(split.target, work.task), named(guess, work.task)
    for place in order[: int(most * len(split))]:
        row = int(split.rows[place])
        if how == "correct":
            yield Change(row=row, act=Act.CORRECTED, reason="target", old=old[place], new=new[place], why=why[place])
        elif how == "weigh":
            weight = 1.0 if split.weights is None else float(split.weights[place])
            light = repr(weight * LIGHT)
            yield Change(row=row, act=Act.WEIGHED, reason="target", old=repr(weight), new=light, why=why[place])
        else:
            yield Change(row=row, act=Act.DROPPED, reason="target", old=old[place], why=why[place])


def _matrix(split: Split, work: Work) -> Floats | None:
    """Return numbers and categories as the tree learners read them, shape (n, width); ``None`` where there are none."""
    numbers = _names(split, work, Kind.NUMBER, Kind.TIME)
    categories = _names(split, work, Kind.CATEGORY)
    blocks: list[Block] = [Numbers.fit(split.columns, numbers, standard=False)] if numbers else []
    if categories:
        blocks.append(Codes.fit(split.columns, categories, least=2, most=500))
    return np.asarray(beside(Prelude(tuple(blocks)).run(split.columns, threads=work.threads))) if blocks else None


def _names(split: Split, work: Work, *kinds: Kind) -> tuple[str, ...]:
    return tuple(column.name for column in work.schema.of(*kinds) if column.name in split.columns)


_Doubts = tuple[Ints, Floats | Ints, dict[int, str]]
"""Places of the rows, most doubtful first; what each row's target should be; and why it is doubted."""


def _unconfident(split: Split, matrix: Floats, work: Work) -> _Doubts:
    filters = need("cleanlab.filter", for_="looking for wrong labels")
    classes, codes = np.unique(split.target, return_inverse=True)
    chances = _out_of_fold(matrix, codes, len(classes), work)
    order = filters.find_label_issues(
        codes, chances, filter_by="both", return_indices_ranked_by="self_confidence", n_jobs=1
    )
    likely = chances.argmax(axis=1)
    order = np.asarray([place for place in order if likely[place] != codes[place]], dtype=np.int64)
    why = {
        int(place): f"out of fold its probability is {chances[place, codes[place]]:.3f}, that of "
        f"{work.task.classes[int(classes[likely[place]])]!r} is {chances[place, likely[place]]:.3f}"
        for place in order
    }
    return order, classes[likely], why


def _far_off(split: Split, matrix: Floats, work: Work) -> _Doubts:
    guess = _out_of_fold(matrix, split.target, 0, work)[:, 0]
    residual = split.target - guess
    spread = 1.4826 * float(np.median(np.abs(residual - np.median(residual))))
    off = np.abs(residual) / (spread or np.inf)
    order = np.argsort(-off, kind="stable")[: int((off > FAR_OFF).sum())]
    why = {int(p): f"out of fold {said(guess[p])} is expected, {off[p]:.1f} robust deviations away" for p in order}
    return order, guess, why


def _out_of_fold(matrix: Floats, target: Floats | Ints, classes: int, work: Work) -> Floats:
    """Return probabilities, shape (n, classes), or expected values, shape (n, 1), by models that never saw the row."""
    # Absolute error, where the target is a number: the mistakes that are looked for must not bend the model.
    lightgbm = need("lightgbm", for_="looking for wrong labels")
    fold = _folds(target, classes, np.random.default_rng([work.seed, 11]))
    how = {
        "objective": "regression_l1" if not classes else "binary" if classes == 2 else "multiclass",
        "num_leaves": LEAVES,
        "learning_rate": 0.1,
        "min_data_in_leaf": max(5, min(20, len(target) // 20)),
        "lambda_l2": 1.0,
        "seed": work.seed,
        "num_threads": work.threads,
        "deterministic": True,
        "force_row_wise": True,
        "verbosity": -1,
    } | ({"num_class": classes} if classes > 2 else {})
    made = np.empty((len(target), max(classes, 1)))
    for k in range(FOLDS):
        held = fold == k
        rows = lightgbm.Dataset(matrix[~held], target[~held])
        answer = lightgbm.train(how, rows, num_boost_round=ROUNDS).predict(matrix[held], num_threads=work.threads)
        made[held] = np.column_stack([1 - answer, answer]) if classes == 2 else answer.reshape(held.sum(), -1)
    return made


def _folds(target: Floats | Ints, classes: int, random: np.random.Generator) -> Ints:
    """Return the fold of each row, each class dealt out evenly."""
    order = random.permutation(len(target))
    if classes:
        order = order[np.argsort(target[order], kind="stable")]
    fold = np.empty(len(target), dtype=np.int64)
    fold[order] = np.arange(len(target)) % FOLDS
    return fold
