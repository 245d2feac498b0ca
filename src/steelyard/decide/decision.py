"""What was decided, and why: the record that the run folder keeps and the report shows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from steelyard.decide.shrunken import Shrunken
from steelyard.decide.sureness import Right
from steelyard.units import Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetCheck:
    """One target of the spec against what the candidate has.

    ``probability`` is that of the true figure meeting the target, by a normal approximation from the 95%
    interval; ``None`` where the figure has no interval. ``short`` is how far the figure is from the target, in
    its own unit; 0 where it is met, infinite where the figure could not be measured.
    """

    name: str
    asked: float
    at: Literal["least", "most"]
    got: Estimate
    met: bool
    probability: float | None = None
    short: float = 0.0
    sentence: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {
            "name": self.name,
            "asked": self.asked,
            "at": self.at,
            "got": self.got.to_json(),
            "met": self.met,
            "probability": self.probability,
            "short": self.short if math.isfinite(self.short) else None,
            "sentence": self.sentence,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> TargetCheck:
        """Read what :meth:`to_json` wrote."""
        short = math.inf if data["short"] is None else data["short"]
        return cls(**{**data, "got": Estimate.from_json(data["got"]), "short": short})


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The candidate that was chosen, by its trial's number, and the sentences that say why.

    ``equal`` names the candidates that the rule held equal to the best one; ``rejected`` holds one sentence for
    each that was never in question, ``passed_over`` one for every other that was not chosen; ``tightest`` names
    the target that is furthest from being met, where no candidate meets them all; ``right`` tells how sure it is.
    """

    number: int
    feasible: bool
    reasons: tuple[str, ...]
    equal: tuple[int, ...] = ()
    rejected: Mapping[int, str] = field(default_factory=dict)
    passed_over: Mapping[int, str] = field(default_factory=dict)
    targets: tuple[TargetCheck, ...] = ()
    tightest: str | None = None
    frontier: tuple[int, ...] = ()
    right: Right | None = None
    shrunk: tuple[Shrunken, ...] = ()
    """What the guard found of each shrunk candidate, kept or rejected."""
    barred: Mapping[int, str] = field(default_factory=dict)
    """Those of ``rejected`` that were chosen at first and broke in the refit, or hold a step that did."""

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON; :meth:`from_json` reads it back."""
        return {
            "number": self.number,
            "feasible": self.feasible,
            "reasons": list(self.reasons),
            "equal": list(self.equal),
            "rejected": {str(k): v for k, v in self.rejected.items()},
            "passed_over": {str(k): v for k, v in self.passed_over.items()},
            "targets": [t.to_json() for t in self.targets],
            "tightest": self.tightest,
            "frontier": list(self.frontier),
            "right": None if self.right is None else self.right.to_json(),
            "shrunk": [found.to_json() for found in self.shrunk],
            "barred": {str(k): v for k, v in self.barred.items()},
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Decision:
        """Read what :meth:`to_json` wrote."""
        return cls(
            number=data["number"],
            feasible=data["feasible"],
            reasons=tuple(data["reasons"]),
            equal=tuple(data["equal"]),
            rejected={int(k): v for k, v in data["rejected"].items()},
            passed_over={int(k): v for k, v in data["passed_over"].items()},
            targets=tuple(TargetCheck.from_json(t) for t in data["targets"]),
            tightest=data["tightest"],
            frontier=tuple(data["frontier"]),
            right=Right.from_json(data["right"]) if data.get("right") else None,
            shrunk=tuple(map(Shrunken.from_json, data.get("shrunk", ()))),
            barred={int(k): v for k, v in data.get("barred", {}).items()},
        )
