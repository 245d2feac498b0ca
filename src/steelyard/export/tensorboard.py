"""Event files of TensorBoard: a folder a trial, with its curve, its figures, and its settings as hyperparameters."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from steelyard.contracts import Trial
from steelyard.errors import need
from steelyard.export.formats import Given, Written
from steelyard.export.settings import settings_of
from steelyard.export.view import View

_ASKER = "--to tensorboard"


def events(view: View, given: Given) -> Written:
    """Write the event files; every event bears the time at which the run began.

    Raises
    ------
    MissingExtra
        If TensorBoard is not installed.
    """
    assert given.out is not None, "a folder was asked for"
    need("tensorboard", for_=_ASKER)
    given.out.mkdir(parents=True, exist_ok=True)
    rows = {row["number"]: row for row in view.rows()}
    for trial in view.record.trials:
        _write(view, trial, rows[trial.number], given.out / f"trial-{trial.number:03d}")
    said = (f"{len(rows)} trials", f"look at them with: tensorboard --logdir {given.out}")
    return Written(str(given.out), said=said)


def _write(view: View, trial: Trial, row: dict[str, Any], folder: Path) -> None:
    writers = need("tensorboard.summary.writer.event_file_writer", for_=_ASKER)
    writer = writers.EventFileWriter(str(folder), filename_suffix=f".trial-{trial.number}")
    try:
        for step, summary in _summaries(view, trial, row):
            writer.add_event(_proto("event_pb2").Event(wall_time=view.began, step=step, summary=summary))
    finally:
        writer.close()


def _summaries(view: View, trial: Trial, row: dict[str, Any]) -> Iterator[tuple[int, Any]]:
    """Yield steps and what is told at them."""
    hyper = need("tensorboard.plugins.hparams.summary_v2", for_=_ASKER)
    yield 0, hyper.hparams_pb(_said(trial), trial_id=f"trial-{trial.number}", start_time_secs=view.began)
    for kind, step, value in view.curve(trial):
        yield step, _scalar(f"{kind}/{view.record.task.aim}", value)
    for epoch, loss in view.losses(trial):
        yield epoch, _scalar("loss/training", loss)
    for name, value in _figures(trial, row):
        yield 0, _scalar(name, value)


def _said(trial: Trial) -> dict[str, bool | int | float | str]:
    """Return the settings of a trial; the format has no word for one that is unset."""
    return {name: "unset" if value is None else value for name, value in settings_of(trial.recipe).items()}


def _figures(trial: Trial, row: dict[str, Any]) -> Iterator[tuple[str, float]]:
    """Yield the finite figures of a trial under the section that they belong to."""
    quality = {f"{name}{end}" for name in trial.validation for end in ("", "_low", "_high")}
    for name, value in row.items():
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or not math.isfinite(value)
            or name == "number"
        ):
            continue
        section = (
            "validation" if name in quality else "time" if name.endswith("_seconds") or name == "seconds" else "serving"
        )
        yield f"{section}/{name}", float(value)


def _scalar(name: str, value: float) -> Any:
    summary = _proto("summary_pb2").Summary
    return summary(value=[summary.Value(tag=name, simple_value=value)])


def _proto(name: str) -> Any:
    return need(f"tensorboard.compat.proto.{name}", for_=_ASKER)
