"""Plain words for what a field takes; the messages and the reference page are both made from them."""

from __future__ import annotations

import types
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from steelyard.errors import nearest
from steelyard.spec._yaml import compact

Place = tuple[str | int, ...]
"""Where something stands in a spec: ``("columns", "ignore", 1)``."""


@dataclass(frozen=True, slots=True)
class Words:
    """What a field takes, where its type does not say it: put into ``Annotated``."""

    text: str


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a spec."""

    place: Place
    sentence: str

    def __str__(self) -> str:
        return f"{dotted(self.place)}: {self.sentence}"


def dotted(place: Place) -> str:
    """Write a place as one word.

    Examples
    --------
    >>> dotted(("columns", "ignore", 1))
    'columns.ignore[1]'
    """
    return "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in place).removeprefix(".")


def takes(field: FieldInfo) -> str:
    """Say what a field takes, as it reads after "must be"."""
    return _phrase(field.annotation, field.metadata, field.examples)


def models(annotation: Any) -> Iterator[type[BaseModel]]:
    """Yield the part of a spec that an annotation stands for, if any."""
    inner, _ = _bare(annotation)
    if isinstance(inner, type) and issubclass(inner, BaseModel):
        yield inner


def _bare(annotation: Any) -> tuple[Any, list[Any]]:
    """Strip ``None`` and ``Annotated``; return the type and the metadata found on the way."""
    metadata: list[Any] = []
    while True:
        if get_origin(annotation) is Annotated:
            annotation, *more = get_args(annotation)
            metadata += more
        elif get_origin(annotation) in (Union, types.UnionType):
            annotation = next(a for a in get_args(annotation) if a is not type(None))
        else:
            return annotation, metadata


def _phrase(annotation: Any, metadata: Iterable[Any] = (), examples: list[Any] | None = None) -> str:
    inner, more = _bare(annotation)
    marks = [*metadata, *more]
    for mark in marks:
        if isinstance(mark, Words):
            return mark.text
    if get_origin(inner) is not None:
        return _inside(inner)
    if inner in (int, float):
        return ("a whole number" if inner is int else "a number") + _range(marks)
    if inner in (str, Path):
        return "a name" if inner is str else "a path"
    return "a mapping of names to values" + (f", such as {compact(examples[0])}" if examples else "")


def _inside(generic: Any) -> str:
    """Say what a list, a mapping or a choice takes."""
    arguments = get_args(generic)
    if get_origin(generic) is Literal and len(arguments) == 1:
        return f"{arguments[0]}, the only one in this version"
    if get_origin(generic) is Literal:
        return f"one of {', '.join(map(str, arguments))}"
    if get_origin(generic) is tuple:
        return f"a list, each {_phrase(arguments[0])}"
    return f"a mapping of names, each to {_phrase(arguments[1])}"


def _range(marks: Iterable[Any]) -> str:
    """Say which numbers fit: ``" from 1 to 256"``, ``" above 0"``."""
    least, most = "", ""
    for mark in marks:
        match mark:
            case Ge(ge=low):
                least = f"of {low} or more"
            case Gt(gt=low):
                least = f"above {low}"
            case Le(le=high):
                most = f"of {high} or less"
            case Lt(lt=high):
                most = f"below {high}"
    if least.endswith("or more") and most.endswith("or less"):
        return f" from {least.split()[1]} to {most.split()[1]}"
    return "".join(f" {end}" for end in (least, "and" if least and most else "", most) if end)


def problems(error: ValidationError, model: type[BaseModel]) -> tuple[Problem, ...]:
    """Turn what pydantic found into sentences."""
    return tuple(
        Problem(tuple(e["loc"]), _sentence(e["type"], tuple(e["loc"]), e["input"], e["msg"], model))
        for e in error.errors(include_url=False)
    )


def _sentence(kind: str, place: Place, got: object, message: str, model: type[BaseModel]) -> str:
    if kind in ("rule", "short"):
        return message
    if kind == "extra_forbidden":
        return _unknown(place, model)
    field, inside = _field(place, model)
    if field is None:
        return f"must be a mapping of names to values; got {_short(got)}"
    if kind == "missing":
        return f"is missing; it is {takes(field)}: {field.description}"
    annotation = _bare(field.annotation)[0]
    words = _phrase(get_args(annotation)[0 if get_origin(annotation) is tuple else 1]) if inside else takes(field)
    options = [str(o) for o in get_args(annotation)] if get_origin(annotation) is Literal else []
    return f"must be {words}; got {_short(got)}{nearest(got, options) if options else ''}"


def _field(place: Place, model: type[BaseModel]) -> tuple[FieldInfo | None, bool]:
    """Find the field that a place lies in, and whether it lies inside of a list or a mapping."""
    field: FieldInfo | None = None
    for step in place:
        if field is not None:
            below = next(models(field.annotation), None)
            if below is None:
                return field, True
            model = below
        field = model.model_fields.get(str(step))
    return field, False


def _unknown(place: Place, model: type[BaseModel]) -> str:
    owner, name = place[:-1], str(place[-1])
    field, _ = _field(owner, model)
    here = next(models(field.annotation), model) if field is not None else model
    if near := nearest(name, here.model_fields):
        return f"no such field{near}"
    homes = [dotted((*above, name)) for above, part in _parts(model) if name in part.model_fields]
    if homes:
        return f"no such field here; it is written as {homes[0]}"
    return f"no such field; known here: {', '.join(here.model_fields)}"


def _parts(model: type[BaseModel], above: Place = ()) -> Iterator[tuple[Place, type[BaseModel]]]:
    yield above, model
    for name, field in model.model_fields.items():
        for part in models(field.annotation):
            yield from _parts(part, (*above, name))


def _short(value: object) -> str:
    match value:
        case None:
            return "nothing"
        case str() | int() | float():
            text = repr(value)
            return text if len(text) <= 60 else f"{text[:57]}..."
        case Mapping():
            return "a mapping"
        case list() | tuple():
            return "a list"
    return f"a {type(value).__name__}"
