"""Decision replay: ``make bench-replay``. Nothing is trained; the search and the decision are Steelyard's own.

For each table of TabArena's published results the search is asked for its next look, pays the published seconds of
training for it, is told the published *validation* error, and goes on until no look is expected to return its price;
then the decision is made, and scored by the published *test* error of what it chose. What the search knows beforehand
is fitted on the other tables alone.

A look is worth ``RATE`` seconds for each factor e by which it is expected to lower the error. Each look is paid in
full, tuning that an ensemble repeats included. The gap of a choice is one minus the best look's test error over its
own.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from fit import VALIDATION_SHARE, fit, usual_noise

from results import FAMILIES, Results, read_results

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from rows import Bench, Row
from steelyard.contracts import (
    Column,
    Context,
    Ending,
    Kind,
    Move,
    Prior,
    Problem,
    Schema,
    Space,
    Stage,
    Task,
    Trial,
    Weight,
    known,
)
from steelyard.decide import Decision, candidate, decide
from steelyard.money import Prices
from steelyard.recipe import Combine, Plan, Recipe, Settings, Train, trainings
from steelyard.search.experience import DEFAULT, JOINED, TUNED, Experience
from steelyard.search.moves import Ranked, Search, Terms
from steelyard.search.spending import Free, Gain
from steelyard.spec import Quality, Serving, Spec
from steelyard.tasks import metric
from steelyard.units import Estimate, How, Seconds

RATE = 40_000.0
"""Seconds of training that lowering the error by a factor of e is worth."""
CAPS = (0.05, 0.1, 0.25, 0.5)
"""Latency limits, seconds for 1,000 rows, which is ms a row."""
PROBLEMS = {"roc_auc": Problem.BINARY, "log_loss": Problem.MULTICLASS, "rmse": Problem.REGRESSION}
FIXED = {
    "CatBoost default": ("CAT (default)",),
    "CatBoost, LightGBM and the torch MLP by default": ("CAT (default)", "GBM (default)", "NN_TORCH (default)"),
    "the 11 defaults": tuple(f"{family} (default)" for family in FAMILIES),
    "CatBoost and FastAI defaults, LightGBM tuned + ensembled": (
        "CAT (default)",
        "FASTAI (default)",
        "GBM (tuned + ensemble)",
    ),
    "LightGBM tuned + ensembled": ("GBM (tuned + ensemble)",),
    "CatBoost tuned": ("CAT (tuned)",),
    "KNN default": ("KNN (default)",),
    "KNN tuned + ensembled": ("KNN (tuned + ensemble)",),
    "all 33 looks": tuple(f"{family} ({kind})" for family in FAMILIES for kind in (DEFAULT, TUNED, JOINED)),
}
"""The lines to beat: looks that are the same for every table, the best chosen by validation."""


@dataclass(frozen=True)
class Relative(Free):
    """Lowering the error by a factor of e is worth ``rate``; a second costs 1."""

    rate: float = RATE

    def money(self, gain: Gain) -> Estimate:
        return Estimate.exact(-math.log1p(-min(gain.relative, 1 - 1e-9)) * self.rate, how=How.ESTIMATED)

    def price(self, seconds: float) -> Estimate:
        return Estimate.exact(seconds, how=How.ESTIMATED, unit="s")


@dataclass(frozen=True)
class Family:
    """A family of the published results, as a learner."""

    name: str
    experience: Experience
    honours = frozenset({"settings"})
    about = "published"

    def accepts(self, task: Task, schema: Schema) -> None:
        del task, schema

    def space(self, task: Task, schema: Schema) -> Space:
        del task, schema
        return Space({})

    def prior(self, task: Task, schema: Schema, rows: int) -> Prior:
        del task
        return self.cost(DEFAULT, rows, len(schema.columns))

    def cost(self, kind: str, rows: int, columns: int) -> Prior:
        at = self.experience.looks.index(f"{self.name} ({kind})")
        seconds = self.experience.training[at].seconds(rows, columns)
        return Prior(Estimate.exact(seconds, how=How.ASSUMED), Estimate(0.5, 0.2, 0.8, How.ASSUMED))


@dataclass(frozen=True)
class Step:
    """From a family's defaults to its tuned look, or to the ensemble of that, as a lever."""

    name: str
    kind: str
    stage: Stage
    families: Mapping[str, Family]
    paper = "published"
    about = "published"

    def moves(self, trial: Trial, context: Context) -> list[Move]:
        recipe = trial.recipe
        if not isinstance(recipe, Train) or recipe.plan.settings:
            return []
        tuned = Train(learner=recipe.learner, plan=Plan(settings=Settings(look=TUNED)))
        joined = Combine(lever="ensemble", parents=(tuned,), settings=Settings(look=JOINED))
        prior = self.families[recipe.learner].cost(self.kind, context.rows, len(context.schema.columns))
        return [Move(recipe=tuned if self.kind == TUNED else joined, lever=self.name, prior=prior)]


def look_of(recipe: Recipe) -> str:
    """Return the published look that a recipe of the replay stands for."""
    kind = JOINED if isinstance(recipe, Combine) else TUNED if recipe.plan.settings else DEFAULT
    return f"{trainings(recipe)[0].learner} ({kind})"


@dataclass
class Played:
    """What one table's replay came to."""

    table: str
    choice: str
    gap: float
    seconds: float
    whole: float
    looks: list[str] = field(default_factory=list)
    violated: bool = False


@dataclass
class Game:
    """One table: what the search may ask, and what it is told."""

    results: Results
    table: int
    experience: Experience
    rate: float
    cap: float | None = None

    def __post_init__(self) -> None:
        results, at = self.results, self.table
        families = {name: Family(name, self.experience) for name in FAMILIES}
        self.aim = metric(results.metrics[at])
        classes = {Problem.BINARY: ("0", "1"), Problem.MULTICLASS: ("0", "1", "2")}
        problem = PROBLEMS[results.metrics[at]]
        self.task = Task(
            problem=problem,
            target="y",
            aim=self.aim.name,
            classes=classes.get(problem, ()),
            positive="1" if problem is Problem.BINARY else None,
        )
        columns = tuple(Column(name=f"x{i}", kind=Kind.NUMBER) for i in range(int(results.columns[at])))
        context = Context(
            task=self.task,
            schema=Schema(columns),
            rows=int(results.rows[at]),
            calibration_rows=0,
            parts=1,
            trials=(),
            space=lambda _: Space({}),
            learner=families.__getitem__,
        )
        steps = [
            Step("tune", TUNED, Stage.TRAINING, families),
            Step("ensemble", JOINED, Stage.COMBINING, families),
        ]
        terms = Terms(experience=self.experience, worth=Relative(rate=self.rate), measured_pace=True, meets=self._meets)
        self.search = Search(context, list(families.values()), steps, terms)
        self.spec = Spec(
            data="published.csv",
            target="y",
            quality=Quality(metric=self.aim.name, tolerance=0.0),
            serving=Serving(latency_p95_ms=self.cap),
        )

    def play(self) -> Played:
        """Ask and tell until no look returns its price, decide, and score the choice by its test error."""
        while (move := self.search.ask(affordable=self._keeps_the_limit)) is not None:
            self.search.tell(self._trial(move))
        decision = self._decide()
        at, looks = self.table, [look_of(t.recipe) for t in self.search.trials]
        chosen = looks[decision.number]
        spent = sum(float(t.seconds) for t in self.search.trials)
        return Played(
            table=self.results.names[at],
            choice=chosen,
            gap=gap(self.results, at, self._column(chosen), self.cap),
            seconds=spent,
            whole=float(self.results.training[at].sum()),
            looks=looks,
            violated=self.cap is not None and bool(self.results.answering[at, self._column(chosen)] > self.cap),
        )

    def _keeps_the_limit(self, ranked: Ranked) -> bool:
        """Pass over looks that hardly answer in time: a standard deviation under what is expected is beyond the limit.

        Until one is within it, only the default that should be the quickest goes.
        """
        if self.cap is None:
            return True
        rows, columns = self.results.rows[self.table], self.results.columns[self.table]
        expected = {
            look: prices.seconds(rows, columns) * math.exp(-prices.spread)
            for look, prices in zip(self.experience.looks, self.experience.answering, strict=True)
        }
        seen = [look_of(t.recipe) for t in self.search.trials]
        if not any(self._meets(t) for t in self.search.trials):
            quickest = min((f"{family} (default)" for family in FAMILIES), key=lambda x: (x in seen, expected[x]))
            return look_of(ranked.move.recipe) == quickest
        return expected[look_of(ranked.move.recipe)] <= self.cap

    def _meets(self, trial: Trial) -> bool:
        return self.cap is None or (trial.weight is not None and trial.weight.p95.value <= self.cap)

    def _column(self, look: str) -> int:
        return self.results.looks.index(look)

    def _trial(self, move: Move) -> Trial:
        results, at, column = self.results, self.table, self._column(look_of(move.recipe))
        error = results.valid[at, column]
        bounded = results.bounded[at : at + 1]
        noise = float(usual_noise(results.rows[at : at + 1], np.array([error]), bounded=bounded)[0])
        value = 1 - error if self.aim.better == "higher" else error
        half = 1.96 * noise * error
        took = results.answering[at, column]
        latency = Estimate.exact(took, unit="ms")
        return Trial(
            number=len(self.search.trials),
            recipe=move.recipe,
            lever=move.lever,
            ending=Ending.MEASURED,
            validation={self.aim.name: Estimate(value, value - half, value + half)},
            protocol="holdout",
            seconds=Seconds(results.training[at, column]),
            weight=Weight(
                p50=latency,
                p95=latency,
                p99=latency,
                throughput=Estimate.exact(1000 / took),
                batch=1,
                size_bytes=1,
                memory_bytes=Estimate.exact(0.0),
                threads=1,
                calls=1,
            ),
        )

    def _decide(self) -> Decision:
        prices = Prices.load()
        expected = {t.number: self.search.expected(t) for t in known(self.search.trials)}
        found = [c for t in self.search.trials if (c := candidate(t, prices, self.spec, self.task)) is not None]
        return decide(
            found,
            metric=self.aim,
            paired=self._paired,
            spec=self.spec,
            task=self.task,
            expected=expected,
        )

    def _paired(self, first: int, second: int) -> Estimate:
        """Return how far two looks are apart in validation; rows that both answered err together in both."""
        figures = [self.search.trials[n].validation[self.aim.name] for n in (first, second)]
        values = [self.aim.higher_is_better(f.value) for f in figures]
        value = values[0] - values[1]
        half = math.sqrt(VALIDATION_SHARE) * math.hypot(*((f.high - f.low) / 2 for f in figures))
        return Estimate(value, value - half, value + half)


def gap(results: Results, table: int, column: int, cap: float | None = None) -> float:
    """Return by what share the error of a look is above that of the best look within the limit."""
    within = results.answering[table] <= (math.inf if cap is None else cap)
    best = results.test[table][within].min() if within.any() else results.test[table].min()
    return float(1 - best / results.test[table, column])


def replayed(
    results: Results, known_from: Results, rate: float, cap: float | None = None, **how: float
) -> list[Played]:
    """Play every table with the experience of the others."""
    games = []
    for table, name in enumerate(results.names):
        others = [i for i, other in enumerate(known_from.names) if other != name]
        if cap is None or (results.answering[table] <= cap).any():
            games.append(Game(results, table, fit(known_from, others, **how), rate, cap).play())
    return games


def summary(played: Sequence[Played]) -> dict[str, float]:
    """Return mean gap and what was paid."""
    seconds, whole = (np.array([getattr(p, name) for p in played]) for name in ("seconds", "whole"))
    return {
        "tables": len(played),
        "mean_gap_percent": round(100 * float(np.mean([p.gap for p in played])), 2),
        "median_seconds": round(float(np.median(seconds)), 1),
        "total_seconds": round(float(seconds.sum())),
        "median_times_cheaper": round(float(np.median(whole) / np.median(seconds)), 1),
        "median_of_ratios": round(float(np.median(whole / seconds)), 1),
        "total_times_cheaper": round(float(whole.sum() / seconds.sum()), 1),
        "violations": int(sum(p.violated for p in played)),
        "looks": round(float(np.mean([len(p.looks) for p in played])), 1),
    }


def lines(results: Results) -> dict[str, dict[str, float]]:
    """Return the same for fixed lists of looks, the best by validation of each."""
    found = {}
    for name, looks in FIXED.items():
        columns = [results.looks.index(look) for look in looks]
        picks = [columns[int(np.argmin(row[columns]))] for row in results.valid]
        played = [
            Played(
                table=results.names[i],
                choice=results.looks[pick],
                gap=gap(results, i, pick),
                seconds=float(results.training[i, columns].sum()),
                whole=float(results.training[i].sum()),
                looks=list(looks),
            )
            for i, pick in enumerate(picks)
        ]
        found[name] = summary(played)
    return found


def held_against(bench: Bench) -> None:
    """Hold the kept rows against the bars."""

    def of(name: str, cap: float | None = None) -> list[Row]:
        return bench.rows(policy=name, cap=cap)

    bench.bar(
        "mean gap of at most 4.7%",
        of("search"),
        lambda rows: (rows[-1]["mean_gap_percent"] <= 4.7, f"{rows[-1]['mean_gap_percent']}%"),
    )
    for name, field_ in (("median", "median_times_cheaper"), ("total", "total_times_cheaper")):
        bench.bar(
            f"at most 1/50 of the exhaustive training cost, in the {name}",
            of("search"),
            lambda rows, field_=field_: (rows[-1][field_] >= 50, f"1/{rows[-1][field_]:.0f}"),
        )
    violations = [row for cap in CAPS for row in of("search", cap)]
    bench.bar(
        "no latency limit violated",
        violations,
        lambda rows: (
            not sum(r["violations"] for r in rows),
            f"{sum(r['violations'] for r in rows)} of {len(rows)} limits",
        ),
        least=len(CAPS),
    )
    bench.bar(
        "below the line of the fixed lists (no list is as cheap and nearer)",
        [*of("search"), *(row for name in FIXED for row in of(name))],
        _below_the_line,
        least=1 + len(FIXED),
    )


def _below_the_line(rows: Sequence[Row]) -> tuple[bool, str]:
    search, *lists = rows
    beaten = [
        f"{row['mean_gap_percent']}% at {row['median_seconds']:.0f} s"
        for row in lists
        if row["mean_gap_percent"] <= search["mean_gap_percent"] and row["median_seconds"] <= search["median_seconds"]
    ]
    here = f"{search['mean_gap_percent']}% at {search['median_seconds']:.0f} s"
    return not beaten, f"{here}; {'no list is' if not beaten else 'nearer and cheaper: ' + '; '.join(beaten)}"


def show(name: str, row: Mapping[str, float]) -> None:
    """Print one line of the table."""
    print(
        f"{name:58.58s} {row['mean_gap_percent']:6.2f} %"
        f"  {row['median_seconds']:9,.0f} s  {row['total_seconds']:11,.0f} s"
        f"   1/{row['median_times_cheaper']:.0f}  1/{row['total_times_cheaper']:.0f}"
    )


def main() -> None:
    """Replay, print the table, hold it against the bars."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, help="play these tables, with the experience of the published ones")
    parser.add_argument("--rate", type=float, default=RATE, help="seconds that a factor e of the error is worth")
    parser.add_argument("--vary", action="store_true", help="also with other constants of the fit, and other rates")
    parser.add_argument("--each", action="store_true", help="print what was chosen for each table")
    given = parser.parse_args()
    known_from, results = read_results(), read_results(given.results)
    if known_from is None or results is None:
        sys.exit(0)
    where = "published" if given.results is None else str(given.results)
    bench = Bench("replay")
    print(f"{'policy':58s} {'gap':>6s}    {'median':>9s}    {'total':>11s}     cheaper than all 33, median and total")
    for name, row in lines(results).items():
        bench.measure({"tables": where, "policy": name, "cap": None}, lambda row=row: row)
        show(name, row)
    played = replayed(results, known_from, given.rate)
    row = {**summary(played), "rate": given.rate}
    bench.measure({"tables": where, "policy": "search", "cap": None}, lambda: row)
    show("the search", row)
    for cap in CAPS:
        capped = summary(replayed(results, known_from, given.rate, cap))
        bench.measure({"tables": where, "policy": "search", "cap": cap}, lambda capped=capped: capped)
        show(f"the search, at most {cap} s for 1,000 rows ({capped['violations']} violated)", capped)
    if given.each:
        for p in played:
            print(f"  {p.table:45.45s} {100 * p.gap:6.2f} %  {p.seconds:9,.0f} s  {p.choice}")
            print(f"    of {len(p.looks)}: {', '.join(p.looks)}")
    if given.vary:
        vary(results, known_from)
    held_against(bench)
    bench.finish()


def vary(results: Results, known_from: Results) -> None:
    """Print the table with other constants, to show that none of them decides."""
    for rate in (10_000, 20_000, 60_000, 80_000, 100_000):
        show(f"a factor e is worth {rate:,} s", summary(replayed(results, known_from, rate)))
    for how in ({"far": 0.3}, {"far": 0.8}, {"floor": 0.01}, {"floor": 0.04}, {"alike": 0.4}, {"alike": 0.8}):
        show(f"with {how}", summary(replayed(results, known_from, RATE, **how)))


if __name__ == "__main__":
    main()
