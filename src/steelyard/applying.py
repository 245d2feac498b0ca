"""What a bundle says of rows: predictions, and how good, quick and dear it is on labelled ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from steelyard.bundle import Bundle
from steelyard.bundle import load as load_bundle
from steelyard.bundle.tagging import tokens_column
from steelyard.contracts import Kind, Problem
from steelyard.data import extras
from steelyard.data.columns import to_columns
from steelyard.data.long import is_long, regroup
from steelyard.errors import RunUnreadable
from steelyard.forecasts import Forecasts, forecast
from steelyard.forecasts import labelled as labelled_series
from steelyard.measure import outcomes, quality, weigh
from steelyard.measure.stress import stressed
from steelyard.money import Prices, cost_per_million
from steelyard.report.tags_section import by_part
from steelyard.rows import Predictions, TagPredictions, labelled, read_rows, sample, stakes, targets
from steelyard.search.folder import RunFolder
from steelyard.search.recount import shipped
from steelyard.units import Estimate


def bundle_folder(path: Path | str) -> Path:
    """Return the bundle that a path means: itself, or the one that a run ships.

    Raises
    ------
    RunUnreadable
        If it is neither, or the run has none yet.
    """
    place = Path(path)
    if (place / "manifest.json").exists() or not (place / "events.jsonl").exists():
        return place
    bundle = shipped(RunFolder.existing(place))
    if bundle is None:
        raise RunUnreadable(
            f"{place} has not come to a bundle yet (go on with `steelyard run --resume {place}`), or it keeps what is "
            "used today (`steelyard show` says which)"
        )
    return bundle


def predict(bundle: Bundle | Path | str, rows: Any) -> Predictions | Forecasts:
    """Predict rows: a file (CSV, JSON Lines, Parquet ...), a folder of images or sounds, a frame, or a list of dicts.

    Where training gathered rows from a long table, one reading a row, such a table is gathered the same way: there is
    one prediction a unit, or one a window, beside the unit and the time of its last reading.

    A forecast takes a table of recent values, like the one it was trained on, and tells what comes next in each series.

    Raises
    ------
    RowsRefused
        If they lack a column that the bundle reads.
    """
    opened = bundle if isinstance(bundle, Bundle) else load_bundle(bundle_folder(bundle))
    task = opened.task
    frame = read_rows(rows, opened.reads, task.target)
    if task.problem is Problem.FORECASTING:
        return forecast(opened, frame)
    regrouped = regroup(frame, opened.schema) if is_long(frame, opened.schema) else None
    ignored = tuple(name for name in extras(frame, opened.schema) if name not in {task.target, *_channels(opened)})
    if task.problem is Problem.TAGGING:
        columns = to_columns(frame, opened.reads)
        tokens = columns[tokens_column(opened.reads)]
        return TagPredictions.of(task, list(tokens), opened.answer(columns), ignored)
    keys: Mapping[str, list[Any]] = {}
    if regrouped is not None:
        frame, keys = regrouped.frame, regrouped.keys
    answer = opened.answer_rows(frame)
    if task.problem is Problem.REGRESSION:
        return Predictions([float(v) for v in answer.decided], {}, ignored, keys)
    names = [task.classes[int(code)] for code in answer.decided]
    probabilities = {c: [float(p) for p in answer.scores[:, i]] for i, c in enumerate(task.classes)}
    return Predictions(list(names), probabilities, ignored, keys)


def _channels(opened: Bundle) -> set[str]:
    """Return the columns of a long table that become the channels of a sequence."""
    return {name for column in opened.schema.of(Kind.SEQUENCE) for name in column.channels if column.gathered}


def evaluate(
    bundle: Path | str, rows: Any, *, prices: Path | None = None, threads: int = 1, stress: str | None = None
) -> dict[str, Any]:
    """Measure a bundle on labelled rows: quality with intervals, latency, cost.

    With ``stress``, a key of :data:`steelyard.measure.stress.STRESSES`, also the quality on the same rows harmed in
    that way.

    Raises
    ------
    RowsRefused
        If the rows lack the target, or it holds a class that the bundle does not know; if there is no such stress, or
        no column that it could harm.
    """
    place, known = bundle_folder(bundle), Prices.load(prices)
    opened = load_bundle(place, threads=threads)
    frame, groups = read_rows(rows, opened.reads, opened.task.target), None
    if opened.task.problem is Problem.FORECASTING:
        found = labelled_series(frame, opened.task)
        frame, target, groups = found.columns, found.target, found.blocks
        answer = replace(opened.answer(frame), scales=found.scales)
    else:
        if is_long(frame, opened.schema):
            frame = labelled(regroup(frame, opened.schema).frame, opened.task)
        target = targets(frame, opened.task)
        answer = replace(opened.answer_rows(frame), amounts=stakes(frame, opened.task))
    figures: Mapping[str, Estimate] = quality(opened.task, target, answer, groups=groups)
    parts = by_part(outcomes(opened.task, target, answer)) if opened.task.problem is Problem.TAGGING else {}
    harmed: dict[str, Any] = {}
    if stress is not None:
        columns = stressed(to_columns(frame, opened.reads), opened.reads, stress)
        worse = quality(opened.task, target, replace(opened.answer(columns), amounts=answer.amounts))
        harmed = {"stress": {"kind": stress, "quality": {name: figure.to_json() for name, figure in worse.items()}}}
    weight = weigh(place, sample(frame, [c.name for c in opened.reads.columns], 256), threads=threads)
    cost = cost_per_million(weight, known, None, None)
    return {
        "bundle": str(place),
        "rows": len(target),
        "quality": {name: figure.to_json() for name, figure in figures.items()},
        **harmed,
        "latency_ms": {name: getattr(weight, name).to_json() for name in ("p50", "p95", "p99")},
        "rows_per_second": weight.throughput.to_json(),
        "size_bytes": weight.size_bytes,
        "cost_per_million": cost.to_json(),
        **parts,
    }
