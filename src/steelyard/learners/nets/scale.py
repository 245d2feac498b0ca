"""The unit in which a net learns numbers: standard deviations from the mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.contracts import Split, Task


@dataclass(frozen=True, slots=True)
class Scale:
    """How numbers are brought to the size that a net learns well, and back.

    Parameters
    ----------
    centre, spread
        Numbers, or one a column of the target.

    Examples
    --------
    >>> scale = Scale(10.0, 2.0)
    >>> scale.target(np.array([14.0])).tolist(), scale.undone(np.array([[2.0]])).tolist()
    ([2.0], [[14.0]])
    """

    centre: NDArray[np.float64] | float = 0.0
    spread: NDArray[np.float64] | float = 1.0

    @classmethod
    def of(cls, train: Split, task: Task) -> Scale:
        """Return mean and standard deviation of the target, column by column; nothing is scaled for classes."""
        if task.classes:
            return cls()
        target = np.asarray(train.target, np.float64)
        spread = np.nanstd(target, axis=0)
        return cls(np.nanmean(target, axis=0), np.where(spread > 0, spread, 1.0))

    def target(self, target: NDArray[Any]) -> NDArray[Any]:
        """Return a target in this unit; class codes as they are."""
        if target.dtype.kind != "f":
            return target
        return np.asarray((target - self.centre) / self.spread)

    def undone(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return values in the target's own unit."""
        return np.asarray(values * self.spread + self.centre, dtype=np.float64)
