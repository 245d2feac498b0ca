"""What the images of a column are like, and the feed that makes tensors of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from steelyard.bundle.front_ends.pictures import Opener
from steelyard.contracts import Feed
from steelyard.data.decoding import flat
from steelyard.errors import DataUnfit

LOOKED_AT = 200
SMALLEST = 8
"""Pixels a side that the net needs to be left with a picture after its strides."""
INPUT = "image"


def feed_of(column: str, cells: Sequence[Any], side: int, *, given: bool, share: float = 1.0) -> Feed:
    """Return the feed for a column, from the look of up to 200 of its images.

    Parameters
    ----------
    column
        Its name.
    cells
        Its cells, as :data:`steelyard.contracts.Columns` holds them.
    side
        Pixels of the longer side: the most that is kept, or exactly that many where ``given``.
    given
        Whether the side was asked for.
    share
        Of the size that comes of it, what is kept.

    Raises
    ------
    DataUnfit
        If an image cannot be read.
    """
    picked = [cells[i] for i in np.unique(np.linspace(0, len(cells) - 1, LOOKED_AT).astype(int))]
    looks = _looks(column, picked)
    high, wide = (float(np.median([look[i] for look in looks])) for i in (0, 1))
    scale = share * (side / max(high, wide) if given else min(1.0, side / max(high, wide)))
    height, width = (max(SMALLEST, round(length * scale)) for length in (high, wide))
    channels = 3 if any(look[2] for look in looks) else 1
    return Feed("image", (INPUT,), (column,), {"height": height, "width": width, "channels": channels, "draft": True})


def _looks(column: str, cells: Sequence[Any]) -> list[tuple[int, int, bool]]:
    """Return height, width and whether there is colour, an image."""
    with Opener() as opener:
        try:
            return [_look(opener(cell)) for cell in cells]
        except ValueError as problem:
            raise DataUnfit(f"column {column!r}: {problem}") from None


def _look(image: Image.Image | np.ndarray[Any, Any]) -> tuple[int, int, bool]:
    if isinstance(image, np.ndarray):
        colour = image.ndim == 3 and image.shape[2] >= 3 and bool(np.ptp(image[:, :, :3], axis=2).any())
        return image.shape[0], image.shape[1], colour
    image = flat(image)
    if image.mode in ("L", "1"):
        return image.height, image.width, False
    table = np.asarray(image.convert("RGB"))
    return image.height, image.width, bool(np.ptp(table, axis=2).any())
