"""Large pools of real predictions: the truth that validation samples of a few hundred rows are drawn from.

Each set is a public table with many rows. Several models are trained on :data:`TRAINED` of them and answer all the
others; those answers are the pool. A figure on the whole pool is the truth; a sample of its rows is what a run would
have validated on. Made once and kept in ``benchmarks/money/cache`` (about a minute a set).
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from steelyard.contracts import Answer, Problem, Task

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("STEELYARD_DATA", ROOT.parent / "shared" / "data"))
CACHE = Path(__file__).resolve().parent / "cache"
TRAINED = 3_000
"""Rows that models are trained on; about what a small user has."""
NEVER = ("split", "No", "year")
VALUE = ((0.0, -2.0), (-10.0, 6.0))
"""Money for one decision of a binary set: true class, then the class decided on."""


@dataclass(frozen=True)
class Pool:
    """Rows with their truth, and what each model answers; ``names`` from the cheapest model to the dearest."""

    name: str
    task: Task
    target: np.ndarray[Any, Any]
    names: tuple[str, ...]
    scores: np.ndarray[Any, Any]

    def __len__(self) -> int:
        return len(self.target)

    def answer(self, model: int, rows: np.ndarray[Any, Any] | slice = slice(None)) -> Answer:
        """Return what a model answers to some rows."""
        scores = self.scores[model][rows].astype(np.float64)
        if self.task.problem is Problem.REGRESSION:
            return Answer(scores, scores[:, 0])
        return Answer(scores / scores.sum(axis=1, keepdims=True), scores.argmax(axis=1))


def _adult() -> tuple[pl.DataFrame, str]:
    return pl.read_csv(DATA / "adult_income" / "data.csv.gz"), "income"


def _beijing() -> tuple[pl.DataFrame, str]:
    return pl.read_csv(DATA / "beijing_pm25" / "data.csv.gz", null_values=["NA"]).drop_nulls("pm2.5"), "pm2.5"


def _pmlb(name: str) -> Callable[[], tuple[pl.DataFrame, str]]:
    return lambda: (pl.read_csv(DATA / "pmlb" / f"{name}.tsv.gz", separator="\t"), "target")


SETS: dict[str, tuple[Problem, Callable[[], tuple[pl.DataFrame, str]]]] = {
    "adult": (Problem.BINARY, _adult),
    "connect_4": (Problem.MULTICLASS, _pmlb("connect_4")),
    "beijing_pm25": (Problem.REGRESSION, _beijing),
    "houses": (Problem.REGRESSION, _pmlb("537_houses")),
}


def _numbers(frame: pl.DataFrame) -> np.ndarray[Any, Any]:
    """Return columns as numbers: categories one by one where there are few, by their rank where there are many."""
    columns = []
    for column in frame.iter_columns():
        if column.dtype == pl.String:
            codes = column.rank("dense").fill_null(0).to_numpy()
            kept = np.unique(codes)
            columns += [(codes == k).astype(float) for k in kept] if len(kept) <= 20 else [codes.astype(float)]
        else:
            columns.append(column.cast(pl.Float64).fill_null(-1.0).fill_nan(-1.0).to_numpy())
    return np.column_stack(columns)


def _models(problem: Problem) -> list[tuple[str, Any, int]]:
    """Return models with the rows that each is trained on, from the cheapest to answer to the dearest."""
    import lightgbm as lgb
    from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    regression = problem is Problem.REGRESSION
    gbm = lgb.LGBMRegressor if regression else lgb.LGBMClassifier
    tree = DecisionTreeRegressor if regression else DecisionTreeClassifier
    forest = ExtraTreesRegressor if regression else ExtraTreesClassifier

    def boosted(rounds: int, leaves: int, seed: int = 0) -> Any:
        more = {"subsample": 0.8, "subsample_freq": 1, "random_state": seed, "n_jobs": 1, "verbose": -1}
        return gbm(n_estimators=rounds, num_leaves=leaves, learning_rate=0.05, **more)

    def linear(strength: float) -> Any:
        last = Ridge(alpha=1 / strength) if regression else LogisticRegression(C=strength, max_iter=300)
        return make_pipeline(StandardScaler(), last)

    return [
        ("tree", tree(min_samples_leaf=40, random_state=0), TRAINED),
        ("linear", linear(1.0), TRAINED),
        ("linear, strong", linear(0.003), TRAINED),
        ("boosted 40", boosted(40, 15), TRAINED),
        ("boosted 80, half", boosted(80, 15), TRAINED // 2),
        ("boosted 80", boosted(80, 15), TRAINED),
        ("boosted 81", boosted(80, 15, seed=1), TRAINED),
        ("boosted 200, 2/3", boosted(200, 31), 2 * TRAINED // 3),
        ("boosted 200", boosted(200, 31), TRAINED),
        ("forest", forest(150, min_samples_leaf=2, random_state=0, n_jobs=1), TRAINED),
    ]


def pool(name: str) -> Pool:
    """Return a pool, made where it is not kept yet."""
    file = CACHE / f"{name}.npz"
    if not file.exists():
        CACHE.mkdir(exist_ok=True)
        (CACHE / ".gitignore").write_text("*\n", encoding="utf-8")
        np.savez_compressed(file, **_made(name))
    kept = np.load(file)
    problem = SETS[name][0]
    classes = tuple(str(c) for c in kept["classes"])
    binary = problem is Problem.BINARY
    aims = {Problem.BINARY: "roc_auc", Problem.MULTICLASS: "accuracy", Problem.REGRESSION: "rmse"}
    task = Task(
        problem=problem,
        target="y",
        aim=aims[problem],
        classes=classes,
        positive=classes[-1] if binary else None,
        value=VALUE if binary else None,
    )
    return Pool(name, task, kept["target"], tuple(kept["names"]), kept["scores"])


def _made(name: str) -> dict[str, Any]:
    problem, read = SETS[name]
    frame, column = read()
    target = frame[column]
    x = _numbers(frame.drop(column, *(c for c in NEVER if c in frame.columns)))
    classes = [] if problem is Problem.REGRESSION else sorted(target.cast(pl.String).unique().to_list())
    y = target.to_numpy().astype(float) if not classes else np.searchsorted(classes, target.cast(pl.String).to_numpy())
    order = np.random.default_rng(zlib.crc32(name.encode())).permutation(len(y))
    train, rest = order[:TRAINED], order[TRAINED:]
    names, scores = [], []
    for title, model, rows in _models(problem):
        fitted = model.fit(x[train[:rows]], y[train[:rows]])
        shown = fitted.predict_proba(x[rest]) if classes else fitted.predict(x[rest])[:, None]
        names.append(title)
        scores.append(np.clip(shown, 1e-4, 1.0) if classes else shown)
    return {"target": y[rest], "classes": classes, "names": names, "scores": np.array(scores, dtype=np.float32)}


def samples(size: int, of: int, count: int, seed: int) -> Sequence[np.ndarray[Any, Any]]:
    """Return rows drawn without replacement, ``count`` times; what is left of the pool are the further rows."""
    random = np.random.default_rng(seed)
    return [random.choice(of, size, replace=False, shuffle=False) for _ in range(count)]
