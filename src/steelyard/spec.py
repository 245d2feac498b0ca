"""What the user wants: one YAML file, or one Python object, every field with its unit."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer

from steelyard.units import Money

Cash = Annotated[Money, BeforeValidator(Money.parse), PlainSerializer(str)]
"""An amount of money in a spec: ``5 USD``; a bare number is in USD."""


class Part(BaseModel):
    """A part of a spec: unknown names are errors, values are never changed after validation."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True, populate_by_name=True)


class ColumnsPart(Part):
    """What to do with columns beyond what is inferred from them."""

    ignore: tuple[str, ...] = Field((), description="Columns that no model may read.")
    number: tuple[str, ...] = Field((), description="Columns to read as numbers.")
    category: tuple[str, ...] = Field((), description="Columns to read as categories.")
    text: tuple[str, ...] = Field((), description="Columns to read as free text.")
    image: tuple[str, ...] = Field((), description="Columns of image files, relative to the data file.")
    time: tuple[str, ...] = Field((), description="Columns to read as dates.")
    weight: str | None = Field(None, description="Column of positive row weights; never a feature.")
    price: dict[str, Cash] = Field(default_factory=dict, description="Money per row that a column costs to collect.")
    allow: tuple[str, ...] = Field((), description="Columns to keep although they seem to give the target away.")


class SplitPart(Part):
    """How rows are divided; made once, before anything looks at the data."""

    test: float = Field(0.2, gt=0, lt=0.9, description="Share of rows kept for the one final figure.")
    group: str | None = Field(None, description="Rows with the same value stay on one side.")
    time: str | None = Field(None, description="Train on earlier rows, test on the latest.")
    column: str | None = Field(None, description="Column that says train, validation, calibration or test.")
    by: Literal["content", "index"] = Field(
        "content", description="content: by a hash of the row; index: test where crc32(str(i)) % 5 == 0."
    )
    folds: int | None = Field(None, ge=0, le=20, description="Folds for validation; 0: one holdout; unset: by size.")


class Quality(Part):
    """Which metric counts, and what it must reach."""

    metric: str | None = Field(None, description="Name of the metric; unset: by task.")
    at_least: float | None = Field(None, description="Target of a metric that is better when higher.")
    at_most: float | None = Field(None, description="Target of a metric that is better when lower.")
    tolerance: float = Field(0.01, ge=0, description="Loss of quality, in units of the metric, that counts as equal.")
    confidence: float | None = Field(
        None, gt=0.5, lt=1, description="Ask for the bound of that confidence to meet the target, not the estimate."
    )


def AtLeast(metric: str, value: float, *, tolerance: float = 0.01) -> Quality:  # noqa: N802 - reads as a word
    """Quality that must be reached: ``AtLeast("roc_auc", 0.78)``."""
    return Quality(metric=metric, at_least=value, tolerance=tolerance)


def AtMost(metric: str, value: float, *, tolerance: float = 0.01) -> Quality:  # noqa: N802 - reads as a word
    """Error that must not be exceeded: ``AtMost("rmse", 40)``."""
    return Quality(metric=metric, at_most=value, tolerance=tolerance)


class Traffic(Part):
    """Requests a second, one row each."""

    mean_rps: float = Field(description="Mean over the month, requests a second.", ge=0)
    peak_rps: float | None = Field(None, description="Busiest minute, requests a second; unset: the mean.", ge=0)


class Serving(Part):
    """Where the model answers, and how fast it must."""

    latency_p95_ms: float | None = Field(None, gt=0, description="95% of single rows answered within, ms.")
    size_mb: float | None = Field(None, gt=0, description="Most bytes on disk, in units of 1,000,000 bytes.")
    cost_per_million: Cash | None = Field(None, description="Most money for a million predictions.")
    device: str = Field("server-core", description="Kind of machine that serves.")
    threads: int = Field(1, ge=1, le=256, description="Threads that one prediction may use.")
    traffic: Traffic | None = Field(None, description="How many requests come.")


class Budget(Part):
    """What may be spent; 0 means 0, unset means no limit of that kind."""

    minutes: float | None = Field(None, ge=0, description="Wall-clock time of the whole command, minutes.")
    money: Cash | None = Field(None, description="Compute and labels at the prices in force.")
    labels: int | None = Field(None, ge=0, description="Labels that may be bought.")
    trials: int | None = Field(None, ge=0, description="Recipes that may be tried.")
    memory_gb: float | None = Field(None, gt=0, description="Memory of one trial, in units of 1e9 bytes.")


class Value(Part):
    """Money that outcomes are worth. Outcomes that are not named are worth nothing."""

    true_positive: Cash | None = Field(None, description="Positive, and called so.")
    false_positive: Cash | None = Field(None, description="Negative, but called positive.")
    true_negative: Cash | None = Field(None, description="Negative, and called so.")
    false_negative: Cash | None = Field(None, description="Positive, but called negative.")
    right: Cash | None = Field(None, description="A right decision, whatever the class.")
    wrong: Cash | None = Field(None, description="A wrong decision, whatever the class.")
    per: Literal["decision"] = Field("decision", description="What the amounts are per.")


class LeversPart(Part):
    """Which levers may be pulled; all by default."""

    only: tuple[str, ...] | None = Field(None, description="Only these levers.")
    without: tuple[str, ...] = Field((), description="All levers but these.")


class LearnersPart(Part):
    """Which learners may be trained; all that accept the task by default."""

    only: tuple[str, ...] | None = Field(None, description="Only these learners.")
    without: tuple[str, ...] = Field((), description="All learners but these.")


class Checks(Part):
    """What to do about findings that stop a run."""

    leaks: Literal["stop", "drop", "keep"] = Field("stop", description="Columns that give the target away.")
    missing_target: Literal["stop", "drop"] = Field("stop", description="Rows without a target.")


class Spec(Part):
    """Everything a run needs to know."""

    name: str | None = Field(None, description="Name of the run; unset: of the data.", pattern=r"^[\w][\w.-]{0,99}$")
    data: Any = Field(
        description="File, folder, zip, data frame, or sklearn:NAME; relative to the spec or to STEELYARD_DATA."
    )
    target: str = Field(description="Column to predict.")
    task: Literal["classification", "regression"] | None = Field(None, description="Unset: inferred from the target.")
    positive: str | None = Field(None, description="The class that precision, recall and outcomes speak of.")
    columns: ColumnsPart = Field(default_factory=ColumnsPart, description="Kinds and roles of columns.")
    split: SplitPart = Field(default_factory=SplitPart, description="How rows are divided.")
    quality: Quality = Field(default_factory=Quality, description="What the model must reach.")
    serving: Serving = Field(default_factory=Serving, description="Where and how fast it answers.")
    budget: Budget = Field(default_factory=Budget, description="What may be spent on finding it.")
    value: Value | None = Field(None, description="What decisions are worth.")
    horizon_months: float = Field(12, gt=0, description="Months over which returns count.")
    levers: LeversPart = Field(default_factory=LeversPart, description="Which levers may be pulled.")
    learners: LearnersPart = Field(default_factory=LearnersPart, description="Which learners may be trained.")
    checks: Checks = Field(default_factory=Checks, description="What to do about findings in the data.")
    prices: Path | None = Field(None, description="File of own prices that override the catalogue's.")
    workers: int = Field(1, ge=1, le=256, description="Trials at the same time, each in a process of its own.")
    threads: int | None = Field(None, ge=1, le=256, description="Threads of one trial; unset: cores / workers.")
    seed: int = Field(0, ge=0, lt=2**32, description="Seed of everything random.")
