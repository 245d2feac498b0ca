"""The experience that ships with the package, fitted on published results: ``make experience``.

TabArena publishes, for each table and method, the test error, the validation error and the seconds of training and
answering (Erickson et al. 2025, arXiv 2506.16791; github autogluon/tabarena, Apache-2.0). From the tables at hand:

mean, covariance
    Of log errors, each table's shifted so that the median of the boosted trees is zero; residuals beyond
    :data:`FAR` are cut off. The correlations are drawn halfway to a simple pattern (the looks at one family resemble
    each other, others do not), since there are more looks than tables.
noise
    Validation minus test error, in units of the usual noise ``NOISE / sqrt(rows * error)``: the noise of a
    frequency. Test rows are half as many as validation rows here, so a third of the variance is validation's.
optimism
    The mean of the same for looks that were chosen among many settings by their validation rows; the mean of the
    kind and the look's own, half and half. Defaults are not chosen and flatter nobody.
seconds
    Regressions of log seconds on log rows and log columns.

The constants below were set once, on these 26 tables, by looking at leave-one-out replays; the replay is not sensitive
to them (``replay.py --vary``).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from results import FAMILIES, KINDS, Results, read_results
from steelyard.search.experience import DEFAULT, Experience, Prices

LEARNERS = {
    "catboost": "CAT",
    "lightgbm": "GBM",
    "extra-trees": "XT",
    "linear": "LR",
    "mlp": "TABM_GPU",
}
"""Our learners and the families that resemble them; times come from the learners themselves."""
REFERENCE = ("CAT", "GBM", "XGB")
FAR = 0.5
FLOOR = 0.02
"""Added to standard deviations: the tables at hand are not all that there are."""
ALIKE = 0.6
"""Correlation of looks at one family in the simple pattern."""
NOISE = 1.2
VALIDATION_SHARE = 1 / 3
"""Share of validation rows in the variance of validation minus test error."""
SOURCE = "TabArena, github autogluon/tabarena, Apache-2.0: fold 0 of {count} tables"
HERE = Path(__file__).resolve().parent
TARGET = HERE.parents[1] / "src" / "steelyard" / "search" / "experience.json"


def usual_noise(rows: np.ndarray, error: np.ndarray, *, bounded: np.ndarray) -> np.ndarray:
    """Return the standard deviation of a log error that comes from its rows."""
    return NOISE / np.sqrt(rows * np.where(bounded, np.minimum(error, 1.0), 1.0))


def fit(
    results: Results, tables: Sequence[int], *, far: float = FAR, floor: float = FLOOR, alike: float = ALIKE
) -> Experience:
    """Return the experience that some tables make."""
    some = results.take(tables)
    shift = np.array([some.family_of(look) in REFERENCE for look in some.looks])
    test = np.log(some.test) - np.median(np.log(some.test[:, shift]), axis=1, keepdims=True)
    valid = np.log(some.valid) - np.median(np.log(some.valid[:, shift]), axis=1, keepdims=True)
    kept = np.clip(test, -far, far)
    mean = kept.mean(axis=0)
    rest = kept - mean
    sample = rest.T @ rest / len(rest)
    spread = np.sqrt(np.diag(sample)) + floor
    family = np.array([some.family_of(look) for look in some.looks])
    pattern = np.where(family[:, None] == family[None, :], alike, 0.0)
    correlation = (sample / np.outer(spread, spread) + pattern) / 2
    np.fill_diagonal(correlation, 1.0)
    noise = usual_noise(some.rows, np.median(some.valid[:, shift], axis=1), bounded=some.bounded)
    units = np.clip((valid - test) / noise[:, None], -4, 4)
    own, kind = units.mean(axis=0), np.array([some.kind_of(look) for look in some.looks])
    of_kind = np.array([own[kind == one].mean() for one in kind])
    optimism = np.where(kind == DEFAULT, 0.0, (own + of_kind) / 2)
    squares = ((units - optimism) ** 2).mean(axis=0)
    factor = np.sqrt((squares + squares.mean()) / 2 * VALIDATION_SHARE)
    return Experience(
        looks=some.looks,
        mean=mean,
        covariance=correlation * np.outer(spread, spread),
        optimism=optimism,
        noise=factor,
        training=tuple(_prices(some, seconds) for seconds in some.training.T),
        answering=tuple(_prices(some, seconds) for seconds in some.answering.T),
        families=LEARNERS,
        source=SOURCE.format(count=len(tables)),
        date=results.date,
    )


def _prices(results: Results, seconds: np.ndarray) -> Prices:
    design = np.column_stack([np.ones(len(seconds)), np.log(results.rows), np.log(results.columns)])
    penalty = np.diag([1e-6, 0.3, 0.3])
    known = np.log(np.maximum(seconds, 1e-6))
    weights = np.linalg.solve(design.T @ design + penalty, design.T @ known)
    spread = float(np.std(known - design @ weights))
    return Prices(constant=float(weights[0]), rows=float(weights[1]), columns=float(weights[2]), spread=spread)


def main() -> int:
    """Write the experience of all tables."""
    results = read_results(families=(*FAMILIES, "TABM_GPU"), kinds=KINDS)
    if results is None:
        return 1
    made = fit(results, range(len(results.names)))
    TARGET.write_text(
        json.dumps(made.to_json(), separators=(",", ":")).replace("],[", "],\n[") + "\n", encoding="utf-8"
    )
    print(f"{TARGET.name}: {len(made.looks)} looks from {len(results.names)} tables, {TARGET.stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
