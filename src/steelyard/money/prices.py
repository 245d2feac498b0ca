"""Prices in force: a dated, sourced catalogue in the package, overridden by a file of the user's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from steelyard.errors import nearest
from steelyard.money import catalogue
from steelyard.money.catalogue import Carbon, Function, Machine
from steelyard.money.own import laid_over
from steelyard.money.price import NAMED, SINGLE, Price, PricesInvalid, Rate, converted, less, stale
from steelyard.units import Money

__all__ = ["Price", "Prices", "PricesInvalid"]

_NONE: Mapping[str, Any] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """The prices in force, all in one currency. What is ``None`` has no price until somebody gives one.

    Attributes
    ----------
    core_hour
        What a core (a vCPU) costs for an hour.
    label
        What a label costs, whatever the task; ``labels`` holds it by task.
    people
        What an hour of somebody costs, by role.
    electricity
        What a kilowatt-hour costs where the user pays for it: on machines of their own. Cloud prices include it.
    carbon
        What a kilowatt-hour stands for in carbon dioxide; that of the world where nobody said in which country.
    tdp_watts
        Thermal design power of the machine's processors together, W, where the user knows it.
    rates
        What a unit of a currency is in USD.
    discounts
        Shares taken off what a cloud's machines cost on demand, by cloud.
    own_machines, own_functions
        Rows of the catalogue that the user's file overrides or adds, in the currency that it gives them in.
    read
        The day on which these prices were taken: ages are told as of it.
    """

    core_hour: Price
    label: Price | None = None
    accelerator_hour: Price | None = None
    memory_gb_hour: Price | None = None
    electricity: Price | None = None
    egress: Price | None = None
    storage: Price | None = None
    labels: Mapping[str, Price] = field(default_factory=dict)
    people: Mapping[str, Price] = field(default_factory=dict)
    carbon: Carbon | None = None
    tdp_watts: float | None = None
    rates: Mapping[str, Rate] = field(default_factory=dict)
    discounts: Mapping[str, float] = field(default_factory=dict)
    own_machines: tuple[Machine, ...] = ()
    own_functions: tuple[Function, ...] = ()
    read: str = ""

    @property
    def currency(self) -> str:
        """The currency of every price."""
        return self.core_hour.amount.currency

    def need_label(self, task: str | None = None) -> Price:
        """Return the price of a label of a task, or of any label.

        Raises
        ------
        PricesInvalid
            If there is none: a label costs what the user says it costs.
        """
        if task is not None and task in self.labels:
            return self.labels[task]
        if self.label is None:
            raise PricesInvalid("a label has no price; put `label: 0.05 USD` into a YAML file and name it in `prices:`")
        return self.label

    def need_person(self, role: str) -> Price:
        """Return the price of an hour of somebody.

        Raises
        ------
        PricesInvalid
            If there is none: an hour costs what the user says it costs.
        """
        if role in self.people:
            return self.people[role]
        raise PricesInvalid(
            f"an hour of {role!r} has no price{nearest(role, self.people)}; put `people: {{{role}: 60 USD}}` into a "
            "YAML file and name it in `prices:`"
        )

    def machines(self) -> tuple[Machine, ...]:
        """Return the machines of the catalogue and of the user's file, discounts taken off, in this currency.

        Raises
        ------
        PricesInvalid
            If the catalogue's currency has no rate to this one.
        """
        own = {machine.key: machine for machine in self.own_machines}
        rows = [own.pop(m.key) if m.key in own else self._discounted(m) for m in catalogue.machines()]
        return tuple(self._machine(machine) for machine in (*rows, *own.values()))

    def functions(self) -> tuple[Function, ...]:
        """Return the pay-per-use functions of the catalogue and of the user's file, in this currency.

        Raises
        ------
        PricesInvalid
            If the catalogue's currency has no rate to this one.
        """
        own = {one.key: one for one in self.own_functions}
        rows = (*(own.pop(f.key, f) for f in catalogue.functions()), *own.values())
        return tuple(replace(f, gb_second=self.to(f.gb_second), request=self.to(f.request)) for f in rows)

    def to(self, price: Price) -> Price:
        """Return a price in the currency of these.

        Raises
        ------
        PricesInvalid
            If there is no rate.
        """
        return converted(price, self.currency, self.rates)

    def cite(self, price: Price) -> str:
        """Return a price's source and date for printing, and that it is old where it is."""
        old = self.stale(price)
        return price.cited if old is None else f"{price.cited}. {old.rstrip('.')}"

    def stale(self, price: Price) -> str | None:
        """Return the sentence that a price was more than a year old on the day these were taken, if it was."""
        return stale(price, date.fromisoformat(self.read)) if self.read else None

    def old(self) -> tuple[str, ...]:
        """Return a sentence for each price, or rate, of the user's that is more than a year old."""
        if not self.read:
            return ()
        day = date.fromisoformat(self.read)
        prices = (stale(price, day) for price in self.priced().values())
        told = (*prices, *(stale(rate, day) for rate in self.rates.values()))
        return tuple(dict.fromkeys(sentence for sentence in told if sentence is not None))

    def priced(self) -> dict[str, Price]:
        """Return every price there is, by what it is of; machines and functions left out."""
        single = {name: getattr(self, name) for name in SINGLE}
        named = {f"{part}: {name}": price for part in NAMED for name, price in getattr(self, part).items()}
        return {name: price for name, price in (single | named).items() if price is not None}

    @classmethod
    def load(cls, path: Path | None = None, *, today: date | None = None) -> Prices:
        """Read the package's catalogue, then lay the user's file over it.

        Raises
        ------
        PricesInvalid
            If the file cannot be read, or names an unknown price, a negative amount, or a second currency without a
            rate; all problems are reported at once.

        Examples
        --------
        >>> Prices.load().core_hour.per
        'core-hour'
        """
        day = today or datetime.now(UTC).date()
        own = replace(_own_catalogue(), read=day.isoformat())
        if path is None:
            return own
        return laid_over(own, path, day)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON; :meth:`from_json` reads it back. What there is none of is left out, but for a label."""
        plain: dict[str, Any] = {"core_hour": self.core_hour.to_json(), "label": None}
        plain |= {name: price.to_json() for name in SINGLE if (price := getattr(self, name)) is not None}
        plain |= {
            part: {name: price.to_json() for name, price in found.items()}
            for part in NAMED
            if (found := getattr(self, part))
        }
        if self.rates:
            plain["rates"] = {
                n: {"usd": f"{r.usd:f}", "source": r.source, "date": r.date} for n, r in self.rates.items()
            }
        rest = {
            "carbon": self.carbon and self.carbon.to_json(),
            "tdp_watts": self.tdp_watts,
            "discounts": dict(self.discounts),
            "own_machines": [machine.to_json() for machine in self.own_machines],
            "own_functions": [one.to_json() for one in self.own_functions],
            "read": self.read,
        }
        return plain | {name: value for name, value in rest.items() if value not in (None, {}, [], "")}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Prices:
        """Read what :meth:`to_json` wrote, or what it wrote when there were fewer prices."""
        single: dict[str, Any] = {name: Price.from_json(data[name]) for name in SINGLE if data.get(name)}
        named: dict[str, Any] = {
            part: {n: Price.from_json(p) for n, p in data.get(part, _NONE).items()} for part in NAMED
        }
        rates = {n: Rate(Decimal(r["usd"]), r["source"], r["date"]) for n, r in data.get("rates", _NONE).items()}
        carbon = data.get("carbon")
        return cls(
            **single,
            **named,
            carbon=Carbon.from_json(carbon) if carbon else None,
            tdp_watts=data.get("tdp_watts"),
            rates=rates,
            discounts=dict(data.get("discounts", _NONE)),
            own_machines=tuple(Machine.from_json(one) for one in data.get("own_machines", ())),
            own_functions=tuple(Function.from_json(one) for one in data.get("own_functions", ())),
            read=data.get("read", ""),
        )

    def _machine(self, machine: Machine) -> Machine:
        spot = None if machine.spot is None else self.to(machine.spot)
        return replace(machine, on_demand=self.to(machine.on_demand), spot=spot)

    def _discounted(self, machine: Machine) -> Machine:
        share = self.discounts.get(machine.cloud)
        return machine if not share else replace(machine, on_demand=less(machine.on_demand, share, machine.cloud))


def _own_catalogue() -> Prices:
    text = files("steelyard.money").joinpath("prices.yaml").read_text(encoding="utf-8")
    row = yaml.safe_load(text)["core_hour"]
    return Prices(core_hour=Price(Money.parse(row["amount"]), SINGLE["core_hour"], row["source"], str(row["date"])))
