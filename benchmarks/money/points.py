"""Scores of trainings on subsets: what the learning curves of the bar are made of, measured once and kept.

A case is one data set and one subsample: shares of a quarter of the rows, several deals of the smaller ones, then the
same training on half of the rows and on all. The scored rows never change.
"""

from __future__ import annotations

import functools
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from sets import GROWN, HELD, Set, pool

from rows import Bench
from steelyard.advise.subsets import Site, answer_on, score_of, subset
from steelyard.recipe import Train

QUARTER = 0.25
LADDER = ((1 / 16, 3), (1 / 8, 2), (1 / 4, 2), (1 / 2, 2), (1.0, 1))
"""Shares of the quarter, and how many deals of each."""
SEEDS = {"held": 10, "grown": 5}
WHOLE: dict[str, float] = {}


def curve(one: Set, site: Site, seed: int) -> Mapping[str, Any]:
    """Measure one subsample's points, and the two scores to be foretold."""
    dataset, began = site.dataset, time.monotonic()
    everything, held = pool(dataset), dataset.partition.test
    half = subset(dataset, everything, 0.5, seed)
    quarter = subset(dataset, half, 0.5, seed + 100)

    def score(rows: np.ndarray) -> float:
        return score_of(dataset, held, answer_on(site, Train(learner=one.learner), rows, held))

    points = []
    for share, deals in LADDER:
        for deal in range(deals):
            rows = subset(dataset, quarter, share, 1000 * seed + deal)
            points.append([len(rows), score(rows), deal])
    if one.name not in WHOLE:
        WHOLE[one.name] = score(everything)
    truths = {"half": [len(half), score(half)], "whole": [len(everything), WHOLE[one.name]]}
    return {"points": points, **truths, "seconds": time.monotonic() - began}


def measure(bench: Bench, which: str) -> None:
    """Measure what is missing of one group of sets."""
    sets = {"held": HELD, "grown": GROWN}[which]
    with tempfile.TemporaryDirectory() as folder:
        for one in sets:
            cases = [{"bar": "points", "group": which, "set": one.name, "seed": s} for s in range(SEEDS[which])]
            if all(bench.rows(**case) for case in cases):
                continue
            site = Site(one.load(), Path(folder))
            for known in bench.rows(bar="points", group=which, set=one.name):
                WHOLE[one.name] = known["whole"][1]
            for case in cases:
                seed = int(case["seed"])
                bench.measure(case, functools.partial(curve, one, site, seed), seed=seed)


def rows_of(bench: Bench, which: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the measured curves of a group of sets, with the set's name."""
    for one in {"held": HELD, "grown": GROWN}[which]:
        for row in bench.rows(bar="points", group=which, set=one.name):
            yield one.name, row
