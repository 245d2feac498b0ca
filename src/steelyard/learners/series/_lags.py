"""Boosted trees on lags: one model for every step ahead and every series, with the step as a column.

Direct forecasting with a global model: Montero-Manso, Hyndman: Principles and algorithms for forecasting groups of time
series: locality and globality. International Journal of Forecasting 2021, doi:10.1016/j.ijforecast.2021.03.004; boosted
trees on lags won the M5: Makridakis, Spiliotis, Assimakopoulos. International Journal of Forecasting 2022,
doi:10.1016/j.ijforecast.2021.11.013.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from steelyard.bundle.front_ends import FRONT_ENDS
from steelyard.clock import Phase, phase
from steelyard.contracts import (
    Artefact,
    Columns,
    Feed,
    Floats,
    Kind,
    Meter,
    Prior,
    Problem,
    Refusal,
    Schema,
    Setting,
    Space,
    Split,
    Task,
    Work,
)
from steelyard.data.histories import FUTURE, HISTORY, TIME, line_of
from steelyard.errors import need
from steelyard.learners._boosting import Clock
from steelyard.learners._graph import Graph
from steelyard.learners._settings import settings_of
from steelyard.learners._table import guess, refuse_without
from steelyard.learners._trees import trees
from steelyard.learners.series._choice import judged, some_of
from steelyard.learners.series._rows import Front, history_feed, refuse_others
from steelyard.recipe import Plan, Settings

if TYPE_CHECKING:
    import lightgbm

MOST = 100_000
"""Values ahead that trees are trained on at most, drawn evenly from all."""
JUDGED = 20_000
"""Values ahead that say when to stop."""
MOST_ROUNDS, PATIENCE, UNWATCHED = 400, 15, 100
EVERY = 50
"""Rounds after which the aim is reported, on so many values ahead."""
SHOWN = 4_000
FAR = np.float32(1e4)
"""Farthest that a value ahead may lie from the last one, in sizes, and still be learned from as it is."""
ABSOLUTE = frozenset({"mae", "mase", "smape", "value"})
"""Aims that the median serves; the others are served by the mean."""

SETTINGS = {
    "lags": Setting(
        default=14, low=1, high=200, log=True, unit="steps", about="Values before the last one that are seen."
    ),
    "learning_rate": Setting(default=0.1, low=0.01, high=0.3, log=True, about="Share of each tree that is added."),
    "num_leaves": Setting(default=31, low=4, high=255, log=True, unit="leaves", about="Most leaves of a tree."),
    "min_child_samples": Setting(default=50, low=5, high=1000, log=True, unit="rows", about="Values ahead in a leaf."),
    "feature_fraction": Setting(default=0.8, low=0.2, high=1.0, about="Share of columns that a tree sees."),
}


class GbdtLags:
    """LightGBM on lags, means, the season, the calendar and what is known ahead; the step ahead is a column."""

    name = "gbdt-lags"
    honours = frozenset({"settings", "rounds"})
    modules = ("lightgbm",)
    about = "Boosted trees on lags, means, the season, the calendar and what is known ahead; one model for all steps."
    problems = frozenset({Problem.FORECASTING})

    def accepts(self, task: Task, schema: Schema) -> Refusal | None:
        """Refuse what is no forecast, and a machine without LightGBM."""
        del schema
        return refuse_others(self.name, task) or refuse_without(self.name, "lightgbm")

    def space(self, task: Task, schema: Schema) -> Space:
        """Return how many lags are seen, and the size of trees."""
        del task, schema
        return Space(SETTINGS)

    def prior(self, task: Task, schema: Schema, rows: int) -> Prior:
        """Return a guess from the values ahead and 300 rounds."""
        del schema
        cells = min(rows * task.width, MOST)
        return guess(seconds=2.0 + 200 * (2e-3 + 1e-8 * cells * 40) + 5e-6 * rows * task.width, gain=0.4)

    def fit(self, plan: Plan, train: Split, valid: Split | None, work: Work, meter: Meter) -> FittedLags:
        """Add trees while they lower the loss on ``valid``, or as many as the plan says."""
        settings, task = settings_of(self.name, self.space(work.task, work.schema), plan), work.task
        front = Front((_feed(task, work.schema, int(settings.number("lags", 14))),))
        random = np.random.default_rng(work.seed)
        features, target = _cells(front, train, task, MOST, random)
        library: Any = need("lightgbm", for_=self.name)
        parameters = _parameters(settings, task, work, len(target))
        with phase(Phase.PREPARING):
            data = library.Dataset(features, target, params=parameters)
            booster = library.Booster(parameters, data)
        seen = None if plan.rounds is not None or valid is None else _cells(front, valid, task, JUDGED, random)
        watch = None
        if seen is not None and valid is not None:
            booster.add_valid(library.Dataset(*seen, reference=data, params=parameters), "valid")
            watch = _Watch(task, some_of(valid, max(1, SHOWN // task.width)), meter)
        wanted = plan.rounds or (MOST_ROUNDS if watch is not None else UNWATCHED)
        clock = Clock(meter, wanted)
        step = 0
        for step in range(1, wanted + 1):
            finished = booster.update()
            if watch is not None and not watch.go_on(step, FittedLags(task, front, booster, step, work)):
                break
            if finished or clock.late(step):
                break
        rounds = watch.best if watch is not None and watch.best else step
        return FittedLags(task, front, booster, rounds, work, stopped=clock.out)


def _feed(task: Task, schema: Schema, lags: int) -> Feed:
    """Return what trees see; the calendar where times are moments."""
    line, base = line_of(task), history_feed(task).options
    columns = [HISTORY, *([FUTURE] if line.known else [])]
    options = {**base, "series": len(task.series), "horizon": task.horizon, "season": task.season, "lags": lags}
    options |= {"known": len(line.known)} if line.known else {}
    if any(column.name == TIME and column.kind is Kind.TIME for column in schema.columns):
        columns.append(TIME)
        options["step"] = {"size": line.size, "unit": line.unit, "start": line.start, "day": line.day}
    return Feed("lags", ("features", "base", "size"), tuple(columns), options)


@phase(Phase.PREPARING)
def _cells(
    front: Front, rows: Split, task: Task, most: int, random: np.random.Generator
) -> tuple[NDArray[np.float32], Floats]:
    """Return features and scaled values of some steps ahead: of all that are known, or of as many drawn evenly."""
    extract = FRONT_ENDS["lags"](front.feeds[0], front.files)
    share = min(1.0, most / max(1, len(rows) * task.width))
    kept_rows = rows if share > 1 / task.width else some_of(rows, most)
    share = min(1.0, most / max(1, len(kept_rows) * task.width))
    features, target = [], []
    for start in range(0, len(kept_rows), extract.batch):
        part = kept_rows.take(np.arange(start, min(start + extract.batch, len(kept_rows))))
        made = extract(part.columns)
        value = (part.target - made["base"]) / made["size"]
        chosen = ~np.isnan(value) & (random.random(value.shape) < share)
        features.append(made["features"][chosen])
        target.append(np.clip(value[chosen], -FAR, FAR))
    return np.concatenate(features), np.concatenate(target)


def _parameters(settings: Settings, task: Task, work: Work, rows: int) -> dict[str, Any]:
    """Return LightGBM's parameters; the settings' names are its own."""
    return {
        **{name: value for name, value in settings.items() if name != "lags"},
        "objective": "regression_l1" if task.aim in ABSOLUTE else "regression",
        "min_child_samples": max(1, min(int(settings.number("min_child_samples", 50)), rows // 20)),
        "bagging_fraction": 0.8,
        "bagging_freq": 1,
        "lambda_l2": 1.0,
        "seed": work.seed,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": work.threads,
        "verbosity": -1,
    }


@dataclass(slots=True)
class _Watch:
    """Knows the loss on rows that did not train, and the best round so far."""

    task: Task
    few: Split
    meter: Meter
    best: int = 0
    loss: float = float("inf")

    def go_on(self, step: int, so_far: FittedLags) -> bool:
        """Take note of the loss; report the aim now and then; tell whether to go on."""
        loss = float(so_far.booster.eval_valid()[0][2])
        if loss < self.loss:
            self.best, self.loss = step, loss
        if step - self.best >= PATIENCE:
            return False
        if step % EVERY:
            return True
        value = judged(self.task, self.few, so_far.scores(self.few.columns))
        return not np.isfinite(value) or self.meter.report(step, value)


@dataclass(frozen=True, slots=True)
class FittedLags:
    """Trees on the front end ``lags``."""

    task: Task
    front: Front
    booster: lightgbm.Booster
    rounds: int | None
    work: Work
    stopped: bool = False

    def scores(self, columns: Columns) -> Floats:
        """Return LightGBM's own predictions, scaled back."""
        extract = FRONT_ENDS["lags"](self.front.feeds[0], self.front.files)
        rows = len(next(iter(columns.values())))
        made = np.empty((rows, self.task.width))
        for start in range(0, rows, extract.batch):
            some = slice(start, min(start + extract.batch, rows))
            read = extract({name: cells[some] for name, cells in columns.items()})
            flat = read["features"].reshape(-1, read["features"].shape[2])
            told = self.booster.predict(flat, num_iteration=self.rounds, num_threads=self.work.threads)
            made[some] = np.asarray(told).reshape(-1, self.task.width) * read["size"] + read["base"]
        return made

    def export(self) -> Artefact:
        """Return the trees, between a reshape to one row a value and one back."""
        graph, width = Graph(), self.task.width
        columns = self.booster.num_feature()
        features = graph.input("features", TensorProto.FLOAT, ["n", width, columns])
        base, size = (graph.input(name, TensorProto.FLOAT, ["n", width]) for name in ("base", "size"))
        flat = graph.add("Reshape", features, graph.constant(np.array([-1, columns], np.int64)))
        told = trees(graph, flat, self.booster.model_to_string(num_iteration=self.rounds), sums=1)
        wide = graph.add("Reshape", told, graph.constant(np.array([-1, width], np.int64)))
        scores = graph.add("Add", graph.add("Mul", wide, size), base, output="scores")
        return Artefact(graph.seal((scores, TensorProto.FLOAT, ["n", width])), self.front.feeds)
