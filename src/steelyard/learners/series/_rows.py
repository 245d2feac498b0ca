"""What learners that forecast share: their feeds, their rows as arrays, and what they refuse."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from steelyard.bundle.front_ends import FRONT_ENDS, Extractor
from steelyard.contracts import Columns, Feed, Floats, Kind, Problem, Refusal, Schema, Task
from steelyard.data.histories import FUTURE, HISTORY, TIME, line_of

Reals = NDArray[np.float32]


def refuse_others(learner: str, task: Task) -> Refusal | None:
    """Refuse a task that is no forecast."""
    if task.problem is Problem.FORECASTING:
        return None
    return Refusal(f"{learner} does nothing but forecast: give a `forecast:` part, or use another learner.")


def history_feed(task: Task, *, counted: bool = False) -> Feed:
    """Return the feed of histories: ``history`` (n, steps, channels) and, if asked, ``lengths`` (n, channels)."""
    line = line_of(task)
    channels = len(task.series) + len(line.past) + len(line.known)
    inputs = ("history", "lengths") if counted else ("history",)
    return Feed("series", inputs, (HISTORY,), {"steps": line.history, "channels": channels})


def future_feed(task: Task) -> Feed | None:
    """Return the feed of what is known ahead: ``future`` (n, horizon, channels); ``None`` where nothing is."""
    known = len(line_of(task).known)
    return Feed("series", ("future",), (FUTURE,), {"steps": task.horizon, "channels": known}) if known else None


def calendar_feed(task: Task, schema: Schema) -> Feed | None:
    """Return the feed of the calendar ahead; ``None`` where times only count."""
    if not any(column.name == TIME and column.kind is Kind.TIME for column in schema.columns):
        return None
    line = line_of(task)
    options = {"horizon": task.horizon, "size": line.size, "unit": line.unit, "start": line.start, "day": line.day}
    return Feed("calendar", ("calendar",), (TIME,), options)


@dataclass(frozen=True, slots=True)
class Front:
    """Feeds made ready: columns in, arrays by input out, a batch at a time."""

    feeds: tuple[Feed, ...]
    files: Mapping[str, bytes] = field(default_factory=dict)

    def __call__(self, columns: Columns) -> dict[str, NDArray[np.generic]]:
        """Return the arrays of some rows by input: what the graph gets."""
        made: dict[str, list[NDArray[np.generic]]] = {}
        rows = len(next(iter(columns.values())))
        for feed in self.feeds:
            extract: Extractor = FRONT_ENDS[feed.front_end](feed, self.files)
            for start in range(0, max(rows, 1), extract.batch):
                part = {name: cells[start : start + extract.batch] for name, cells in columns.items()}
                for name, tensor in extract(part).items():
                    made.setdefault(name, []).append(tensor)
        return {name: parts[0] if len(parts) == 1 else np.concatenate(parts) for name, parts in made.items()}


def targets_of(history: Reals, task: Task) -> Reals:
    """Return the channels that are forecast, float32 (n, steps, series)."""
    return history[:, :, : len(task.series)]


def ahead_of(target: Floats, task: Task) -> Floats:
    """Return targets as (n, horizon, series)."""
    return target.reshape(len(target), task.horizon, len(task.series))
