"""Steelyard: the bundle that a run ships, and what lay on disk while the run went on.

The fit is the command line, ``steelyard run``; here its bundle is loaded and asked as the documentation says.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from runners.protocol import Job, bytes_under
from steelyard import bundle as bundles
from steelyard.api import bundle_folder
from steelyard.recipe import describe, digest, from_json
from steelyard.rows import read_rows
from steelyard.search.events import Event, read_events

RUN = "run"
"""Folder of the run, under the job's."""


def spec(job: Job) -> dict[str, Any]:
    """Return the spec of a job: data, target, metric, budget, seed; everything else as it comes.

    But for the tolerance: by default a model that serves for less is taken where it is within 0.01 of the best. Here
    quality is compared, and no rival gives any of it away, so ours is told not to either.

    A run must have test rows. The ones that the tools are compared on are not given to any of them, so ours keeps
    one row in a hundred of its training rows for that, and learns from as many fewer. Columns that leak were left
    out for all tools alike, so none is dropped here.
    """
    return {
        "data": str(job.data / "train.csv"),
        "target": job.target,
        "task": "regression" if job.problem == "regression" else "classification",
        "quality": {"metric": job.metric, "tolerance": 0.0},
        "split": {"test": 0.01},
        "budget": {"minutes": job.budget / 60},
        "checks": {"leaks": "keep"},
        "threads": job.threads,
        "seed": job.seed,
    }


def read_table(job: Job, name: str) -> Any:
    """Read a table as ``steelyard predict`` does."""
    return read_rows(job.data / name)


def load(job: Job) -> Loaded:
    """Load the bundle that ships."""
    return Loaded(bundle_folder(job.folder / RUN), job)


class Loaded:
    """A bundle, opened once."""

    def __init__(self, folder: Path, job: Job) -> None:
        self._bundle = bundles.load(folder, threads=job.threads)
        self.classes = None if job.problem == "regression" else list(self._bundle.task.classes)
        self.size_bytes = bytes_under(folder)

    def many(self, table: Any) -> Any:
        return self._bundle.answer_rows(table).scores

    def ways(self) -> Mapping[str, Callable[[Mapping[str, Any]], Any]]:
        return {"row": lambda row: self._bundle.answer_row(row).scores}


def curve(job: Job) -> dict[str, Any]:
    """Tell what a run would have shipped, had it been stopped: the best trial by validation at each moment.

    The answers to the test rows are left for the harness to score. Where folds validate, the bundle of the first
    fold is what lies on disk at that moment; it was trained on fewer rows than the refit at the end of the run.
    """
    place = job.folder / RUN
    events, _ = read_events(place / "events.jsonl")
    table, points = read_table(job, "test.csv"), []
    for seconds, value, trial in incumbents(events, job.metric):
        recipe = from_json(trial["recipe"])
        folder = next(
            iter(sorted(p.parent for p in (place / "bundles" / digest(recipe)).glob("*/manifest.json"))), None
        )
        if folder is None:
            continue
        model = Loaded(folder, job)
        name = f"answers-{trial['number']}.npz"
        np.savez_compressed(job.folder / name, answers=model.many(table), classes=np.array(model.classes or [], str))
        points.append({"seconds": seconds, "validation": value, "recipe": describe(recipe), "answers": name})
    return {"points": points, **summary_of(events, place)}


def incumbents(events: list[Event], metric: str) -> Iterator[tuple[float, float, Mapping[str, Any]]]:
    """Yield each trial that was the best by validation when it ended: seconds of the run, figure, trial."""
    best, sign = -np.inf, 1.0 if metric == "roc_auc" else -1.0
    for event in events:
        if event.kind != "ended" or metric not in event.facts["trial"]["validation"]:
            continue
        trial = event.facts["trial"]
        value = trial["validation"][metric]["value"]
        if value is not None and sign * value > best:
            best = sign * value
            yield event.elapsed, value, trial


def summary_of(events: list[Event], place: Path) -> dict[str, Any]:
    """Return how the seconds of a run were spent, and what was decided."""
    trials = [event.facts["trial"] for event in events if event.kind == "ended"]
    report = json.loads((place / "report.json").read_text(encoding="utf-8"))
    return {
        "in_trials": sum(trial["seconds"] for trial in trials),
        "in_weighing": _seconds(events, "weighed"),
        "in_closing": _seconds(events, "shipped") + _seconds(events, "test_read"),
        "first_trial": next((event.elapsed for event in events if event.kind == "started"), None),
        "trials": len(trials),
        "chosen": report["decision"]["recipe"],
        "ending": report["ending"],
    }


def _seconds(events: list[Event], kind: str) -> float:
    return float(sum(event.facts["seconds"] for event in events if event.kind == kind))
