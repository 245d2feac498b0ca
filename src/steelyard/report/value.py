"""What decisions are worth, and what they bring: the money under every choice, laid open so that it can be redone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from steelyard.contracts import NUMERIC, Matrix, Task, Trial
from steelyard.decide.words import figure as figured
from steelyard.decide.words import listed, money, span
from steelyard.report.rows import Json
from steelyard.search.record import RunRecord
from steelyard.tasks.money import DECISIONS
from steelyard.units import Estimate

_SHOWN = 30
"""Classes up to which the whole matrix is told."""
_TOLD = 5
"""Classes up to which each policy of deciding alike is said."""


def value(record: RunRecord) -> Json | None:
    """Return what outcomes are worth and what a thousand decisions bring; ``None`` where no values were given.

    ``thousand`` is of the test rows where they were read, else of the validation rows (``rows`` says which), by the
    decision of the bundle that ships. ``always`` is what deciding the same for every row would bring instead.
    """
    task = record.task
    if task.value is None:
        return None
    measured = [t for t in record.trials if "value" in t.validation]
    final = record.final
    tested = final is not None and "value" in final.test
    chosen = None if record.decision is None else record.decision.number
    picked = next((t for t in measured if t.number == chosen), None)
    figure = final.test["value"] if final is not None and tested else picked and picked.validation["value"]
    return {
        "currency": task.currency,
        "per": "decision",
        "problem": task.problem.value,
        **_worths(task),
        "thousand": figure.to_json() if figure else None,
        "rows": "test" if tested else "validation",
        "chosen": chosen,
        "trials": [
            {"number": t.number, "thousand": t.validation["value"].to_json(), "decides": _decides(t)} for t in measured
        ],
        "always": _always(task, picked),
        "review": _review(record, picked),
    }


def _worths(task: Task) -> Json:
    amounts = [
        {"column": a.column, "known": a.known, "means": list(a.means), "high": a.high, **_laid(task, a.times)}
        for a in task.amounts
    ]
    assert task.value is not None
    return {**_laid(task, task.value), "amounts": amounts}


def _laid(task: Task, matrix: Matrix) -> Json:
    """Return a matrix by name: rows are true classes, columns what is decided."""
    if task.problem in NUMERIC:
        return {"over": matrix[0][0], "under": matrix[0][1]}
    if len(matrix) > _SHOWN:
        right = {row[code] for code, row in enumerate(matrix)}
        wrong = {cell for code, row in enumerate(matrix) for other, cell in enumerate(row) if other != code}
        if len(right) == 1 and len(wrong) == 1:
            return {"right": right.pop(), "wrong": wrong.pop()}
    return {"classes": list(task.classes), "matrix": [list(row) for row in matrix]}


def _decides(trial: Trial) -> Json | None:
    """Return the rule by which a trial decides, with the 95% interval of its number; ``None``: by expected money."""
    rule = trial.outcomes.get("rule")
    if rule is None:
        return None
    numbers = {key: rule[key] for key in ("at", "times", "plus") if key in rule}
    ends = {key: rule["chosen"][key] for key in ("low", "high")}
    return {"rule": rule["rule"], **numbers, **ends, "rows": rule["chosen"]["rows"]}


def _always(task: Task, trial: Trial | None) -> list[Json]:
    """Return what a thousand rows bring that are all decided alike, on the validation rows."""
    if trial is None or task.problem in NUMERIC or not trial.outcomes:
        return []
    shares = _classes(task, trial.outcomes)
    staked = {name: _classes(task, found) for name, found in trial.outcomes.get("amounts", {}).items()}
    assert task.value is not None
    brings = [
        sum(share * row[code] for share, row in zip(shares, task.value, strict=True))
        + sum(
            share * row[code]
            for amount in task.amounts
            for share, row in zip(staked[amount.column], amount.times, strict=True)
        )
        for code in range(task.width)
    ]
    return [{"decision": name, "thousand": DECISIONS * money} for name, money in zip(task.classes, brings, strict=True)]


def _classes(task: Task, found: Mapping[str, Any]) -> list[float]:
    """Return the share of each true class."""
    if "decided" in found:
        tp, fp, tn, fn = found["decided"]
        positive = len(task.classes) - 1 if task.positive is None else task.classes.index(task.positive)
        return [tp + fn if code == positive else fp + tn for code in range(task.width)]
    if "confusion" in found:
        return [sum(row) for row in found["confusion"]]
    sums = [0.0] * task.width
    for true, _, share in found["cells"]:
        sums[true] += share
    return sums


def _review(record: RunRecord, trial: Trial | None) -> Json | None:
    """Return which share of decisions is best left to a person at the price of one, and what that brings."""
    asked = None if record.spec.value is None else record.spec.value.review
    reviewed = None if trial is None else trial.outcomes.get("reviewed")
    if asked is None or reviewed is None:
        return None
    price = -float(asked.amount)
    brings = [
        DECISIONS * (money - price * share) for share, money in zip(reviewed["shares"], reviewed["money"], strict=True)
    ]
    best = max(range(len(brings)), key=brings.__getitem__)
    return {
        "price": price,
        "share": reviewed["shares"][best],
        "thousand": brings[best],
        "thousand_without": brings[0],
        "assumed": "a person decides rightly, for the least clear decisions first, up to half of them",
    }


def sentences(report: Mapping[str, Any]) -> list[str]:
    """Return what the value of decisions has to tell, a sentence each; none where no values were given."""
    found = report.get("value")
    if found is None or found["thousand"] is None:
        return []
    unit, rows = found["currency"], found["rows"]
    figure = Estimate.from_json(found["thousand"])
    said = [f"A thousand decisions bring {span(figure)} {unit} on the {rows} rows."]
    always = {each["decision"]: each["thousand"] for each in found["always"]}
    if 0 < len(always) <= _TOLD:
        each = listed([f"{money(brings, unit)} for {name}" for name, brings in always.items()])
        said.append(f"Deciding the same for every validation row would bring {each}.")
    mine = next((t["decides"] for t in found["trials"] if t["number"] == found["chosen"]), None)
    said += [_said(mine)] if mine else []
    for amount in found["amounts"]:
        how = "decides row by row" if amount["known"] else "is known only later: the mean of each class decides"
        said.append(f"The money at stake in {amount['column']!r} {how}.")
    if (review := found["review"]) is not None:
        said.append(
            f"At {money(review['price'], unit)} for a person's decision it pays to leave {review['share']:.0%} of the "
            f"decisions to one: a thousand then bring {money(review['thousand'], unit)} instead of "
            f"{money(review['thousand_without'], unit)}, if {review['assumed']}."
        )
    return said


def _said(decides: Json) -> str:
    """Return how a decision was chosen, as a sentence."""
    low, high = figured(decides["low"]), figured(decides["high"])
    interval = f"(95% interval {low} to {high}, {decides['rows']:,} rows)"
    if decides["rule"] == "threshold":
        return f"A probability of {figured(decides['at'])} or more decides for the positive class {interval}."
    if decides["rule"] == "odds":
        return f"The odds of the positive class count {figured(decides['times'])} times {interval}, then money decides."
    slope = "" if decides["times"] == 1 else f"{figured(decides['times'])} times "
    return f"What is predicted is {slope}the model's number and {figured(decides['plus'])} {interval}."
