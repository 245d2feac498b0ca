"""AutoGluon's TabularPredictor, with what its documentation advises for deployment.

After the search the best model is refitted on all rows (``refit_full``; the better presets do so themselves), a
copy with only what predicting needs is made (``clone_for_deployment``), and for timing its models are held in memory
(``persist``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from autogluon.tabular import TabularPredictor

from runners.protocol import Job, as_frame, bytes_under

METRICS = {"roc_auc": "roc_auc", "log_loss": "log_loss", "rmse": "root_mean_squared_error"}


def fit(job: Job, train: Any) -> dict[str, Any]:
    """Search with a preset for the budget, refit the best, and keep the copy to deploy."""
    predictor = TabularPredictor(
        label=job.target,
        problem_type=job.problem,
        eval_metric=METRICS[job.metric],
        path=str(job.folder / "search"),
        verbosity=2,
        learner_kwargs={"random_state": job.seed},
    )
    predictor.fit(train, time_limit=job.budget, num_cpus=job.threads, **job.options)
    searched = predictor.model_best
    if not predictor.model_refit_map():
        predictor.refit_full(model="best", set_best_to_refit_full=True)
    predictor.clone_for_deployment(str(job.folder / "model"))
    return {"chosen": predictor.model_best, "searched": searched, "models": len(predictor.model_names())}


def load(job: Job) -> Loaded:
    """Load the copy to deploy and hold its models in memory."""
    return Loaded(job)


class Loaded:
    """A deployed predictor."""

    def __init__(self, job: Job) -> None:
        place = job.folder / "model"
        self._predictor = TabularPredictor.load(str(place))
        self._predictor.persist()
        self.classes = None if job.problem == "regression" else [str(name) for name in self._predictor.class_labels]
        self.size_bytes = bytes_under(place)

    def many(self, table: Any) -> Any:
        if self.classes is None:
            return self._predictor.predict(table, as_pandas=False)
        return self._predictor.predict_proba(table, as_pandas=False)

    def ways(self) -> Mapping[str, Callable[[Mapping[str, Any]], Any]]:
        return {"frame": as_frame(self.many)}
