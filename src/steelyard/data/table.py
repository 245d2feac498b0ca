"""A table as it was read, before anything is known of what its columns mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from steelyard.contracts import Column, Ints
from steelyard.data.room import Drawn

if TYPE_CHECKING:
    import polars as pl

    Cells = pl.Series | NDArray[Any]
else:
    Cells = Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Named cells of equal length: strings as a polars series, everything else as a numpy array.

    ``images`` and ``sounds`` name columns that are known to hold them under whole paths; ``folder`` or ``archive`` is
    what relative paths start from.
    """

    name: str
    source: str
    columns: Mapping[str, Cells]
    images: frozenset[str] = frozenset()
    sounds: frozenset[str] = frozenset()
    folder: Path | None = None
    archive: Path | None = None
    sides: NDArray[np.str_] | None = None
    """The side of each row (train, validation, calibration, test), where the files say it."""
    note: str = ""
    """What a reader took for granted, as a sentence."""
    drawn: Drawn | None = None
    """Which rows of a larger table these are, where they are not all."""
    sequences: Mapping[str, Column] = field(default_factory=dict)
    """Columns that were gathered from readings, as far as they are known."""
    last: Ints | None = None
    """Of rows that were gathered: the row of the source that holds the last reading of each."""

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(next(iter(self.columns.values()))) if self.columns else 0

    @property
    def index(self) -> Ints:
        """Number of each row in the source, from 0."""
        if self.last is not None:
            return self.last
        return np.arange(self.rows, dtype=np.int64) if self.drawn is None else self.drawn.index
