"""What a forecast is of, and what of a table tells it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from steelyard.spec._parts import Part, Word
from steelyard.spec._words import Problem

if TYPE_CHECKING:
    from steelyard.spec._spec import Spec

ALL = "all"


class ForecastPart(Part):
    """How a table of past values is read, and how far ahead to look.

    A *long* table has one row a series and time, and ``series`` names the column that tells them apart; in a *wide*
    table series stand side by side, one column each, and are forecast together. An *origin* is a time from which the
    next ``horizon`` values are forecast; every ``stride``-th one is a row to learn from.
    """

    time: Word = Field(description="Column of the times; their regular step is inferred.")
    horizon: int = Field(ge=1, le=10_000, description="Steps ahead to forecast.")
    series: Word | None = Field(None, description="Column that names the series of a long table.")
    together: tuple[Word, ...] | Literal["all"] = Field(
        (), description="Further columns to forecast beside the target, together; all: every other column."
    )
    history: int | None = Field(
        None, ge=1, le=100_000, description="Steps back that a model sees; unset: two seasons or two horizons."
    )
    season: int | None = Field(
        None, ge=1, le=100_000, description="Steps after which a series repeats itself; unset: by the step's calendar."
    )
    stride: int | None = Field(
        None, ge=1, le=100_000, description="Steps between origins; unset: 1, more where the rows would be too many."
    )
    graph: Path | None = Field(
        None, description="CSV or NPZ file of how strongly series side by side are tied, one row and column each."
    )
    known: tuple[Word, ...] = Field((), description="Numbers known ahead, such as holidays and prices.")
    past: tuple[Word, ...] = Field((), description="Further numbers, known up to the origin alone.")

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that it names, but those to forecast."""
        return (self.time, *(() if self.series is None else (self.series,)), *self.known, *self.past)


def targets(spec: Spec) -> tuple[str, ...]:
    """Return the columns that are forecast, as far as the spec names them."""
    together = () if spec.forecast is None or spec.forecast.together == ALL else spec.forecast.together
    return tuple(dict.fromkeys((spec.target, *together)))


def broken(spec: Spec) -> Iterator[Problem]:
    """Yield what a forecast may not say, and what else may not be said beside one."""
    forecast = spec.forecast
    if forecast is None:
        if spec.task == "forecasting":
            yield Problem(
                ("forecast",), "is missing; say the column of times and how far ahead: {time: ..., horizon: ...}"
            )
        return
    if spec.task not in {None, "forecasting"}:
        yield Problem(("task",), f"is {spec.task}, and there is a `forecast:` part; write forecasting, or take it out")
    yield from _parts_of(spec, forecast)
    for place, way_out in _BESIDE.items():
        part, name = place
        if getattr(getattr(spec, part), name) not in {None, "content"}:
            yield Problem(place, way_out)
    if spec.incumbent is not None:
        yield Problem(("incumbent",), "what is used today cannot be weighed beside forecasts yet; leave it out")
    if spec.positive is not None:
        yield Problem(("positive",), "names a class, and a forecast has none; take it out")


_BY_TIME = "a forecast is split by its own time (forecast.time); leave it out"
_BESIDE = {
    ("split", "group"): _BY_TIME,
    ("split", "time"): _BY_TIME,
    ("split", "by"): _BY_TIME,
    ("columns", "weight"): "a forecast weighs all of its origins alike; leave it out",
}
"""What may not be said beside a forecast, and why."""


def _parts_of(spec: Spec, forecast: ForecastPart) -> Iterator[Problem]:
    """Yield columns that are named twice, and parts of a long and of a wide table together."""
    named = [("time", forecast.time), ("series", forecast.series)]
    named += [(part, name) for part in ("known", "past") for name in getattr(forecast, part)]
    seen: dict[str, str] = dict.fromkeys(targets(spec), "target")
    for part, name in named:
        if name is not None and seen.setdefault(name, part) != part:
            yield Problem(("forecast", part), f"names {name!r}, which is the {seen[name]} too; a column has one part")
    if forecast.together and forecast.series is not None:
        yield Problem(
            ("forecast", "together"), "is for series side by side, and series names those of a long table; keep one"
        )
