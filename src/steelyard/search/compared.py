"""What deciding again with other wishes needs: pairs compared on the same rows, and what decisions came to."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from steelyard.search.judged import Judged
from steelyard.units import Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """Pairs of trials by number, first minus second in the aim, higher better; and outcomes of their decisions.

    ``expected`` is the aim that each is expected to have, luck taken off. ``outcomes`` holds, by number, the share of
    rows of each outcome of ``names`` and the upper triangle of their covariance; ``spreads`` the same triangle of the
    difference of two. ``judged`` is what the chosen one's answers came to.
    """

    baseline: int | None = None
    expected: Mapping[int, float] = field(default_factory=dict)
    pairs: Mapping[tuple[int, int], Estimate] = field(default_factory=dict)
    names: tuple[str, ...] = ()
    outcomes: Mapping[int, tuple[Sequence[float], Sequence[float]]] = field(default_factory=dict)
    spreads: Mapping[tuple[int, int], Sequence[float]] = field(default_factory=dict)
    judged: Judged | None = None

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON; :meth:`from_json` reads it back."""
        return {
            "baseline": self.baseline,
            "expected": {str(k): v for k, v in self.expected.items()},
            "pairs": [[a, b, e.value, e.low, e.high] for (a, b), e in self.pairs.items() if _finite(e)],
            "names": list(self.names),
            "outcomes": {str(k): [list(mean), list(spread)] for k, (mean, spread) in self.outcomes.items()},
            "spreads": [[a, b, list(spread)] for (a, b), spread in self.spreads.items()],
            "judged": None if self.judged is None else self.judged.to_json(),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Compared:
        """Read what :meth:`to_json` wrote."""
        return cls(
            baseline=data["baseline"],
            expected={int(k): v for k, v in data["expected"].items()},
            pairs={(a, b): Estimate(*ends) for a, b, *ends in data["pairs"]},
            names=tuple(data["names"]),
            outcomes={int(k): (mean, spread) for k, (mean, spread) in data["outcomes"].items()},
            spreads={(a, b): spread for a, b, spread in data["spreads"]},
            judged=None if data["judged"] is None else Judged.from_json(data["judged"]),
        )


def _finite(estimate: Estimate) -> bool:
    return all(map(math.isfinite, (estimate.value, estimate.low, estimate.high)))
