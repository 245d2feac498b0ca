"""A run in MLflow's tracking: the run with its decision, report and model; a nested run for each trial."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from steelyard.contracts import Trial
from steelyard.errors import ExportRefused, need
from steelyard.export.formats import Given, Written
from steelyard.export.mlmodel import write_model
from steelyard.export.settings import settings_of
from steelyard.export.view import View

_VIEWS = ("report.html", "report.json", "card.md", "spec.yaml")
_LONGEST = 500
"""Characters of a value that every version of MLflow takes."""
_MOST = 100
"""Parameters of a call; of metrics MLflow takes ten times as many."""


def track(view: View, given: Given) -> Written:
    """Write the run where ``--tracking-uri`` says, or where MLflow itself is set to.

    Raises
    ------
    MissingExtra
        If MLflow is not installed.
    ExportRefused
        If the server cannot be reached, or refuses.
    """
    mlflow = need("mlflow", for_="--to mlflow")
    refused = need("mlflow.exceptions", for_="--to mlflow").MlflowException
    try:
        client = mlflow.MlflowClient(tracking_uri=given.tracking_uri or None)
        return _Tracker(client, view).write(given.experiment or "steelyard")
    except refused as problem:
        said = str(problem).strip().splitlines()[0]
        raise ExportRefused(f"MLflow refuses: {said[:300]}; see --tracking-uri and --experiment") from problem


@dataclass(frozen=True, slots=True)
class _Tracker:
    """Writes one run by a client of MLflow's."""

    client: Any
    view: View

    def write(self, experiment: str) -> Written:
        """Write the run and its trials; return the address of the model."""
        known = self.client.get_experiment_by_name(experiment)
        place = known.experiment_id if known is not None else self.client.create_experiment(experiment)
        record, report = self.view.record, self.view.report
        about = {"fingerprint": record.fingerprint, "task": report["task"]["problem"], "protocol": record.protocol}
        tags = {
            "mlflow.source.name": "steelyard",
            "steelyard.folder": str(record.folder),
            "steelyard.ending": record.ending,
        }
        decision = report["decision"]
        if decision is not None:
            about |= {"candidate": decision["recipe"]}
            tags |= {
                "mlflow.note.content": "\n".join(decision["reasons"]),
                "steelyard.feasible": str(decision["feasible"]),
            }
        parent = self._begin(place, record.name, tags)
        self._log(parent, about, _of_run(report))
        for trial, row in zip(record.trials, self.view.rows(), strict=True):
            self._write_trial(place, parent, trial, row)
        said = self._artefacts(parent)
        self._end(parent, float(record.spent.seconds), is_well=decision is not None)
        return Written(f"runs:/{parent}", said=(f"{len(record.trials)} trials in experiment {experiment!r}", *said))

    def _begin(self, place: str, name: str, tags: Mapping[str, str]) -> str:
        given = {key: value[:5000] for key, value in tags.items()}
        began = round(1000 * self.view.began)
        return str(self.client.create_run(place, start_time=began, tags=given, run_name=name).info.run_id)

    def _end(self, run: str, seconds: float, *, is_well: bool) -> None:
        ended = round(1000 * (self.view.began + seconds))
        self.client.set_terminated(run, "FINISHED" if is_well else "FAILED", end_time=ended)

    def _write_trial(self, place: str, parent: str, trial: Trial, row: Mapping[str, Any]) -> None:
        tags = {"mlflow.parentRunId": parent, "steelyard.lever": trial.lever, "steelyard.ending": row["ending"]}
        said = row["rejected"] or row["passed_over"] or trial.note
        run = self._begin(
            place, f"{trial.number}: {row['title']}", tags | ({"mlflow.note.content": said} if said else {})
        )
        figures = ((name, value, 0) for name, value in row.items() if name != "number")
        curve = ((f"{kind}_{self.view.record.task.aim}", value, step) for kind, step, value in self.view.curve(trial))
        self._log(run, settings_of(trial.recipe), [*figures, *curve])
        self._end(run, float(trial.seconds), is_well=trial.ending.usable)

    def _log(self, run: str, params: Mapping[str, Any], metrics: Iterable[tuple[str, Any, int]]) -> None:
        """Log settings, and those figures that are finite numbers."""
        entities = need("mlflow.entities", for_="--to mlflow")
        given = [entities.Param(_plain(name), str(value)[:_LONGEST]) for name, value in params.items()]
        when = round(1000 * self.view.began)
        told = [
            entities.Metric(_plain(name), float(value), when, step)
            for name, value, step in metrics
            if _is_figure(value)
        ]
        for start in range(0, max(len(given), 1), _MOST):
            self.client.log_batch(run, params=given[start : start + _MOST])
        for start in range(0, len(told), 10 * _MOST):
            self.client.log_batch(run, metrics=told[start : start + 10 * _MOST])

    def _artefacts(self, run: str) -> tuple[str, ...]:
        for name in _VIEWS:
            if (path := self.view.record.folder / name).is_file():
                self.client.log_artifact(run, str(path))
        if self.view.bundle is None:
            return ("no model: the run has not come to a bundle",)
        with tempfile.TemporaryDirectory() as folder:
            said = write_model(self.view, Path(folder))
            self.client.log_artifacts(run, folder, artifact_path="model")
        return (*said, f"the model: runs:/{run}/model, in {self.client.get_run(run).info.artifact_uri}")


def _of_run(report: Mapping[str, Any]) -> Iterator[tuple[str, Any, int]]:
    """Yield the figures of a run: what it took, and what ships, on validation and on test rows."""
    yield from ((f"spent_{name}", report["spent"][name], 0) for name in ("seconds", "money", "labels"))
    decision = report["decision"]
    if decision is None:
        return
    for rows in ("validation", "test"):
        for name, figure in decision[rows].items():
            yield from ((f"{rows}_{name}{end}", figure[bound], 0) for bound, end in _ENDS.items())
    for name, figure in decision["figures"].items():
        yield from ((f"{name}{end}", figure[bound], 0) for bound, end in _ENDS.items())


_ENDS = {"value": "", "low": "_low", "high": "_high"}


def _is_figure(value: Any) -> bool:
    return isinstance(value, bool | int | float) and math.isfinite(value)


def _plain(name: str) -> str:
    """Return a name as MLflow takes it: letters, digits, ``_ - . / :`` and blanks."""
    return "".join(sign if sign.isalnum() or sign in "_-./: " else "_" for sign in name)
