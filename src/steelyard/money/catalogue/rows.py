"""The rows of the catalogue: machines, pay-per-use functions, electricity by country, and what is paid by the unit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from steelyard.money.price import Price
from steelyard.units import Estimate

Family = Literal["general", "compute", "accelerated"]
FAMILIES: tuple[Family, ...] = ("general", "compute", "accelerated")


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A type of machine of a cloud, in one region; prices are of the whole machine for an hour.

    ``cores`` are what the operating system calls so (vCPUs); ``spot`` is the cheapest zone's price, which a cloud may
    take back at any moment, or ``None`` where it sells none.
    """

    name: str
    cloud: str
    region: str
    cores: int
    memory_gb: float
    accelerator: str
    accelerators: int
    on_demand: Price
    spot: Price | None
    family: Family

    @property
    def key(self) -> str:
        """The name by which a user's file overrides it: ``aws/m7i.large/us-east-1``."""
        return f"{self.cloud}/{self.name}/{self.region}"

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON."""
        plain = {name: getattr(self, name) for name in _OF_A_MACHINE}
        return {**plain, "on_demand": self.on_demand.to_json(), "spot": self.spot and self.spot.to_json()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Machine:
        """Read what :meth:`to_json` wrote."""
        facts: dict[str, Any] = {name: data[name] for name in _OF_A_MACHINE}
        facts["on_demand"] = Price.from_json(data["on_demand"])
        facts["spot"] = Price.from_json(data["spot"]) if data["spot"] else None
        return cls(**facts)


_OF_A_MACHINE = ("name", "cloud", "region", "cores", "memory_gb", "accelerator", "accelerators", "family")


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """A pay-per-use function of a cloud: paid by memory times time, and by the request.

    ``cold_start`` is how long the first request of a new instance waits before the model's own loading, ms.
    """

    name: str
    cloud: str
    region: str
    gb_second: Price
    request: Price
    cold_start: Estimate

    @property
    def key(self) -> str:
        """The name by which a user's file overrides it: ``aws/lambda/us-east-1``."""
        return f"{self.cloud}/{self.name}/{self.region}"

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {
            "name": self.name,
            "cloud": self.cloud,
            "region": self.region,
            "gb_second": self.gb_second.to_json(),
            "request": self.request.to_json(),
            "cold_start": self.cold_start.to_json(),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Function:
        """Read what :meth:`to_json` wrote."""
        prices = {name: Price.from_json(data[name]) for name in ("gb_second", "request")}
        cold = Estimate.from_json(data["cold_start"])
        return cls(name=data["name"], cloud=data["cloud"], region=data["region"], cold_start=cold, **prices)


@dataclass(frozen=True, slots=True, kw_only=True)
class Carbon:
    """How much carbon dioxide a kilowatt-hour of a country's grid stands for, g, with the range that is known."""

    country: str
    grams: Estimate
    date: str

    @property
    def cited(self) -> str:
        """The source with its date."""
        return f"{self.grams.source}, {self.date}" if self.date else self.grams.source

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {"country": self.country, "grams": self.grams.to_json(), "date": self.date}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Carbon:
        """Read what :meth:`to_json` wrote."""
        return cls(country=data["country"], grams=Estimate.from_json(data["grams"]), date=data["date"])
