"""Rows and what is to be predicted of them: columns with their kinds, the task, splits, and a model's answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.units import Money

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Columns = Mapping[str, NDArray[Any]]
"""Named columns of equal length: NUMBER and TIME float64 (NaN is missing; TIME in epoch seconds), CATEGORY
object of ``str | None``, TEXT object of ``str`` (``""`` is missing), IMAGE object (a path, ``archive.zip::member``,
``bytes``, a uint8 array or a PIL image), AUDIO object (a path, ``archive.zip::member`` or the ``bytes`` of a wav file),
TOKENS object of ``tuple[str, ...]``, SEQUENCE object of float32 arrays of shape (steps, channels), NaN where a reading
is missing."""


class Kind(StrEnum):
    """What a column holds."""

    NUMBER = "number"
    CATEGORY = "category"
    TEXT = "text"
    IMAGE = "image"
    AUDIO = "audio"
    TOKENS = "tokens"
    SEQUENCE = "sequence"
    TIME = "time"
    ID = "id"
    CONSTANT = "constant"


FEATURES = frozenset(Kind) - {Kind.ID, Kind.CONSTANT}


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathered:
    """How rows come of a long table, one reading a row: those that are predicted are gathered as those trained on."""

    unit: str
    """Column that says which readings belong together."""
    time: str | None = None
    """Column that orders the readings of a unit; ``None``: they stand in order."""
    window: int | None = None
    """Most readings of a row; ``None``: a row holds all readings of its unit."""
    step: int = 1
    """Readings from the end of one window to the end of the next."""
    notation: str = ""
    """How times are written where that is not plain, as :attr:`Column.notation`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column as it was seen before the split: its kind, share of missing cells, number of distinct values."""

    name: str
    kind: Kind
    missing: float = 0.0
    distinct: int = 0
    low: float | None = None
    high: float | None = None
    spaced: bool = True
    """For TEXT: whether words are separated by spaces (English) or not (Chinese, Japanese, Thai)."""
    channels: tuple[str, ...] = ()
    """For SEQUENCE: the names of its channels, in order."""
    gathered: Gathered | None = None
    """For SEQUENCE: how it came of a long table, if it did."""
    checkpoints: tuple[str, ...] = ()
    """For TEXT and TOKENS: the pretrained encoders that may read it, ``name@digest``, the usual one first; none where
    the spec names none."""
    price: Money | None = None
    notation: str = ""
    """How numbers or dates are written where that is not plain: ``"1.234,5 €"``, ``"day/month/year"``; see
    :mod:`steelyard.data.numerals` and :mod:`steelyard.data.dates`."""
    lenient: bool = False
    """Whether cells that are no number (no time) count as missing, because a few of them did in training."""
    why: str = ""
    """How the kind was found: inferred by which rule, or given in the spec."""


@dataclass(frozen=True, slots=True)
class Schema:
    """The columns of a table, target and weight excluded, in the order of the source."""

    columns: tuple[Column, ...]

    @property
    def features(self) -> tuple[Column, ...]:
        """Columns that a model may read: neither ids nor constants."""
        return tuple(c for c in self.columns if c.kind in FEATURES)

    def of(self, *kinds: Kind) -> tuple[Column, ...]:
        """Return the columns of some kinds."""
        return tuple(c for c in self.columns if c.kind in kinds)


class Problem(StrEnum):
    """What is predicted."""

    BINARY = "binary"
    MULTICLASS = "multiclass"
    REGRESSION = "regression"
    TAGGING = "tagging"
    """A class for each token of a row."""
    FORECASTING = "forecasting"
    """The next values of one or several series."""


NUMERIC = frozenset({Problem.REGRESSION, Problem.FORECASTING})
"""Problems whose answers are numbers, not classes."""

OF_ROWS = (Problem.BINARY, Problem.MULTICLASS, Problem.REGRESSION)
"""The problems that are answered by one class or one number a row."""

Matrix = tuple[tuple[float, ...], ...]
"""Money per outcome: ``[true class][decided class]`` or, of a predicted number: a unit too much, too little."""


@dataclass(frozen=True, slots=True)
class Amount:
    """A column that holds the money at stake in each row, and the share of it that each outcome brings.

    ``times`` is laid out as ``Task.value``. ``means`` (by true class; of a predicted number one) and ``high`` are the
    column's mean and its largest amount in the rows that are not test rows.
    """

    column: str
    times: Matrix
    known: bool = False
    """Whether it is known when a decision is made: then it is an input, and decides row by row. Otherwise the mean of
    each class decides, and the amounts only count what decisions brought."""
    means: tuple[float, ...] = ()
    high: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """How a forecasting reads a table: what its columns are for, and the regular step of its times.

    The columns of a data set are then made of it: ``history``, a SEQUENCE of the last ``history`` steps whose channels
    are the series, ``past`` and ``known``, in this order; ``future``, the known ones of the steps ahead; ``time``, that
    of the last step of the history; and ``series``, its name. ``size``, ``unit``, ``start`` and ``day`` are those of
    :class:`steelyard.data.steps.Step`.
    """

    time: str
    series: str = ""
    """Column that names the series of a long table, one series a row; empty where series stand side by side."""
    history: int
    past: tuple[str, ...] = ()
    """Columns known up to the last step of the history."""
    known: tuple[str, ...] = ()
    """Columns known for the steps ahead too."""
    size: float
    unit: str
    start: float = 0.0
    day: int = 1
    notation: str = ""
    """How the column of times writes dates; see :mod:`steelyard.data.dates`."""
    notations: tuple[str, ...] = ()
    """How each channel writes numbers; see :mod:`steelyard.data.numerals`."""
    edges: tuple[tuple[float, ...], ...] = ()
    """Of a graph of the series that was given: from which to which, by their place, and how strongly."""
    names: tuple[str, ...] = ()
    """The series of a long table that training saw."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What is to be predicted, and what counts as good.

    ``aim`` names the metric that choosing maximises (or minimises, as the metric itself knows). ``value`` holds money
    per decision in ``currency``: ``value[true class][decided class]`` for classification, and
    ``((a unit too much, a unit too little),)`` for regression; ``amounts`` what columns of the data add to it.
    """

    problem: Problem
    target: str
    aim: str
    classes: tuple[str, ...] = ()
    positive: str | None = None
    """The class that precision, recall, F1, PR AUC and the threshold speak of; binary only."""
    value: Matrix | None = None
    currency: str = "USD"
    amounts: tuple[Amount, ...] = ()
    horizon: int = 0
    """How many steps ahead are forecast; forecasting only."""
    series: tuple[str, ...] = ()
    """The channels that are forecast together, in order; forecasting only."""
    season: int = 1
    """After how many steps a series is expected to repeat itself; forecasting only."""
    timeline: Timeline | None = None
    """Where the steps of a table are; forecasting only."""

    @property
    def width(self) -> int:
        """Number of score columns: one a class, one a step ahead and series (all series of a step together), or one."""
        return len(self.classes) or self.horizon * len(self.series) or 1


@dataclass(frozen=True, slots=True)
class Lesson:
    """What a teacher says of some rows, to a student that is to answer alike (distillation); of classes alone.

    ``scores`` holds its probabilities, shape (n, classes). ``trust``, shape (n,), is the share of a row's loss that
    goes by them, from 0 to 1; the rest goes by the row's own target. ``temperature`` is what logits are divided by,
    those of teacher and student alike, before they are compared (Hinton, Vinyals, Dean 2015, arXiv:1503.02531).
    """

    scores: Floats
    trust: Floats
    temperature: float = 1.0

    def take(self, index: NDArray[Any]) -> Lesson:
        """Return what is said of the rows that an index array or a mask selects."""
        return Lesson(self.scores[index], self.trust[index], self.temperature)


@dataclass(frozen=True, slots=True)
class Split:
    """Some rows of a data set.

    ``target`` holds int64 class codes (indices into ``task.classes``) or float64, shape (n,); of a tagging, objects:
    one int64 array of codes a row, as long as its tokens; of a forecasting, float64 of shape (n, width), NaN where a
    value is not known. ``rows`` the 0-based row
    numbers in the source; ``weights`` one positive float64 a row, or ``None``; ``amounts``, shape (n, amounts of the
    task), the money at stake in each row, or ``None`` where the task has none.
    """

    columns: Columns
    target: NDArray[Any]
    rows: Ints
    weights: Floats | None = None
    amounts: Floats | None = None
    scales: Floats | None = None
    """Of a forecasting, shape (n, series): the mean error of the seasonal naive forecast one step ahead within the
    history of each series up to the row (Hyndman, Koehler 2006), NaN where it has none."""
    lesson: Lesson | None = None
    """What a teacher says of these rows, where they are a student's and the target is a class."""

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, index: NDArray[Any]) -> Split:
        """Return the rows that an index array or a mask selects."""
        picked = {name: values[index] for name, values in self.columns.items()}
        weights = None if self.weights is None else self.weights[index]
        amounts = None if self.amounts is None else self.amounts[index]
        scales = None if self.scales is None else self.scales[index]
        lesson = None if self.lesson is None else self.lesson.take(index)
        return Split(picked, self.target[index], self.rows[index], weights, amounts, scales, lesson)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a bundle says of some rows.

    ``scores`` has shape (n, classes) and holds probabilities, or shape (n, 1) and holds predicted values;
    ``decided`` has shape (n,): the class code decided on, or the predicted value. Of a forecasting both have shape
    (n, width). Of a tagging both are objects of shape (n,): the scores of a row have shape (tokens, classes), what is
    decided of it has shape (tokens,).
    """

    scores: Floats
    decided: NDArray[Any]
    members: Ints | None = None
    """Of a cascade which member answered each row, from 0, shape (n,); otherwise ``None``."""
    amounts: Floats | None = None
    """The money at stake in each row, shape (n, amounts of the task); NaN where a bundle does not read the column."""
    low: Floats | None = None
    high: Floats | None = None
    """Of a forecasting the ends of the prediction intervals, shape (n, width); ``None`` where it has none."""
    scales: Floats | None = None
    """Of a forecasting what errors are scaled by, shape (n, series); see :class:`Split`."""

    def take(self, index: NDArray[Any] | slice) -> Answer:
        """Return the rows that an index array, a mask or a slice selects."""
        members = None if self.members is None else self.members[index]
        amounts = None if self.amounts is None else self.amounts[index]
        low, high, scales = (None if part is None else part[index] for part in (self.low, self.high, self.scales))
        return Answer(self.scores[index], self.decided[index], members, amounts, low, high, scales)
