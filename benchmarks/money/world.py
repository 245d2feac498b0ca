"""A world of measured cells with prices: what a policy may do in it, what each step costs, what it comes to in the end.

Nothing is trained here. A policy sees the validation figures of the cells it paid for and no other; what it is judged
by are test figures. Prices are given, the same for every set, and were written down before anything was measured.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Any

PERFECT = 10_000.0
"""USD over the horizon that a perfect model is worth more than the constant one; what lies between in proportion."""
LABEL = 0.05
"""USD for a label."""
TRAINING = 20.0
"""USD for one training on all the labels there are; with fewer rows in proportion."""
SERVED = 13.9
"""USD over the horizon for each ms that a row keeps a core busy: 1e9 rows at 0.05 USD a core-hour."""
TRIES = 3


@dataclass(frozen=True, order=True)
class Cell:
    """One way to build the model."""

    level: int
    learner: str
    tuned: bool = False
    shrunk: bool = False

    @property
    def variant(self) -> str:
        """Its name in the table."""
        return ("tuned" if self.tuned else "plain") + (", shrunk" if self.shrunk else "")


@dataclass(frozen=True)
class World:
    """The table of one data set: ``rows[level, learner]`` is what was measured of a learner at a level."""

    name: str
    levels: tuple[float, ...]
    learners: tuple[str, ...]
    rows: Mapping[tuple[int, str], Mapping[str, Any]]
    label: float = LABEL

    def look(self, cell: Cell) -> Mapping[str, Any]:
        """Return what is known of a cell."""
        found: Mapping[str, Any] = self.rows[cell.level, cell.learner]["cells"][cell.variant]
        return found

    def count(self, level: int) -> int:
        """Return how many labels train at a level."""
        return int(self.rows[level, self.learners[0]]["rows"])

    def constant(self, side: str) -> float:
        """Return the constant model's figure, on validation or test rows."""
        found = self.rows[0, self.learners[0]]["constant"][side]
        return float(found[0] if side == "validation" else found)

    def training(self, cell: Cell) -> float:
        """Return what making a cell costs where nothing of it is there, labels left out."""
        trainings = 1 + (TRIES if cell.tuned else 0) + (1 if cell.shrunk else 0)
        return trainings * TRAINING * self.levels[cell.level]

    def worth(self, cell: Cell, side: str) -> float:
        """Return what a cell brings over the constant model, serving paid."""
        found = self.look(cell)[side]
        figure, constant = float(found[0] if side == "validation" else found), self.constant(side)
        return PERFECT * (figure - constant) / (1.0 - constant) - SERVED * self.busy(cell)

    def busy(self, cell: Cell) -> float:
        """Return how long a row keeps a core busy, ms: the median over the levels, tuned or not.

        Every figure was taken once, on a machine that others used too, and a model's rows do not change its time.
        """
        tail = ", shrunk" if cell.shrunk else ""
        found = [
            float(self.rows[level, cell.learner]["cells"][f"{variant}{tail}"]["busy_ms"])
            for level in range(len(self.levels))
            for variant in ("plain", "tuned")
        ]
        return median(found)

    def every(self) -> list[Cell]:
        """Return every cell."""
        flags = (False, True)
        return [
            Cell(level, learner, tuned, shrunk)
            for level in range(len(self.levels))
            for learner in self.learners
            for tuned in flags
            for shrunk in flags
        ]

    def exhaustive(self) -> tuple[float, float]:
        """Return the return of the cell that looks best of all, its labels paid, and what finding it cost."""
        cells = self.every()
        best = max(cells, key=lambda c: self.worth(c, "validation") - self.label * self.count(c.level))
        plain = [c for c in cells if not c.tuned and not c.shrunk]
        cost = sum((1 + TRIES + 2) * self.training(c) for c in plain)  # of each: defaults, tries, two shrunk
        total = cost + self.label * self.count(len(self.levels) - 1)
        return self.worth(best, "test") - self.label * self.count(best.level), total


@dataclass
class Walk:
    """One policy's way through a world."""

    world: World
    level: int = 0
    spent: float = 0.0
    seen: dict[Cell, Mapping[str, Any]] = field(default_factory=dict)
    curves: set[str] = field(default_factory=set)

    @classmethod
    def begin(cls, world: World) -> Walk:
        """Buy the first labels and train the first learner."""
        walk = cls(world)
        walk.spent += world.label * world.count(0)
        walk.make(Cell(0, world.learners[0]))
        return walk

    def make(self, cell: Cell) -> None:
        """Pay for a cell and look at it; a tuned or shrunk one shares what was made before at its level."""
        cost = self.world.training(cell)
        parts = [Cell(cell.level, cell.learner), Cell(cell.level, cell.learner, tuned=True)]
        have = [self.world.training(part) for part in parts if part in self.seen and part.tuned <= cell.tuned]
        self.spent += cost - max(have, default=0.0)
        self.seen[cell] = self.world.look(cell)

    def buy(self) -> None:
        """Buy the labels of the next level, and train the best cell anew with them."""
        best = self.best
        self.spent += self.world.label * (self.world.count(self.level + 1) - self.world.count(self.level))
        self.level += 1
        self.make(Cell(self.level, best.learner, best.tuned, best.shrunk))

    @property
    def best(self) -> Cell:
        """The cell that looks best of those paid for."""
        return max(self.seen, key=lambda cell: (self.world.worth(cell, "validation"), cell))

    def options(self) -> list[tuple[str, str]]:
        """Return what may be done now: the kind, and the learner it is done to."""
        here = self.world.learners
        there = {cell.learner for cell in self.seen}
        found = [("train", name) for name in here if name not in there]
        found += [("tune", name) for name in there if not any(c.tuned and c.learner == name for c in self.seen)]
        if not self.best.shrunk:
            found.append(("shrink", self.best.learner))
        if self.level + 1 < len(self.world.levels):
            found.append(("labels", ""))
        return sorted(found)

    def do(self, kind: str, learner: str) -> None:
        """Do one thing."""
        if kind == "labels":
            self.buy()
        elif kind == "shrink":
            best = self.best
            self.make(Cell(best.level, best.learner, best.tuned, shrunk=True))
        else:
            self.make(Cell(self.level, learner, tuned=kind == "tune"))

    @property
    def returned(self) -> float:
        """What the best cell brings on test rows, every label bought paid."""
        return self.world.worth(self.best, "test") - self.world.label * self.world.count(self.level)
