"""What a terminal shows while a run goes: what runs, the best so far, what is spent, what is left."""

from __future__ import annotations

import math
import time
from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from steelyard.contracts import NUMERIC, Problem, Trial
from steelyard.data import Dataset
from steelyard.recipe import Combine, Recipe, Shrink, describe, parents
from steelyard.tasks import Metric, metric
from steelyard.units import Money, Seconds

KEPT = 6
"""Finished trials that stay on the screen."""


class LiveView:
    """A watcher that draws on a terminal. On anything else it prints one line a finished trial."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None
        self._running: dict[int, tuple[str, float, str]] = {}
        self._losses: dict[int, str] = {}
        self._done: list[str] = []
        self._numbers: dict[Recipe, int] = {}
        self._aim: Metric | None = None
        self._best: Trial | None = None
        self._phase = "starting"
        self._spent = ""
        self._drawn = 0.0

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def data(self, dataset: Dataset) -> None:
        """Show what the data is."""
        self._aim = metric(dataset.task.aim)
        rows, features = len(dataset.originals), len(dataset.schema.features)
        of = "tags" if dataset.task.problem is Problem.TAGGING else "classes"
        kind = dataset.task.problem.value if dataset.task.problem in NUMERIC else f"{len(dataset.task.classes)} {of}"
        self._phase = "searching"
        self._say(f"{rows:,} rows, {features} features, {kind}, validation: {dataset.partition.protocol}")

    def started(self, number: int, recipe: Recipe) -> None:
        """Show a trial as running."""
        self._running[number] = (self._name(recipe), time.monotonic(), "")
        self._draw(at_once=True)

    def reported(self, number: int, step: int, value: float) -> None:
        """Show how good a running trial is."""
        if number in self._running and self._aim is not None:
            name, since, _ = self._running[number]
            shown = f"{self._aim.name} {self._aim.higher_is_better(value):.4g}"
            self._running[number] = (name, since, f"step {step:,}: {shown}" if step < 1_000_000 else shown)
            self._draw()

    def losing(self, number: int, step: int, loss: float) -> None:
        """Show the training loss of a running trial."""
        if number in self._running:
            self._losses[number] = f"loss {loss:.4g} in {step:,}"
            self._draw()

    def ended(self, trial: Trial) -> None:
        """Show how a trial ended."""
        self._running.pop(trial.number, None)
        self._losses.pop(trial.number, None)
        self._say(self._line(trial))

    def phase(self, name: str) -> None:
        """Show what the run turns to."""
        self._phase = name
        self._draw(at_once=True)

    def spent(self, elapsed: Seconds, remaining: Seconds, money: Money) -> None:
        """Show what was spent and what is left."""
        left = f", {_clock(remaining)} left" if math.isfinite(remaining) else ""
        self._spent = f"{_clock(elapsed)} spent, {money}{left}"
        self._draw()

    def _name(self, recipe: Recipe) -> str:
        """Return a recipe's name for one line: what it is made of goes by the numbers of its trials."""
        from_trials = [str(self._numbers[p]) for p in parents(recipe) if p in self._numbers]
        if not from_trials or len(from_trials) < len(parents(recipe)):
            return describe(recipe)
        lever = recipe.lever if isinstance(recipe, Shrink | Combine) else ""
        return f"{lever} of {' + '.join(from_trials)}"

    def _line(self, trial: Trial) -> str:
        name = self._name(trial.recipe)
        assert self._aim is not None, "a trial comes after the data"
        self._numbers.setdefault(trial.recipe, trial.number)
        if not trial.ending.usable:
            return f"{trial.number:>3}  {name}: {trial.note or trial.ending.value}"
        figure = trial.validation[self._aim.name]
        if self._best is None or self._aim.higher_is_better(figure.value) > self._aim.higher_is_better(
            self._best.validation[self._aim.name].value
        ):
            self._best = trial
        return (
            f"{trial.number:>3}  {self._aim.name} {figure.value:.4g} ({figure.low:.4g} to {figure.high:.4g})  "
            f"{trial.seconds:.1f} s  {name}"
        )

    def _say(self, line: str) -> None:
        self._done = [*self._done, line][-KEPT:]
        if self._live is None:
            self._console.print(line, markup=False, highlight=False, soft_wrap=True)
        self._draw(at_once=True)

    def _draw(self, *, at_once: bool = False) -> None:
        now = time.monotonic()
        if self._live is None or (not at_once and now - self._drawn < 0.1):
            return
        self._drawn = now
        table = Table.grid(padding=(0, 2))
        for number, (name, since, aim) in sorted(self._running.items()):
            shown = "  ".join(part for part in (aim, self._losses.get(number)) if part)
            table.add_row(f"{number:>3}", f"{now - since:.0f} s", shown, Text(name, overflow="ellipsis", no_wrap=True))
        best = "" if self._best is None else f"best so far: trial {self._best.number}"
        lines = [Text(line, overflow="ellipsis", no_wrap=True, style="dim") for line in self._done]
        status = "  ".join(part for part in (self._phase, best, self._spent) if part)
        self._live.update(Group(*lines, table, Text(status, style="bold")), refresh=True)


def _clock(seconds: float) -> str:
    """Return a duration for people.

    Examples
    --------
    >>> _clock(75)
    '1 min 15 s'
    """
    whole = max(0, round(seconds))
    return f"{whole // 60} min {whole % 60:02} s" if whole >= 60 else f"{whole} s"
