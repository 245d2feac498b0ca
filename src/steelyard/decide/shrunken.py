"""What the guard found of a shrunk model: the record that a decision keeps and the ladder shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from steelyard.units import Estimate

_FIGURES = ("lost", "p50", "p95")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shrunken:
    """What the guard found of one shrunk model, by trials' numbers; ``reason`` is empty where it is kept.

    ``against`` is the last model of its line that was kept, ``root`` the one that the line began with; ``lost`` by how
    much the model is worse than the former, with the paired 95% interval, above 0 where it lost; ``p50`` and ``p95``
    are its latency over the former's; ``None`` where too few calls were read to tell.
    """

    number: int
    against: int | None = None
    root: int | None = None
    lost: Estimate | None = None
    p50: Estimate | None = None
    p95: Estimate | None = None
    reason: str = ""

    @property
    def kept(self) -> bool:
        """Whether it may be chosen."""
        return not self.reason

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON; :meth:`from_json` reads it back."""
        figures = {name: getattr(self, name) for name in _FIGURES}
        return {
            "number": self.number,
            "against": self.against,
            "root": self.root,
            **{name: None if found is None else found.to_json() for name, found in figures.items()},
            "reason": self.reason,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Shrunken:
        """Read what :meth:`to_json` wrote."""
        figures = {name: None if data[name] is None else Estimate.from_json(data[name]) for name in _FIGURES}
        return cls(**{**data, **figures})
