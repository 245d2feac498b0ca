"""Recipes on scikit-learn's own data, each with a permanent name: what they reach, and how large their bundles are.

``python tests/quality/scenarios.py`` measures them and writes ``baseline.json`` anew; the diff of that file is what a
change did to quality and size.
"""

from __future__ import annotations

import json
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from steelyard.contracts import Job
from steelyard.data import load, store
from steelyard.recipe import Combine, Plan, Recipe, Settings, Shrink, Step, Train, digest, parents
from steelyard.search.execute import execute
from steelyard.search.store import outcome_from_json
from steelyard.spec import Quality, Spec, SplitPart
from steelyard.tasks import metric
from steelyard.units import Seconds

BASELINE = Path(__file__).with_name("baseline.json")


@dataclass(frozen=True)
class Scenario:
    """A recipe on one of scikit-learn's data sets, on one holdout, judged in one metric.

    ``worse`` is how much worse than the baseline it may be, in the metric's unit; ``larger`` by what share its bundle
    may be larger. Both are signed promises of this suite: raise one only together with the reason.
    """

    data: str
    metric: str
    recipe: Recipe
    worse: float
    larger: float = 0.1


def trained(learner: str, *parts: Step, **settings: object) -> Train:
    return Train(learner=learner, plan=Plan(settings=Settings(settings), parts=parts))


PAIR = Combine(lever="ensemble", parents=(trained("linear"), trained("lightgbm")))
SCENARIOS = {
    "cancer-linear": Scenario("breast_cancer", "log_loss", trained("linear"), 0.01),
    "cancer-lightgbm": Scenario("breast_cancer", "log_loss", trained("lightgbm"), 0.02),
    "cancer-catboost": Scenario("breast_cancer", "log_loss", trained("catboost"), 0.02),
    "cancer-ensemble": Scenario("breast_cancer", "log_loss", PAIR, 0.01),
    "digits-linear": Scenario("digits", "accuracy", trained("linear"), 0.01),
    "digits-lightgbm": Scenario("digits", "accuracy", trained("lightgbm"), 0.01),
    "digits-extra-trees": Scenario("digits", "accuracy", trained("extra-trees"), 0.01),
    "digits-mlp": Scenario("digits", "accuracy", trained("mlp"), 0.015),
    "diabetes-linear": Scenario("diabetes", "rmse", trained("linear"), 0.5),
    "diabetes-lightgbm": Scenario("diabetes", "rmse", trained("lightgbm"), 1.0),
    "diabetes-catboost": Scenario("diabetes", "rmse", trained("catboost"), 1.0),
    "diabetes-extra-trees": Scenario("diabetes", "rmse", trained("extra-trees"), 1.0),
    "wine-extra-trees": Scenario("wine", "log_loss", trained("extra-trees"), 0.03),
    "wine-bag": Scenario("wine", "log_loss", trained("lightgbm", Step(lever="bag", settings=Settings(folds=3))), 0.05),
    "digits-calibrated": Scenario(
        "digits", "log_loss", Combine(lever="calibrate", parents=(trained("extra-trees"),)), 0.03
    ),
    "diabetes-distilled": Scenario("diabetes", "rmse", Shrink(lever="distil", parent=trained("extra-trees")), 1.0),
}


@dataclass(frozen=True)
class Reached:
    """What a scenario reached: its metric on validation rows, and the bytes of its bundle."""

    value: float
    size: int


def measure(scenario: Scenario, folder: Path) -> Reached:
    """Execute a scenario's recipe in this process, its parents first."""
    spec = Spec(
        data=f"sklearn:{scenario.data}",
        target="target",
        quality=Quality(metric=scenario.metric),
        split=SplitPart(folds=0),
    )
    place = folder / f"{scenario.data}-{scenario.metric}"
    if not place.exists():
        (place / "bundles").mkdir(parents=True)
        store.save(load(spec, None), place)
    fingerprint = store.read(place).fingerprint
    outcome = None
    for recipe in (*_under(scenario.recipe), scenario.recipe):
        job = Job(number=0, recipe=recipe, fingerprint=fingerprint, store=place, seconds=Seconds("inf"))
        outcome = outcome_from_json(execute(job))
        if not outcome.ending.usable:
            raise RuntimeError(f"{recipe}: {outcome.ending.value} {outcome.note}")
    assert outcome is not None
    bundle = place / "bundles" / digest(outcome.recipe) / "holdout"
    size = sum(file.stat().st_size for file in bundle.rglob("*") if file.is_file())
    return Reached(outcome.validation[scenario.metric].value, size)


def _under(recipe: Recipe) -> list[Recipe]:
    """Return the recipes under a recipe, those that others rest on first."""
    return [r for parent in parents(recipe) for r in (*_under(parent), parent)]


def complaint(scenario: Scenario, reached: Reached, before: Reached) -> str:
    """Return what is worse than promised, or nothing."""
    aim = metric(scenario.metric)
    loss = aim.higher_is_better(before.value) - aim.higher_is_better(reached.value)
    if loss > scenario.worse:
        return f"{scenario.metric} went from {before.value:.4f} to {reached.value:.4f}; {scenario.worse:g} is allowed"
    if reached.size > before.size * (1 + scenario.larger):
        return f"the bundle went from {before.size:,} to {reached.size:,} bytes; {scenario.larger:.0%} is allowed"
    return ""


def baseline() -> dict[str, Reached]:
    """Return what the committed baseline holds."""
    return {name: Reached(**row) for name, row in json.loads(BASELINE.read_text(encoding="utf-8")).items()}


def main() -> int:
    """Write the baseline anew."""
    with tempfile.TemporaryDirectory() as folder:
        found = {name: measure(one, Path(folder)) for name, one in sorted(SCENARIOS.items())}
    rows = {name: {"value": round(one.value, 6), "size": one.size} for name, one in found.items()}
    BASELINE.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(BASELINE.read_text(encoding="utf-8"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
