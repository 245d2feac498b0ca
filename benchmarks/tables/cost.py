"""Bars 3, 4 and 6: what it takes to reach a rival's quality, whether budgets are kept, and what the engine takes."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

import scores
from cells import Results
from paired import median
from store import RESULTS
from tools import BUDGETS, LONG, SEARCHES, TOOLS
from words import Bar, columns, times

Row = Mapping[str, Any]

THIRD = 1 / 3
CHURN = ("churn", "telco_churn")
OVERHEAD = 0.10


def bars(results: Results, bar: Bar) -> None:
    """Cost at equal quality: money until ours reaches a search's final test figure, as a share of what that spent."""
    budget = BUDGETS[-1]
    rows: list[tuple[str, ...]] = [
        (f"{budget} s", "sets", "median share", "for good", "never reached", "it spent, s", "USD")
    ]
    shares: dict[str, list[float]] = {}
    for rival in (*SEARCHES, "autogluon-limit"):
        reached = {name: list(_reached(results, rival, name, budget)) for name in results.sets}
        reached = {name: found for name, found in reached.items() if found}
        if not reached:
            continue
        shares[rival] = [median([r["first"] for r in found]) for found in reached.values()]
        good = [median([r["good"] for r in found]) for found in reached.values()]
        every = [r for found in reached.values() for r in found]
        rows.append(
            (
                rival,
                str(len(reached)),
                times(median(shares[rival])),
                times(median(good)),
                f"{sum(math.isinf(r['first']) for r in every)} of {len(every)} runs",
                f"{median([r['seconds'] for r in every]):.0f}",
                f"{median([r['money'] for r in every]):.5f}",
            )
        )
    print(columns(rows))
    print("       first: the first moment that its test figure was reached; for good: and never lost again")
    for rival in SEARCHES:
        found = shares.get(rival, [])
        figure = f"{times(median(found))} of what it spent, {len(found)} sets" if found else "no common rows"
        name, lacking = f"the quality of {rival} for a third of its cost", results.lacking(("ours", rival), (budget,))
        bar(name, met=bool(found) and median(found) <= THIRD, figure=figure, lacking=lacking)


def _reached(results: Results, rival: str, name: str, budget: int) -> Iterator[dict[str, float]]:
    """Yield for each seed that both have the share of a rival's cost at which ours has reached its quality.

    Money is the wall-clock time of the whole command on the same cores, so a share of money is a share of time.
    """
    ours, theirs = results.cell("ours", name, budget), results.cell(rival, name, budget)
    if ours is None or theirs is None:
        return
    for seed in sorted(ours.rows.keys() & theirs.rows.keys()):
        goal = theirs.rows[seed]
        if goal["ending"] != "done":  # without a model there is nothing to reach
            continue
        sign = 1 if scores.HIGHER_IS_BETTER[goal["metric"]] else -1
        own = [(at, sign * value >= sign * goal["value"]) for at, value in _own_path(ours.rows[seed])]
        less = [(at, sign * value >= sign * goal["value"]) for at, value in _shorter(results, name, budget, seed)]
        lost = max((i for i, (_, there) in enumerate(own) if not there), default=-1)
        yield {
            "first": min((at for at, there in (*own, *less) if there), default=math.inf) / goal["seconds"],
            "good": (own[lost + 1][0] if lost + 1 < len(own) else math.inf) / goal["seconds"],
            "seconds": goal["seconds"],
            "money": goal["money"],
        }


def _own_path(row: Row) -> list[tuple[float, float]]:
    """Return (seconds spent, test figure) of a run of ours: at each moment what it would have shipped, and its end."""
    if row["ending"] != "done":
        return []
    points = [(point["seconds"], point["test"]) for point in row["run"]["points"]]
    return sorted([*points, (row["seconds"], row["value"])])


def _shorter(results: Results, name: str, budget: int, seed: int) -> Iterator[tuple[float, float]]:
    """Yield the ends of the commands that were asked for less: such a one refits and closes, and has paid for it."""
    for asked in TOOLS["ours"].budgets:
        cell = results.cell("ours", name, asked)
        row = None if cell is None or asked >= budget else cell.rows.get(seed)
        if row is not None and row["ending"] == "done":
            yield row["seconds"], row["value"]


def budgets(results: Results, bar: Bar) -> None:
    """Budgets kept: at most 1.02 times what was asked and a second, whole command; always a usable model."""
    rows: list[tuple[str, ...]] = [
        ("asked", "tool", "runs", "median s", "worst s", "over the budget", "without a model")
    ]
    over, without, runs = [], [], 0
    for asked in sorted({*TOOLS["ours"].budgets, LONG}):
        for tool in (name for name in TOOLS if TOOLS[name].searches):
            told = [
                (name, row)
                for name in results.sets
                if (cell := results.cell(tool, name, asked)) is not None
                for row in cell.rows.values()
            ]
            if not told:
                continue
            late = [(name, row) for name, row in told if row["seconds"] > 1.02 * asked + 1]
            none = [(name, row) for name, row in told if row["ending"] != "done"]
            if tool == "ours":
                runs += len(told)
                over += [f"{name} {row['seconds']:.1f} of {asked} s" for name, row in late]
                without += [f"{name} at {asked} s" for name, _ in none]
            taken = [row["seconds"] for _, row in told]
            counts = (str(len(told)), f"{median(taken):.1f}", f"{max(taken):.1f}", str(len(late)), str(len(none)))
            rows.append((f"{asked} s", tool, *counts))
    print(columns(rows))
    lacking = results.lacking(("ours",), (*TOOLS["ours"].budgets, LONG))
    for sentence, found in (("keeps every budget", over), ("leaves a usable bundle every time", without)):
        bar(f"ours {sentence}", met=not found, figure="; ".join(found) or f"{runs} runs", lacking=lacking)
    _longer(results, bar)


def _longer(results: Results, bar: Bar) -> None:
    """Hold what ours ends at on the churn sets against CatBoost's default."""
    for name in CHURN:
        found = {}
        for budget in (*BUDGETS, LONG):
            difference = results.difference("ours", "catboost", name, budget)
            if difference is not None:
                found[budget] = difference[0]
        ends = found.get(max(found, default=0))
        figure = ", ".join(f"{value:+.4f} at {budget} s" for budget, value in found.items()) or "no rows"
        sentence = f"{name}: the longest search not below CatBoost's default (score)"
        bar(sentence, met=ends is not None and ends >= 0, figure=figure)


def overhead(results: Results, bar: Bar) -> None:
    """Engine: what is neither fitting nor predicting in a run of 30 s; a million rows inside 12 GiB."""
    budget = BUDGETS[0]
    cells = [cell for name in results.sets if (cell := results.cell("ours", name, budget)) is not None]
    done = [row for cell in cells for row in cell.rows.values() if row["ending"] == "done"]
    shares = [engine_seconds(row) / budget for row in done]
    if shares:
        first = median([row["run"]["first_trial"] for row in done])
        figure = f"{median(shares):.1%} in the median of {len(shares)} runs, {max(shares):.1%} at worst"
        figure += f"; the first trial starts after {first:.1f} s"
        lacking = results.lacking(("ours",), (budget,))
        bar(f"engine under {OVERHEAD:.0%} of {budget} s", met=median(shares) < OVERHEAD, figure=figure, lacking=lacking)
    else:
        bar(f"engine under {OVERHEAD:.0%} of {budget} s", met=False, figure="no runs")
    big = _big()
    if big is None:
        bar("a million rows inside 12 GiB", met=False, figure="not run yet: python benchmarks/tables/big.py")
    else:
        figure = f"{big['peak_bytes'] / 2**30:.1f} GiB, {big['seconds']:.0f} of {big['asked']} s, {big['note']}"
        bar("a million rows inside 12 GiB", met=bool(big["met"]), figure=figure)


def engine_seconds(row: Row) -> float:
    """Return the seconds of a command in which nothing was trained, answered, weighed or refitted."""
    run = row["run"]
    return float(row["seconds"] - run["in_trials"] - run["in_weighing"] - run["in_closing"])


def _big() -> Row | None:
    file = RESULTS / "tables_big.jsonl"
    if not file.exists():
        return None
    lines = [line for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    return dict(json.loads(lines[-1])["result"]) if lines else None
