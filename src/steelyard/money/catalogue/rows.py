"""What a row of the catalogue of machines and functions holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from steelyard.money.prices import Price
from steelyard.units import Estimate

Family = Literal["general", "compute", "accelerated"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A type of machine that can be rented; prices are for one machine-hour."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """Compute that is paid for while it answers; a cold start is in ms."""

    name: str
    cloud: str
    region: str
    gb_second: Price
    request: Price
    cold_start: Estimate
