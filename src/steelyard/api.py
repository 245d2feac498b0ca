"""One function a verb: what the command line does, from Python."""

from __future__ import annotations

import importlib
import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from steelyard.advise import MINUTES, Advice, advise
from steelyard.bundle import Bundle
from steelyard.bundle import load as load_bundle
from steelyard.bundle.tagging import tokens_column
from steelyard.contracts import Kind, Problem
from steelyard.data import Dataset, Inspection, extras, inspect
from steelyard.data.coerce import to_columns
from steelyard.data.long import is_long, regroup
from steelyard.decide.candidates import check_currencies
from steelyard.errors import Exit, MissingExtra, RunUnreadable, need
from steelyard.forecasts import Forecasts, forecast
from steelyard.forecasts import labelled as labelled_series
from steelyard.measure import outcomes, quality, weigh
from steelyard.measure.stress import stressed
from steelyard.money import Ledger, Prices, cost_per_million
from steelyard.money.export import lines, write_csv, write_parquet
from steelyard.money.listing import listing
from steelyard.money.shares import By, table
from steelyard.registry import learners, levers
from steelyard.report import build, card, page
from steelyard.report import compare as compare_records
from steelyard.report.attribution import attribution
from steelyard.report.flat import flat
from steelyard.report.returns import returns_of
from steelyard.report.tags_section import by_part
from steelyard.rows import Predictions, TagPredictions, labelled, read_rows, sample, stakes, targets
from steelyard.search.conduct import conduct, prices_asked
from steelyard.search.events import read_events
from steelyard.search.folder import RunFolder, write_atomically
from steelyard.search.record import RunRecord
from steelyard.search.recount import recount, shipped
from steelyard.search.store import Store
from steelyard.search.watching import Watcher
from steelyard.spec import Spec
from steelyard.spec import load as load_spec
from steelyard.spec import parse as parse_spec
from steelyard.units import Estimate


@dataclass(slots=True)
class Run:
    """A run in its folder: what was tried, what was decided, what ships.

    Everything is read from the folder; two objects on one folder do not disturb each other.
    """

    folder: Path
    spec: Spec | None = None
    _record: RunRecord | None = field(default=None, repr=False)
    _report: dict[str, Any] | None = field(default=None, repr=False)

    @property
    def record(self) -> RunRecord:
        """Everything the run's events tell."""
        if self._record is None:
            self._record = recount(RunFolder.existing(self.folder), spec=self.spec)
        return self._record

    @property
    def report(self) -> dict[str, Any]:
        """The report as plain data: what ``steelyard run --json`` prints."""
        if self._report is None:
            self._report = build(self.record)
        return self._report

    @property
    def frontier(self) -> Any:
        """A polars frame, one row a candidate that no other beats on every count; each figure with its interval."""
        return _frame(self.report["frontier"])

    @property
    def trials(self) -> Any:
        """A polars frame, one row a trial."""
        return _frame(self.report["trials"])

    @property
    def decision(self) -> Any:
        """Which candidate, and why, in sentences; ``None`` where nothing was measured."""
        return self.record.decision

    @property
    def dataset(self) -> Dataset:
        """The data as it was typed, coded and split."""
        return Store(self.folder).dataset()

    @property
    def bundle(self) -> Bundle:
        """The bundle that ships, opened.

        Raises
        ------
        RunUnreadable
            If the run has not come to a bundle yet.
        """
        return load_bundle(bundle_folder(self.folder), threads=self.record.spec.serving.threads)

    def advice(self, *, minutes: float = MINUTES, prices: Path | None = None) -> Advice:
        """Return where the next dollar goes: :func:`steelyard.advise.advise`."""
        return advise(self.folder, minutes=minutes, prices=prices)

    def returns(self) -> dict[str, Any]:
        """Return what the chosen model returns: the report's block ``returns``.

        Raises
        ------
        NoReturn
            If there is no return to tell, with the reason.
        """
        return returns_of(self.record)

    def write_views(self) -> None:
        """Write ``report.json``, ``report.html`` and ``card.md`` anew from the events."""
        folder, report = RunFolder(self.folder), self.report
        write_atomically(folder.report, json.dumps(report, indent=1, ensure_ascii=False) + "\n")
        write_atomically(folder.page, page(report))
        write_atomically(folder.card, card(report))


def run(
    spec: Spec | Path | str,
    *,
    out: Path | str | None = None,
    resume: Path | str | None = None,
    watcher: Watcher | None = None,
    in_process: bool = False,
    started: float | None = None,
) -> Run:
    """Weigh every way to build what a spec asks for, decide, and ship the bundle.

    Parameters
    ----------
    spec : Spec or path
        What is wanted; a path names a YAML file, and relative data paths start beside it.
    out : path, optional
        Folder of the run; unset: ``runs/<name>-<stamp>``.
    resume : path, optional
        Folder of an earlier run to go on with.
    watcher : Watcher, optional
        Who is told what happens.
    in_process : bool
        Do the trials in this process: no isolation, no start-up time.
    started : float, optional
        When the clock of the budget began (``time.monotonic()``).

    Raises
    ------
    SteelyardError
        Whatever stops a run, as a sentence with the way out; nothing measured until then is lost.
    """
    begin = time.monotonic() if started is None else started
    given, base = _spec(spec)
    if resume is not None:
        folder = RunFolder.existing(Path(resume))
    else:
        folder = RunFolder.create(given.name or name_of(given), None if out is None else Path(out))
    conduct(given, folder=folder, base=base, watcher=watcher, in_process=in_process, started=begin)
    finished = Run(folder.path, spec=given)
    finished.write_views()
    return finished


def resume(folder: Path | str, *, watcher: Watcher | None = None, started: float | None = None) -> Run:
    """Go on with a run that was stopped at any instant, by the spec in its folder."""
    place = RunFolder.existing(Path(folder))
    return run(parse_spec(place.asked(), source=str(place.spec)), resume=place.path, watcher=watcher, started=started)


def open_run(folder: Path | str) -> Run:
    """Return an earlier run; reads only.

    Raises
    ------
    RunUnreadable
        If there is none in the folder.
    """
    return Run(RunFolder.existing(Path(folder)).path)


def compare(folders: Sequence[Path | str]) -> dict[str, Any]:
    """Return the figures of runs side by side, and paired differences to the first where they scored the same rows.

    Raises
    ------
    RunUnreadable
        If a folder holds no run, or fewer than two are named.
    """
    return compare_records([open_run(folder).record for folder in folders])


def check(spec: Spec | Path | str) -> Inspection:
    """Read, type, check and split the data of a spec, and return what was found instead of stopping.

    Raises
    ------
    SpecInvalid
        If its file of prices is wrong, or an amount is in another currency than the prices in force.
    """
    given, base = _spec(spec)
    check_currencies(given, prices_asked(given, base))
    return inspect(given, base)


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


def bring(
    model: Path | str,
    rows: Path | str,
    target: str,
    out: Path | str,
    *,
    columns: Sequence[str] = (),
    classes: Sequence[str] = (),
    trust: bool = False,
) -> dict[str, Any]:
    """Make a bundle of an ONNX file or of a pipeline of scikit-learn: :func:`steelyard.adopt.bringing.bring`."""
    bringing = importlib.import_module("steelyard.adopt.bringing")
    brought = bringing.bring(Path(model), Path(rows), target, Path(out), columns=columns, classes=classes, trust=trust)
    return dict(brought.to_json())


def exit_code(finished: Run) -> Exit:
    """Return how a run ended, as the command line's exit code."""
    events, _ = read_events(RunFolder(finished.folder).events)
    codes = [event.facts["exit_code"] for event in events if event.kind == "finished"]
    return Exit(codes[-1]) if codes else Exit.RUN_UNREADABLE


def name_of(spec: Spec) -> str:
    """Return a name for a run whose spec has none: that of its data."""
    data = spec.data.get("train") if isinstance(spec.data, dict) else spec.data
    if not isinstance(data, str | os.PathLike):
        return "run"
    path = Path(str(data).rpartition(":")[2])
    stem = path.name.split(".")[0]
    return path.parent.name if stem in {"data", "train"} and path.parent.name else stem or "run"


def _spec(spec: Spec | Path | str) -> tuple[Spec, Path | None]:
    if isinstance(spec, Spec):
        return spec, None
    path = Path(spec)
    return load_spec(path), path.resolve().parent


def _frame(rows: list[dict[str, Any]]) -> Any:
    """Return rows of the report as a frame: nested figures become columns such as ``roc_auc`` and ``roc_auc_low``."""
    polars = need("polars", for_="a run as a data frame")
    return polars.DataFrame([flat(row) for row in rows])


def registered(kind: str) -> list[dict[str, object]]:
    """Return the learners or the levers by name, with what they are; one that needs an extra says which."""
    registry: Any = learners() if kind == "learners" else levers()
    return [_described(registry, name) for name in registry.names()]


def _described(registry: Any, name: str) -> dict[str, object]:
    try:
        thing = registry.get(name)
    except MissingExtra as problem:
        return {"name": name, "about": str(problem)}
    facts = {part: str(getattr(thing, part)) for part in ("stage", "about", "paper") if hasattr(thing, part)}
    return {"name": name, **facts}


def price_list(file: Path | None, part: str = "") -> dict[str, Any]:
    """Return the prices in force, or one part of the catalogue with a user's file over it, each with its age."""
    return listing(Prices.load(file), part)


def ledger_of(
    folder: Path | str, by: By = "kind", *, csv: Path | None = None, parquet: Path | None = None
) -> dict[str, Any]:
    """Return what a run cost, cut by lever, kind or trial, and write its lines to files where these are named.

    Raises
    ------
    RunUnreadable
        If there is no run in the folder.
    RunUnwritable
        If a file cannot be written.
    """
    record = open_run(folder).record
    ledger = Ledger.of(record.entries, record.prices.currency)
    levers_of = {trial.number: trial.lever for trial in record.trials}
    rows = lines(record.entries, levers_of)
    if csv is not None:
        write_csv(rows, csv)
    if parquet is not None:
        write_parquet(rows, parquet)
    return {**table(ledger, by, levers_of), "old": list(record.prices.old())}


def paid(folder: Path | str) -> dict[str, Any]:
    """Return what each lever of a run cost and earned: the report's block ``attribution``.

    Raises
    ------
    RunUnreadable
        If there is no run in the folder, or nothing was decided in it yet.
    """
    told = attribution(open_run(folder).record)
    if told is None:
        raise RunUnreadable(f"nothing was decided in {folder} yet; go on with `steelyard run --resume {folder}`")
    return told
