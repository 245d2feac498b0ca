"""What the spec says about columns by name, checked against the columns that are there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from steelyard.contracts import Kind
from steelyard.errors import DataUnfit, nearest
from steelyard.spec import Spec, where

_KINDS = (Kind.NUMBER, Kind.CATEGORY, Kind.TEXT, Kind.IMAGE, Kind.AUDIO, Kind.TOKENS, Kind.TIME)


@dataclass(frozen=True, slots=True)
class Roles:
    """Columns that the spec names, by what they are for. ``aside`` are no part of the schema."""

    kinds: Mapping[str, Kind]
    aside: frozenset[str]
    group: str | None
    time: str | None
    readings: tuple[str, ...] = ()
    """Columns that said which readings belong together, and in which order."""


def roles_of(spec: Spec, names: tuple[str, ...]) -> Roles:
    """Return the roles of columns.

    Raises
    ------
    DataUnfit
        If columns that the spec names are not there; all of them at once.
    """
    problems = [
        f"{field}: the data has no column {name!r}{nearest(name, names)}; its columns: {_listed(names)}"
        for field, name in _named(spec)
        if name not in names
    ]
    if problems:
        raise DataUnfit("\n".join(problems))
    kinds = {name: kind for kind in _KINDS for name in getattr(spec.columns, kind.value)}
    later = set() if spec.value is None else set(spec.value.columns()) - set(spec.value.known)
    past = () if spec.incumbent is None else spec.incumbent.aside
    aside = {spec.target, spec.columns.weight, spec.split.column, *spec.columns.ignore, *later, *past} - {None}
    readings = () if spec.sequence is None else (spec.sequence.unit, spec.sequence.time or spec.sequence.unit)
    return Roles(kinds, frozenset(str(name) for name in aside), spec.split.group, spec.split.time, readings)


def _named(spec: Spec) -> Iterator[tuple[str, str]]:
    """Yield every place of the spec that names a column, and the name."""
    yield "target", spec.target
    columns, split = spec.columns, spec.split
    for field in ("ignore", *(kind.value for kind in _KINDS), "price", "allow"):
        for name in getattr(columns, field):
            yield f"columns.{field}", name
    for field, given in (
        ("columns.weight", columns.weight),
        ("split.group", split.group),
        ("split.time", split.time),
        ("split.column", split.column),
        ("incumbent.column", None if spec.incumbent is None else spec.incumbent.column),
        ("incumbent.scores", None if spec.incumbent is None else spec.incumbent.scores),
    ):
        if given is not None:
            yield field, given
    for name, place in () if spec.value is None else spec.value.columns().items():
        yield where(place), name


def _listed(names: tuple[str, ...]) -> str:
    shown = ", ".join(names[:12])
    return shown if len(names) <= 12 else f"{shown}, ... ({len(names)} in all)"
