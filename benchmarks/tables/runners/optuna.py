"""Optuna's TPE over LightGBM: the space of Optuna's own example with a learning rate, early stopping, then a refit.

Small data is cross-validated, large data has a holdout. The first trial is LightGBM's default. A trial that would
go past the budget is cut, and time is kept for the refit, so that this rival keeps its budget.
"""

from __future__ import annotations

import json
import pickle
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import optuna

from runners.categories import typed, types_of
from runners.protocol import Job, as_frame, bytes_under

OBJECTIVES = {"binary": ("binary", "auc"), "multiclass": ("multiclass", "multi_logloss"), "regression": ("l2", "rmse")}
FOLDS_BELOW, FOLDS, HOLDOUT = 5_000, 5, 0.2
ROUNDS, PATIENCE = 2_000, 50
DEFAULTS = {
    "learning_rate": 0.1,
    "num_leaves": 31,
    "min_child_samples": 20,
    "feature_fraction": 1.0,
    "bagging_fraction": 1.0,
    "bagging_freq": 1,
    "lambda_l1": 1e-8,
    "lambda_l2": 1e-8,
}


def space(trial: optuna.Trial) -> dict[str, Any]:
    """Draw settings."""
    return {
        "learning_rate": trial.suggest_float("learning_rate", 0.01, 0.3, log=True),
        "num_leaves": trial.suggest_int("num_leaves", 2, 256, log=True),
        "min_child_samples": trial.suggest_int("min_child_samples", 5, 100),
        "feature_fraction": trial.suggest_float("feature_fraction", 0.4, 1.0),
        "bagging_fraction": trial.suggest_float("bagging_fraction", 0.4, 1.0),
        "bagging_freq": trial.suggest_int("bagging_freq", 1, 7),
        "lambda_l1": trial.suggest_float("lambda_l1", 1e-8, 10.0, log=True),
        "lambda_l2": trial.suggest_float("lambda_l2", 1e-8, 10.0, log=True),
    }


def fit(job: Job, train: Any) -> dict[str, Any]:
    """Search until little more than a refit fits into the budget, then refit the best."""
    search = Search(job, train)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        direction="maximize" if job.problem == "binary" else "minimize",
        sampler=optuna.samplers.TPESampler(seed=job.seed),
    )
    study.enqueue_trial(DEFAULTS)
    while search.left() > 0:
        study.optimize(search.trial, n_trials=1)
    done = study.get_trials(states=[optuna.trial.TrialState.COMPLETE])
    best = study.best_trial if done else None
    settings = DEFAULTS if best is None else best.params
    rounds = 100 if best is None else best.user_attrs["rounds"]
    booster = lightgbm.train({**search.fixed, **settings}, search.dataset(), num_boost_round=rounds)
    booster.save_model(_place(job) / "model.txt")
    (_place(job) / "types.pickle").write_bytes(pickle.dumps(search.types))
    (_place(job) / "classes.json").write_text(json.dumps(search.classes), encoding="utf-8")
    return {"chosen": f"{rounds} rounds", "config": settings, "trials": len(done)}


class Search:
    """The objective, and the clock that ends it."""

    def __init__(self, job: Job, train: Any) -> None:
        self._end = time.perf_counter() + job.budget
        self._refit = 0.0
        self.types = types_of(job, train)
        self._frame = typed(train, self.types)
        target = train[job.target]
        self.classes = None if job.problem == "regression" else sorted(target.unique())
        self._target = target if self.classes is None else np.searchsorted(self.classes, target)
        objective, self._metric = OBJECTIVES[job.problem]
        self.fixed = {
            "objective": objective,
            "metric": self._metric,
            "num_threads": job.threads,
            "seed": job.seed,
            "verbosity": -1,
            "feature_pre_filter": False,
        }
        if job.problem == "multiclass":
            self.fixed["num_class"] = len(self.classes or ())
        self._folds = self._cut(job)
        _place(job).mkdir(exist_ok=True)

    def left(self) -> float:
        """Return the seconds until the refit must begin."""
        return self._end - time.perf_counter() - max(0.5, 1.5 * self._refit)

    def dataset(self) -> lightgbm.Dataset:
        """Return all rows for training."""
        return lightgbm.Dataset(self._frame, self._target, free_raw_data=False)

    def trial(self, trial: optuna.Trial) -> float:
        """Return the mean validation figure of some settings; remember the rounds that early stopping found."""
        began = time.perf_counter()
        found = lightgbm.cv(
            {**self.fixed, **space(trial)},
            self.dataset(),
            num_boost_round=ROUNDS,
            folds=self._folds,
            callbacks=[lightgbm.early_stopping(PATIENCE, verbose=False), self._in_time],
        )
        curve = found[f"valid {self._metric}-mean"]
        trial.set_user_attr("rounds", len(curve))
        self._refit = max(self._refit, (time.perf_counter() - began) / len(self._folds))
        return float(curve[-1])

    def _in_time(self, _: Any) -> None:
        if self.left() <= 0:
            raise optuna.TrialPruned

    def _cut(self, job: Job) -> list[tuple[Any, Any]]:
        from sklearn.model_selection import KFold, ShuffleSplit, StratifiedKFold, StratifiedShuffleSplit

        values = job.problem == "regression"
        if len(self._frame) < FOLDS_BELOW:
            cut: Any = (KFold if values else StratifiedKFold)(FOLDS, shuffle=True, random_state=job.seed)
        else:
            cut = (ShuffleSplit if values else StratifiedShuffleSplit)(1, test_size=HOLDOUT, random_state=job.seed)
        return list(cut.split(self._frame, self._target))


def load(job: Job) -> Loaded:
    """Load the model."""
    return Loaded(job)


class Loaded:
    """A booster with the types of its columns."""

    def __init__(self, job: Job) -> None:
        place = _place(job)
        self._booster = lightgbm.Booster(model_file=place / "model.txt", params={"num_threads": job.threads})
        self._types = pickle.loads((place / "types.pickle").read_bytes())  # our own file, written a moment ago
        self.classes = json.loads((place / "classes.json").read_text(encoding="utf-8"))
        self.size_bytes = bytes_under(place)
        self._threads = job.threads

    def many(self, table: Any) -> Any:
        answer = self._booster.predict(typed(table, self._types), num_threads=self._threads)
        if self.classes is not None and len(self.classes) == 2:
            return np.column_stack([1 - answer, answer])
        return answer

    def ways(self) -> Mapping[str, Callable[[Mapping[str, Any]], Any]]:
        return {"frame": as_frame(self.many)}


def _place(job: Job) -> Path:
    return job.folder / "model"
