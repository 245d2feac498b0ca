"""CatBoost with its defaults: columns of text are its categorical features, as its documentation has it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from catboost import CatBoost, CatBoostClassifier, CatBoostRegressor

from runners.protocol import Job, as_frame, bytes_under


def fit(job: Job, train: Any) -> dict[str, Any]:
    """Fit a thousand trees, the default, on all rows."""
    kind = CatBoostRegressor if job.problem == "regression" else CatBoostClassifier
    model = kind(
        random_seed=job.seed,
        thread_count=job.threads,
        cat_features=job.text,
        allow_writing_files=False,
        verbose=False,
    )
    model.fit(_filled(train[list(job.columns)], job), train[job.target])
    model.save_model(_place(job))
    return {"chosen": f"{model.tree_count_} trees"}


def load(job: Job) -> Loaded:
    """Load the model."""
    return Loaded(job)


class Loaded:
    """A CatBoost model that answers frames, dicts by way of a frame, and dicts by way of a list of values."""

    def __init__(self, job: Job) -> None:
        kind: type[CatBoost] = CatBoostRegressor if job.problem == "regression" else CatBoostClassifier
        self._model = kind().load_model(_place(job))
        self._job, self._threads = job, job.threads
        self._text = frozenset(job.text)
        self.classes = None if job.problem == "regression" else [str(name) for name in self._model.classes_]
        self.size_bytes = bytes_under(_place(job))

    def many(self, table: Any) -> Any:
        return self._answer(_filled(table[list(self._job.columns)], self._job))

    def ways(self) -> Mapping[str, Callable[[Mapping[str, Any]], Any]]:
        return {"frame": as_frame(self.many), "list": self._from_list}

    def _from_list(self, row: Mapping[str, Any]) -> Any:
        """Answer one dict without a frame: quicker, for who orders the values by hand."""
        return self._answer([[_word(row[n]) if n in self._text else row[n] for n in self._job.columns]])

    def _answer(self, rows: Any) -> Any:
        if self.classes is None:
            return self._model.predict(rows, thread_count=self._threads)
        return self._model.predict_proba(rows, thread_count=self._threads)


def _filled(frame: Any, job: Job) -> Any:
    """Give missing text a name, which CatBoost asks for; missing numbers stay missing."""
    return frame.fillna(dict.fromkeys(job.text, ""))


def _word(value: object) -> object:
    return "" if value is None else value


def _place(job: Job) -> Path:
    return job.folder / "model.cbm"
