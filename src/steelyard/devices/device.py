"""A device as a capability record: what it has, how fast a core of it is, and who says so."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from steelyard.devices.bench import Timed
from steelyard.errors import SpecInvalid
from steelyard.units import Estimate, How

YEAR = 365.25
"""Days after which a figure is called old."""
KINDS = ("server", "vm", "phone", "board", "browser", "other")
DOT = frozenset({"vnni", "amx-int8", "dotprod", "i8mm"})
"""Instruction sets that multiply int8 several at a time and add them up."""
SPEEDS = ("float", "general", "int8_gain")


class DevicesInvalid(SpecInvalid):
    """A file of devices that cannot be used; the message holds all of its problems, one a line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One figure of a device, with its range, and the days that it is of and that it was read."""

    estimate: Estimate
    date: str = ""
    read: str = ""

    @property
    def cited(self) -> str:
        """The source with its day, as it is printed beside a figure."""
        day = self.date or (f"read {self.read}" if self.read else "")
        cited = f"{self.estimate.source}, {day}" if day else self.estimate.source
        return f"{cited} (assumed)" if self.estimate.how is How.ASSUMED else cited

    def age(self, today: dt.date) -> int | None:
        """Return how many days old the figure is; ``None`` where nobody knows the day that it is of."""
        return (today - dt.date.fromisoformat(self.date)).days if self.date else None

    def stale(self, today: dt.date) -> bool:
        """Tell whether it is known to be more than a year old."""
        days = self.age(today)
        return days is not None and days > YEAR

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {**self.estimate.to_json(), "date": self.date, "read": self.read}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Figure:
        """Read what :meth:`to_json` wrote."""
        return cls(estimate=Estimate.from_json(data), date=data["date"], read=data["read"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """What a bundle may answer on.

    Attributes
    ----------
    speed
        Of one core, as multiples of a core of ``server-core``: ``float`` of arithmetic in float32, ``general`` of all
        else; ``int8_gain`` is how many times as fast int8 is as float32 on the device itself.
    memory_gb
        In units of 1e9 bytes; ``None`` where it is not known.
    watts
        Of the whole device at work, or ``None``.
    reference
        What the fixed benchmark took there, where it was run.
    """

    name: str
    title: str
    kind: str
    cores: int
    memory_gb: float | None
    isa: tuple[str, ...]
    runtime: tuple[str, ...]
    speed: Mapping[str, Figure]
    source: str
    watts: Figure | None = None
    reference: Timed | None = None
    own: bool = False

    @property
    def dot(self) -> bool:
        """Whether it has instructions for dot products of int8."""
        return bool(DOT & set(self.isa))

    @property
    def figures(self) -> dict[str, Figure]:
        """Every figure that has a source, by name."""
        return {**self.speed, **({} if self.watts is None else {"watts": self.watts})}

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON; :meth:`from_json` reads it back."""
        plain: dict[str, Any] = {n: getattr(self, n) for n in ("name", "title", "kind", "cores", "memory_gb", "source")}
        return {
            **plain,
            "isa": list(self.isa),
            "runtime": list(self.runtime),
            "speed": {name: figure.to_json() for name, figure in self.speed.items()},
            "watts": None if self.watts is None else self.watts.to_json(),
            "reference": None if self.reference is None else self.reference.to_json(),
            "own": self.own,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Device:
        """Read what :meth:`to_json` wrote."""
        watts, reference = data["watts"], data["reference"]
        return cls(
            **{n: data[n] for n in ("name", "title", "kind", "cores", "memory_gb", "source", "own")},
            isa=tuple(data["isa"]),
            runtime=tuple(data["runtime"]),
            speed={name: Figure.from_json(one) for name, one in data["speed"].items()},
            watts=None if watts is None else Figure.from_json(watts),
            reference=None if reference is None else Timed.from_json(reference),
        )
