"""One digest over rows, columns and split: two runs with the same fingerprint saw the same data."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.contracts import Schema, Split, Task
from steelyard.contracts.ragged import flattened
from steelyard.data.dataset import Partition
from steelyard.data.hashing import Hashes, hash_columns
from steelyard.data.schema import task_to_json

_VERSION = "1"


def fingerprint(  # noqa: PLR0917 - the parts of a data set
    schema: Schema,
    task: Task,
    rows: Split,
    hashes: Mapping[str, Hashes],
    partition: Partition,
    unlabelled: Split | None = None,
) -> str:
    """Return the SHA-256 of a data set, in hexadecimal.

    Parameters
    ----------
    schema, task, rows, partition, unlabelled
        The parts of the data set.
    hashes
        A hash of every cell of every feature column (:func:`steelyard.data.hashing.hash_columns`): for images of
        what is in them, not of where they lie.
    """
    digest = hashlib.sha256(_VERSION.encode())
    kinds = [(column.name, column.kind.value) for column in schema.features]
    about = {k: v for k, v in task_to_json(task).items() if k in ("problem", "target", "classes")}
    digest.update(json.dumps([kinds, about, partition.protocol], ensure_ascii=False).encode())
    for name, _ in kinds:
        digest.update(np.ascontiguousarray(hashes[name]).tobytes())
    arrays = [rows.target, rows.rows, partition.test, partition.validation, partition.calibration]
    arrays += [positions for part in partition.parts for positions in (part.fit, part.score)]
    arrays += [each for each in (rows.weights, rows.amounts) if each is not None]
    if unlabelled is not None:
        arrays += hash_columns(unlabelled.columns, schema).values()
    for array in _plain(arrays):
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _plain(arrays: list[NDArray[Any]]) -> Iterator[NDArray[Any]]:
    """Yield arrays; of one that holds rows of tags all tags, and how many each row has."""
    for array in arrays:
        yield from flattened(array) if array.dtype == object else (array,)
