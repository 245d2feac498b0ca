"""What advice measures: subsets of rows and of columns, in rounds, within a time that was agreed on before."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from steelyard.advise.subsets import Point, Site, measured, scored
from steelyard.contracts import Answer, Trial, Work, known
from steelyard.errors import MissingExtra, SteelyardError
from steelyard.levers.data._labels import doubted
from steelyard.levers.training.parts import SELECT, columns_of, with_part
from steelyard.recipe import Settings, Step, Train
from steelyard.registry import learners
from steelyard.search.fitting import Refused
from steelyard.search.making import OutOfTime
from steelyard.tasks import metric

SHARES = (1 / 4, 1 / 2, 1 / 8, 1 / 16)
"""Shares of the rows in the order in which rounds measure them; a fifth round deals the two smallest anew."""
ROUNDS = 5
FEWEST = 30
"""Rows below which a subset says nothing."""
LATE = 1.5
"""By how much a training may take longer than rows foretell before the time that was agreed on would be passed."""
COLUMNS = (1 / 4, 1 / 2, 3 / 4)
MOST_DOUBTED = 0.1
"""Most of the training rows that are taken for mistakes; more is a habit of the world."""


@dataclass(slots=True)
class Found:
    """What is known of a training on fewer rows and fewer columns, and the seconds that this call spent on it."""

    rows: list[Point] = field(default_factory=list)
    columns: list[Point] = field(default_factory=list)
    doubted: float | None = None
    """Share of the training labels that are doubted; ``None`` where nobody looked."""
    seconds: float = 0.0
    notes: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON of the points, without what the run itself knew."""
        points = {name: [_pointed(p) for p in getattr(self, name) if p.seconds > 0] for name in ("rows", "columns")}
        return {**points, "doubted": self.doubted}

    def take(self, kept: dict[str, Any]) -> None:
        """Take the points of an earlier call."""
        for name in ("rows", "columns"):
            getattr(self, name).extend(Point(**point) for point in kept.get(name, []))
        self.doubted = kept.get("doubted", self.doubted)


def _pointed(point: Point) -> dict[str, float | int]:
    return {"rows": point.rows, "score": point.score, "seconds": point.seconds, "deal": point.deal}


@dataclass(frozen=True, slots=True, kw_only=True)
class Explorer:
    """Measures a recipe on subsets until the rounds are through or the time is up.

    ``whole`` is what one training on all rows of ``parts`` folds takes in s, ``full`` its answers on the scored rows.
    """

    site: Site
    recipe: Train
    full: Answer
    whole: float
    parts: int
    minutes: float
    clock: Callable[[], float] = time.monotonic

    def known(self, trials: Sequence[Trial]) -> Found:
        """Return what the run itself knows: the training on all rows, and trials of the same one on a share of them."""
        dataset, chosen = self.site.dataset, self.site.dataset.partition.parts[: self.parts]
        rows = np.concatenate([part.score for part in chosen])
        score = scored(dataset, self.full, rows)
        count = round(float(np.mean([len(part.fit) for part in chosen])))
        found = Found([Point(count, score)], [Point(self._width, score)])
        if self.parts == len(dataset.partition.parts):
            found.rows += list(self._tastes(trials, count))
        return found

    def explore(self, found: Found) -> None:
        """Measure what is missing, rows first, then doubtful labels, then columns; ``found`` grows."""
        end, late = self.clock() + 60 * self.minutes, list[float]()
        for part in self._fewer_rows(found):
            self._try(part, end, found, late)
        self._doubt(end, found, late)
        for part in self._fewer_columns(found):
            self._try(part, end, found, late)
        if late:
            noun = "look" if len(late) == 1 else "looks"
            found.notes.append(
                f"{len(late)} {noun} at fewer rows or columns, or at the labels, about {sum(late):.1f} s, left out for "
                "want of time; `--minutes` allows for more."
            )

    def _try(self, part: _Part, end: float, found: Found, late: list[float]) -> None:
        """Measure one training, unless its time would not be enough."""
        began = self.clock()
        if end - began < part.foreseen * LATE:
            late.append(part.foreseen)
            return
        what = f"{part.what[:1].upper()}{part.what[1:]}"
        try:
            point = measured(self.site, part.recipe, part.share, part.deal, parts=self.parts, seconds=end - began)
        except (Refused, OutOfTime, SteelyardError) as problem:
            found.notes.append(f"{what} was not measured: {str(problem) or 'its time was up'}.")
            return
        finally:
            found.seconds += self.clock() - began
        if not math.isfinite(point.score):
            found.notes.append(f"{what} has no finite score.")
        elif part.columns:
            found.columns.append(replace(point, rows=part.columns))
        else:
            found.rows.append(point)

    def _doubt(self, end: float, found: Found, late: list[float]) -> None:
        """Look for labels that a model doubts which never saw them, once."""
        dataset, began = self.site.dataset, self.clock()
        split = dataset.rows.take(dataset.partition.parts[0].fit)
        prior = learners().get("lightgbm").prior(dataset.task, dataset.schema, len(split))
        if found.doubted is not None:
            return
        if end - began < prior.seconds.value * LATE:
            late.append(prior.seconds.value)
            return
        work = Work(task=dataset.task, schema=dataset.schema, threads=self.site.threads)
        try:
            found.doubted = len(list(doubted(split, work, "drop", MOST_DOUBTED))) / len(split)
        except MissingExtra as problem:
            found.notes.append(f"Doubtful labels were not looked for: {problem}.")
        finally:
            found.seconds += self.clock() - began

    @property
    def _width(self) -> int:
        return len(self._features)

    @property
    def _features(self) -> tuple[str, ...]:
        kept = columns_of(self.recipe.plan)
        return kept or tuple(column.name for column in self.site.dataset.schema.features)

    def _tastes(self, trials: Sequence[Trial], count: int) -> Iterator[Point]:
        """Yield the run's own trials of this training on a share of the rows."""
        aim, bare = metric(self.site.dataset.task.aim), replace(self.recipe, data=())
        for trial in known(trials):
            recipe = trial.recipe
            if not isinstance(recipe, Train) or [step.lever for step in recipe.data] != ["subsample"]:
                continue
            score = aim.higher_is_better(trial.validation[aim.name].value)
            if replace(recipe, data=()) == bare and math.isfinite(score):
                share = recipe.data[0].settings.number("share", 1.0)
                yield Point(round(share * count), score)

    def _fewer_rows(self, found: Found) -> Iterator[_Part]:
        """Yield the subsets of rows that are missing, round by round."""
        rows = max(point.rows for point in found.rows)
        have = {(point.rows, point.deal) for point in found.rows}
        for turn in range(ROUNDS):
            deal = 0 if turn < len(SHARES) else 1
            for share in (SHARES[turn],) if deal == 0 else (SHARES[0], SHARES[2], SHARES[3], SHARES[1]):
                near = any(abs(n - share * rows) <= 0.02 * rows * share + 2 and d == deal for n, d in have)
                if share * rows >= FEWEST and not near:
                    yield _Part(f"a training on {share:.1%} of the rows", self.recipe, share, deal, self.whole * share)

    def _fewer_columns(self, found: Found) -> Iterator[_Part]:
        """Yield the trainings on fewer columns that are missing."""
        names, have = self._features, {(point.rows, point.deal) for point in found.columns}
        if len(names) < 2 * len(COLUMNS):
            return
        for deal in range(2):
            order = np.random.default_rng([self.recipe.seed, deal, 31]).permutation(len(names))
            for share in COLUMNS:
                count = round(share * len(names))
                kept = sorted(names[k] for k in order[:count])
                step = Step(lever=SELECT, settings=Settings(columns=json.dumps(kept)))
                recipe = replace(self.recipe, plan=with_part(self.recipe.plan, step))
                what = f"a training on {count} of {len(names)} columns"
                if (count, deal) not in have:
                    yield _Part(what, recipe, 1.0, deal, self.whole * max(share, 0.3), count)


@dataclass(frozen=True, slots=True)
class _Part:
    """One training to come: what it is in words, how many rows and columns, and the seconds that it should take."""

    what: str
    recipe: Train
    share: float
    deal: int
    foreseen: float
    columns: int = 0
