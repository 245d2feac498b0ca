"""What every format is made from: a run's report, its record, and the bundle that it ships."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from steelyard.contracts import Trial
from steelyard.report import build
from steelyard.report.flat import flat
from steelyard.search.folder import RunFolder
from steelyard.search.meter import PART_STEP
from steelyard.search.record import RunRecord
from steelyard.search.recount import recount
from steelyard.search.store import Store
from steelyard.tasks import metric

PHASES = ("loading", "preparing", "computing", "waiting", "idle_share")


@dataclass(frozen=True, slots=True)
class View:
    """A run as it is read."""

    record: RunRecord
    report: dict[str, Any]

    @classmethod
    def of(cls, folder: Path) -> View:
        """Read a run, finished or not.

        Raises
        ------
        RunUnreadable
            If there is none, or none that came as far as its data.
        """
        record = recount(RunFolder.existing(folder))
        return cls(record, build(record))

    @property
    def bundle(self) -> Path | None:
        """The bundle that ships, once there is one."""
        return None if self.record.final is None else self.record.final.bundle

    @property
    def began(self) -> float:
        """When the run began, in seconds since the epoch."""
        return datetime.fromisoformat(self.record.created).timestamp()

    def rows(self) -> list[dict[str, Any]]:
        """Return one flat record a trial, all with the same names in the same order; ``None`` where nothing is known.

        Estimates have three columns (``roc_auc``, ``roc_auc_low``, ``roc_auc_high``); seconds by phase are those of
        the block ``bottlenecks``.
        """
        block = self.report.get("bottlenecks") or {"trials": []}
        clocked = {row["number"]: row for row in block["trials"]}
        found = []
        for row in self.report["trials"]:
            times = clocked.get(row["number"], {})
            phases = {name if name == "idle_share" else f"{name}_seconds": times.get(name) for name in PHASES}
            found.append({**flat(row), **phases})
        names = list(dict.fromkeys(name for row in found for name in row))
        return [{name: row.get(name) for name in names} for row in found]

    def curve(self, trial: Trial) -> Iterator[tuple[str, int, float]]:
        """Yield what was reported of the aim while a trial trained: by round, then by finished part, in its sign."""
        aim = metric(self.record.task.aim)
        sign = 1.0 if aim.better == "higher" else -1.0
        for step, value in trial.curve:
            is_part = step >= PART_STEP
            yield ("parts" if is_part else "rounds"), step - PART_STEP if is_part else step, sign * value

    def losses(self, trial: Trial) -> Iterator[tuple[int, float]]:
        """Yield the training loss of each epoch of a net, in the first part; nothing of what is not trained so."""
        file = Store(self.record.folder).place(trial.recipe) / "part-0-loss.csv"
        if file.exists():
            with file.open(newline="", encoding="ascii") as lines:
                yield from ((int(row["epoch"]), float(row["loss"])) for row in csv.DictReader(lines))
