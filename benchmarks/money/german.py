"""What decisions by value save: bar 7, german credit with the UCI costs, and three sets beside it.

========================== =============================================================================================
case                       what a decision is worth
========================== =============================================================================================
german_credit, uci         a good applicant refused costs 1, a bad one accepted 5 (cost matrix of the UCI repository,
                           Statlog German Credit Data); on the catalogue's split and on four others by another hash
german_credit, amount      a bad one accepted loses 0.6 of the credit, a good one earns 0.12 of it (assumed); the amount
                           is known when the decision is made
telco_churn, amount        an offer costs 20 and keeps a churner's charges for 1.8 months on average (assumed)
bike_sharing, units        a bike too many costs 1, a ride that found no bike 4 (assumed)
========================== =============================================================================================

Each case is one run of Steelyard; its bundle decides on the test rows, which nothing else has seen. Beside it stand the
same scores cut where they are most often right, always deciding alike, and for numbers the mean, the best constant, and
LightGBM trained on the quantile itself.

    python benchmarks/money/german.py       MINUTES=5 starts no case after that, TRIALS=6 is a quick look

"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))

from rows import Bench, Row  # noqa: E402 - found beside this folder
from steelyard import api  # noqa: E402
from steelyard.contracts import Answer, Problem, Task  # noqa: E402
from steelyard.measure import paired, quality  # noqa: E402
from steelyard.rows import stakes, targets  # noqa: E402
from steelyard.spec import Spec  # noqa: E402
from steelyard.tasks.money import DECISIONS  # noqa: E402

DATA = Path(os.environ.get("STEELYARD_DATA", ROOT.parent / "shared" / "data"))
TRIALS = int(os.environ.get("TRIALS", "12"))
SPLITS = 5
UCI = {"cost": {"good": {"bad": "1 USD"}, "bad": {"good": "5 USD"}}}
CREDIT = {
    "matrix": {
        "bad": {"good": {"column": "credit_amount", "times": -0.6}},
        "good": {"good": {"column": "credit_amount", "times": 0.12}},
    },
    "known": ["credit_amount"],
}
CHURN = {
    "true_positive": {"column": "MonthlyCharges", "times": 1.8, "plus": "-20 USD"},
    "false_positive": "-20 USD",
    "known": ["MonthlyCharges"],
}
BIKES = {"over": "-1 USD", "under": "-4 USD"}
BIKE_LEAKS = ["instant", "casual", "registered", "dteday"]

Money = dict[str, float]


def frame_of(name: str, *, turn: int = 0) -> pl.DataFrame:
    """Return a table with its side: test where ``crc32(str(i)) % 5 == 0``, or by another hash."""
    frame = pl.read_csv(DATA / name / "data.csv.gz", infer_schema_length=None)
    salt = f"{turn}:" if turn else ""
    sides = ["test" if zlib.crc32(f"{salt}{i}".encode()) % 5 == 0 else "train" for i in range(frame.height)]
    return frame.with_columns(pl.Series("side_of_bench", sides))


def told(task: Task, target: np.ndarray[Any, Any], ours: Answer, other: Answer) -> Money:
    """Return what a decision of another policy costs, with its interval, and how much less one of ours does."""
    cost = quality(task, target, other, names=["value"])["value"]
    saved = paired("value", task, target, ours, other)
    return {
        "cost": -cost.value / DECISIONS,
        "low": -cost.high / DECISIONS,
        "high": -cost.low / DECISIONS,
        "saved": saved.value / DECISIONS,
        "saved_low": saved.low / DECISIONS,
        "saved_high": saved.high / DECISIONS,
    }


def classified(report: Mapping[str, Any], task: Task, ours: Answer) -> dict[str, Answer]:
    """Return the policies to compare with, of which those that cut scores are chosen on validation rows."""
    found = next(t["outcomes"] for t in report["trials"] if t["chosen"])
    assert task.positive is not None
    positive = task.classes.index(task.positive)
    rates = np.array(found["rates"])
    right = found["thresholds"][int(np.argmax(rates[:, 0] + rates[:, 2]))]

    def cut(at: float) -> Answer:
        decided = np.where(ours.scores[:, positive] >= at, positive, 1 - positive)
        return Answer(ours.scores, decided, amounts=ours.amounts)

    policies = {"accuracy-optimal threshold": cut(right)}
    if task.amounts:
        assert task.value is not None
        order = [(positive, positive), (1 - positive, positive), (1 - positive, 1 - positive), (positive, 1 - positive)]
        money = rates @ [task.value[t][d] for t, d in order]
        for amount in task.amounts:
            money += np.array(found["amounts"][amount.column]["rates"]) @ [amount.times[t][d] for t, d in order]
        policies["one threshold for all, by value"] = cut(found["thresholds"][int(np.argmax(money))])
    for code, name in enumerate(task.classes):
        policies[f"always {name}"] = Answer(ours.scores, np.full(len(ours.decided), code), amounts=ours.amounts)
    return policies


def numbered(train: pl.DataFrame, test: pl.DataFrame, task: Task, ours: Answer) -> dict[str, Answer]:
    """Return the policies to compare predicted numbers with."""
    import lightgbm

    assert task.value is not None
    over, under = task.value[0]
    share = under / (over + under)
    columns = [c for c in train.columns if c not in {task.target, "side_of_bench", *BIKE_LEAKS}]
    model = lightgbm.LGBMRegressor(objective="quantile", alpha=share, n_estimators=400, num_leaves=63, verbose=-1)
    model.fit(train.select(columns).to_numpy(), train[task.target].to_numpy())
    direct = model.predict(test.select(columns).to_numpy())
    constant = np.full(test.height, float(np.quantile(train[task.target].to_numpy(), share)))
    decided = {"the mean": ours.scores[:, 0], "the best constant": constant, "LightGBM on the quantile": direct}
    return {name: Answer(values[:, None], values) for name, values in decided.items()}


def measured(name: str, target: str, value: Mapping[str, Any], **more: Any) -> Callable[[], Row]:
    """Return what runs one case."""
    turn = int(more.pop("turn", 0))

    def run() -> Row:
        frame = frame_of(name, turn=turn)
        spec = Spec(
            name=name,
            data=frame,
            target=target,
            value=dict(value),
            split={"column": "side_of_bench"},
            budget={"trials": TRIALS, "minutes": 2},
            **more,
        )
        with tempfile.TemporaryDirectory() as folder:
            made = api.run(spec, out=Path(folder) / "run")
            report = json.loads((made.folder / "report.json").read_text())
            train, test = (frame.filter(pl.col("side_of_bench") == side) for side in ("train", "test"))
            task = made.bundle.task
            truth, money = targets(test, task), stakes(test, task)
            ours = replace(made.bundle.answer_rows(test), amounts=money)
        policies = (
            numbered(train, test, task, ours) if task.problem is Problem.REGRESSION else classified(report, task, ours)
        )
        same = report["decision"]["test"]["value"]["value"] / DECISIONS
        own = told(task, truth, ours, ours)
        return {
            "rows": len(truth),
            "trials": len(report["trials"]),
            "recipe": report["decision"]["recipe"],
            "decides": next(
                t["decides"] for t in report["value"]["trials"] if t["number"] == report["value"]["chosen"]
            ),
            "ours": {name: own[name] for name in ("cost", "low", "high")},
            "served_is_measured": abs(-same - own["cost"]) <= 1e-6 * max(1.0, abs(same)),  # float32 in other batches
            "policies": {policy: told(task, truth, ours, answer) for policy, answer in policies.items()},
        }

    return run


def beats(*names: str) -> Callable[[Any], tuple[bool, str]]:
    """Make a bar: a decision costs less than by each of some policies, on average over the rows of the bench."""

    def met(rows: Any) -> tuple[bool, str]:
        ours = np.mean([row["ours"]["cost"] for row in rows])
        parts, fine = [], True
        for name in names:
            saved = np.mean([row["policies"][name]["saved"] for row in rows])
            fine &= bool(saved > 0)
            ends = f" ({_ends(rows, name)})"
            parts.append(
                f"{name} {np.mean([row['policies'][name]['cost'] for row in rows]):.4g}, saved {saved:.3g}{ends}"
            )
        own = rows[0]["ours"]
        interval = f" ({own['low']:.4g} to {own['high']:.4g})" if len(rows) == 1 else f" (mean of {len(rows)} splits)"
        return fine, f"{ours:.4g}{interval}; {'; '.join(parts)}"

    return met


def _ends(rows: Any, name: str) -> str:
    if len(rows) == 1:
        one = rows[0]["policies"][name]
        return f"{one['saved_low']:.3g} to {one['saved_high']:.3g}"
    saved = [row["policies"][name]["saved"] for row in rows]
    return f"{min(saved):.3g} to {max(saved):.3g}, more than nothing in {sum(s > 0 for s in saved)} of {len(saved)}"


def main() -> None:
    if not (DATA / "german_credit").is_dir():
        print(f"skipped: there is no german_credit in {DATA}; set STEELYARD_DATA")
        return
    bench = Bench("money-german", ["lightgbm", "onnxruntime", "scikit-learn"])
    for turn in range(SPLITS):
        case = {"set": "german_credit", "money": "uci", "split": turn, "trials": TRIALS}
        bench.measure(case, measured("german_credit", "target", UCI, positive="bad", turn=turn))
    more: dict[str, Any] = {"set": "german_credit", "money": "amount", "trials": TRIALS}
    bench.measure(more, measured("german_credit", "target", CREDIT, positive="bad"))
    more = {"set": "telco_churn", "money": "amount", "trials": TRIALS}
    bench.measure(more, measured("telco_churn", "Churn", CHURN, positive="Yes", columns={"ignore": ["customerID"]}))
    more = {"set": "bike_sharing_hourly", "money": "units", "trials": TRIALS}
    bench.measure(more, measured("bike_sharing_hourly", "cnt", BIKES, columns={"ignore": BIKE_LEAKS}))
    plain = ("always good", "always bad", "accuracy-optimal threshold")
    bars(bench, plain)
    bench.finish()


def bars(bench: Bench, plain: tuple[str, ...]) -> None:
    every = [row for row in bench.rows() if row]
    bench.bar(
        "what is served decides as what was measured",
        every,
        lambda rows: (all(r["served_is_measured"] for r in rows), f"{sum(r['served_is_measured'] for r in rows)} runs"),
        least=SPLITS + 3,
    )
    uci = {"set": "german_credit", "money": "uci"}
    bench.bar("german credit, UCI costs: cost of a test applicant", bench.rows(**uci, split=0), beats(*plain))
    bench.bar("the same over all splits", bench.rows(**uci), beats(*plain), least=SPLITS)
    amount = bench.rows(set="german_credit", money="amount")
    bench.bar("german credit, shares of the amount", amount, beats(*plain, "one threshold for all, by value"))
    churn = bench.rows(set="telco_churn")
    names = ("always No", "always Yes", "accuracy-optimal threshold", "one threshold for all, by value")
    bench.bar("telco churn, offers against charges", churn, beats(*names))
    bikes = bench.rows(set="bike_sharing_hourly")
    bench.bar("bikes, too many and too few", bikes, beats("the mean", "the best constant", "LightGBM on the quantile"))


if __name__ == "__main__":
    main()
