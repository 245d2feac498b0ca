"""Which rows make a step, and what is to be learned of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from steelyard.contracts import Floats, Ints

ABSENT = -100
"""The class code of a token that has none; PyTorch's cross-entropy leaves it out."""
POOL = 50
"""Batches whose rows are sorted by length among themselves: long enough to sort well, short enough to stay mixed."""


class Targets:
    """The target of every row, and its weight.

    Parameters
    ----------
    target
        Class codes, int64 of shape (n,); numbers, float of shape (n,) or (n, width), NaN where unknown; or objects of
        shape (n,), one array of class codes a row (a class for each token).
    weights
        One positive number a row; ``None``: all weigh the same.
    """

    def __init__(self, target: NDArray[Any], weights: Floats | None) -> None:
        self._target = target.astype(np.float32) if target.dtype.kind == "f" else target
        self._weights = (np.ones(len(target)) if weights is None else weights).astype(np.float32)

    def __len__(self) -> int:
        return len(self._target)

    def batch(self, rows: Ints) -> tuple[Tensor, Tensor]:
        """Return targets and weights of some rows; codes of tokens are padded with :data:`ABSENT` to the longest."""
        target, weights = self._target[rows], torch.from_numpy(self._weights[rows])
        if target.dtype != object:
            return torch.from_numpy(target), weights
        table = np.full((len(rows), max(map(len, target), default=0)), ABSENT, np.int64)
        for line, codes in zip(table, target, strict=True):
            line[: len(codes)] = codes
        return torch.from_numpy(table), weights


def mass_of(target: Tensor, weights: Tensor) -> Tensor:
    """Return what the targets that are known weigh together: what a loss is divided by.

    Examples
    --------
    >>> mass_of(torch.tensor([[1, -100], [0, 2]]), torch.tensor([1.0, 3.0])).item()
    7.0
    """
    known = ~torch.isnan(target) if target.is_floating_point() else target != ABSENT
    return (known.reshape(len(known), -1).sum(1) * weights).sum()


def steps_of(order: Ints, lengths: Ints | None, a_step: int, generator: torch.Generator) -> Sequence[Ints]:
    """Cut rows, in the order in which an epoch takes them, into those of each step.

    Where rows differ in length, those of like length share a step, so that little is padded: within pools of
    :data:`POOL` steps rows are sorted, and steps then come in a random order again.
    """
    steps = max(1, math.ceil(len(order) / a_step))
    if lengths is None or steps == 1:
        return np.array_split(order, steps)
    pools = np.array_split(order, math.ceil(steps / POOL))
    ordered = [pool[np.argsort(lengths[pool], kind="stable")] for pool in pools]
    cut = [part for pool in ordered for part in np.array_split(pool, math.ceil(len(pool) / a_step))]
    return [cut[i] for i in torch.randperm(len(cut), generator=generator).tolist()]
