"""Which pairs of features act together: what trees of two questions find once stumps have taken what is additive.

After the ranking of pairs in Lou, Caruana, Gehrke and Hooker, "Accurate intelligible models with pairwise
interactions" (2013): a gain of a second question after a first one counts for the pair.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.contracts import Problem, Split, Work
from steelyard.errors import need

Pair = tuple[int, int]

ROWS = 20_000
"""Most training rows that are looked at."""
STUMPS, TREES = 150, 60
"""Rounds of the additive model, and of the one after it."""
QUESTIONS = {"learning_rate": 0.2, "num_leaves": 2}, {"learning_rate": 0.1, "num_leaves": 4, "max_depth": 2}


def strongest(matrix: NDArray[np.float32], train: Split, work: Work, *, most: int) -> tuple[Pair, ...]:
    """Return at most ``most`` pairs of columns of ``matrix``, shape (n, width), the strongest first.

    Only the given rows are looked at, which must be training rows: the choice is a part of training.
    """
    lightgbm = need("lightgbm", for_="choosing interactions")
    some = np.sort(np.random.default_rng([work.seed, 13]).permutation(len(train))[:ROWS])
    seen, rows = matrix[some], train.take(some)
    many = work.task.problem is Problem.MULTICLASS
    common: dict[str, Any] = {
        "objective": {Problem.BINARY: "binary", Problem.MULTICLASS: "multiclass"}.get(work.task.problem, "regression"),
        "max_bin": 63,
        "min_data_in_leaf": max(1, min(20, len(some) // 20)),
        "seed": work.seed,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": work.threads,
        "verbosity": -1,
    } | ({"num_class": work.task.width} if many else {})

    def boosted(parameters: dict[str, Any], rounds: int, start: NDArray[Any] | None = None) -> Any:
        data = lightgbm.Dataset(seen, rows.target, weight=rows.weights, init_score=start, params=parameters)
        return lightgbm.train(parameters, data, rounds)

    additive = boosted(common | QUESTIONS[0], STUMPS)
    together = boosted(common | QUESTIONS[1], TREES, additive.predict(seen, raw_score=True))
    gains: Counter[Pair] = Counter()
    for tree in together.dump_model()["tree_info"]:
        _count(tree["tree_structure"], gains)
    return tuple(pair for pair, _ in sorted(gains.items(), key=lambda item: (-item[1], item[0]))[:most])


def _count(root: dict[str, Any], gains: Counter[Pair]) -> None:
    """Add the gains of the questions below the first one of a tree."""
    if "split_feature" not in root:
        return
    first = int(root["split_feature"])
    for child in (root["left_child"], root["right_child"]):
        second = int(child.get("split_feature", first))
        if second != first:
            gains[min(first, second), max(first, second)] += child["split_gain"]
