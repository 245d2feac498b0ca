"""Rows set aside from those that train: for early stopping, and the folds of a bag."""

from __future__ import annotations

import numpy as np

from steelyard.contracts import Floats, Ints
from steelyard.data import Dataset
from steelyard.data.splits import in_time

MANY = 5_000
"""Rows from which on a tenth is enough to stop by; below, it is 15%."""


def cut_early(dataset: Dataset, fit: Ints, seed: int) -> tuple[Ints, Ints]:
    """Set rows aside for early stopping, so that the rows a trial is scored on never steer its training.

    The last rows in time where the split is by time, whole groups where it is by group, else a stratified sample.
    A tenth of the rows, or 15% where there are fewer than 5,000.
    """
    share = 0.15 if len(fit) < MANY else 0.1
    keep = max(1, round(len(fit) * share))
    times = _times(dataset, fit)
    if times is not None:
        late = times > np.sort(times)[-keep - 1]
        if late.any():  # rows of one time stay together
            apart = times <= times[late].min() - dataset.task.horizon  # steps ahead of one are not those of another
            early = ~late if not dataset.task.horizon else apart
            if early.any():
                return fit[early], fit[late]
    generator = np.random.default_rng([seed, 7])
    if dataset.groups is not None:
        names = generator.permutation(np.unique(dataset.groups[fit]))
        late = np.isin(dataset.groups[fit], names[: max(1, round(len(names) * share))])
        return fit[~late], fit[late]
    by_target = _by_target(dataset, fit, generator)
    picked = np.zeros(len(fit), dtype=bool)
    picked[by_target[np.linspace(0, len(fit) - 1, keep).round().astype(np.int64)]] = True
    return fit[~picked], fit[picked]


def cut_folds(dataset: Dataset, fit: Ints, folds: int, seed: int) -> list[Ints]:
    """Deal rows into folds of about equal size, each row into one; fewer than asked where too few can be told apart.

    Neighbours in time where the split is by time, whole groups where it is by group, else stratified by the target.
    """
    times = _times(dataset, fit)
    generator = np.random.default_rng([seed, 13])
    if times is not None and len(np.unique(times)) > 1:
        fold = np.minimum((in_time(times) * folds).astype(np.int64), folds - 1)
    elif dataset.groups is not None:
        names, group = np.unique(dataset.groups[fit], return_inverse=True)
        fold = (generator.permutation(len(names)) % folds)[group]
    else:
        fold = np.empty(len(fit), dtype=np.int64)
        fold[_by_target(dataset, fit, generator)] = np.arange(len(fit)) % folds
    return [fit[fold == one] for one in np.unique(fold)]


def _times(dataset: Dataset, fit: Ints) -> Floats | None:
    """Return when each row was, a group being as late as its latest row; ``None`` where the split is not by time."""
    if dataset.times is None:
        return None
    times = dataset.times[fit]
    if dataset.groups is None:
        return times
    _, group = np.unique(dataset.groups[fit], return_inverse=True)
    latest = np.full(group.max() + 1, -np.inf)
    np.maximum.at(latest, group, times)
    return latest[group]


def _by_target(dataset: Dataset, fit: Ints, generator: np.random.Generator) -> Ints:
    """Return the places of rows in the order of their target, those of one target shuffled.

    A sentence, which has a tag for each token, goes by its rarest one: so both sides get their share of every tag.
    """
    order, target = generator.permutation(len(fit)), dataset.rows.target[fit]
    if target.dtype == object:
        counts = np.bincount(np.concatenate([np.zeros(0, np.int64), *target]).astype(np.int64))
        target = np.array([min(codes, key=counts.__getitem__, default=-1) for codes in target])
    return order[np.argsort(target[order], kind="stable")]
