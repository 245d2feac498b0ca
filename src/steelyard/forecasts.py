"""Forecasts as they are written: one row a series and step ahead, with its time and its interval."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from steelyard.bundle import Bundle
from steelyard.bundle.recent import Recent, is_table, labelled, latest
from steelyard.contracts import Answer
from steelyard.data.columns import to_columns
from steelyard.data.histories import line_of
from steelyard.errors import RowsRefused
from steelyard.rows import written

FIELDS = ("series", "time", "step", "prediction", "low", "high")

__all__ = ["FIELDS", "Forecasts", "forecast", "is_table", "labelled"]


@dataclass(frozen=True, slots=True)
class Forecasts:
    """What comes next in each series: values with the ends of their intervals, by step ahead."""

    found: Recent
    answer: Answer

    @property
    def ignored(self) -> tuple[str, ...]:
        """Columns of the rows that no forecast reads."""
        return self.found.ignored

    def rows(self) -> list[dict[str, object]]:
        """Return one dict a series and step: :data:`FIELDS`; ``low`` and ``high`` are ``None`` without intervals."""
        return list(self._rows())

    def _rows(self) -> Iterator[dict[str, object]]:
        found, answer, task = self.found, self.answer, self.found.task
        width, long = len(task.series), bool(line_of(task).series)
        for row, (number, origin) in enumerate(
            zip(found.origins.series.tolist(), found.origins.steps.tolist(), strict=True)
        ):
            times = [found.step.written(origin + ahead) for ahead in range(1, task.horizon + 1)]
            for place, name in enumerate((found.every[number].name,) if long else task.series):
                for ahead, time in enumerate(times):
                    cell = ahead * width + place
                    ends = (None if end is None else float(end[row, cell]) for end in (answer.low, answer.high))
                    value = float(answer.decided[row, cell])
                    yield dict(zip(FIELDS, (name, time, ahead + 1, value, *ends), strict=True))

    def text(self, suffix: str) -> str:
        """Return the rows as CSV, or as JSON Lines where the file's name ends so."""
        if suffix in {".jsonl", ".ndjson"}:
            return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in self._rows())
        out = io.StringIO()
        writer = csv.DictWriter(out, FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self._rows())
        return out.getvalue()

    def write(self, path: Path) -> None:
        """Write them to a file, whole or not at all; ``.gz`` is compressed.

        Raises
        ------
        RunUnwritable
            If the file cannot be written.
        """
        written(path, self.text)


def forecast(bundle: Bundle, frame: Any) -> Forecasts:
    """Forecast the steps behind the latest value of every series in a table.

    Raises
    ------
    RowsRefused
        If the table is not like the one that was trained on; the message says what it lacks.
    """
    if not is_table(frame, bundle.task):
        to_columns(frame, bundle.reads)
        raise RowsRefused(
            f"rows of histories have no times to forecast; give a table with {line_of(bundle.task).time!r} and "
            f"{bundle.task.target!r}, or use Bundle.answer_rows"
        )
    found = latest(frame, bundle.task, [column.name for column in bundle.reads.features])
    return Forecasts(found, bundle.answer(found.columns))
