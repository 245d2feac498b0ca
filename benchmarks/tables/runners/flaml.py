"""FLAML's AutoML with a time budget, everything else as it comes."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from flaml import AutoML

from runners.protocol import Job, as_frame, bytes_under


def fit(job: Job, train: Any) -> dict[str, Any]:
    """Search for the budget; FLAML trains its choice on all rows by itself."""
    automl = AutoML()
    automl.fit(
        X_train=train[list(job.columns)],
        y_train=train[job.target],
        task="regression" if job.problem == "regression" else "classification",
        metric=job.metric,
        time_budget=job.budget,
        n_jobs=job.threads,
        seed=job.seed,
        verbose=1,
    )
    if automl.model is None:
        raise RuntimeError("FLAML ended without a model")
    _place(job).write_bytes(pickle.dumps(automl, pickle.HIGHEST_PROTOCOL))
    return {"chosen": automl.best_estimator, "config": automl.best_config}


def load(job: Job) -> Loaded:
    """Load the model."""
    return Loaded(job)


class Loaded:
    """FLAML's object with its own preprocessing."""

    def __init__(self, job: Job) -> None:
        self._automl = pickle.loads(_place(job).read_bytes())  # our own file, written a moment ago
        self._columns = list(job.columns)
        inner = getattr(self._automl.model, "estimator", None)
        if hasattr(inner, "get_params") and "n_jobs" in inner.get_params():
            inner.set_params(n_jobs=job.threads)  # two threads on one core would only get in each other's way
        self.classes = None if job.problem == "regression" else [str(name) for name in self._automl.classes_]
        self.size_bytes = bytes_under(_place(job))

    def many(self, table: Any) -> Any:
        frame = table[self._columns]
        return self._automl.predict(frame) if self.classes is None else self._automl.predict_proba(frame)

    def ways(self) -> Mapping[str, Callable[[Mapping[str, Any]], Any]]:
        return {"frame": as_frame(self.many)}


def _place(job: Job) -> Path:
    return job.folder / "model.pickle"
