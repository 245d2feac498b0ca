"""Pictures that are like others but are none of them, for a teacher to say what they are.

Beyer, Zhai, Royer, Markeeva, Anil, Kolesnikov, "Knowledge distillation: A good teacher is patient and consistent" (CVPR
2022, arXiv:2106.05237): teacher and student see the very same crop, mirrored or not, and the crops are bold.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from steelyard.bundle.front_ends.pictures import Opener
from steelyard.data.decoding import checked, flat

LEAST = 0.7
"""Share of each side that a crop keeps at least."""
MIRRORED = 0.5
"""Chance of a picture to be mirrored, left to right."""
ROOM = 2**29
"""Most bytes of pictures that are made."""


def recropped_cells(cells: NDArray[np.object_], random: np.random.Generator) -> NDArray[np.object_]:
    """Return a crop of each picture at the picture's own size, mirrored or not: uint8 arrays, as cells may be."""
    made = np.empty(len(cells), object)
    with Opener() as opened:
        for place, cell in enumerate(cells):
            made[place] = _recropped(opened(cell), random)
    return made


def affordable(cells: NDArray[np.object_], count: int) -> int:
    """Return how many pictures of ``count`` there is room for, by the size of the first."""
    if not len(cells):
        return 0
    with Opener() as opened:
        size = np.asarray(_flat(opened(cells[0]))).nbytes
    return min(count, ROOM // max(size, 1))


def _recropped(picture: Image.Image | NDArray[Any], random: np.random.Generator) -> NDArray[np.uint8]:
    image = _flat(picture)
    width, height = image.size
    wide, high = (max(1, round(side * random.uniform(LEAST, 1.0))) for side in (width, height))
    left, top = int(random.integers(0, width - wide + 1)), int(random.integers(0, height - high + 1))
    image = image.resize((width, height), Image.Resampling.BILINEAR, box=(left, top, left + wide, top + high))
    if random.random() < MIRRORED:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return np.asarray(image, np.uint8)


def _flat(picture: Image.Image | NDArray[Any]) -> Image.Image:
    """Return a picture upright, in 8 bits, grey or coloured."""
    image = flat(Image.fromarray(checked(picture)) if isinstance(picture, np.ndarray) else picture)
    return image if image.mode in {"L", "RGB"} else image.convert("L" if image.mode == "1" else "RGB")
