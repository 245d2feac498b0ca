"""Parts of a spec about what a model returns, and about what is used today."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from steelyard.spec._parts import Cost, Part, Word
from steelyard.spec._ranges import Number, Rate, Share, Spent, Spread
from steelyard.spec._words import Problem
from steelyard.units import Money

if TYPE_CHECKING:
    from steelyard.spec._spec import Spec

SOURCES = ("bundle", "onnx", "endpoint", "column")
"""What an incumbent may be; a spec names exactly one."""


class Retraining(Part):
    """Training the model anew while it is in use."""

    every_months: float = Field(gt=0, description="Months from one training to the next.")
    price: Spent = Field(description="Money for one training: compute, checks, release.")


class BoughtLabels(Part):
    """Labels that are bought while the model is in use."""

    per_month: Number = Field(description="Labels a month.")
    price: Spent = Field(description="Money for one label.")


class People(Part):
    """People who decide instead of a model: give `accuracy`, or `recall` and `specificity` of two classes."""

    per_decision: Spent = Field(description="Money for one decision.")
    accuracy: Share | None = Field(
        None, description="Share of right decisions, the same in every class; wrong ones fall on the others evenly."
    )
    recall: Share | None = Field(None, description="Share of the positive class that they call positive.")
    specificity: Share | None = Field(None, description="Share of the negative class that they call negative.")


class Returns(Part):
    """What a model in use brings and takes beside serving. What is left out counts as nothing, and is said so."""

    discount_rate: Rate | None = Field(
        None, description="Rate a year, compounded monthly: a month is discounted by (1 + rate)^(1/12); unset: 0."
    )
    build_cost: Spent | None = Field(None, description="Paid once at the start, beside what the run itself spent.")
    retraining: Retraining | None = Field(
        None, description="Training anew.", examples=[{"every_months": 3, "price": "50 USD"}]
    )
    labels: BoughtLabels | None = Field(
        None, description="Labels bought in use.", examples=[{"per_month": 200, "price": "0.05 USD"}]
    )
    upkeep: Spent | None = Field(None, description="Money a month for people who look after the model.")
    traffic: Number | None = Field(
        None, description="Mean requests a second; unset: serving.traffic.mean_rps. The peak keeps its proportion."
    )
    acted_on: Share | None = Field(
        None,
        description="Share of the decisions that are acted on, so that they are worth what `value` says; unset: 1.",
    )
    value_scale: Number | None = Field(
        None, description="What every amount of `value` is multiplied by; a range where they are not sure; unset: 1."
    )
    people: People | None = Field(
        None, description="People who decide instead.", examples=[{"per_decision": "0.50 USD", "accuracy": 0.97}]
    )


class Incumbent(Part):
    """What is used today. Name one of bundle, onnx, endpoint, column."""

    name: str | None = Field(None, min_length=1, description="What to call it; unset: what it is.")
    bundle: Path | None = Field(None, description="Folder of a bundle (`steelyard import` makes one of a pipeline).")
    onnx: Path | None = Field(None, description="ONNX file; say its `columns`, and its `classes` if they differ.")
    endpoint: str | None = Field(
        None, pattern=r"^https?://\S+$", description="Address of a server of the Open Inference Protocol, version 2."
    )
    column: Word | None = Field(None, description="Column of past decisions; no model may read it.")
    scores: Word | None = Field(None, description="Column of past probabilities of the positive class.")
    columns: tuple[Word, ...] = Field((), description="Columns that an ONNX file or an endpoint reads, in its order.")
    classes: tuple[Word, ...] = Field((), description="Classes in the order of its probabilities; unset: as sorted.")
    model: str | None = Field(None, min_length=1, description="Name of the model at the endpoint.")
    per_call: Cost | None = Field(None, description="Money for one decision; of an endpoint or a column only.")

    @property
    def kind(self) -> str:
        """Which of the four it is."""
        return next(name for name in SOURCES if getattr(self, name) is not None)

    @property
    def aside(self) -> tuple[str, ...]:
        """Columns of the data that hold its decisions, and so are no features."""
        return tuple(name for name in (self.column, self.scores) if name is not None)


def broken(spec: Spec) -> Iterator[Problem]:
    """Yield what the fields of these parts may not say together."""
    if spec.returns is not None and spec.returns.people is not None:
        yield from _people(spec.returns.people)
    if spec.incumbent is not None:
        yield from _incumbent(spec.incumbent, spec)


def _people(people: People) -> Iterator[Problem]:
    place = ("returns", "people")
    rates = people.recall, people.specificity
    if people.accuracy is None and None in rates:
        yield Problem(place, "says nothing of their errors; give accuracy, or recall and specificity")
    if people.accuracy is not None and rates != (None, None):
        yield Problem(place, "gives accuracy beside recall or specificity; use one way of speaking")


def _incumbent(part: Incumbent, spec: Spec) -> Iterator[Problem]:
    named = [name for name in SOURCES if getattr(part, name) is not None]
    if len(named) != 1:
        got = " and ".join(named) or "none"
        yield Problem(("incumbent",), f"must name exactly one of {', '.join(SOURCES)}; got {got}")
        return
    kind, given = named[0], part.model_fields_set
    owners = {
        "columns": ("onnx", "endpoint"),
        "classes": ("onnx", "endpoint"),
        "model": ("endpoint",),
        "scores": ("column",),
    }
    for name, owner in {**owners, "per_call": ("endpoint", "column")}.items():
        if name in given and kind not in owner:
            yield Problem(("incumbent", name), f"belongs to {' or '.join(owner)}, and this names {kind}; take it out")
    if kind == "onnx" and not part.columns:
        yield Problem(("incumbent", "columns"), "is missing; name the columns that the ONNX file reads, in its order")
    if kind == "endpoint" and part.model is None:
        yield Problem(("incumbent", "model"), "is missing; an endpoint serves models by name")
    if kind in ("endpoint", "column") and part.per_call is None:
        yield Problem(("incumbent", "per_call"), "is missing; say what one decision costs, 0 USD if nothing")
    for name in ("column", "scores"):
        if getattr(part, name) in (spec.target, *spec.columns.allow):
            yield Problem(("incumbent", name), f"names {getattr(part, name)!r}, which the spec uses otherwise")


def amounts(spec: Spec) -> Iterator[tuple[tuple[str, ...], Money | Spread]]:
    """Yield every amount of money of these parts, with where it stands."""
    if spec.incumbent is not None and spec.incumbent.per_call is not None:
        yield ("incumbent", "per_call"), spec.incumbent.per_call
    yield from _spreads(spec.returns, ("returns",))


def _spreads(part: Part | None, above: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Spread]]:
    for name, value in part or ():
        if isinstance(value, Part):
            yield from _spreads(value, (*above, name))
        elif isinstance(value, Spread) and value.currency is not None:
            yield (*above, name), value
