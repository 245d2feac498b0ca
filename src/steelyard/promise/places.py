"""The places where sureness may be cut, the boldest one whose promise holds, and the share that it escalates."""

from __future__ import annotations

import numpy as np

from steelyard.contracts import Floats
from steelyard.errors import need
from steelyard.promise.pvalues import DOUBT, doubt
from steelyard.promise.stake import Stake

PLACES: Floats = np.append(1.0 / (1.0 + np.exp(np.arange(-7.0, 7.05, 0.1))), 0.0)
"""The places to cut, from safe to bold: even steps in the log-odds of sureness, 0.999 to 0.001, and 0 last."""


def boldest(sure: Floats, stake: Stake, limit: float, *, most: float = DOUBT) -> float | None:
    """Return the last place of the sequence before the first one that fails; ``None`` where the safest one does.

    Parameters
    ----------
    sure
        How sure the cheap member is of each row, 0 to 1, shape (n,).
    stake
        What is lost where it answers.
    limit
        Most that may be lost on average, as a share of the largest loss of a unit.
    most
        The chance that the loss is larger after all.
    """
    found = None
    for place in PLACES:
        if doubt(stake.paired(sure >= place), limit) > most:
            break
        found = float(place)
    return found


def share_of(escalated: int, rows: int) -> dict[str, float]:
    """Return a share with its exact 95% interval (Clopper, Pearson 1934).

    Examples
    --------
    >>> found = share_of(10, 100)
    >>> found["share"], round(found["low"], 4), round(found["high"], 4)
    (0.1, 0.049, 0.1762)
    """
    special = need("scipy.special", for_="the interval of a share")
    low = 0.0 if escalated == 0 else float(special.betaincinv(escalated, rows - escalated + 1, 0.025))
    high = 1.0 if escalated == rows else float(special.betaincinv(escalated + 1, rows - escalated, 0.975))
    return {"share": escalated / rows, "low": low, "high": high, "rows": rows}
