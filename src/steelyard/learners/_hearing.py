"""What the sounds of a column are like, and how they are to be heard for it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from steelyard.bundle.front_ends.hearing import Hearing
from steelyard.bundle.front_ends.recordings import Listener
from steelyard.data.waves import look
from steelyard.errors import DataUnfit

LOOKED_AT = 200
FASTEST = 16_000
"""Samples a second that are kept at most unless more is asked for: speech lies below 8 kHz."""
LONGEST = 30.0
"""Seconds beyond which the middle of a recording is heard unless more is asked for."""
ROOM = 1.25
"""How much longer than any training recording looked at a later one may be before it is cut."""


def hearing_of(
    column: str, cells: Sequence[Any], *, rate: int | None = None, seconds: float | None = None, bands: int = 40
) -> Hearing:
    """Return how the sounds of a column are to be heard, from the headers of up to 200 of them.

    Parameters
    ----------
    column
        Its name.
    cells
        Its cells, as :data:`steelyard.contracts.Columns` holds them.
    rate
        Samples a second; ``None``: the rate that most of them have, :data:`FASTEST` at most.
    seconds
        The longest that is heard; ``None``: somewhat more than the longest of them, :data:`LONGEST` at most.
    bands
        Of the spectrogram.

    Raises
    ------
    DataUnfit
        If a sound cannot be read.
    """
    picked = [cells[i] for i in np.unique(np.linspace(0, len(cells) - 1, LOOKED_AT).astype(int))]
    with Listener() as listener:
        try:
            headers = [look(listener.content(cell)) for cell in picked]
        except ValueError as problem:
            raise DataUnfit(f"column {column!r}: {problem}") from None
    if rate is None:
        counts = Counter(header.rate for header in headers)
        usual = min(counts, key=lambda one: (-counts[one], one))
        rate = min(usual, FASTEST)
    if seconds is None:
        longest = max(header.seconds for header in headers)
        seconds = min(LONGEST, max(1.0, math.ceil(10 * ROOM * longest) / 10))
    return Hearing(rate=rate, seconds=seconds, bands=bands)
