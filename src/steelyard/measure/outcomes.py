"""How often each outcome comes about, at the shipped decision and at others: enough to decide again with other money.

Everything is a share of all (weighted) rows, or a mean over them, so that money is a sum of products: for two classes
``value per decision = tp * true_positive + fp * false_positive + tn * true_negative + fn * false_negative``. Where a
column holds the money at stake, the same figures stand there again, each row counted by its amount. Where outcomes have
a value, ``perfect`` is what one decision would bring on average if each were the right one, and ``reviewed`` what it
brings if a person decides some.

============ ==============================================================================================
problem      what is returned
============ ==============================================================================================
binary       ``decided``: [tp, fp, tn, fn] as decided; ``thresholds``: 101 at most, quantiles of the score of the
             positive class, from 0 (all positive) to above 1 (none); ``rates``: the same four at each
multiclass   ``confusion``: shares by true class (rows) and decided class (columns); beyond :data:`WIDE` classes
             ``cells``: [true, decided, share], those that are not zero
tagging      ``types``: by type of entity [found rightly, predicted, there], ``tags``: the same of tokens by tag,
             both in shares of all tokens; ``tokens``: how many there are
regression,  ``mean_over`` and ``mean_under``: the mean excess and the mean lack; ``shifts``: 101 at most, what is
forecasting  added to every prediction, and ``rates``: the same two at each
============ ==============================================================================================
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.bundle.scores import regret
from steelyard.contracts import NUMERIC, Answer, Floats, Ints, Problem, Task
from steelyard.contracts.ragged import flattened
from steelyard.tasks.forecasting import by_step
from steelyard.tasks.money import brought
from steelyard.tasks.spans import codes_of
from steelyard.tasks.tagging import tally

GRID = 101
WIDE = 30
"""Classes up to which the confusion is a full table."""
ABOVE = 1.000001
"""A threshold that no probability reaches, and that stays above 1 when it is rounded."""
DIGITS = 9
FINE = 1e9
REVIEWED = 21
"""Shares of rows, from none to half of them, for which it is told what a person's right decision on them brings."""
_HALF = 0.5

Json = dict[str, Any]


def outcomes(task: Task, target: NDArray[Any], answer: Answer, weights: Floats | None = None) -> Json:
    """Return how often each outcome came about on some rows, as plain JSON.

    Parameters
    ----------
    task : Task
        What is predicted.
    target : ndarray of shape (n,)
        True class codes (int64) or values (float64).
    answer : Answer
        What a bundle says of the same rows, with the money at stake in them where the task has amounts.
    weights : float64 ndarray of shape (n,), optional
        Positive row weights.

    Examples
    --------
    >>> task = Task(problem=Problem.BINARY, target="y", aim="roc_auc", classes=("no", "yes"), positive="yes")
    >>> answer = Answer(np.array([[0.9, 0.1], [0.4, 0.6]]), np.array([0, 1]))
    >>> found = outcomes(task, np.array([0, 1]), answer)
    >>> found["decided"], found["thresholds"], found["rates"][1]
    ([0.5, 0.0, 0.5, 0.0], [0.0, 0.1, 0.6, 1.000001], [0.5, 0.5, 0.0, 0.0])
    """
    share = np.ones(len(target)) if weights is None else np.asarray(weights, np.float64)
    share = share / share.sum()
    if task.problem is Problem.TAGGING:
        return {"rows": len(target), **_tags(task, target, answer, share)}
    count = {Problem.BINARY: _binary, Problem.MULTICLASS: _several, Problem.REGRESSION: _number}.get(
        task.problem, _forecasts
    )
    found = {"rows": len(target), **count(task, target, answer, share)}
    if answer.amounts is not None and task.amounts:
        found["amounts"] = {
            amount.column: _without_places(count(task, target, answer, share * answer.amounts[:, place]))
            for place, amount in enumerate(task.amounts)
        }
    if task.value is None:
        return found
    if task.problem in NUMERIC:
        return found | {"perfect": 0.0}
    best = best_of(task, target, answer.amounts)
    right = brought(task, target, Answer(answer.scores, best, amounts=answer.amounts))
    return found | {"perfect": float(share @ right), "reviewed": _reviewed(task, target, answer, share, right)}


def _without_places(found: Json) -> Json:
    """Leave out the places to cut, which are those of the rows."""
    return {name: part for name, part in found.items() if name not in ("thresholds", "shifts")}


def _rounded(values: Floats) -> Any:
    """Return numbers as JSON, with as many digits as a report needs."""
    if values.ndim > 1:
        return [_rounded(row) for row in values]
    return [float(f"{number:.{DIGITS}g}") for number in values.tolist()]


def _binary(task: Task, target: NDArray[Any], answer: Answer, share: Floats) -> Json:
    positive = len(task.classes) - 1 if task.positive is None else task.classes.index(task.positive)
    hits, scores = np.asarray(target) == positive, np.asarray(answer.scores[:, positive], np.float64)
    called = np.asarray(answer.decided) == positive
    seen = np.quantile(scores, np.linspace(0, 1, GRID - 2), method="inverted_cdf")
    inner = np.floor(seen * FINE) / FINE  # not above the score itself, so that its row is counted in
    places = np.unique(np.concatenate([[0.0], inner, [ABOVE]]))
    order = np.argsort(scores, kind="stable")
    below = np.searchsorted(scores[order], places, side="left")
    lost, spared = (np.append(0.0, np.cumsum(np.where(mask, share, 0.0)[order]))[below] for mask in (hits, ~hits))
    rates = np.column_stack([share[hits].sum() - lost, share[~hits].sum() - spared, spared, lost])
    decided = [share[mask].sum() for mask in (hits & called, ~hits & called, ~hits & ~called, hits & ~called)]
    return {"decided": _rounded(np.array(decided)), "thresholds": places.tolist(), "rates": _rounded(rates)}


def _several(task: Task, target: NDArray[Any], answer: Answer, share: Floats) -> Json:
    cells: Ints = np.asarray(target, np.int64) * task.width + np.asarray(answer.decided, np.int64)
    counted = np.bincount(cells, weights=share, minlength=task.width**2)
    table = np.asarray(counted, np.float64).reshape(task.width, task.width)
    if task.width <= WIDE:
        return {"confusion": _rounded(table)}
    true, decided = np.nonzero(table)
    shares = _rounded(table[true, decided])
    return {"cells": [list(cell) for cell in zip(true.tolist(), decided.tolist(), shares, strict=True)]}


def _tags(task: Task, target: NDArray[Any], answer: Answer, share: Floats) -> Json:
    """Return entities by type and tokens by tag: found rightly, predicted, and there; per token."""
    found = tally(task.classes, target, answer.decided)
    truth, lengths = flattened(target)
    own, _ = flattened(answer.decided)
    truth, own, each = truth.astype(np.int64), own.astype(np.int64), np.repeat(share, lengths)
    tokens = float(share @ lengths) or 1.0
    types = [share @ part / tokens for part in (found.hits, found.called, found.true)]
    tags = [
        np.bincount(codes, weights=weights, minlength=task.width) / tokens
        for codes, weights in ((truth, each * (truth == own)), (own, each), (truth, each))
    ]
    names = codes_of(task.classes).kinds
    return {
        "tokens": int(lengths.sum()),
        "types": {name: _rounded(np.array([part[i] for part in types])) for i, name in enumerate(names)},
        "tags": {name: _rounded(np.array([part[i] for part in tags])) for i, name in enumerate(task.classes)},
    }


def _number(task: Task, target: NDArray[Any], answer: Answer, share: Floats) -> Json:
    del task
    lack = np.asarray(target, np.float64) - np.asarray(answer.decided, np.float64)
    places = np.unique(np.append(np.quantile(lack, np.linspace(0, 1, GRID - 1)), 0.0))
    order = np.argsort(lack, kind="stable")
    mass, moved = (np.append(0.0, np.cumsum(part[order])) for part in (share, share * lack))
    at = np.searchsorted(lack[order], places)
    over = places * mass[at] - moved[at]
    under = moved[-1] - moved[at] - places * (mass[-1] - mass[at])
    still = int(np.searchsorted(places, 0.0))
    rates = np.maximum(np.column_stack([over, under]), 0.0)  # differences of sums end a hair below
    mean_over, mean_under = _rounded(rates[still])
    means = {"mean_over": mean_over, "mean_under": mean_under}
    return means | {"shifts": _rounded(places), "rates": _rounded(rates)}


def _forecasts(task: Task, target: NDArray[Any], answer: Answer, share: Floats) -> Json:
    """Count each value that is known as a number of its own; a row's share is shared out among its values."""
    known = ~np.isnan(target)
    parts = (share / np.maximum(known.sum(axis=1), 1))[:, None] * known
    flat = Answer(answer.scores[known][:, None], answer.decided[known])
    found = _number(task, target[known], flat, parts[known] / max(parts.sum(), np.finfo(np.float64).tiny))
    steps = {name: _known(values) for name, values in by_step(task, target, answer).items()}
    return found | {"steps": {name: values for name, values in steps.items() if any(v is not None for v in values)}}


def _known(values: list[float]) -> list[float | None]:
    """Return figures as JSON: to as many digits as a report needs, none where one is undefined."""
    return [float(f"{value:.{DIGITS}g}") if np.isfinite(value) else None for value in values]


def _reviewed(task: Task, target: NDArray[Any], answer: Answer, share: Floats, right: Floats) -> Json:
    """Return what it brings that a person decides the least clear rows rightly, by the share of rows reviewed.

    ``money`` is that of one decision on average, the person's own price not counted. Rows go to the person in the order
    of what the right decision is expected to bring more than the bundle's (:func:`regret`).
    """
    order = np.argsort(-regret(task, answer), kind="stable")
    now = brought(task, target, answer)
    mass = np.append(0.0, np.cumsum(share[order]))
    money = share @ now + np.append(0.0, np.cumsum((share * (right - now))[order]))
    shares = np.linspace(0, _HALF, REVIEWED)
    at = np.searchsorted(mass, shares * mass[-1] + 1e-12, side="right") - 1
    return {"shares": _rounded(mass[at]), "money": _rounded(money[at])}


def best_of(task: Task, target: NDArray[Any], amounts: Floats | None) -> Ints:
    """Return the decision of most money for each true class, which the one who knows it takes, shape (n,)."""
    scores = np.zeros((len(target), task.width))
    brings = [
        brought(task, target, Answer(scores, np.full(len(target), code, np.int64), amounts=amounts))
        for code in range(task.width)
    ]
    best: Ints = np.argmax(np.column_stack(brings), axis=1)
    return best
