"""How a model is made, as an immutable tree: the same recipe, data and machine give the same model."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

BASELINES = frozenset({"constant", "seasonal-naive"})
"""Learners that learn nothing: what they reach is what there is without a model."""
LONGEST = 40
"""Most characters of a setting that a recipe's short name shows."""
Scalar = None | bool | int | float | str


class Settings(Mapping[str, Scalar]):
    """Immutable, hashable settings: names to plain JSON scalars, order without meaning.

    Examples
    --------
    >>> Settings(bits=8) == Settings({"bits": 8})
    True
    >>> Settings(bits=8).with_(bits=4)
    Settings(bits=4)
    """

    __slots__ = ("_items",)

    def __init__(self, given: Mapping[str, Scalar] | None = None, /, **more: Scalar) -> None:
        merged = {**(given or {}), **more}
        for name, value in merged.items():
            if not (value is None or isinstance(value, bool | int | float | str)):
                raise TypeError(f"setting {name!r} must be a number, a string, true, false or null; got {value!r}")
        self._items = dict(sorted(merged.items()))

    def __getitem__(self, name: str) -> Scalar:
        return self._items[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __hash__(self) -> int:
        return hash(tuple(self._items.items()))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Mapping) and self._items == dict(other)

    def __repr__(self) -> str:
        return f"Settings({', '.join(f'{k}={v!r}' for k, v in self._items.items())})"

    def with_(self, **changes: Scalar) -> Settings:
        """Return a copy with some settings changed."""
        return Settings(self._items, **changes)

    def number(self, name: str, default: float) -> float:
        """Return a numeric setting as a float, or the default where it is absent."""
        value = self._items.get(name, default)
        return float(value) if isinstance(value, int | float) else default


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One lever with its settings, as a part of a training."""

    lever: str
    settings: Settings = field(default_factory=Settings)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How a learner is to train.

    ``settings`` are the learner's own, where they differ from its defaults; ``rounds`` fixes the number of
    rounds (boosting rounds, epochs), ``None`` lets validation rows decide; ``parts`` are what training
    levers ask for beyond that (mixed precision, augmentation ...). A learner refuses a part that is not
    among its ``honours``.
    """

    settings: Settings = field(default_factory=Settings)
    rounds: int | None = None
    parts: tuple[Step, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Train:
    """A training: a learner, its plan, the data levers applied to its training rows, and a seed."""

    learner: str
    plan: Plan = field(default_factory=Plan)
    data: tuple[Step, ...] = ()
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Shrink:
    """A finished model made cheaper to serve."""

    lever: str
    parent: Recipe
    settings: Settings = field(default_factory=Settings)


@dataclass(frozen=True, slots=True, kw_only=True)
class Combine:
    """One or more finished models joined by a rule that is fitted on rows none of them trained on."""

    lever: str
    parents: tuple[Recipe, ...]
    settings: Settings = field(default_factory=Settings)


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What is used today: not made here, only weighed.

    ``kind`` is ``"bundle"``, ``"endpoint"`` or ``"column"``, ``mark`` names its content, and ``reads`` the columns that
    have to be collected for it.
    """

    name: str
    kind: str
    mark: str
    reads: tuple[str, ...] = ()

    @property
    def ships(self) -> bool:
        """Whether there is a bundle that can be shipped."""
        return self.kind == "bundle"


Recipe = Train | Shrink | Combine | Given


def parents(recipe: Recipe) -> tuple[Recipe, ...]:
    """Return the recipes this one starts from; none for a training."""
    match recipe:
        case Shrink(parent=parent):
            return (parent,)
        case Combine(parents=several):
            return several
    return ()


def line_above(recipe: Recipe) -> tuple[Recipe, ...]:
    """Return what a shrunk model was made from, step by step, nearest first; nothing for any other recipe.

    Examples
    --------
    >>> small = Shrink(lever="quantise", parent=Shrink(lever="prune", parent=Train(learner="cnn")))
    >>> [describe(each) for each in line_above(small)]
    ['cnn > prune', 'cnn']
    """
    return (recipe.parent, *line_above(recipe.parent)) if isinstance(recipe, Shrink) else ()


def trainings(recipe: Recipe) -> tuple[Train, ...]:
    """Return every training under a recipe, left to right."""
    if isinstance(recipe, Train):
        return (recipe,)
    return tuple(leaf for parent in parents(recipe) for leaf in trainings(parent))


def to_json(recipe: Recipe) -> dict[str, Any]:
    """Return the recipe as plain JSON; :func:`from_json` reads it back."""
    match recipe:
        case Train(learner=learner, plan=plan, data=data, seed=seed):
            return {
                "train": learner,
                "settings": dict(plan.settings),
                "rounds": plan.rounds,
                "parts": [_step(s) for s in plan.parts],
                "data": [_step(s) for s in data],
                "seed": seed,
            }
        case Shrink(lever=lever, parent=parent, settings=settings):
            return {"shrink": lever, "settings": dict(settings), "parent": to_json(parent)}
        case Combine(lever=lever, parents=several, settings=settings):
            return {"combine": lever, "settings": dict(settings), "parents": [to_json(p) for p in several]}
        case Given(name=name, kind=kind, mark=mark, reads=reads):
            return {"given": kind, "name": name, "mark": mark, "reads": list(reads)}


def _step(step: Step) -> dict[str, Any]:
    return {"lever": step.lever, "settings": dict(step.settings)}


def _steps(data: list[dict[str, Any]]) -> tuple[Step, ...]:
    return tuple(Step(lever=s["lever"], settings=Settings(s["settings"])) for s in data)


def from_json(data: Mapping[str, Any]) -> Recipe:
    """Read what :func:`to_json` wrote.

    Examples
    --------
    >>> recipe = Shrink(lever="quantise", parent=Train(learner="linear"))
    >>> from_json(to_json(recipe)) == recipe
    True
    """
    if "given" in data:
        return Given(name=data["name"], kind=data["given"], mark=data["mark"], reads=tuple(data["reads"]))
    settings = Settings(data["settings"])
    if "train" in data:
        plan = Plan(settings=settings, rounds=data["rounds"], parts=_steps(data["parts"]))
        return Train(learner=data["train"], plan=plan, data=_steps(data["data"]), seed=data["seed"])
    if "shrink" in data:
        return Shrink(lever=data["shrink"], settings=settings, parent=from_json(data["parent"]))
    return Combine(lever=data["combine"], settings=settings, parents=tuple(from_json(p) for p in data["parents"]))


@lru_cache(maxsize=4096)
def digest(recipe: Recipe) -> str:
    """Return 16 hexadecimal digits that name the recipe: SHA-256 of its canonical JSON."""
    text = json.dumps(to_json(recipe), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def describe(recipe: Recipe) -> str:
    """Return a short name for people.

    Examples
    --------
    >>> describe(Shrink(lever="quantise", parent=Train(learner="lightgbm", plan=Plan(settings=Settings(leaves=15)))))
    'lightgbm(leaves=15) > quantise'
    >>> describe(Combine(lever="ensemble", parents=(Train(learner="linear"), Train(learner="lightgbm"))))
    '[linear + lightgbm] > ensemble'
    """
    match recipe:
        case Train(learner=learner, plan=plan, data=data):
            steps = "".join(f" > {_call(s.lever, s.settings)}" for s in (*data, *plan.parts))
            return _call(learner, plan.settings) + steps
        case Shrink(lever=lever, parent=parent, settings=settings):
            return f"{describe(parent)} > {_call(lever, settings)}"
        case Combine(lever=lever, parents=(only,), settings=settings):
            return f"{describe(only)} > {_call(lever, settings)}"
        case Combine(lever=lever, parents=several, settings=settings):
            return f"[{' + '.join(describe(p) for p in several)}] > {_call(lever, settings)}"
        case Given(name=name):
            return name


def _call(name: str, settings: Settings) -> str:
    inner = ", ".join(f"{k}={_short(v)}" for k, v in settings.items())
    return f"{name}({inner})" if inner else name


def _short(value: Scalar) -> str:
    """Return a setting for people; of a long one its beginning."""
    if isinstance(value, float):
        return f"{value:.3g}"
    text = str(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."
