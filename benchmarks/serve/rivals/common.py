"""What every rival is given: the same graph, opened the same way. Settings come by the environment."""

from __future__ import annotations

import os

import numpy as np
import onnxruntime

MODEL = os.environ["BENCH_MODEL"]
PORT = int(os.environ["BENCH_PORT"])
BATCH = int(os.environ["BENCH_BATCH"])
"""Most rows to compute at once; 1 turns batching off."""
WINDOW = 0.002
"""Seconds for which a batch may wait, where a rival has such a setting."""


class Net:
    """The model in ONNX Runtime on one thread."""

    def __init__(self) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(MODEL, options, providers=["CPUExecutionProvider"])

    def scores(self, rows: np.ndarray) -> np.ndarray:
        """Return the scores of rows, shape (rows, 2)."""
        return self._session.run(("scores",), {"x": np.ascontiguousarray(rows, np.float64)})[0]
