"""The whole of a spec."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from os import PathLike
from pathlib import Path
from typing import Annotated, Any, Literal, TypeGuard

from pydantic import BeforeValidator, Field, ValidationError, WithJsonSchema, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from steelyard.errors import SpecInvalid
from steelyard.spec._edge import EdgePart
from steelyard.spec._forecast import ForecastPart
from steelyard.spec._gather import complaint, gather
from steelyard.spec._parts import (
    Budget,
    Checks,
    ColumnsPart,
    Compute,
    LearnersPart,
    LeversPart,
    Part,
    PretrainedPart,
    Quality,
    SequencePart,
    Serving,
    ShrinkPart,
    SplitPart,
    Word,
)
from steelyard.spec._returns import Incumbent, Returns
from steelyard.spec._rules import broken_rules
from steelyard.spec._value import Value
from steelyard.spec._words import Words
from steelyard.spec._yaml import compact, dump

SHORT = {"latency_p95_ms": "serving", "traffic": "serving"}
"""Fields that may also be written at the top: name to the part that they belong to."""


def _source(value: object) -> object:
    if isinstance(value, str | PathLike):
        if not str(value).strip():
            raise ValueError("empty")
        return str(value)
    if _is_sides(value):
        return {str(side): str(path) for side, path in value.items()}
    if hasattr(value, "columns") or _is_table(value):
        return value
    raise ValueError("neither a path nor a table")


def _is_sides(value: object) -> TypeGuard[Mapping[str, str | PathLike[str]]]:
    """Tell whether these are files by side: ``{train: ..., test: ...}``."""
    if not isinstance(value, Mapping) or not value:
        return False
    return all(isinstance(path, str | PathLike) and str(path).strip() for path in value.values())


def _is_table(value: object) -> bool:
    """Tell whether this is a dict of columns or a list of rows."""
    if isinstance(value, Mapping):
        return bool(value) and all(hasattr(cells, "__len__") and not isinstance(cells, str) for cells in value.values())
    return isinstance(value, list) and bool(value) and all(isinstance(row, Mapping) for row in value)


Source = Annotated[
    Any,
    BeforeValidator(_source),
    WithJsonSchema({"type": ["string", "object"], "additionalProperties": {"type": "string"}}),
    Words("a file, a folder, a zip, files by side, sklearn:NAME, or a data frame"),
]


class Spec(Part):
    """Everything a run needs to know.

    ``latency_p95_ms`` and ``traffic`` may be given at the top, short for ``serving.latency_p95_ms`` and
    ``serving.traffic``. Which fields were given, and which hold their defaults, stays known (:meth:`explain`).

    Raises
    ------
    SpecInvalid
        With every problem, one a line.

    Examples
    --------
    >>> Spec(data="credit.csv", target="class", latency_p95_ms=20).serving.latency_p95_ms
    20.0
    >>> Spec(data="credit.csv", tarket="class", seed=-1)
    Traceback (most recent call last):
    steelyard.errors.SpecInvalid: the spec has 3 problems:
      target: is missing; it is a name: Column to predict.
      seed: must be a whole number of 0 or more and below 4294967296; got -1
      tarket: no such field (did you mean 'target'?)
    """

    name: Annotated[str, Words("letters, digits, '.', '_' and '-', at most 100")] | None = Field(
        None, description="Name of the run; unset: of the data.", pattern=r"^[\w][\w.-]{0,99}$"
    )
    data: Source = Field(description="What to learn from; a path is relative to the spec or to STEELYARD_DATA.")
    target: Word = Field(description="Column to predict.", min_length=1)
    task: Literal["classification", "regression", "tagging", "forecasting"] | None = Field(
        None, description="Unset: forecasting where there is a `forecast:` part, else inferred from the target."
    )
    forecast: ForecastPart | None = Field(
        None,
        description="What to forecast, from which times, how far ahead.",
        examples=[{"time": "date", "series": "store", "horizon": 14, "known": ["holiday"]}],
    )
    positive: Word | None = Field(None, description="The class that precision, recall and outcomes speak of.")
    columns: ColumnsPart = Field(
        default_factory=ColumnsPart,
        description="Kinds and roles of columns.",
        examples=[{"ignore": ["id"], "text": ["note"], "weight": "w"}],
    )
    sequence: SequencePart | None = Field(
        None,
        description="How rows are gathered where each row of the data is one reading of a sensor.",
        examples=[{"unit": "engine", "time": "cycle", "window": 30}],
    )
    split: SplitPart = Field(
        default_factory=SplitPart,
        description="How rows are divided.",
        examples=[{"test": 0.2, "group": "customer"}],
    )
    quality: Quality = Field(
        default_factory=Quality,
        description="What the model must reach.",
        examples=[{"metric": "roc_auc", "at_least": 0.78}],
    )
    serving: Serving = Field(
        default_factory=Serving, description="Where and how fast it answers.", examples=[{"latency_p95_ms": 20}]
    )
    edge: EdgePart | None = Field(
        None,
        description="A device that answers itself, and the network to a server.",
        examples=[{"device": "raspberry-pi-4", "latency_p95_ms": 50, "round_trip_ms": 80}],
    )
    budget: Budget = Field(
        default_factory=Budget,
        description="What may be spent on finding it.",
        examples=[{"minutes": 10, "money": "5 USD"}],
    )
    value: Value | None = Field(
        None,
        description="What decisions are worth.",
        examples=[{"true_positive": "500 USD", "false_positive": "-40 USD"}],
    )
    horizon_months: float = Field(12, gt=0, description="Months over which returns count.")
    returns: Returns | None = Field(
        None,
        description="What the model in use brings and takes beside serving.",
        examples=[{"discount_rate": 0.08, "build_cost": "2000 USD"}],
    )
    incumbent: Incumbent | None = Field(
        None,
        description="What is used today; weighed beside the models.",
        examples=[{"column": "decided", "per_call": "0.50 USD"}],
    )
    shrink: ShrinkPart = Field(
        default_factory=ShrinkPart,
        description="What a model may lose to become cheaper to serve, and what it must gain by that.",
        examples=[{"lose": 0.01, "faster": 0.2, "smaller": 0.2}],
    )
    levers: LeversPart = Field(
        default_factory=LeversPart,
        description="Which levers may be pulled.",
        examples=[{"only": ["tune", "ensemble"]}],
    )
    learners: LearnersPart = Field(
        default_factory=LearnersPart,
        description="Which learners may be trained.",
        examples=[{"without": ["lightgbm"]}],
    )
    pretrained: PretrainedPart = Field(
        default_factory=PretrainedPart,
        description="Which pretrained encoders may be used.",
        examples=[{"checkpoints": ["./encoder"], "downloads": False}],
    )
    checks: Checks = Field(
        default_factory=Checks, description="What to do about findings in the data.", examples=[{"leaks": "drop"}]
    )
    prices: Path | None = Field(None, description="File of own prices that override the catalogue's.")
    compute: Compute = Field(
        default_factory=Compute, description="Who does the trials, and where.", examples=[{"executor": "ray"}]
    )
    workers: int = Field(1, ge=1, le=256, description="Trials at the same time, each in a process of its own.")
    threads: int | None = Field(None, ge=1, le=256, description="Threads of one trial; unset: cores / workers.")
    seed: int = Field(0, ge=0, lt=2**32, description="Seed of everything random.")

    def __init__(self, **given: Any) -> None:
        try:
            super().__init__(**given)
        except SpecInvalid:
            raise complaint("the spec", gather(type(self), given, SHORT)) from None

    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined] # as in Part

    @model_validator(mode="before")
    @classmethod
    def _lengthen(cls, given: Any) -> Any:
        """Move what was written short to its place, and read an empty part as one without anything in it."""
        if not isinstance(given, Mapping):
            return given
        values = _parted({k: {} if v is None and k in _DEFAULTED else v for k, v in given.items()})
        for name, owner in SHORT.items():
            if name in values:
                values[owner] = _with(values.get(owner, {}), name, values.pop(name), f"{owner}.{name}")
        return values

    @model_validator(mode="after")
    def _rules(self) -> Spec:
        """Refuse contradictions between fields that are each right by themselves."""
        details = [
            InitErrorDetails(
                type=PydanticCustomError("rule", "{sentence}", {"sentence": p.sentence}), loc=p.place, input=None
            )
            for p in broken_rules(self)
        ]
        if details:
            raise ValidationError.from_exception_data("Spec", details)
        return self

    def to_yaml(self) -> str:
        """Write what was given (no defaults) as YAML that :func:`parse` reads back; a frame becomes ``<frame>``.

        Examples
        --------
        >>> print(Spec(data="credit.csv", target="class", budget=Budget(money="5 USD")).to_yaml(), end="")
        data: credit.csv
        target: class
        budget:
          money: 5 USD
        """
        frame = not (isinstance(self.data, str) or _is_sides(self.data))
        given = self.model_copy(update={"data": "<frame>"}) if frame else self
        return dump(given.model_dump(mode="json", exclude_unset=True))

    def explain(self) -> str:
        """List every field with the value that counts, and whether it was given or is the default.

        Examples
        --------
        >>> print(Spec(data="credit.csv", target="class", seed=3).explain().splitlines()[-1])
        seed: 3
        """
        return "\n".join(_explained(self, ""))


def _with(part: Any, name: str, value: Any, long: str) -> Any:
    """Put a field into a part that was given as a mapping or as an object."""
    already = part.model_fields_set if isinstance(part, Part) else part
    if isinstance(already, Mapping | set) and name in already:
        twice = PydanticCustomError("short", "given twice, here and as {long}; keep one", {"long": long})
        raise ValidationError.from_exception_data("Spec", [InitErrorDetails(type=twice, loc=(name,), input=value)])
    if isinstance(part, Part):
        part = {inner: getattr(part, inner) for inner in part.model_fields_set}
    return {**part, name: value} if isinstance(part, Mapping) else part


def _parted(values: dict[str, Any]) -> dict[str, Any]:
    """Read several targets as the first of them and what is forecast together with it."""
    target, forecast = values.get("target"), values.get("forecast")
    if isinstance(target, list | tuple) and target and isinstance(forecast, Mapping):
        rest = _with(forecast, "together", list(target[1:]), "forecast.together") if len(target) > 1 else forecast
        return {**values, "target": target[0], "forecast": rest}
    return values


def _explained(part: Part, above: str) -> Iterator[str]:
    for name, value in part:
        inner = f"{above}{name}"
        if isinstance(value, Part):
            yield from _explained(value, f"{inner}.")
        else:
            text = "unset" if value is None else compact(Part.model_dump(part, mode="json", include={name})[name])
            given = name in part.model_fields_set
            yield f"{inner}: {text}{'' if given else '  (default)'}"


_DEFAULTED = frozenset(name for name, field in Spec.model_fields.items() if field.default_factory is not None)
