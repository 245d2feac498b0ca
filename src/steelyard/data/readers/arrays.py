"""Images and labels as numpy arrays in one ``.npz`` file."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.data.coerce import objects
from steelyard.data.fast import tidy
from steelyard.data.table import Cells
from steelyard.errors import DataUnreadable, need

_PAIRS = (("images", "labels"), ("x", "y"), ("X", "y"), ("data", "target"))
_SPLIT_PAIRS = (("x_train", "y_train", "train"), ("x_test", "y_test", "test"))


def read(path: Path, target: str) -> dict[str, Cells]:
    """Return columns ``image`` (PNG bytes) and the target; ``split`` too where train and test are apart.

    The arrays are named ``images`` and ``labels``, or ``x`` and ``y``, or ``x_train``, ``y_train``, ``x_test``,
    ``y_test``; images are uint8 of shape (n, height, width) or (n, height, width, 1 or 3).

    Raises
    ------
    DataUnreadable
        If the arrays have other names, types, shapes or lengths.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            held = {name: stored[name] for name in stored.files}
    except (ValueError, OSError, zipfile.BadZipFile) as problem:
        raise DataUnreadable(f"{path} cannot be read as arrays ({problem}); save it with numpy.savez") from None
    parts = [(held[x], held[y], side) for x, y, side in _SPLIT_PAIRS if x in held and y in held]
    if len(parts) < len(_SPLIT_PAIRS):
        parts = [(held[x], held[y], "") for x, y in _PAIRS if x in held and y in held][:1]
    if not parts:
        raise DataUnreadable(f"{path} holds {', '.join(held)}; name its arrays images and labels, or x and y")
    columns: dict[str, Cells] = {"image": objects(png for x, y, _ in parts for png in _pngs(x, y, path))}
    columns[target] = tidy(np.concatenate([np.asarray(y).reshape(-1) for _, y, _ in parts]))
    if parts[0][2]:
        columns["split"] = tidy([side for x, _, side in parts for _ in range(len(x))])
    return columns


def _pngs(images: NDArray[Any], labels: NDArray[Any], path: Path) -> list[bytes]:
    shape = images.shape
    fits = images.dtype == np.uint8 and (images.ndim == 3 or (images.ndim == 4 and shape[3] in (1, 3)))
    if not fits:
        raise DataUnreadable(
            f"{path}: images are {images.dtype} of shape {shape}; save uint8 of shape (n, height, width) or "
            "(n, height, width, 3)"
        )
    if len(labels) != len(images) or not len(images):
        raise DataUnreadable(f"{path}: {len(images)} images but {len(labels)} labels; save one label an image")
    return [_png(image[:, :, 0] if image.ndim == 3 and image.shape[2] == 1 else image) for image in images]


def _png(image: NDArray[np.uint8]) -> bytes:
    stream = io.BytesIO()
    need("PIL.Image", for_="images").fromarray(image).save(stream, format="PNG", compress_level=1)
    return stream.getvalue()
