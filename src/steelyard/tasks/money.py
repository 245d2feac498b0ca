"""Money: what a thousand decisions bring, given what each outcome is worth.

References
----------
.. [1] Elkan. The foundations of cost-sensitive learning. IJCAI 2001.
"""

from __future__ import annotations

import numpy as np

from steelyard.contracts import Floats
from steelyard.tasks.metric import Rows
from steelyard.tasks.sums import mean

DECISIONS = 1000.0


def _worth(rows: Rows) -> Floats:
    """Money that the decision on each row brought, shape (n,)."""
    return np.asarray(rows.task.value, dtype=np.float64)[rows.truth, rows.decided] * DECISIONS


def value(rows: Rows, counts: Floats) -> Floats:
    """Return the money that a thousand decisions bring."""
    return mean(_worth(rows), counts)
