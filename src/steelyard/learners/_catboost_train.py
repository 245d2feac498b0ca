"""What calls CatBoost; loaded when something trains, because the package takes a second or two to import."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from catboost import CatBoost, FeaturesData, Pool
from numpy.typing import NDArray

from steelyard.contracts import Floats, Meter, Problem, Split, Work
from steelyard.learners._boosting import Clock, Watch
from steelyard.learners._catboost_cells import Cells
from steelyard.learners._ctrs import names
from steelyard.learners._outcomes import Outcomes
from steelyard.recipe import Settings

MOST_ROUNDS = 1000
"""CatBoost's own number of rounds, for which its learning rate is chosen."""
LOSS = {Problem.BINARY: "Logloss", Problem.MULTICLASS: "MultiClass", Problem.REGRESSION: "RMSE"}
PASSED = ("depth", "l2_leaf_reg", "random_strength", "rsm", "max_ctr_complexity", "one_hot_max_size")
_QUIET = {"verbose": False, "allow_writing_files": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """What a training is given: its cells, its target as ``outcomes`` code it, and the weights of its rows."""

    cells: Cells
    target: NDArray[Any]
    weights: Floats | None
    outcomes: Outcomes
    settings: Settings
    work: Work


@dataclass(frozen=True, slots=True, kw_only=True)
class Jury:
    """Validation rows: what stops a training early."""

    cells: Cells
    split: Split
    weights: Floats | None
    watch: Watch


@dataclass
class _Follower:
    """CatBoost's callback after each round, and its custom metric, which alone is shown running predictions."""

    clock: Clock
    outcomes: Outcomes
    jury: Jury | None
    rounds: int = 0
    no_jit: bool = True
    """What keeps CatBoost from compiling the metric where numba is installed, and from a warning where it is not."""
    _sums: Floats = field(default_factory=lambda: np.zeros(0))

    def __deepcopy__(self, memo: Any) -> _Follower:
        """Return itself: CatBoost copies its parameters, and the copy would see what this one needs."""
        return self

    def after_iteration(self, info: Any) -> bool:
        """Tell whether to go on."""
        self.rounds = info.iteration
        if self.jury is not None:
            loss = self.outcomes.loss(self._sums, self.jury.split, self.jury.weights)
            if not self.jury.watch.go_on(self.rounds, loss, lambda: self.outcomes.scores(self._sums)):
                return False
        return self.rounds < self.clock.wanted and not self.clock.late(self.rounds)

    def evaluate(self, approxes: Any, target: Any, weight: Any) -> tuple[float, float]:
        """Keep the predictions, of training rows and then of validation rows; the figure itself is not used."""
        del weight
        if self.jury is not None and len(target) == len(self.jury.split):
            self._sums = np.array(approxes, np.float64).T
        return 0.0, 1.0

    def is_max_optimal(self) -> bool:
        """Say that higher is better, which changes nothing."""
        return True

    def get_final_error(self, error: float, weight: float) -> float:
        """Return the figure as it is."""
        del weight
        return error


def train(course: Course, jury: Jury | None, *, rounds: int | None, meter: Meter) -> tuple[CatBoost, int, bool]:
    """Return a model, how many of its rounds count, and whether the deadline cut them short.

    With ``rounds`` exactly so many, else as many as lower the loss of the jury, or CatBoost's own number. The learning
    rate is the one that CatBoost chooses for its own number of rounds whatever their number will be, so that a
    training repeated for the rounds that another found adds the same trees.
    """
    follower = _Follower(Clock(meter, rounds or MOST_ROUNDS), course.outcomes, jury)
    parameters = {
        **_parameters(course),
        "iterations": max(MOST_ROUNDS, follower.clock.wanted),
        "learning_rate": min(1.0, _rate(course) * course.settings.number("pace", 1.0)),
    }
    pool = Pool(_features(course.cells), course.target, weight=course.weights)
    seen = None
    if jury is not None:
        parameters["eval_metric"] = follower
        seen = Pool(_features(jury.cells), _within(course, jury.split))
    model = CatBoost(parameters)
    model.fit(pool, eval_set=seen, callbacks=[follower])
    count = follower.rounds if jury is None else max(1, jury.watch.best)
    return model, count, follower.clock.out or (jury is not None and meter.remaining() <= 0)


def _within(course: Course, split: Split) -> NDArray[Any]:
    """Return the target of validation rows; those of a class without a training row count as any other."""
    target = course.outcomes.coded(split)
    return target if course.outcomes.task.problem is Problem.REGRESSION else np.minimum(target, course.target.max())


def _rate(course: Course) -> float:
    """Return the learning rate that CatBoost chooses by rows and rounds.

    It tells only after a training, so it is asked to train one round on one column.
    """

    class Once:
        def after_iteration(self, info: Any) -> bool:
            del info
            return False

    column = np.arange(len(course.target), dtype=np.float32).reshape(-1, 1)
    asked = {"iterations": MOST_ROUNDS, "depth": 1, "border_count": 1, "thread_count": 1, **_QUIET}
    model = CatBoost({**asked, "loss_function": LOSS[course.outcomes.task.problem]})
    model.fit(Pool(column, course.target), callbacks=[Once()])
    return float(model.get_all_params()["learning_rate"])


def _parameters(course: Course) -> dict[str, Any]:
    """Return CatBoost's parameters; the settings' names are its own."""
    return {
        **{name: value for name, value in course.settings.items() if name in PASSED},
        **_QUIET,
        "loss_function": LOSS[course.outcomes.task.problem],
        # Else rows that only stop the training would be counted, and a refit without them would be another model.
        "counter_calc_method": "SkipTest",
        "use_best_model": False,
        "random_seed": course.work.seed,
        "thread_count": course.work.threads,
    }


def predict(model: CatBoost, cells: Cells, *, rounds: int, threads: int) -> Floats:
    """Return the sums of a model's first rounds, shape (n,) or (n, sums)."""
    sums = model.predict(_features(cells), "RawFormulaVal", ntree_end=rounds, thread_count=threads)
    return np.asarray(sums, np.float64)


def _features(cells: Cells) -> FeaturesData:
    """Return cells as CatBoost reads them: numbers first, then categories by name."""
    return FeaturesData(
        num_feature_data=np.ascontiguousarray(cells.numbers) if cells.numbers.shape[1] else None,
        cat_feature_data=names(cells.known + 1)[cells.ids] if cells.ids.shape[1] else None,
    )
