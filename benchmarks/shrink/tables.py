"""Bar 3, tables: an ensemble distilled to one model: ``python benchmarks/shrink/tables.py``.

On each open set the ensemble is what the levers ``bag`` and ``ensemble`` make of four learners: a bag of five of
LightGBM, CatBoost (300 rounds), extra trees and a linear model, blended on validation rows. It is distilled to each
student as the lever would do it. Of the students that are fast enough, or of all where none is, the one that is better
on validation rows is held against the ensemble: both as the bundles that were measured, on test rows that nothing was
chosen by, by the paired test (95%, 1,000 resamples); and call by call in turn at batch 1 with one thread. Beside it
stands what the guard says of the student, which knows validation rows alone.

``ONLY=churn`` measures one set, ``MINUTES=4`` starts nothing after that time; a second call goes on, at the trial that
was under way. What was made is kept in ``runs/`` (``KEPT`` names another folder). Data: ``STEELYARD_DATA``, else
``../shared/data``.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from timing import timed

from rows import ROOT, Bench, Row
from steelyard.bundle import load
from steelyard.contracts import Ending, Errand, Job
from steelyard.data import load as read
from steelyard.data import store
from steelyard.decide.candidates import Candidate
from steelyard.decide.comparison import Comparison
from steelyard.decide.shrunk import Guard
from steelyard.errors import SteelyardError
from steelyard.levers.shrinking._distil import Distil
from steelyard.levers.shrinking.distilling.students import ROUNDS
from steelyard.measure import paired
from steelyard.recipe import Combine, Plan, Recipe, Settings, Shrink, Step, Train, describe
from steelyard.search.codec import weight_from_json
from steelyard.search.execute import execute
from steelyard.search.finish import Pairs
from steelyard.search.making import staked
from steelyard.search.store import Outcome, Store, measured_bundle, outcome_from_json
from steelyard.spec import Quality, ShrinkPart, parse
from steelyard.tasks import metric
from steelyard.units import Estimate, How, Seconds

DATA = Path(os.environ.get("STEELYARD_DATA", ROOT.parent / "shared" / "data"))
KEPT = Path(os.environ.get("KEPT", ROOT / "runs" / "shrink-tables"))
FASTER, SHARE, LEAST = 5.0, 2 / 3, 9
STUDENTS: Mapping[str, Mapping[str, Any]] = {
    "lightgbm": {"learner": "lightgbm"},
    "lightgbm, quick": {"learner": "lightgbm", "rounds": ROUNDS},
    "linear": {"learner": "linear"},
}
"""Students as the lever proposes them."""
BAG = Plan(parts=(Step(lever="bag", settings=Settings(folds=5)),))
MEMBERS = (
    Train(learner="lightgbm", plan=BAG),
    Train(learner="catboost", plan=Plan(rounds=300)),
    Train(learner="extra-trees"),
    Train(learner="linear"),
)
ENSEMBLE = Combine(lever="ensemble", parents=MEMBERS)


def pmlb(name: str, **more: Any) -> Mapping[str, Any]:
    """Return what a spec says of a table of PMLB."""
    return {"data": f"pmlb/{name}.tsv.gz", "target": "target", **more}


def csv_of(name: str, target: str, *ignored: str, **more: Any) -> Mapping[str, Any]:
    """Return what a spec says of a set of the catalogue."""
    return {"data": f"{name}/data.csv.gz", "target": target, "columns": {"ignore": list(ignored)}, **more}


SETS: Mapping[str, Mapping[str, Any]] = {
    "german_credit": csv_of("german_credit", "target"),
    "churn": pmlb("churn", task="classification"),
    "562_cpu_small": pmlb("562_cpu_small", task="regression"),
    "vehicle": pmlb("vehicle", task="classification"),
    "cmc": pmlb("cmc", task="classification"),
    "abalone": csv_of("abalone", "rings", task="regression"),
    "telco_churn": csv_of("telco_churn", "Churn", "customerID"),
    "titanic": csv_of("titanic", "Survived", "PassengerId"),
    "spambase": pmlb("spambase", task="classification"),
    "phoneme": pmlb("phoneme", task="classification"),
    "537_houses": pmlb("537_houses", task="regression"),
    "satimage": pmlb("satimage", task="classification"),
}
"""The open tables, in an order that mixes sizes and problems, with the split of the catalogue (crc32 of the index)."""


@dataclass(frozen=True)
class World:
    """A set in a store, where trials are executed."""

    folder: Path
    dataset: Any

    @property
    def store(self) -> Store:
        """Where what was made lies."""
        return Store(self.folder)

    def done(self, recipe: Recipe) -> Outcome:
        """Return what a trial leaves; it is executed where it is not kept."""
        kept = self.store.outcome(recipe)
        found = kept or outcome_from_json(execute(self.job(recipe)))
        if found.ending is not Ending.MEASURED:
            raise ValueError(f"{describe(recipe)}: {found.ending.value} {found.note}")
        return found

    def job(self, recipe: Recipe, **more: Any) -> Job:
        """Return the job of a recipe."""
        fixed = {"fingerprint": self.dataset.fingerprint, "store": self.folder, "seconds": Seconds("inf")}
        return Job(number=0, recipe=recipe, **fixed, **more)

    def bundle(self, recipe: Recipe) -> Any:
        """Return the bundle that was measured."""
        return load(self.store.place(recipe) / self.dataset.partition.parts[0].name, threads=1)


def world_of(name: str) -> World:
    """Return a set in its store."""
    folder = KEPT / name
    if not (folder / "data.json").exists():
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "bundles").mkdir(parents=True)
        spec = {
            **SETS[name],
            "data": str(DATA / SETS[name]["data"]),
            "split": {"by": "index", "folds": 0},
            "serving": {"threads": 1},
        }
        store.save(read(parse(json.dumps(spec)), None), folder)
    return World(folder, Store(folder).dataset())


def taught(world: World, parent: Recipe) -> dict[str, Recipe]:
    """Return the recipes of the students that could be made."""
    found, lever = {}, Distil()
    for name, asked in STUDENTS.items():
        recipe = Shrink(lever="distil", parent=parent, settings=lever.space.complete(Settings(asked)))
        try:
            world.done(recipe)
            found[name] = recipe
        except ValueError as problem:
            print(f"  {problem}")
    if not found:
        raise ValueError("no student was measured")
    return found


def measured(name: str) -> Mapping[str, Any]:
    """Distil the ensemble of a set, and hold the student against it."""
    try:
        world = world_of(name)
        for member in ENSEMBLE.parents:
            world.done(member)
        world.done(ENSEMBLE)
        students = taught(world, ENSEMBLE)
    except SteelyardError as problem:
        raise ValueError(str(problem)) from None
    dataset, aim = world.dataset, metric(world.dataset.task.aim)
    test = dataset.rows.take(dataset.partition.test)
    ensemble, rows = world.bundle(ENSEMBLE), rows_of(dataset, test)
    times = {one: timed(ensemble, world.bundle(recipe), rows) for one, recipe in students.items()}
    fit = [one for one in students if times[one]["faster"] >= FASTER] or list(students)
    best = max(fit, key=lambda one: aim.higher_is_better(world.done(students[one]).validation[aim.name].value))
    student = world.bundle(students[best])
    answers = [staked(bundle.answer(test.columns), test) for bundle in (student, ensemble)]
    gained = paired(aim, dataset.task, test.target, *answers, weights=test.weights, seed=1)
    return {
        "set": name,
        "aim": aim.name,
        "student": best,
        "gained": [gained.value, gained.low, gained.high],
        "test_rows": len(test),
        "size_bytes": student.size_bytes,
        "parent_bytes": ensemble.size_bytes,
        "guard": guard(world, ENSEMBLE, students[best]),
        **times[best],
    }


def rows_of(dataset: Any, test: Any) -> list[dict[str, Any]]:
    """Return some test rows as named plain values, as a caller has them."""
    places = np.linspace(0, len(test) - 1, min(100, len(test))).astype(int)
    columns = {column.name: test.columns[column.name][places].tolist() for column in dataset.schema.features}
    return [dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True)]


def guard(world: World, parent: Recipe, child: Recipe) -> str:
    """Return the sentence with which the guard rejects a student; empty where it does not."""
    aim, found = metric(world.dataset.task.aim), []
    for number, recipe in enumerate((parent, child), 1):
        bundle = measured_bundle(recipe, world.dataset.partition.parts[0].name)
        weight = weight_from_json(execute(world.job(recipe, errand=Errand.WEIGH, bundle=bundle)))
        found.append(
            Candidate(
                number=number,
                recipe=recipe,
                quality=world.done(recipe).validation[aim.name],
                p95=weight.p95,
                cost_per_million=Estimate(0.0, 0.0, 0.0, How.ASSUMED),
                size_bytes=weight.size_bytes,
            )
        )
    pairs = Pairs(world.dataset, world.store, {1: parent, 2: child})
    comparison = Comparison(metric=aim, paired=pairs, tolerance=Quality().tolerance)
    guard = Guard(comparison, *ShrinkPart().least)
    return guard.judge(found)[2].reason


def fine(row: Row) -> bool:
    """Tell whether a student is fast enough, and not worse by the paired test."""
    return bool(row["faster"] >= FASTER and row["gained"][2] >= 0)


def most(rows: Sequence[Row]) -> tuple[bool, str]:
    """Tell whether enough sets have such a student."""
    good, guarded = (sum(map(test, rows)) for test in (fine, lambda row: bool(row["guard"])))
    return good >= SHARE * len(rows), f"{good} of {len(rows)} sets; the guard rejects {guarded}"


def caught(rows: Sequence[Row]) -> tuple[bool, str]:
    """Tell whether the guard rejects every student that is worse by the paired test on test rows."""
    worse = [row for row in rows if row["gained"][2] < 0]
    missed = [row["set"] for row in worse if not row["guard"]]
    return not missed, f"{len(worse) - len(missed)} of {len(worse)}{': it kept ' + ', '.join(missed) if missed else ''}"


def table(rows: Sequence[Row]) -> None:
    """Print every set."""
    print(f"\n{'':16} {'aim':10} {'student':15} {'p50 ms':>7} {'faster':>7} {'smaller':>8}  gained (95%)")
    for row in rows:
        value, low, high = row["gained"]
        print(
            f"{row['set']:16} {row['aim']:10} {row['student']:15} {row['p50_ms']:7.3f} "
            f"{row['faster']:7.1f} {row['parent_bytes'] / row['size_bytes']:8.1f}  {value:+.4f} ({low:+.4f} to "
            f"{high:+.4f})"
        )
        if row["guard"]:
            print(f"{'':16} guard: {row['guard']}")


def main() -> None:
    """Measure what is missing, then hold the rows against the bars."""
    if not DATA.is_dir():
        print(f"there is no data in {DATA}; set STEELYARD_DATA to the folder that holds churn and the others")
        sys.exit(1)
    bench, only = Bench("shrink-tables", ("numpy", "onnxruntime", "lightgbm", "catboost")), os.environ.get("ONLY", "")
    for name in SETS:
        if only in name:
            bench.measure({"set": name}, lambda n=name: measured(n))
    rows = [row for name in SETS for row in bench.rows(set=name)]
    table(rows)
    bench.bar(f"one model {FASTER:g} times faster and not worse, on two thirds of the sets", rows, most, least=LEAST)
    bench.bar("the guard rejects what is worse on test rows", rows, caught, least=LEAST)
    bench.finish()


if __name__ == "__main__":
    main()
