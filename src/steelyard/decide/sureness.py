"""How sure a decision is, as the record that the run folder keeps: chances, regret, and the price of each target."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from steelyard.units import Estimate

_PRICE = ("by", "number", "quality", "latency_ms", "cost_per_million")


@dataclass(frozen=True, slots=True, kw_only=True)
class Relaxation:
    """One target with all the others kept.

    ``short_by`` is how far the chosen candidate misses it, ``by`` the least relaxation that changes the answer and
    ``number`` the candidate that is taken then; both ``None`` where none does. ``step`` is the usual step, and
    ``at_step`` who is taken after one. ``quality`` (higher better), ``latency_ms`` and ``cost_per_million`` are by how
    much the new answer's figures are above the present one's.
    """

    target: str
    tightest: bool
    short_by: float
    step: float
    unit: str
    at_step: int
    by: float | None = None
    number: int | None = None
    quality: float | None = None
    latency_ms: float | None = None
    cost_per_million: float | None = None
    sentence: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON; :meth:`from_json` reads it back."""
        price = None
        if self.by is not None:
            price = {name: getattr(self, name) for name in _PRICE}
        plain = ("target", "tightest", "short_by", "step", "unit", "at_step", "sentence")
        return {name: getattr(self, name) for name in plain} | {"price": price}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Relaxation:
        """Read what :meth:`to_json` wrote."""
        plain = {name: value for name, value in data.items() if name != "price"}
        return cls(**plain, **(data["price"] or {}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Regret:
    """What is lost if the runner-up is taken: quality in units of the aim, and money a month where values say so."""

    runner_up: int
    quality: Estimate
    month: Estimate | None
    cost_per_million: float
    """What the chosen one costs more per million predictions; below 0 where it is cheaper."""

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON."""
        money = None if self.month is None else self.month.to_json()
        return {
            "runner_up": self.runner_up,
            "quality": self.quality.to_json(),
            "money": money,
            "cost_per_million": self.cost_per_million,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Regret:
        """Read what :meth:`to_json` wrote."""
        return cls(
            runner_up=data["runner_up"],
            quality=Estimate.from_json(data["quality"]),
            month=None if data["money"] is None else Estimate.from_json(data["money"]),
            cost_per_million=data["cost_per_million"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Right:
    """How sure a decision is.

    ``probability`` of being the right choice, by number, of every candidate that has any; they add up to one, and are
    empty where no candidate meets every target. ``expected`` is the chosen one's figure with the luck of the choice
    taken off; ``relaxing`` tells what each target costs.
    """

    probability: Mapping[int, float]
    regret: Regret | None
    expected: Estimate | None
    relaxing: tuple[Relaxation, ...]

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON; :meth:`from_json` reads it back."""
        return {
            "probability": {str(number): share for number, share in self.probability.items()},
            "regret": None if self.regret is None else self.regret.to_json(),
            "expected": None if self.expected is None else self.expected.to_json(),
            "relaxing": [each.to_json() for each in self.relaxing],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Right:
        """Read what :meth:`to_json` wrote."""
        regret, expected = data["regret"], data["expected"]
        return cls(
            probability={int(number): share for number, share in data["probability"].items()},
            regret=None if regret is None else Regret.from_json(regret),
            expected=None if expected is None else Estimate.from_json(expected),
            relaxing=tuple(Relaxation.from_json(each) for each in data["relaxing"]),
        )
