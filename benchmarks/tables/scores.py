"""Test figures, and the same figures on resamples of the test rows.

Each set has :data:`RESAMPLES` resamples, the same for every tool, so the difference of two tools can be computed on
each of them from the two rows alone: no prediction need be kept. A row holds by what share of the figure each
resampled one differs from it, in float16, as base64 (684 characters).
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

RESAMPLES = 256
LEAST = float(np.finfo(np.float32).eps)
"""Probabilities are kept from this in the log loss: scikit-learn's limit for float32, the coarsest type here."""
HIGHER_IS_BETTER = {"roc_auc": True, "log_loss": False, "rmse": False}


def figures(metric: str, name: str, truth: Sequence[str], answers: Any, classes: Sequence[str]) -> dict[str, Any]:
    """Return the figure on all test rows and its resamples.

    Parameters
    ----------
    metric
        ``roc_auc``, ``log_loss`` or ``rmse``.
    name
        Of the set: it seeds the resamples.
    truth
        Test targets as they stand in the source.
    answers
        Values, shape (n,), or probabilities, shape (n, classes).
    classes
        Names of the columns of ``answers``; empty for values.

    Raises
    ------
    ValueError
        If there is not one finite answer a row.
    """
    answers = np.asarray(answers, np.float64)
    if len(answers) != len(truth) or not np.isfinite(answers).all():
        raise ValueError(f"{len(answers)} answers for {len(truth)} test rows, or one that is not finite")
    counts = np.vstack([np.ones(len(truth)), resamples(name, len(truth))])
    if metric == "rmse":
        found = rmse(np.asarray(truth, np.float64), np.ravel(answers), counts)
    else:
        of_truth = probabilities(answers, classes, sorted({*classes, *truth}))
        codes = np.searchsorted(sorted({*classes, *truth}), truth)
        found = log_loss(codes, of_truth, counts) if metric == "log_loss" else roc_auc(codes, of_truth, counts)
    return {"metric": metric, "value": float(found[0]), "resampled": pack(found)}


def resamples(name: str, rows: int) -> Floats:
    """Return how often each row is drawn in each resample, shape (resamples, rows)."""
    generator = np.random.default_rng(zlib.crc32(name.encode()))
    return generator.multinomial(rows, np.full(rows, 1 / rows), size=RESAMPLES).astype(np.float64)


def probabilities(answers: Floats, classes: Sequence[str], every: Sequence[str]) -> Floats:
    """Return the probabilities with a column for every class, those a tool does not know at 0."""
    wide = np.zeros((len(answers), len(every)))
    wide[:, np.searchsorted(every, classes)] = answers
    return wide


def log_loss(codes: NDArray[np.int64], wide: Floats, counts: Floats) -> Floats:
    """Return the mean of minus the log of the truth's probability, clipped and then made to sum to one."""
    clipped = np.clip(wide, LEAST, 1 - LEAST)
    kept = clipped[np.arange(len(codes)), codes] / clipped.sum(axis=1)
    return np.asarray(counts @ -np.log(kept) / counts.sum(axis=1))


def rmse(truth: Floats, values: Floats, counts: Floats) -> Floats:
    """Return the root of the mean squared error."""
    return np.asarray(np.sqrt(counts @ (truth - values) ** 2 / counts.sum(axis=1)))


def roc_auc(codes: NDArray[np.int64], wide: Floats, counts: Floats) -> Floats:
    """Return the area under the curve of the second class: the chance that it scores higher, ties by half.

    A resample without one of the classes has no area; it takes that of all rows.
    """
    scores = wide[:, 1]
    order = np.argsort(scores, kind="stable")
    first = np.flatnonzero(np.r_[True, np.diff(scores[order]) > 0])  # of each group of equal scores
    positive = np.add.reduceat((counts * (codes == 1))[:, order], first, axis=1)
    negative = np.add.reduceat((counts * (codes == 0))[:, order], first, axis=1)
    below = np.cumsum(negative, axis=1) - negative
    pairs = positive.sum(axis=1) * negative.sum(axis=1)
    wins = (positive * (below + negative / 2)).sum(axis=1)
    area = np.divide(wins, pairs, out=np.full(len(pairs), np.nan), where=pairs > 0)
    return np.where(np.isnan(area), area[0], area)


def constant(about: Mapping[str, Any], truth: Sequence[str]) -> float:
    """Return the figure of a model that looks at no column: the training mean, or the share of each class."""
    if about["metric"] == "roc_auc":
        return 0.5
    ones = np.ones((1, len(truth)))
    if about["metric"] == "rmse":
        return float(rmse(np.asarray(truth, np.float64), np.full(len(truth), about["constant"]), ones)[0])
    shares = dict(about["constant"])
    every = sorted({*shares, *truth})
    wide = np.tile([shares.get(name, 0.0) for name in every], (len(truth), 1))
    return float(log_loss(np.searchsorted(every, truth), wide, ones)[0])


def of_file(path: Path, about: Mapping[str, Any], name: str, answers: Path) -> dict[str, Any]:
    """Return the figures of a file of answers that a runner left."""
    truth = json.loads(answers.read_text(encoding="utf-8"))
    with np.load(path) as kept:
        return figures(about["metric"], name, truth, kept["answers"], [str(c) for c in kept["classes"]])


def pack(found: Floats) -> str:
    """Return the resampled figures behind the first, which is that of all rows, as base64."""
    share = (found[1:] - found[0]) / (abs(found[0]) or 1.0)
    return base64.b64encode(share.astype("<f2").tobytes()).decode()


def unpack(kept: Mapping[str, Any]) -> Floats:
    """Return the resampled figures, shape (resamples,), of what :func:`figures` returned.

    >>> unpack({"value": 2.0, "resampled": pack(np.array([2.0, 2.5, 1.0]))})
    array([2.5, 1. ])
    """
    share = np.frombuffer(base64.b64decode(kept["resampled"]), "<f2").astype(np.float64)
    return np.asarray(kept["value"] + share * (abs(kept["value"]) or 1.0))
