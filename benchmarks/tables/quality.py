"""Bar 1: test quality at equal budget, in pairs against the best rival and against models with defaults."""

from __future__ import annotations

import numpy as np
from cells import Results
from paired import LEVEL, Floats, below, holm, mean_interval
from tools import BUDGETS, LONG, SEARCHES, TOOLS
from words import Bar, columns, span


def bars(results: Results, bar: Bar) -> None:
    """Quality at equal budget: mean normalised score (0: constant model, 1: best of all tools), paired intervals."""
    for budget in (*BUDGETS, LONG):
        leads = table(results, budget)
        if budget == LONG:  # three sets: told, and held against no bar
            continue
        rivals = {tool: lead for tool, lead in leads.items() if tool != "ours" and lead is not None}
        full = {tool: lead for tool, lead in rivals.items() if TOOLS[tool].every_seed}
        if not full:
            bar(f"quality at {budget} s", met=False, figure="no rows of ours and of a rival on the same sets")
            continue
        best = min(full, key=lambda tool: full[tool][0])
        every = results.lacking(("ours", "catboost", "lightgbm", *SEARCHES), (budget,))
        name = f"not below the best rival at {budget} s ({best})"
        bar(name, met=full[best][2] >= 0, figure=span(full[best]), lacking=every)
        default = rivals.get("catboost")
        pair = results.lacking(("ours", "catboost"), (budget,))
        worse = significantly_below(results, "catboost", budget)
        told = ", ".join(f"{name} (p {p:.2g})" for name, p in worse.items()) or "none"
        bar(
            f"above CatBoost's defaults at {budget} s",
            met=default is not None and default[0] > 0,
            figure="no common sets" if default is None else span(default),
            lacking=pair,
        )
        bar(
            f"no set significantly below CatBoost's defaults at {budget} s (Holm)",
            met=not worse,
            figure=told,
            lacking=pair,
        )
        also = significantly_below(results, "lightgbm", budget)
        print(f"       significantly below LightGBM's defaults at {budget} s: {', '.join(also) or 'none'}")


Lead = tuple[float, float, float]


def table(results: Results, budget: int) -> dict[str, Lead | None]:
    """Print each tool's mean score, and return the mean lead of ours over it on the sets that both have."""
    rows: list[tuple[str, ...]] = [
        (f"{budget} s", "sets", "mean score", "median", "ours less it (95%)", "ours better", "ours worse", "failed")
    ]
    leads: dict[str, Lead | None] = {}
    for tool in TOOLS:
        scored = [s for name in results.sets if (s := results.score(tool, name, budget)) is not None]
        if not scored:
            continue
        found = differences(results, "ours", tool, budget)
        leads[tool] = mean_interval([d for d, _ in found.values()], [r for _, r in found.values()]) if found else None
        lead = leads[tool]
        cells = [cell for name in results.sets if (cell := results.cell(tool, name, budget)) is not None]
        rows.append(
            (
                tool,
                str(len(scored)),
                f"{np.mean(scored):.4f}",
                f"{np.median(scored):.4f}",
                "" if lead is None or tool == "ours" else span(lead),
                "" if tool == "ours" else str(sum(d > 0 for d, _ in found.values())),
                "" if tool == "ours" else str(sum(d < 0 for d, _ in found.values())),
                str(sum(cell.failures for cell in cells)),
            )
        )
    if len(rows) > 1:
        print(columns(rows))
    return leads


def differences(results: Results, first: str, second: str, budget: int) -> dict[str, tuple[float, Floats]]:
    """Return the difference of two tools on every set that both have."""
    found = {name: results.difference(first, second, name, budget) for name in results.sets}
    return {name: difference for name, difference in found.items() if difference is not None}


def significantly_below(results: Results, rival: str, budget: int) -> dict[str, float]:
    """Return the sets where ours is below a rival, one-sided at 5% after Holm's correction over all its sets."""
    found = differences(results, "ours", rival, budget)
    corrected = holm({name: below(value, resampled) for name, (value, resampled) in found.items()})
    return {name: p for name, p in corrected.items() if p < LEVEL}
