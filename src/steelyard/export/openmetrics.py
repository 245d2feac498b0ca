"""The figures of a run as text that Prometheus reads: OpenMetrics 1.0.

Specification: https://github.com/prometheus/OpenMetrics/blob/main/specification/OpenMetrics.md
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from steelyard.export.formats import Given, Written
from steelyard.export.view import View

_BOUNDS = ("value", "low", "high")
_PHASES = ("loading", "preparing", "computing", "waiting")
_ESCAPES = str.maketrans({"\\": "\\\\", "\n": "\\n", '"': '\\"'})


@dataclass(slots=True)
class _Family:
    """One gauge: what it is, its unit (which its name ends with, or ``""``), and its samples."""

    about: str
    unit: str = ""
    samples: list[tuple[Mapping[str, object], float]] = field(default_factory=list)

    def add(self, value: float | None, **labels: object) -> None:
        """Add a sample, if there is one."""
        if value is not None:
            self.samples.append((labels, float(value)))

    def estimate(self, figure: Mapping[str, Any], scale: float = 1.0, **labels: object) -> None:
        """Add a figure with the ends of its 95% interval."""
        for bound in _BOUNDS:
            value = figure[bound]
            self.add(None if value is None else scale * value, **labels, bound=bound)


def text(view: View, given: Given) -> Written:
    """Return the text; it ends as the standard wants, so half of it is never taken for the whole."""
    families = _families(view)
    lines = [line for name, family in families.items() for line in _lines(name, family, view.record.name)]
    count = sum(len(family.samples) for family in families.values())
    return Written(str(given.out or ""), "\n".join([*lines, "# EOF", ""]), (f"{count} samples",))


def _families(view: View) -> dict[str, _Family]:
    report, record = view.report, view.record
    currency = report["ledger"]["currency"]
    run = {
        "steelyard_run_spent_seconds": _Family("Wall-clock time of the whole command.", "seconds"),
        "steelyard_run_spent_money": _Family("What it cost."),
        "steelyard_run_trials": _Family("Trials by how they ended."),
        "steelyard_run_feasible": _Family("1 where the decision meets every target."),
        "steelyard_run_test_quality": _Family("Of what ships, on test rows, with its 95% interval."),
    }
    run["steelyard_run_spent_seconds"].add(report["spent"]["seconds"])
    run["steelyard_run_spent_money"].add(report["spent"]["money"], currency=currency)
    for ending in sorted({row["ending"] for row in report["trials"]}):
        count = sum(row["ending"] == ending for row in report["trials"])
        run["steelyard_run_trials"].add(count, ending=ending)
    if report["decision"] is not None:
        run["steelyard_run_feasible"].add(report["decision"]["feasible"])
        for name, figure in report["decision"]["test"].items():
            run["steelyard_run_test_quality"].estimate(figure, metric=name, target=record.task.target)
    return run | _of_trials(report, currency)


def _of_trials(report: Mapping[str, Any], currency: str) -> dict[str, _Family]:
    found = {
        "steelyard_trial_info": _Family("What a trial was: 1."),
        "steelyard_trial_chosen": _Family("1 for the one that was decided for."),
        "steelyard_trial_quality": _Family("On validation rows, with its 95% interval."),
        "steelyard_trial_latency_seconds": _Family("Of one row, by percentile, with its 95% interval.", "seconds"),
        "steelyard_trial_size_bytes": _Family("Of the bundle.", "bytes"),
        "steelyard_trial_million_predictions_cost": _Family("Of serving, with its range."),
        "steelyard_trial_duration_seconds": _Family("Wall-clock time.", "seconds"),
        "steelyard_trial_cpu_seconds": _Family("Processor time.", "seconds"),
        "steelyard_trial_phase_seconds": _Family("Where the time went, with the wait for a worker.", "seconds"),
        "steelyard_trial_idle_ratio": _Family("Share of the cores held that did nothing.", "ratio"),
    }
    clocked = {row["number"]: row for row in (report.get("bottlenecks") or {"trials": []})["trials"]}
    for row in report["trials"]:
        _add_trial(found, row, currency)
        if (times := clocked.get(row["number"])) is not None:
            for phase in _PHASES:
                found["steelyard_trial_phase_seconds"].add(times[phase], trial=row["number"], phase=phase)
            found["steelyard_trial_idle_ratio"].add(times["idle_share"], trial=row["number"])
    return found


def _add_trial(found: Mapping[str, _Family], row: Mapping[str, Any], currency: str) -> None:
    trial, figures = row["number"], row["figures"]
    found["steelyard_trial_info"].add(1, trial=trial, candidate=row["title"], lever=row["lever"], ending=row["ending"])
    found["steelyard_trial_chosen"].add(row["chosen"], trial=trial)
    found["steelyard_trial_size_bytes"].add(row["size_bytes"], trial=trial)
    found["steelyard_trial_duration_seconds"].add(row["seconds"], trial=trial)
    found["steelyard_trial_cpu_seconds"].add(row["cpu_seconds"], trial=trial)
    for name, figure in row["validation"].items():
        found["steelyard_trial_quality"].estimate(figure, trial=trial, metric=name)
    for percentile in ("50", "95", "99"):
        if (figure := figures.get(f"latency_p{percentile}_ms")) is not None:
            found["steelyard_trial_latency_seconds"].estimate(figure, 1e-3, trial=trial, percentile=percentile)
    if (figure := figures.get("cost_per_million")) is not None:
        found["steelyard_trial_million_predictions_cost"].estimate(figure, trial=trial, currency=currency)


def _lines(name: str, family: _Family, run: str) -> Iterator[str]:
    if not family.samples:
        return
    yield f"# TYPE {name} gauge"
    if family.unit:
        yield f"# UNIT {name} {family.unit}"
    yield f"# HELP {name} {family.about}"
    for labels, value in family.samples:
        written = ",".join(f'{key}="{str(each).translate(_ESCAPES)}"' for key, each in {"run": run, **labels}.items())
        yield f"{name}{{{written}}} {value!r}"
