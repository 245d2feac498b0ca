"""The boldest place where the rows that are kept from a person are wrong rarely enough.

The promise is about the rows that the cheap model answers alone: of these, at most a given share is wrong. At a place
that was fixed before any row was seen, the kept rows are as good as drawn from all rows that would be kept there, and
the number of wrong ones is binomial; its lower tail at the limit is an exact p-value.

The places are tested in a fixed sequence, from safe to bold, until one fails. The safest ones keep hardly any rows, of
which nothing can be shown, so there are several sequences, each with a start of its own and an equal part of the
doubt (Bonferroni): *fixed sequence testing with several starts*, section 2.2 of Angelopoulos, Bates, Candes, Jordan,
Lei: Learn then Test, 2021, arXiv 2110.01052.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from steelyard.contracts import Floats
from steelyard.errors import need
from steelyard.promise.places import PLACES
from steelyard.promise.pvalues import DOUBT

STARTS = (4.0, 2.5, 1.0, -1.0)
"""Log-odds of the sureness where sequences begin: 0.98, 0.92, 0.73 and 0.27."""


def boldest_kept(sure: Floats, wrong: NDArray[np.bool_], limit: float, *, most: float = DOUBT) -> float | None:
    """Return the boldest place at which the kept rows are wrong with a rate of at most ``limit``, or ``None``.

    Parameters
    ----------
    sure
        How sure the model is of each row, 0 to 1, shape (n,).
    wrong
        Whether its decision was wrong, shape (n,).
    limit
        Most of the kept rows that may be wrong, as a share.
    most
        The chance that more of them are wrong after all.

    Examples
    --------
    >>> sure = np.linspace(0, 1, 2000)
    >>> 0.2 < boldest_kept(sure, sure < 0.25, 0.05) < 0.3
    True
    >>> boldest_kept(sure[:50], sure[:50] < 0.25, 0.05) is None
    True
    """
    special = need("scipy.special", for_="a promise about errors")
    order = np.argsort(-sure, kind="stable")
    highest, errors = -sure[order], np.concatenate([[0], np.cumsum(wrong[order])])
    kept = np.searchsorted(highest, -PLACES, side="right")
    doubts = np.where(kept > 0, special.bdtr(errors[kept], np.maximum(kept, 1), limit), 1.0)
    passed = doubts <= most / len(STARTS)
    ends = [_end(passed, int(np.abs(PLACES - _sureness(start)).argmin())) for start in STARTS]
    last = max(ends)
    return None if last < 0 else float(PLACES[last])


def _sureness(log_odds: float) -> float:
    return 1.0 / (1.0 + math.exp(-log_odds))


def _end(passed: NDArray[np.bool_], start: int) -> int:
    """Return the last place before the first failure from a start on; -1 where the start itself fails."""
    failed = np.flatnonzero(~passed[start:])
    end = start + int(failed[0]) if len(failed) else len(passed)
    return end - 1 if end > start else -1


def rows_kept_needed(limit: float, *, most: float = DOUBT) -> int:
    """Return the fewest kept rows on which a promise can hold: where none of them is wrong.

    Examples
    --------
    >>> rows_kept_needed(0.05), rows_kept_needed(0.01)
    (86, 437)
    """
    return math.ceil(math.log(most / len(STARTS)) / math.log1p(-limit))
