"""Times as calendar parts, worked out in the graph from epoch seconds, exactly, leap years included.

Neri and Schneider, "Euclidean affine functions and their application to calendar algorithms" (2022): years are
counted from 1 March, so that a leap day is the last of its year, and whole divisions give the rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from steelyard.contracts import Columns, Feed, Floats
from steelyard.learners._block import Dense
from steelyard.learners._graph import Graph
from steelyard.learners._prelude import Prelude

PARTS = ("year", "month", "day", "yearday", "weekday", "hour")
"""Month and day from 1; ``yearday`` from 1 to 366, as in a leap year; ``weekday`` from 0, Monday; ``hour`` from 0."""
DAY, HOUR = 86_400.0, 3_600.0
FIRST, LAST = -62_135_596_800.0, 253_402_300_799.0
"""The first second of the year 1 and the last one of the year 9999; what lies beyond is taken for these."""
MARCH = 719_468
"""Days from 1 March of the year 0 to 1 January 1970."""
FOUR_CENTURIES, FOUR_YEARS = 146_097, 1_461
"""Their days."""
JANUARY = 306
"""Days from 1 March to 1 January."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dates:
    """Some calendar parts of some time columns.

    ``picked`` are places in the table of all parts of all columns, ``len(PARTS)`` a column. Parts are shifted and
    scaled, which leaves them as they are for models that split; ``fill`` is what stands for the part of a missing
    time after that. The three have one number a picked part. ``tag`` names the input.
    """

    columns: tuple[str, ...]
    picked: tuple[int, ...]
    shift: Floats
    scale: Floats
    fill: Floats
    tag: str = "times"

    @classmethod
    def every(cls, names: tuple[str, ...]) -> Dates:
        """Return all parts of some columns as they are, NaN where a time is missing."""
        count = len(names) * len(PARTS)
        nothing, one = np.zeros(count), np.ones(count)
        return cls(columns=names, picked=tuple(range(count)), shift=nothing, scale=one, fill=np.full(count, np.nan))

    @classmethod
    def fit(cls, columns: Columns, names: tuple[str, ...], *, standard: bool) -> Dates | None:
        """Keep the parts that take more than one value in training; return ``None`` where there are none.

        With ``standard`` parts have mean 0 and standard deviation 1, and a missing time has the mean. Without, they
        are as they are, NaN for a missing time if training had some, the median otherwise.
        """
        (parts,) = Prelude((cls.every(names),)).run(columns, threads=1)
        known = ~np.isnan(parts)
        varied = np.array([len(np.unique(part[there])) > 1 for part, there in zip(parts.T, known.T, strict=True)])
        if not varied.any():
            return None
        parts, gaps = parts[:, varied].astype(np.float64), ~known[:, varied].all(axis=0)
        picked = tuple(np.flatnonzero(varied).tolist())
        if standard:
            centre, spread = np.nanmean(parts, axis=0), np.nanstd(parts, axis=0)
            return cls(columns=names, picked=picked, shift=centre, scale=1 / spread, fill=np.zeros(len(picked)))
        fill = np.where(gaps, np.nan, np.nanmedian(parts, axis=0))
        nothing, one = np.zeros(len(picked)), np.ones(len(picked))
        return cls(columns=names, picked=picked, shift=nothing, scale=one, fill=fill)

    def only(self, places: list[int]) -> Dates:
        """Return the features at some places alone; columns without any are no longer read."""
        kept = [divmod(self.picked[place], len(PARTS)) for place in places]
        used = sorted({column for column, _ in kept})
        return replace(
            self,
            columns=tuple(self.columns[column] for column in used),
            picked=tuple(used.index(column) * len(PARTS) + part for column, part in kept),
            shift=self.shift[places],
            scale=self.scale[places],
            fill=self.fill[places],
        )

    @property
    def feeds(self) -> tuple[Feed, ...]:
        """One tensor of epoch seconds."""
        return (Feed("numbers", (self.tag,), self.columns),)

    @property
    def files(self) -> Mapping[str, bytes]:
        """No files."""
        return {}

    @property
    def names(self) -> tuple[str, ...]:
        """What the features are: ``opened.month``."""
        return tuple(f"{self.columns[place // len(PARTS)]}.{PARTS[place % len(PARTS)]}" for place in self.picked)

    def build(self, graph: Graph) -> Dense:
        """Add the nodes: seconds to days in double, days to parts in whole numbers."""
        times = graph.input(self.tag, TensorProto.DOUBLE, ["n", len(self.columns)])
        gone = graph.add("IsNaN", times)
        known = graph.add("Where", gone, _number(graph, 0.0), times)
        near = graph.add("Clip", known, _number(graph, FIRST), _number(graph, LAST))
        midnights = graph.add("Floor", graph.add("Div", near, _number(graph, DAY)))
        since = graph.add("Sub", near, graph.add("Mul", midnights, _number(graph, DAY)))
        hour = graph.add("Floor", graph.add("Div", since, _number(graph, HOUR)))
        days = graph.add("Add", graph.add("Cast", midnights, to=TensorProto.INT64), _number(graph, MARCH))
        year, season = _calendar(graph, days)
        weekday = graph.add("Mod", graph.add("Add", days, _number(graph, 2)), _number(graph, 7))
        axis = graph.constant(np.array([2], np.int64))
        pieces = [_single(graph, year, axis), season, _single(graph, weekday, axis), _single(graph, hour, axis)]
        shape = graph.constant(np.array([-1, len(self.columns) * len(PARTS)], np.int64))
        table = graph.add("Reshape", graph.add("Concat", *pieces, axis=2), shape)
        places = np.array(self.picked, np.int64)
        parts = graph.add("Gather", table, graph.constant(places), axis=1)
        if not (np.all(self.shift == 0) and np.all(self.scale == 1)):
            parts = graph.add("Sub", parts, graph.constant(self.shift.astype(np.float32)))
            parts = graph.add("Mul", parts, graph.constant(self.scale.astype(np.float32)))
        holes = graph.add("Gather", gone, graph.constant(places // len(PARTS)), axis=1)
        fill = graph.constant(self.fill.astype(np.float32))
        return Dense(graph.add("Where", holes, fill, parts), len(self.picked))


def _calendar(graph: Graph, days: str) -> tuple[str, str]:
    """Add year (int64) and month, day, yearday (float32, one axis more) of days since 1 March of the year 0."""
    quarters = graph.add("Add", graph.add("Mul", days, _number(graph, 4)), _number(graph, 3))
    century = graph.add("Div", quarters, _number(graph, FOUR_CENTURIES))
    of_century = graph.add("Div", graph.add("Mod", quarters, _number(graph, FOUR_CENTURIES)), _number(graph, 4))
    quarters = graph.add("Add", graph.add("Mul", of_century, _number(graph, 4)), _number(graph, 3))
    year = graph.add("Div", quarters, _number(graph, FOUR_YEARS))
    of_year = graph.add("Div", graph.add("Mod", quarters, _number(graph, FOUR_YEARS)), _number(graph, 4))
    late = graph.add("Cast", graph.add("GreaterOrEqual", of_year, _number(graph, JANUARY)), to=TensorProto.INT64)
    years = graph.add("Mul", century, _number(graph, 100))
    total = graph.add("Add", graph.add("Add", years, year), late)
    return total, graph.add("Gather", graph.constant(_seasons()), of_year, axis=0)


def _seasons() -> NDArray[np.float32]:
    """Return month, day and yearday for each day of a leap year that begins on 1 March."""
    march = date(2003, 3, 1)
    days = [march + timedelta(days=day) for day in range(366)]
    leap = [day.replace(year=2004) for day in days]
    return np.array([(day.month, day.day, day.timetuple().tm_yday) for day in leap], np.float32)


def _number(graph: Graph, value: float) -> str:
    """Store a float as double, a whole number as int64."""
    return graph.constant(np.array(value, np.int64 if isinstance(value, int) else np.float64))


def _single(graph: Graph, tensor: str, axis: str) -> str:
    return graph.add("Unsqueeze", graph.add("Cast", tensor, to=TensorProto.FLOAT), axis)
