"""How many replicas the traffic of a run needs, what they cost, and where they are best run: a block of the report."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from steelyard.contracts import Weight
from steelyard.decide.words import figure, money
from steelyard.errors import SpecInvalid
from steelyard.money.calibration import Calibration, bundle_of
from steelyard.money.capacity import (
    Bundle,
    Fleet,
    Rented,
    Scaling,
    around_the_clock,
    autoscaled,
    by_hour,
    fleet_of,
    nightly,
    rented,
)
from steelyard.money.catalogue import Function, Machine
from steelyard.money.placement import Crossover, Edge, Kind, Offers, Place, crossovers, places, rented_kind
from steelyard.money.prices import Prices, PricesInvalid
from steelyard.money.traffic import Demand
from steelyard.report.rows import Json
from steelyard.search.record import RunRecord
from steelyard.spec import Traffic

MODEL = (
    "each replica answers at once what has gathered while it was busy (bulk service, Neuts 1967; Inoue 2021), requests "
    "are dealt out to replicas by chance"
)
_KINDS = {
    Kind.GENERAL: "machines on demand",
    Kind.SPOT: "spot machines",
    Kind.FUNCTION: "functions",
    Kind.ACCELERATOR: "accelerators",
    Kind.EDGE: "the users' devices",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What may be asked otherwise than in the spec; ``None`` keeps what that says."""

    traffic: Traffic | None = None
    target_ms: float | None = None
    scaling: Scaling = Scaling()  # noqa: RUF009 - frozen
    edge: Edge | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """All that an answer is made of."""

    bundle: Bundle
    demand: Demand
    target_ms: float | None
    offers: Offers
    currency: str
    notes: tuple[str, ...]


def capacity(record: RunRecord, wanted: Wanted | None = None) -> Json | None:
    """Return the block ``capacity`` of a report; ``None`` where no traffic is known, or nothing was weighed."""
    asked = Wanted() if wanted is None else wanted
    traffic = record.spec.serving.traffic if asked.traffic is None else asked.traffic
    weight = _weight(record)
    if traffic is None or weight is None or not traffic.most_rps:
        return None
    case = _case(record, asked, traffic, weight)
    core_hour, scaling = record.prices.core_hour, asked.scaling
    fixed, scaled = (
        fleet_of(case.bundle, case.demand, case.target_ms, core_hour, scaling, way)
        for way in (around_the_clock, by_hour)
    )
    hired = sorted(_rented(case), key=lambda each: each.fixed.month.value)
    there = places(case.offers, case.demand, case.currency)
    found = crossovers(rented_kind(case.offers, case.demand, case.currency)) if case.demand.mean_rps and there else []
    return {
        "currency": case.currency,
        "target_ms": case.target_ms,
        "keeps_target": case.target_ms is None or case.bundle.replica.keeps(case.target_ms),
        "model": MODEL,
        "replica": {
            "capacity": case.bundle.capacity(case.target_ms).to_json(),
            "overhead": case.bundle.replica.overhead.to_json(),
        },
        "hours": [
            {"hour": hour, "rps": mean, "planned_rps": planned, "replicas": count}
            for hour, (mean, planned, count) in enumerate(
                zip(case.demand.mean, case.demand.planned, scaled.running, strict=True)
            )
        ],
        "fixed": _fleet(fixed),
        "autoscaled": _fleet(scaled),
        "machines": [_machine(each, case) for each in hired],
        "placement": [_place(each) for each in there],
        "crossovers": [{"rps": c.rps, "below": c.below.value, "above": c.above.value} for c in found],
        "notes": list(case.notes),
        "sentence": _sentence(case, fixed, scaled, there, found),
    }


def nights(record: RunRecord, rows: int, wanted: Wanted | None = None) -> Json:
    """Return what predicting some rows each night costs on each type of machine, cheapest first.

    Raises
    ------
    SpecInvalid
        If there are no rows, nothing was weighed, or no machine holds the bundle.
    """
    asked, weight = Wanted() if wanted is None else wanted, _weight(record)
    if rows < 1 or weight is None:
        raise SpecInvalid(f"a nightly run needs a bundle that was weighed, and at least one row; got {rows} rows")
    known, _, notes = _catalogue(record.prices)
    found = nightly(bundle_of(weight, Calibration.of_run(record.folder)), rows, known, asked.scaling)
    if not found:
        raise SpecInvalid("no type of machine in the catalogue holds the bundle; `steelyard prices` lists them")
    best = found[0]
    lasts = f"{best.hours * 60:.1f} minutes" if best.hours < 1 else f"{best.hours:.1f} hours"
    return {
        "currency": record.prices.currency,
        "rows": rows,
        "machines": [
            {
                **_where(each.machine),
                "hours": each.hours,
                "month": each.month.to_json(),
                "spot_month": each.spot_month,
            }
            for each in found
        ],
        "notes": list(notes),
        "sentence": (
            f"Predicting {rows:,} rows each night takes {lasts} on {best.machine.cloud} {best.machine.name} and costs "
            f"{money(best.month.value, record.prices.currency)} a month."
        ),
    }


def _weight(record: RunRecord) -> Weight | None:
    if record.final is not None:
        return record.final.weight
    chosen = None if record.decision is None else record.decision.number
    return next((t.weight for t in record.trials if t.number == chosen), None)


def _case(record: RunRecord, asked: Wanted, traffic: Traffic, weight: Weight) -> _Case:
    bundle = bundle_of(weight, Calibration.of_run(record.folder))
    target = record.spec.serving.latency_p95_ms if asked.target_ms is None else asked.target_ms
    known, called, notes = _catalogue(record.prices)
    edge, currency = asked.edge, record.prices.currency
    if edge is not None and edge.price is not None and edge.price.currency != currency:
        raise SpecInvalid(
            f"the price of a device is in {edge.price.currency}, but the prices in force are in {currency}; give it in "
            f"{currency}"
        )
    offers = Offers(
        bundle=bundle,
        machines=known,
        functions=called,
        edge=Edge() if edge is None else edge,
        target_ms=target,
        scaling=asked.scaling,
    )
    demand = Demand.of(traffic)
    if not demand.known:
        notes = (
            *notes,
            "How the hours differ is not known, so every hour is planned for the peak; give traffic.shape.",
        )
    if target is not None and not bundle.replica.keeps(target):
        notes = (
            *notes,
            (
                f"Not even an idle replica answers 95% of requests within {target:g} ms; replicas are planned to be "
                "busy 70% of the time instead (assumed)."
            ),
        )
    return _Case(bundle=bundle, demand=demand, target_ms=target, offers=offers, currency=currency, notes=notes)


def _catalogue(prices: Prices) -> tuple[tuple[Machine, ...], tuple[Function, ...], tuple[str, ...]]:
    """Return machines and functions at the prices in force; none where no rate leads to their currency."""
    try:
        return prices.machines(), prices.functions(), ()
    except PricesInvalid as problem:
        return (), (), (f"Rented machines cannot be compared: {problem}",)


def _rented(case: _Case) -> Iterator[Rented]:
    for machine in case.offers.machines:
        if machine.accelerators:
            continue
        found = rented(case.bundle, case.demand, case.target_ms, machine, case.offers.scaling)
        if found is not None:
            yield found


def _fleet(fleet: Fleet) -> Json:
    return {
        "replicas": fleet.most,
        "month": fleet.cost.month.to_json(),
        "per_million": fleet.cost.per_million.to_json(),
        "idle_share": fleet.idle_share,
    }


def _where(machine: Machine) -> Json:
    names = ("name", "cloud", "region", "cores", "memory_gb", "accelerator")
    return {name: getattr(machine, name) for name in names}


def _machine(hired: Rented, case: _Case) -> Json:
    scaled = autoscaled(case.bundle, case.demand, case.target_ms, hired.machine, case.offers.scaling)
    return {
        **_where(hired.machine),
        "how": hired.how.value,
        "replicas": hired.replicas,
        "machines": hired.machines,
        "month": hired.fixed.month.to_json(),
        "per_million": hired.fixed.per_million.to_json(),
        "autoscaled_month": scaled.month.to_json(),
        "spot_month": None if hired.spot is None else hired.spot.month.to_json(),
    }


def _place(place: Place) -> Json:
    return {
        "kind": place.kind.value,
        "name": place.name,
        "month": place.cost.month.to_json(),
        "per_million": place.cost.per_million.to_json(),
        "how": place.how.value,
        "note": place.note,
    }


def _sentence(case: _Case, fixed: Fleet, scaled: Fleet, there: Sequence[Place], found: Sequence[Crossover]) -> str:
    demand = case.demand
    came = f"{figure(demand.mean_rps)} requests/s on average"
    if demand.most_rps > demand.mean_rps:
        came += f" and {figure(demand.most_rps)} at the peak"
    count = "1 replica" if fixed.most == 1 else f"{fixed.most} replicas"
    within = "" if case.target_ms is None else f" to answer 95% within {case.target_ms:g} ms"
    month = money(fixed.cost.month.value, case.currency)
    first = f"{came} need {count}{within}: {month} a month for the cores around the clock"
    if not math.isnan(fixed.cost.per_million.value):
        first += f", {money(fixed.cost.per_million.value, case.currency)} per million predictions"
    first += f", idle {fixed.idle_share:.0%} of the time"
    if scaled.cost.month.value < fixed.cost.month.value:
        first += f"; {money(scaled.cost.month.value, case.currency)} with autoscaling"
    best = next((place for place in there if place.kind is not Kind.EDGE), None)
    if best is not None:
        what = f"{best.name} ({_KINDS[best.kind]})"
        first += f"; the cheapest that can be rented is {what}, {money(best.cost.month.value, case.currency)} a month"
        if (turn := next((c for c in found if c.rps > demand.mean_rps), None)) is not None:
            first += f", until {_KINDS[turn.above]} are cheaper from {figure(turn.rps)} requests/s on"
    return first[0].upper() + first[1:] + "."
