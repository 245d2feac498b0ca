"""``python -m runners TOOL ERRAND JOB``: do one errand for the harness and leave the figures beside the job.

``fit`` trains and leaves the model; ``score`` loads it, answers the test rows and times single rows; ``latency``
loads it and times single rows alone; ``curve``, of ours alone, tells what a run had at each moment. Each errand is a
process of its own, so that no time or memory of one is another's.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from latency import time_rows

from runners.protocol import Job, Model, read_table

COMPARED = 50
"""Rows whose single answers are held against those of the whole table."""


def fit(tool: Any, job: Job) -> dict[str, Any]:
    """Train; return what is to be told of it, with the seconds inside of this process."""
    began = time.perf_counter()
    train = read_table(job, "train.csv")
    read = time.perf_counter()
    facts = tool.fit(job, train)
    return {"read_seconds": read - began, "fit_seconds": time.perf_counter() - read, **facts}


def score(tool: Any, job: Job) -> dict[str, Any]:
    """Answer the test rows once cold and once warm, keep the answers, and time single rows."""
    import numpy as np

    model, seconds = _loaded(tool, job)
    table = getattr(tool, "read_table", read_table)(job, "test.csv")
    answers = np.asarray(model.many(table))
    began = time.perf_counter()
    model.many(table)
    per_second = len(answers) / (time.perf_counter() - began)
    np.savez_compressed(
        job.folder / "answers.npz",
        answers=answers.astype(np.float64),
        classes=np.array([] if model.classes is None else list(model.classes), dtype=str),
    )
    rows = _rows(job)
    return {
        "load_seconds": seconds,
        "size_bytes": model.size_bytes,
        "rows_per_second": per_second,
        "one_against_many": _difference(model, rows, answers),
        "latency": _latency(model, rows),
    }


def latency(tool: Any, job: Job) -> dict[str, Any]:
    """Time single rows."""
    model, seconds = _loaded(tool, job)
    return {"load_seconds": seconds, "latency": _latency(model, _rows(job))}


def _loaded(tool: Any, job: Job) -> tuple[Model, float]:
    began = time.perf_counter()
    model = tool.load(job)
    return model, time.perf_counter() - began


def _rows(job: Job) -> list[dict[str, Any]]:
    return list(json.loads((job.data / "rows.json").read_text(encoding="utf-8")))


def _latency(model: Model, rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    return {name: time_rows(call, rows) for name, call in model.ways().items()}


def _difference(model: Model, rows: Sequence[Mapping[str, Any]], answers: Any) -> dict[str, float]:
    """Return for each way how far single answers are from those of the whole table, at most."""
    import numpy as np

    some = rows[:COMPARED]
    return {
        name: max(float(np.abs(np.ravel(call(row)) - np.ravel(answers[i])).max()) for i, row in enumerate(some))
        for name, call in model.ways().items()
    }


def main() -> None:
    """Do what the command line says."""
    name, errand, path = sys.argv[1:]
    job = Job.read(Path(path))
    tool = importlib.import_module(f"runners.{name}")
    errands = {"fit": fit, "score": score, "latency": latency, "curve": lambda tool, job: tool.curve(job)}
    figures = errands[errand](tool, job)
    place = job.folder / f"{errand}-{job.threads}.json"
    place.write_text(json.dumps(figures, default=float), encoding="utf-8")


if __name__ == "__main__":
    main()
