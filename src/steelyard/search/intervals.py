"""Prediction intervals for every bundle of a forecast, read off the errors of its trial on calibration origins."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from steelyard.bundle.intervals import EXTRA, Bands
from steelyard.bundle.write import amend
from steelyard.contracts import Answer, Problem
from steelyard.search.making import Bench, part_answer


def amend_parts(bench: Bench, answer: Answer, folder: Path) -> None:
    """Write intervals into the bundle of every part under ``folder``; nothing where the task is no forecast."""
    for part in bench.dataset.partition.parts:
        amend_bundle(bench, answer, folder / part.name)


def amend_bundle(bench: Bench, answer: Answer, folder: Path) -> None:
    """Write intervals into one bundle, as the answers on ``partition.scored`` say."""
    dataset = bench.dataset
    if dataset.task.problem is not Problem.FORECASTING:
        return
    rows = dataset.partition.calibration
    held = dataset.rows.take(rows)
    given = part_answer(answer, np.searchsorted(dataset.partition.scored, rows))
    bands = Bands.fitted(dataset.task, held.columns, held.target, given.decided)
    if bands is not None:
        amend(folder, {EXTRA: bands.to_json()})
