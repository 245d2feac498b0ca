"""The bar on label curves: from a quarter of the rows of eight data sets, the score with half of them and with all.

    STEELYARD_DATA=... MINUTES=4 python benchmarks/money/curves.py

Ten subsamples of each set; the points of a curve are trainings on a sixteenth to all of the quarter. Beside it stands
``a - b n^-c`` fitted by least squares to the same points. The prior of the curves was made from other data sets
(``sets.GROWN``), which are printed below the bars and judge nothing.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import curve_fit

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from points import measure, rows_of
from sets import there

from rows import Bench
from steelyard.advise import Curve

TRUTHS = ("half", "whole")
Told = Mapping[str, Any]


def least_squares(rows: np.ndarray, scores: np.ndarray) -> Callable[[float], float]:
    """Return ``a - b n^-c`` with ``b`` and ``c`` above 0, the best of three starts; scores above 1 are taken as 1."""

    def law(n: Any, a: float, b: float, c: float) -> Any:
        return a - b * n**-c

    found: list[tuple[float, np.ndarray]] = []
    for start in (0.2, 0.5, 1.0):
        design = np.column_stack([np.ones_like(rows), -(rows**-start)])
        a, b = np.linalg.lstsq(design, scores, rcond=None)[0]
        low, high = [-np.inf, 0.0, 1e-3], [np.inf, np.inf, 10.0]
        try:
            best, _ = curve_fit(law, rows, scores, p0=(a, max(b, 1e-6), start), bounds=(low, high), maxfev=5000)
        except RuntimeError:
            continue
        found.append((float(((law(rows, *best) - scores) ** 2).sum()), best))
    best = min(found, key=lambda one: one[0])[1]
    return lambda n: min(1.0, float(law(n, *best)))


def told(name: str, row: Mapping[str, Any]) -> list[Told]:
    """Return what both say of one subsample's two truths."""
    points = np.array(row["points"])
    rows, scores = points[:, 0], points[:, 1]
    curve, law = Curve.of(rows.tolist(), scores.tolist(), top=1.0), least_squares(rows, scores)
    made = []
    for truth in TRUTHS:
        count, score = row[truth]
        ahead = curve.at(count)
        low, high = ahead.interval(0.8)
        made.append(
            {
                "set": name,
                "truth": truth,
                "error": abs(ahead.value - score),
                "law": abs(law(count) - score),
                "held": low <= score <= high,
                "width": high - low,
            }
        )
    return made


def summary(found: Sequence[Told]) -> None:
    """Print each set's errors and how often the interval held."""
    groups: defaultdict[tuple[str, str], list[Told]] = defaultdict(list)
    for one in found:
        groups[one["set"], one["truth"]].append(one)
    for (name, truth), ones in groups.items():
        own, law, held, width = (float(np.mean([one[k] for one in ones])) for k in ("error", "law", "held", "width"))
        line = (
            f"  {name:22} {truth:6} error {own:.4f}  a - b n^-c {law:.4f}  interval held {held:.0%}, {width:.3f} wide"
        )
        sys.stdout.write(f"{line}\n")


def share(found: Sequence[Told]) -> float:
    """Return the mean absolute error as a share of that of ``a - b n^-c``."""
    return float(np.mean([one["error"] for one in found]) / np.mean([one["law"] for one in found]))


def main() -> None:
    """Measure what is missing, then hold the curves against the bars."""
    if not there():
        sys.stdout.write("the data sets are not at hand; name their folder in STEELYARD_DATA\n")
        return
    bench = Bench("money-curves", ("lightgbm", "numpy"))
    for group in ("held", "grown"):
        measure(bench, group)
    found = [one for name, row in rows_of(bench, "held") for one in told(name, row)]
    summary(found)
    least = 8 * 10 * len(TRUTHS)
    bench.bar(
        "mean absolute error at most 0.75 of that of a - b n^-c",
        found,
        lambda ones: (share(ones) <= 0.75, f"{share(ones):.3f} of {len(ones)} truths"),
        least=least,
    )
    held = [one["held"] for one in found]
    bench.bar(
        "the 80% interval holds 70 to 90% of the truths",
        found,
        lambda _: (0.7 <= float(np.mean(held)) <= 0.9, f"{np.mean(held):.1%} of {len(held)}"),
        least=least,
    )
    sys.stdout.write("the sets that the prior was made from, which judge nothing:\n")
    grown = [one for name, row in rows_of(bench, "grown") for one in told(name, row)]
    summary(grown)
    sys.stdout.write(f"  {share(grown):.3f} of the law's error; {np.mean([o['held'] for o in grown]):.1%} held\n")
    bench.finish()


if __name__ == "__main__":
    main()
