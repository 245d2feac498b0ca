"""What answering on devices, and sending answers out of a cloud, costs a month."""

from __future__ import annotations

from dataclasses import dataclass

from steelyard.devices import HERE, Device
from steelyard.money import Price, Prices, PricesInvalid, catalogue
from steelyard.money.energy import JOULES_PER_KWH
from steelyard.money.network import Way
from steelyard.money.traffic import Demand
from steelyard.search.record import RunRecord
from steelyard.spec import EdgePart

USUAL = {"electricity": "USA business", "egress": "gcp internet"}
"""Rows of the catalogue that stand where the user's prices have none."""
GB = 1e9


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """Prices of what the three ways use beside servers, in the currency of the prices.

    Attributes
    ----------
    devices
        Of all devices a month.
    kwh, gb
        Of a kilowatt-hour, and of a gigabyte sent out of the cloud; 0 where there is no price, which a note says.
    watts
        Of a device at work; 0 where it is not known.
    """

    devices: float
    kwh: float
    gb: float
    watts: float
    answer_kb: float
    notes: tuple[str, ...] = ()

    def parts(self, way: Way, demand: Demand, reaching: float, device_ms: float) -> dict[str, float]:
        """Return what a month costs beside servers: devices, their energy, egress.

        Parameters
        ----------
        way
            Who answers.
        demand
            All requests.
        reaching
            Share of them that a server answers.
        device_ms
            Time that one request keeps the device at work, ms.
        """
        there = way is not Way.SERVER
        joules = demand.month * device_ms / 1000 * self.watts if there else 0.0
        return {
            "devices": self.devices if there else 0.0,
            "energy": joules / JOULES_PER_KWH * self.kwh,
            "egress": demand.month * reaching * self.answer_kb * 1000 / GB * self.gb,
        }


def costs_of(record: RunRecord, part: EdgePart) -> Costs:
    """Return the prices in force for a run, those of the catalogue where the user gives none."""
    notes: list[str] = []
    device = None if record.footing is None else record.footing.device
    watts = _watts(device, part, notes)
    kwh = _price(record.prices, record.prices.electricity, "electricity", notes) if watts else 0.0
    price = part.price_per_device
    return Costs(
        devices=0.0 if price is None else float(price.amount) * (part.fleet or 0),
        kwh=kwh,
        gb=_price(record.prices, record.prices.egress, "egress", notes) if part.answer_kb else 0.0,
        watts=watts,
        answer_kb=part.answer_kb,
        notes=tuple(notes),
    )


def _watts(device: Device | None, part: EdgePart, notes: list[str]) -> float:
    if device is not None and device.watts is not None:
        one = device.watts.estimate
        notes.append(
            f"Energy on the device: {one.value:g} W ({one.low:g} to {one.high:g}) of the whole board while it answers "
            f"({device.watts.cited})."
        )
        return one.value
    name = "this machine" if part.device == HERE else str(part.device)
    notes.append(f"Energy on {name} is not counted: its power is not known; give `watts` in a file of own devices.")
    return 0.0


def _price(prices: Prices, given: Price | None, part: str, notes: list[str]) -> float:
    usual = catalogue.units()[part][USUAL[part]]
    try:
        price = prices.to(usual) if given is None else given
    except PricesInvalid as problem:
        notes.append(f"{part.capitalize()} is not counted: {problem}.")
        return 0.0
    notes.append(f"{part.capitalize()}: {price.amount} per {price.per} ({prices.cite(price)}).")
    return float(price.amount.amount)
