"""Bar 2: one row from a Python dict to its probabilities, and what serving costs besides."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from cells import Results
from paired import median
from tools import BUDGETS, TOOLS
from words import Bar, columns, times

from quality import differences, significantly_below

BARS = {"autogluon-medium": 100.0, "autogluon-good": 100.0, "flaml": 100.0, "catboost": 10.0}
"""How many times lower ours must be in the median over sets."""
CORES = ("1", "2")


def latency(results: Results, bar: Bar) -> None:
    """Single-row latency: from one dict of named values to probabilities, loaded and warm, in the median over sets."""
    budget = BUDGETS[-1]
    rows: list[tuple[str, ...]] = [
        (
            f"{budget} s, median",
            "p50 ms",
            "p95 ms",
            "p50 on 2",
            "p95 on 2",
            "USD/million",
            "MB",
            "serving MiB",
            "rows/s",
        )
    ]
    for tool in TOOLS:
        told = [row for name in results.sets for row in _done(results, tool, name, budget)]
        if told:
            rows.append((tool, *_told(told)))
    print(columns(rows))
    for rival, least in BARS.items():
        _hold(results, rival, least, budget, bar)
    listed = list(_ratios(results, "catboost", budget, "1", way="list").values())
    if listed:  # quicker than by a frame, for who puts the values in order by hand
        print(f"       CatBoost by a list of values instead of a frame: {times(median(listed))} times ours on one core")


def _hold(results: Results, rival: str, least: float, budget: int, bar: Bar) -> None:
    """Hold the ratio of medians to a bar, on one core and on two; a set where ours is significantly worse counts 0."""
    worse = significantly_below(results, rival, budget)
    shared = differences(results, "ours", rival, budget)
    found = {}
    for cores in CORES:
        ratios = _ratios(results, rival, budget, cores)
        found[cores] = [0.0 if name in worse else ratio for name, ratio in ratios.items() if name in shared]
    sentence = f"one row {least:g} times quicker than {rival} at equal or better quality"
    if not all(found.values()):
        bar(sentence, met=False, figure="no common sets")
        return
    lowest = min(median(found[cores]) for cores in CORES)
    figure = " and ".join(f"{times(median(found[c]))} on {c} core{'s' * (c != '1')}" for c in CORES)
    tail = min(median(list(_ratios(results, rival, budget, c, share="p95").values())) for c in CORES)
    bar(
        sentence,
        met=lowest >= least,
        figure=f"{figure}, {len(found['1'])} sets ({len(worse)} where ours is significantly worse count as 0); "
        f"p95 {times(tail)}",
        lacking=results.lacking(("ours", rival), (budget,)),
    )


def _ratios(
    results: Results, rival: str, budget: int, cores: str, *, share: str = "p50", way: str | None = None
) -> dict[str, float]:
    """Return by set how many times ours a rival's latency is, the seeds in the median."""
    found = {}
    for name in results.sets:
        one, other = (list(_done(results, tool, name, budget)) for tool in ("ours", rival))
        other = [row for row in other if way is None or way in row["latency"][cores]]
        if one and other:
            found[name] = median([_at(row, cores, share, way) for row in other]) / median(
                [_at(row, cores, share, None) for row in one]
            )
    return found


def _done(results: Results, tool: str, name: str, budget: int) -> Iterator[Mapping[str, Any]]:
    cell = results.cell(tool, name, budget)
    return (row for row in cell.rows.values() if row["ending"] == "done") if cell else iter(())


def _at(row: Mapping[str, Any], cores: str, share: str, way: str | None) -> float:
    """Return a latency in ms; the documented way of calling stands first."""
    ways = row["latency"][cores]
    return float(ways[way or next(iter(ways))][share])


def _told(rows: list[Mapping[str, Any]]) -> tuple[str, ...]:
    def middle(read: Callable[[Mapping[str, Any]], float]) -> float:
        return median([read(row) for row in rows])

    return (
        *(f"{middle(lambda r, c=c, s=s: _at(r, c, s, None)):.3g}" for c in CORES for s in ("p50", "p95")),  # type: ignore[misc]
        f"{middle(lambda r: r['cost_per_million']):.3g}",
        f"{middle(lambda r: r['size_bytes']) / 1e6:.3g}",
        f"{middle(lambda r: r['serving_bytes']) / 2**20:,.0f}",
        f"{middle(lambda r: r['rows_per_second']):,.0f}",
    )
