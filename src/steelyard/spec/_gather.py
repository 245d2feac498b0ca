"""All problems of a spec at once: what is wrong is taken out, and the rest is looked at again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from steelyard.errors import SpecInvalid
from steelyard.spec._words import Place, Problem, dotted, problems

_ROUNDS = 4
_STAND_IN = "_"


def gather(model: type[BaseModel], given: Mapping[str, Any], short: Mapping[str, str]) -> tuple[Problem, ...]:
    """Return every problem of the values, in the order of the fields.

    A field of a wrong type keeps pydantic from looking at the rules between fields, so each round takes out what was
    found and looks again; what is missing only because it was taken out is not reported.
    """
    seen: dict[Place, Problem] = {}
    gone: set[Place] = set()
    values: Any = given
    for _ in range(_ROUNDS):
        try:
            model.model_validate(values)
        except ValidationError as error:
            kinds = [e["type"] for e in error.errors(include_url=False, include_input=False)]
            for kind, found in zip(kinds, problems(error, model), strict=True):
                place = _as_written(found.place, given, short)
                if place not in gone:
                    seen.setdefault(place, Problem(place, found.sentence))
                gone.add(place)
                values = _without(values, place if kind != "missing" or len(place) == 1 else place[:-1])
            if "rule" in kinds:
                break
        else:
            break
    return tuple(seen.values())


def complaint(source: str, found: Sequence[Problem], lines: Mapping[Place, int] | None = None) -> SpecInvalid:
    """Build the error that lists problems, one a line, in the order of the file."""
    known = lines or {}
    located = sorted(((_line(p.place, known), p) for p in found), key=lambda pair: pair[0] or 0)
    count = "1 problem" if len(located) == 1 else f"{len(located)} problems"
    return SpecInvalid("\n".join([f"{source} has {count}:", *(_one(line, problem) for line, problem in located)]))


def _one(line: int | None, problem: Problem) -> str:
    return f"  {dotted(problem.place)}{f' (line {line})' if line else ''}: {problem.sentence}"


def _line(place: Place, lines: Mapping[Place, int]) -> int | None:
    return next((lines[place[:n]] for n in range(len(place), 0, -1) if place[:n] in lines), None)


def _as_written(place: Place, given: Mapping[str, Any], short: Mapping[str, str]) -> Place:
    if len(place) > 1 and short.get(str(place[1])) == place[0] and place[1] in given:
        return place[1:]
    return place


def _without(values: Any, place: Place) -> Any:
    """Copy plain values without what stands at a place; what the top cannot do without gets a stand-in."""
    step, rest = place[0], place[1:]
    if isinstance(values, Mapping):
        if rest:
            return {k: _without(v, rest) if k == step else v for k, v in values.items()}
        stand_in = {step: _STAND_IN} if step in ("data", "target") else {}
        return {k: v for k, v in values.items() if k != step} | stand_in
    if isinstance(values, list | tuple) and isinstance(step, int):
        kept: Iterable[Any] = values if rest else (*values[:step], *values[step + 1 :])
        return list(kept)
    return values
