"""Images as one uint8 tensor; the graph scales them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, cast

import numpy as np

from steelyard.bundle.front_ends.base import Cells, RowRefused, Tensors, column, options_of, shape_of
from steelyard.bundle.front_ends.pictures import Opener, pixels
from steelyard.contracts import Columns, Feed, Kind
from steelyard.errors import BundleRefused

_LARGEST = 4096
_PIXELS_AT_ONCE = 2**22


@dataclass(frozen=True, slots=True)
class Image:
    """uint8, shape (n, channels, height, width), resized to the size that the graph was trained on.

    Options: ``height`` and ``width`` in pixels, ``channels`` (1: grey, 3: red, green, blue), ``draft`` (a large JPEG
    is decoded at a half, a quarter or an eighth of its size where that is still twice what is asked for: photographs
    come several times as quickly).
    """

    input: str
    column: str
    height: int
    width: int
    channels: Literal[1, 3]
    draft: bool = False

    kinds: ClassVar[frozenset[Kind]] = frozenset({Kind.IMAGE})

    @classmethod
    def make(cls, feed: Feed, files: Mapping[str, bytes]) -> Image:
        """Return the extractor of a size."""
        del files
        shape_of(feed, inputs=1, columns=1)
        given = options_of(feed, {"height": ..., "width": ..., "channels": ..., "draft": False})
        if given["channels"] not in (1, 3):
            raise BundleRefused(f"front end 'image': channels must be 1 or 3; got {given['channels']!r}")
        for side in ("height", "width"):
            if not (isinstance(given[side], int) and 1 <= given[side] <= _LARGEST):
                raise BundleRefused(f"front end 'image': {side} must be 1 to {_LARGEST} pixels; got {given[side]!r}")
        return cls(feed.inputs[0], feed.columns[0], **given)

    @property
    def batch(self) -> int:
        """Most rows at once: small images many, large ones few."""
        return min(max(_PIXELS_AT_ONCE // (self.channels * self.height * self.width), 8), 512)

    def __call__(self, columns: Columns) -> Tensors:
        """Return the tensor of some rows.

        Raises
        ------
        RowRefused
            If an image cannot be read; the sentence names the row.
        """
        return {self.input: self._stacked(list(column(columns, self.column)))}

    def row(self, cells: Cells) -> Tensors:
        """Return the tensor of one row."""
        return {self.input: self._stacked([cells[self.column]])}

    def _stacked(self, sources: list[Any]) -> np.ndarray[Any, np.dtype[np.uint8]]:
        tensor = np.empty((len(sources), self.channels, self.height, self.width), np.uint8)
        with Opener(2 * max(self.height, self.width) if self.draft else None) as opener:
            for row, source in enumerate(sources):
                try:
                    tensor[row] = pixels(opener(source), self.height, self.width, self.channels)
                except ValueError as problem:
                    raise RowRefused(row, f" of column {self.column!r}: {problem}") from None
        return cast("np.ndarray[Any, np.dtype[np.uint8]]", tensor)
