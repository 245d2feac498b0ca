"""How far each step ahead is off: the table of a forecast's report."""

from __future__ import annotations

from steelyard.contracts import Problem, Trial
from steelyard.data.histories import line_of, step_of_line
from steelyard.recipe import BASELINES, Train
from steelyard.report.grid import Cell, Row, table
from steelyard.report.markup import Markup
from steelyard.report.say import say
from steelyard.report.words import DASH, Json
from steelyard.search.record import RunRecord

SHOWN = 24
"""Steps ahead that a table shows; of more every so-manieth."""


def forecast(record: RunRecord) -> Json | None:
    """Return what a run says of steps ahead, on validation rows; ``None`` where it forecasts nothing."""
    task = record.task
    if task.problem is not Problem.FORECASTING or record.decision is None:
        return None
    chosen = next(trial for trial in record.trials if trial.number == record.decision.number)
    plain = (t for t in record.trials if isinstance(t.recipe, Train) and t.recipe.learner in BASELINES)
    line = line_of(task)
    return {
        "horizon": task.horizon,
        "history": line.history,
        "season": task.season,
        "step": step_of_line(line).name,
        "series": len(line.names) or len(task.series),
        "chosen": _steps(chosen),
        "baseline": _steps(next(plain, None)),
    }


def _steps(trial: Trial | None) -> Json | None:
    found = None if trial is None else trial.outcomes.get("steps")
    return None if found is None else dict(found)


def forecast_section(report: Json) -> Markup | None:
    """Return the errors by step ahead of what ships, beside those of doing nothing."""
    told = report.get("forecast")
    if told is None or told["chosen"] is None:
        return None
    every = -(-told["horizon"] // SHOWN)
    steps = sorted({*range(0, told["horizon"], every), told["horizon"] - 1})
    rows: list[Row] = [
        (
            (
                Cell(f"{step + 1:,}", step),
                *(_figure(told[part], name, step) for name in ("mae", "mase") for part in ("chosen", "baseline")),
            ),
            "",
        )
        for step in steps
    ]
    heads = ("step ahead", "mae", "mae of what was a season ago", "mase", "mase of what was a season ago")
    caption = say("Errors by step ahead, on validation rows; one step is one {0}", told["step"])
    return table(heads, rows, name="steps", numbers=(0, 1, 2, 3, 4), caption=caption)


def _figure(found: Json | None, name: str, step: int) -> Cell:
    value = None if found is None or name not in found else found[name][step]
    return Cell(DASH if value is None else f"{value:.4g}", value)
