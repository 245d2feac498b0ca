"""One function a verb: what the command line does, from Python."""

from __future__ import annotations

import importlib
import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from steelyard.advise import MINUTES, Advice, advise
from steelyard.applying import bundle_folder, evaluate, predict
from steelyard.bundle import Bundle
from steelyard.bundle import load as load_bundle
from steelyard.data import Dataset, Inspection, inspect
from steelyard.decide.candidates import check_currencies
from steelyard.errors import Exit, MissingExtra, RunUnreadable, need
from steelyard.money import Ledger, Prices
from steelyard.money.export import lines, write_csv, write_parquet
from steelyard.money.listing import listing
from steelyard.money.shares import By, table
from steelyard.registry import learners, levers
from steelyard.report import build, card, page
from steelyard.report import compare as compare_records
from steelyard.report.attribution import attribution
from steelyard.report.flat import flat
from steelyard.report.returns import returns_of
from steelyard.search.conduct import conduct, footing_asked, prices_asked
from steelyard.search.events import read_events
from steelyard.search.folder import RunFolder, write_atomically
from steelyard.search.pulling import Pull
from steelyard.search.pulling import pull as pull_by_hand
from steelyard.search.record import RunRecord
from steelyard.search.recount import recount
from steelyard.search.store import Store
from steelyard.search.watching import Watcher
from steelyard.spec import Spec
from steelyard.spec import load as load_spec
from steelyard.spec import parse as parse_spec

__all__ = [
    "Pull",
    "Run",
    "bring",
    "bundle_folder",
    "check",
    "compare",
    "evaluate",
    "exit_code",
    "ledger_of",
    "name_of",
    "open_run",
    "paid",
    "predict",
    "price_list",
    "pull",
    "registered",
    "resume",
    "run",
]


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


def pull(
    folder: Path | str, asked: Pull, *, watcher: Watcher | None = None, in_process: bool = False
) -> dict[str, Any]:
    """Pull a lever by hand on a finished run: :func:`steelyard.search.pulling.pull`; return what became of it.

    Returns
    -------
    dict
        ``trial``, the row of the report; ``ladder``, the family that it joined, if it is a step of shrinking;
        ``decision``, as it stands now.
    """
    place = RunFolder.existing(Path(folder)).path
    number = pull_by_hand(place, asked, watcher=watcher, in_process=in_process)
    pulled = Run(place)
    pulled.write_views()
    report = pulled.report
    row = next(row for row in report["trials"] if row["number"] == number)
    family = (each for each in report["ladder"] if number in {step["number"] for step in each["steps"]})
    return {"trial": row, "ladder": next(family, None), "decision": report["decision"], "report": report}


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
    footing_asked(given, base, timed=False)
    return inspect(given, base)


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
