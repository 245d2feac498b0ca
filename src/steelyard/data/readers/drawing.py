"""A table that comes in blocks, of which no more rows are held than there is room for."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np

from steelyard.contracts import Ints
from steelyard.data.hashing import Hashes
from steelyard.data.room import Drawn, Room, lots
from steelyard.errors import need

if TYPE_CHECKING:
    import polars as pl

_SLACK = 1.5
"""How many times the rows that are wanted may be held before some are let go."""


class Drawing:
    """Blocks of rows, joined; where they are too many, those with the lowest lots (a hash of the row's number).

    Which rows are drawn depends on their numbers and on the room alone, not on the size of the blocks.
    """

    def __init__(self, room: Room) -> None:
        self._room = room
        self._blocks: list[tuple[Ints, Hashes, pl.DataFrame]] = []
        self._most = 0
        self._limit = np.uint64(2**64 - 1)
        self._held = 0
        self.total = 0

    def add(self, block: pl.DataFrame) -> None:
        """Take the next rows."""
        if not block.height:
            return
        if not self._most:
            self._most = self._room.rows(block.estimated_size() / block.height, block.width)
        index = np.arange(self.total, self.total + block.height, dtype=np.int64)
        self.total += block.height
        self._take(index, lots(index), block)
        if self._held > _SLACK * self._most:
            self._let_go()

    def _take(self, index: Ints, lot: Hashes, block: pl.DataFrame) -> None:
        if not (lot <= self._limit).all():
            keep = lot <= self._limit
            index, lot, block = index[keep], lot[keep], block.filter(keep)
        self._blocks.append((index, lot, block))
        self._held += len(index)

    def _let_go(self) -> None:
        """Keep the rows with the lowest lots."""
        every = np.concatenate([lot for _, lot, _ in self._blocks])
        if len(every) <= self._most:
            return
        self._limit = np.partition(every, self._most - 1)[self._most - 1]
        blocks, self._blocks, self._held = self._blocks, [], 0
        for index, lot, block in blocks:
            self._take(index, lot, block)

    def whole(self) -> tuple[pl.DataFrame, Drawn | None]:
        """Return the rows, and what was drawn where they are not all; a drawing is used once."""
        polars = need("polars", for_="reading a table")
        if self.total > self._most:
            self._let_go()
        blocks, self._blocks = self._blocks, []
        frame = cast("pl.DataFrame", polars.concat([block for _, _, block in blocks]).rechunk())
        if frame.height == self.total:
            return frame, None
        index = np.concatenate([index for index, _, _ in blocks])
        return frame, Drawn(index, self.total, self._room.limited_by)
