"""What fields that are each right by themselves may not say together."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from steelyard.contracts import NUMERIC, Task
from steelyard.contracts import Problem as Kind
from steelyard.errors import SpecInvalid, SteelyardError, nearest
from steelyard.registry import learners, levers
from steelyard.spec._edge import amounts as edge_amounts
from steelyard.spec._edge import broken as broken_edge
from steelyard.spec._forecast import broken as broken_forecast
from steelyard.spec._parts import LearnersPart, LeversPart
from steelyard.spec._returns import amounts as later_amounts
from steelyard.spec._returns import broken as broken_returns
from steelyard.spec._value import OUTCOMES, PLAIN, TABLES, UNITS, Value
from steelyard.spec._value import broken as broken_value
from steelyard.spec._words import Place, Problem, dotted
from steelyard.tasks import Metric, default_aim, metric
from steelyard.units import Money

if TYPE_CHECKING:
    from steelyard.spec._spec import Spec

KINDS = ("number", "category", "text", "image", "audio", "tokens", "time")

_OF_TASK = {
    "regression": {Kind.REGRESSION},
    "classification": {Kind.BINARY, Kind.MULTICLASS},
    "tagging": {Kind.TAGGING},
    "forecasting": {Kind.FORECASTING},
}


def broken_rules(spec: Spec) -> Iterator[Problem]:
    """Yield every rule that a spec breaks and that can be seen without its data."""
    for rule in _RULES:
        yield from rule(spec)


def check_task(spec: Spec, task: Task) -> None:
    """Check what can only be seen once the task is known: the metric, the target's direction, the values.

    Raises
    ------
    SpecInvalid
        With every problem, one a line.
    """
    found = [*_aim({task.problem}, spec), *_values_of(task, spec)]
    if found:
        raise SpecInvalid("\n".join(map(str, found)))


def _asked(spec: Spec) -> str:
    """Return the task that a spec asks for; empty where the target will say."""
    return spec.task or ("" if spec.forecast is None else "forecasting")


def _metric(name: str) -> Metric | str:
    try:
        return metric(name)
    except SteelyardError as problem:
        return str(problem)


def _quality(spec: Spec) -> Iterator[Problem]:
    wanted = spec.quality
    if wanted.at_least is not None and wanted.at_most is not None:
        yield Problem(("quality", "at_most"), "given beside at_least; one metric has one target, keep one of them")
    if wanted.confidence is not None and wanted.at_least is None and wanted.at_most is None:
        yield Problem(("quality", "confidence"), "asks for the bound to meet a target, but there is none; add at_least")
    if wanted.metric == "value" and spec.value is None:
        yield Problem(("quality", "metric"), "is 'value', but no outcome has one; add a `value:` part")
    yield from _aim(_OF_TASK.get(_asked(spec), set()), spec)


def _aim(kinds: set[Kind], spec: Spec) -> Iterator[Problem]:
    """Check metric and target; ``kinds`` are the tasks that it may be, none where that is not known."""
    place: Place = ("quality", "metric")
    if spec.quality.metric is None and len(kinds) != 1:
        return
    found = _metric(spec.quality.metric or default_aim(next(iter(kinds))))
    if isinstance(found, str):
        yield Problem(place, found)
        return
    if kinds and not kinds & found.problems:
        several = ", ".join(sorted(found.problems))
        yield Problem(place, f"{found.name} is a metric of {several}, and this is {' or '.join(sorted(kinds))}")
    yield from _target(found, spec)
    yield from _loss(found, spec)


def _target(aim: Metric, spec: Spec) -> Iterator[Problem]:
    right, wrong = ("at_least", "at_most") if aim.better == "higher" else ("at_most", "at_least")
    if getattr(spec.quality, wrong) is not None and getattr(spec.quality, right) is None:
        yield Problem(("quality", wrong), f"{aim.name} is better when {aim.better}; ask for it with {right}")
    for name in ("at_least", "at_most"):
        asked = getattr(spec.quality, name)
        if asked is not None and not aim.low <= asked <= aim.high:
            hint = f" (did you mean {asked / 100:g}?)" if aim.high == 1 and 1 < asked <= 100 else ""
            if spec.value is not None and spec.quality.metric is None:
                hint += "; to ask for money, write metric: value"
            yield Problem(
                ("quality", name), f"{aim.name} lies between {aim.low:g} and {aim.high:g}; got {asked:g}{hint}"
            )


def _loss(aim: Metric, spec: Spec) -> Iterator[Problem]:
    """Refuse a loss that allows everything: points given as whole numbers."""
    lose, whole = spec.shrink.lose, 1.0 if aim.name == "value" else aim.high - aim.low
    if lose is not None and lose >= whole:
        hint = f" (did you mean {lose / 100:g}?)" if whole == 1 and lose <= 100 else ""
        span = f"{aim.name} lies between {aim.low:g} and {aim.high:g}"
        of = "it is a share of what the best model brings" if aim.name == "value" else span
        yield Problem(("shrink", "lose"), f"{of}, so a loss of {lose:g} allows any{hint}")


def _target_column(spec: Spec) -> Iterator[Problem]:
    for place, column in _roles(spec):
        if column == spec.target:
            yield Problem(place, f"names {column!r}, which is the target; take it off here")


def _roles(spec: Spec) -> Iterator[tuple[Place, str]]:
    """Yield every column that a spec names, with where it does."""
    for name in ("ignore", *KINDS, "allow"):
        for i, column in enumerate(getattr(spec.columns, name)):
            yield ("columns", name, i), column
    for column in spec.columns.price:
        yield ("columns", "price", column), column
    if spec.columns.weight is not None:
        yield ("columns", "weight"), spec.columns.weight
    for name in ("group", "time", "column"):
        if (column := getattr(spec.split, name)) is not None:
            yield ("split", name), column
    for column, place in () if spec.value is None else spec.value.columns().items():
        yield ("value", *place), column


def _columns(spec: Spec) -> Iterator[Problem]:
    first: dict[str, str] = {}
    for kind in KINDS:
        for i, column in enumerate(getattr(spec.columns, kind)):
            other = first.setdefault(column, kind)
            if other != kind:
                yield Problem(("columns", kind, i), f"{column!r} is listed under {other} too; a column has one kind")
    for i, column in enumerate(spec.columns.ignore):
        for name in (*KINDS, "allow", "price"):
            if column in getattr(spec.columns, name):
                yield Problem(("columns", "ignore", i), f"{column!r} is listed under {name} too; keep one of the two")


def _split(spec: Spec) -> Iterator[Problem]:
    split, given = spec.split, spec.split.model_fields_set
    if split.column is not None:
        for name in sorted(given & {"time", "by", "test"}):
            yield Problem(("split", name), f"column {split.column!r} already says which rows are test; leave one out")
    elif split.by == "index":
        for name in sorted(given & {"time", "group", "test"}):
            yield Problem(
                ("split", name), "by: index already says which rows are test (crc32(str(i)) % 5 == 0); leave one out"
            )
    if split.folds == 1:
        yield Problem(("split", "folds"), "one fold leaves nothing to train on; take 2 or more, or 0 for one holdout")
    if split.time is not None and split.time == split.group:
        yield Problem(("split", "group"), "names the same column as split.time; keep one of the two")


def _value(spec: Spec) -> Iterator[Problem]:
    if spec.value is None:
        return
    yield from broken_value(spec.value, spec.columns.ignore)
    if _asked(spec):
        yield from _fits(spec.value, {_asked(spec)})


def _values_of(task: Task, spec: Spec) -> Iterator[Problem]:
    if spec.value is None:
        return
    if not _asked(spec):
        yield from _fits(spec.value, {"regression" if task.problem in NUMERIC else "classification"})
    if task.problem is Kind.MULTICLASS:
        for name in OUTCOMES:
            if getattr(spec.value, name) is not None:
                yield Problem(
                    ("value", name),
                    f"speaks of two classes, and there are {len(task.classes)}; use right and wrong, or a matrix",
                )


def _fits(value: Value, task: set[str]) -> Iterator[Problem]:
    """Check that a value speaks of what the task decides: classes, or numbers."""
    names: tuple[str, ...] = UNITS
    why = (
        "speaks of units of error, and this is classification; give right and wrong, outcomes of a positive class, or "
        "a matrix"
    )
    if task <= {"regression", "forecasting"}:
        names = (*OUTCOMES, *PLAIN, *TABLES, "review")
        why = (
            f"speaks of classes, and this is {next(iter(task))}; give over and under: what a unit too much, too little "
            "costs"
        )
    for name in names:
        if getattr(value, name) is not None:
            yield Problem(("value", name), why)


def _currency(spec: Spec) -> Iterator[Problem]:
    first: dict[str, Place] = {}
    for place, money in (*_amounts(spec), *later_amounts(spec)):
        first.setdefault(str(money.currency), place)
    if len(first) > 1:
        (one, where), (other, place) = list(first.items())[:2]
        yield Problem(place, f"is in {other}, and {dotted(where)} in {one}; write all amounts in one currency")


def _amounts(spec: Spec) -> Iterator[tuple[Place, Money]]:
    for name, owner in (("budget", spec.budget), ("serving", spec.serving)):
        for inner, amount in owner:
            if isinstance(amount, Money):
                yield (name, inner), amount
    yield from edge_amounts(spec)
    for inside, amount in () if spec.value is None else spec.value.amounts():
        yield ("value", *inside), amount
    for column, amount in spec.columns.price.items():
        yield ("columns", "price", column), amount


def _names(spec: Spec) -> Iterator[Problem]:
    yield from _chosen("levers", spec.levers, levers().names)
    yield from _chosen("learners", spec.learners, learners().names)
    if spec.learners.only == () or (spec.learners.without and set(learners().names()) <= set(spec.learners.without)):
        yield Problem(("learners",), "leaves no learner; at least one must be trained")


def _chosen(name: str, part: LeversPart | LearnersPart, known: Callable[[], tuple[str, ...]]) -> Iterator[Problem]:
    """Check the names of a choice; what is registered is looked up only where names were given."""
    for inner in ("only", "without"):
        for i, given in enumerate(getattr(part, inner) or ()):
            if given not in known():
                hint = nearest(given, known()) or f"; known: {', '.join(known())}"
                yield Problem((name, inner, i), f"there is no {name[:-1]} {given!r}{hint}")
    if part.only is not None and part.without:
        yield Problem((name, "without"), "given beside only; keep one of the two")


def _compute(spec: Spec) -> Iterator[Problem]:
    if spec.compute.address is not None and spec.compute.executor != "ray":
        place: Place = ("compute", "address")
        yield Problem(place, f"names a Ray cluster, and the executor is {spec.compute.executor}; add executor: ray")


def _rest(spec: Spec) -> Iterator[Problem]:
    traffic = spec.serving.traffic
    if traffic is not None and traffic.peak_rps is not None and traffic.peak_rps < traffic.mean_rps:
        yield Problem(
            ("serving", "traffic", "peak_rps"),
            f"the peak ({traffic.peak_rps:g}) cannot be below the mean ({traffic.mean_rps:g})",
        )
    if spec.positive is not None and spec.task == "regression":
        yield Problem(("positive",), "names a class, and a regression has none; take it out")


_RULES: tuple[Callable[[Spec], Iterator[Problem]], ...] = (
    _target_column,
    _columns,
    _split,
    _quality,
    _value,
    broken_returns,
    broken_forecast,
    broken_edge,
    _currency,
    _names,
    _compute,
    _rest,
)
