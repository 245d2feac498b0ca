"""The bars, from the rows alone: ``python benchmarks/tables/summary.py``.

*Normalised score* of a tool on a set, within a budget: its gain over the constant model (training mean, or class
shares) divided by the gain of the best of all tools there, ours included; 0 is the constant model and 1 the best. The
gain is in the set's metric: ROC AUC for two classes, log loss for more, RMSE for values. Seeds are averaged first. A
run that failed or had to be ended counts as the constant model. Intervals are of pairs: the same sets, and on each
the same resampled test rows, for both tools.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cost
import serving
from cells import Results
from store import Store
from tools import BUDGETS, TOOLS
from words import columns

import quality


def main(store: Store | None = None) -> None:
    """Print the tables of bars 1 to 4 and 6, and say which are met; what falls short is named in the last line."""
    results = Results.of(store or Store())
    short: list[str] = []

    def bar(sentence: str, *, met: bool, figure: str, lacking: str = "") -> None:
        """Say how a bar stands; where rows are missing it is not met, whatever those that are there say."""
        fine = met and not lacking
        print(f"{'met  ' if fine else 'SHORT'}  {sentence}: {'; '.join(filter(None, (figure, lacking)))}")
        if not fine:
            short.append(sentence)

    print(coverage(results))
    for number, part in _PARTS.items():
        print(f"\nBar {number}. {(part.__doc__ or '').splitlines()[0]}")
        part(results, bar)
    print(f"\nfell short: {'; '.join(short)}" if short else "\nall bars met")


def coverage(results: Results) -> str:
    """Say what there is: versions, and for each budget how many sets, runs and failures of each tool."""
    rows: list[Sequence[str]] = [("tool", "versions", *(f"{budget} s: sets, runs, failed" for budget in BUDGETS))]
    for tool in TOOLS:
        told = []
        for budget in BUDGETS:
            cells = [cell for name in results.sets if (cell := results.cell(tool, name, budget)) is not None]
            runs = sum(len(cell.rows) for cell in cells)
            told.append(f"{len(cells)}, {runs}, {sum(cell.failures for cell in cells)}")
        rows.append((tool, ", ".join(sorted(results.versions.get(tool, ()))[-2:]), *told))
    return columns(rows)


_PARTS: dict[str, Callable[..., None]] = {
    "1": quality.bars,
    "2": serving.latency,
    "3": cost.bars,
    "4": cost.budgets,
    "6": cost.overhead,
}


if __name__ == "__main__":
    main()
