"""The rows as a table of figures: one cell a tool, set and budget, the seeds averaged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import scores
from paired import Floats
from plan import cases
from sets import SETS
from store import Row, Store, case_of
from tools import TOOLS


@dataclass(frozen=True, slots=True)
class Cell:
    """What a tool reached on a set within a budget, by seed. Rows of failures are there too."""

    rows: Mapping[int, Mapping[str, Any]]

    def over(self, seeds: Iterable[int]) -> tuple[float, Floats]:
        """Return the gain over the constant model, higher better, and its resamples; averaged over seeds.

        A failure is the constant model: no gain, whatever the rows.
        """
        gains = [gain(self.rows[seed]) for seed in seeds]
        return float(np.mean([value for value, _ in gains])), np.mean([resampled for _, resampled in gains], axis=0)

    @property
    def failures(self) -> int:
        return sum(row["ending"] != "done" for row in self.rows.values())


def gain(result: Mapping[str, Any]) -> tuple[float, Floats]:
    """Return by how much a row's figure is better than the constant model's, and the same on the resamples."""
    if result["ending"] != "done":
        return 0.0, np.zeros(scores.RESAMPLES)
    sign = 1.0 if scores.HIGHER_IS_BETTER[result["metric"]] else -1.0
    return (
        sign * (result["value"] - result["constant"]),
        sign * (scores.unpack(result) - result["constant"]),
    )


class Results:
    """The newest rows of one machine."""

    def __init__(self, rows: Sequence[Row]) -> None:
        found: dict[tuple[str, str, int], dict[int, Mapping[str, Any]]] = {}
        self.versions: dict[str, set[str]] = {}
        for row in rows:  # later versions stand later, and take the place of earlier ones
            case = case_of(row)
            if case.tool in TOOLS and case.set in SETS:
                found.setdefault((case.tool, case.set, case.budget), {})[case.seed] = row["result"]
                self.versions.setdefault(case.tool, set()).add(row["case"]["version"])
        self._cells = {key: Cell(by_seed) for key, by_seed in found.items()}

    @classmethod
    def of(cls, store: Store) -> Results:
        """Take the rows of this machine, or where it has none those of the machine that has most."""
        rows = store.rows()
        if not rows:
            every = store.rows(anywhere=True)
            counts = [sum(other["machine"] == row["machine"] for other in every) for row in every]
            most = every[int(np.argmax(counts))]["machine"] if every else None
            rows = [row for row in every if row["machine"] == most]
        return cls(rows)

    @cached_property
    def sets(self) -> list[str]:
        """The sets that any tool has been run on."""
        return [name for name in SETS if any(key[1] == name for key in self._cells)]

    def cell(self, tool: str, name: str, budget: int) -> Cell | None:
        """Return what a tool did. A model without a budget counts where every seed of it ended inside the budget."""
        if TOOLS[tool].searches:
            return self._cells.get((tool, name, budget))
        cell = self._cells.get((tool, name, 0))
        if cell is None or any(row["seconds"] > budget for row in cell.rows.values()):
            return None
        return cell

    def best(self, name: str, budget: int) -> float:
        """Return the largest gain of any tool on a set within a budget, a normalised score of 1; 0 where none ended."""
        cells = [cell for tool in TOOLS if (cell := self.cell(tool, name, budget)) is not None]
        return max((cell.over(cell.rows)[0] for cell in cells), default=0.0)

    def lacking(self, tools: Iterable[str], budgets: Iterable[int]) -> str:
        """Say how many of the planned runs of some tools within some budgets have no row yet; nothing where all do."""
        wanted, asked = set(tools), {*budgets, 0}
        planned = [case for case in cases() if case.tool in wanted and case.budget in asked]
        missing = sum(
            (cell := self._cells.get((case.tool, case.set, case.budget))) is None or case.seed not in cell.rows
            for case in planned
        )
        return f"{missing} of {len(planned)} runs are missing" if missing else ""

    def difference(self, first: str, second: str, name: str, budget: int) -> tuple[float, Floats] | None:
        """Return the normalised score of one tool less another's, over the seeds that both have, with resamples."""
        one, other = self.cell(first, name, budget), self.cell(second, name, budget)
        if one is None or other is None:
            return None
        seeds = sorted(one.rows.keys() & other.rows.keys())
        best = self.best(name, budget)
        if not seeds or best <= 0:  # on such a set no tool learned anything, and none can be ahead
            return None
        (value, resampled), (less, resampled_less) = one.over(seeds), other.over(seeds)
        return (value - less) / best, (resampled - resampled_less) / best

    def score(self, tool: str, name: str, budget: int) -> float | None:
        """Return the normalised score: 0 is the constant model, 1 the best of all tools on the set."""
        cell, best = self.cell(tool, name, budget), self.best(name, budget)
        return None if cell is None or best <= 0 else cell.over(cell.rows)[0] / best
