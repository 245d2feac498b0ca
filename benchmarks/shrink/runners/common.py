"""What a rival is given: a float graph, and the inputs of some training rows, in batches."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np


class Reader:
    """Batches as ONNX Runtime's calibration asks for them."""

    def __init__(self, file: Path) -> None:
        held = np.load(file)
        self.batches: list[dict[str, Any]] = []
        for name in held.files:
            batch, _, tensor = name.partition("/")
            while len(self.batches) <= int(batch):
                self.batches.append({})
            self.batches[int(batch)][tensor] = held[name]
        self.rewind()

    def rewind(self) -> None:
        """Begin again."""
        self._left = iter(self.batches)

    def get_next(self) -> dict[str, Any] | None:
        """Return the next batch of inputs, or ``None`` after the last."""
        return next(self._left, None)


def given() -> tuple[Path, Reader, Path]:
    """Return the graph, the calibration rows and the folder that results go to, from the command line."""
    graph, rows, folder = (Path(word) for word in sys.argv[1:4])
    return graph, Reader(rows), folder


def attempt(name: str, make: Any) -> None:
    """Make one variant; say why where it fails, and go on with the next."""
    try:
        make()
    except Exception as problem:  # noqa: BLE001 - a rival may fail in any way; it is printed, and its row is missing
        print(f"{name}: {type(problem).__name__}: {problem}"[:300], file=sys.stderr)
