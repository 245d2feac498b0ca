"""LightGBM with its defaults, by its scikit-learn interface; columns of text are pandas categories."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lightgbm import LGBMClassifier, LGBMRegressor

from runners.categories import typed, types_of
from runners.protocol import Job, as_frame, bytes_under


def fit(job: Job, train: Any) -> dict[str, Any]:
    """Fit a hundred trees, the default, on all rows."""
    kind = LGBMRegressor if job.problem == "regression" else LGBMClassifier
    model = kind(random_state=job.seed, n_jobs=job.threads, verbose=-1)
    types = types_of(job, train)
    model.fit(typed(train, types), train[job.target])
    _place(job).write_bytes(pickle.dumps((model, types)))
    return {"chosen": f"{model.n_estimators_} rounds"}


def load(job: Job) -> Loaded:
    """Load the model."""
    return Loaded(job)


class Loaded:
    """A LightGBM model with the types of its columns."""

    def __init__(self, job: Job) -> None:
        self._model, self._types = pickle.loads(_place(job).read_bytes())  # our own file, written a moment ago
        self._model.set_params(n_jobs=job.threads)
        self.classes = None if job.problem == "regression" else [str(name) for name in self._model.classes_]
        self.size_bytes = bytes_under(_place(job))

    def many(self, table: Any) -> Any:
        frame = typed(table, self._types)
        return self._model.predict(frame) if self.classes is None else self._model.predict_proba(frame)

    def ways(self) -> Mapping[str, Callable[[Mapping[str, Any]], Any]]:
        return {"frame": as_frame(self.many)}


def _place(job: Job) -> Path:
    return job.folder / "model.pickle"
