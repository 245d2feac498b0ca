"""Repeated folds for small tables: each row is scored out of fold more than once, by models of other folds.

One dealing of folds is one draw of a lottery, and with few rows the lots weigh. A further dealing works on copies of
the development rows, which stand behind the others: every answer has a place of its own, nothing is averaged before
it is scored (the mean of two models' answers would flatter the single model that ships), and intervals take the
copies of a row together (:attr:`steelyard.data.dataset.Dataset.clusters`).
"""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np

from steelyard.data.dataset import Dataset, Part
from steelyard.data.splits import Ground, folds_again


def repeat(dataset: Dataset, ground: Ground, times: int) -> Dataset:
    """Return the data set with its folds dealt so many times; the same one where that is once."""
    if times == 1:
        return dataset
    partition, rows = dataset.partition, len(dataset.rows)
    development = partition.development
    parts, copies = list(partition.parts), [np.arange(rows)]
    for turn in range(2, times + 1):
        start = sum(map(len, copies))
        for number, pair in enumerate(folds_again(ground, partition, turn)):
            fit, score = (start + np.searchsorted(development, index) for index in pair)
            parts.append(Part(f"fold-{number}.{turn}", fit, score))
        copies.append(development)
    scored = np.sort(np.concatenate([part.score for part in parts]))
    index = np.concatenate(copies)
    protocol = f"{times} x {partition.protocol}"
    return replace(
        dataset,
        fingerprint=hashlib.sha256(f"{dataset.fingerprint} {protocol}".encode()).hexdigest(),
        rows=dataset.rows.take(index),
        partition=replace(
            partition,
            protocol=protocol,
            parts=tuple(parts),
            validation=scored,
            calibration=scored,
        ),
        groups=None if dataset.groups is None else dataset.groups[index],
        times=None if dataset.times is None else dataset.times[index],
    )
