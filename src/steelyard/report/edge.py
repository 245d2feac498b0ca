"""Whether the device, a server, or the device first should answer: the block ``edge`` of the report."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np

from steelyard.contracts import Floats, Weight
from steelyard.decide.words import titles
from steelyard.devices import HERE
from steelyard.errors import RunUnreadable, SpecInvalid
from steelyard.money.batching import Replica
from steelyard.money.calibration import Calibration, bundle_of
from steelyard.money.capacity import Bundle, Scaling, around_the_clock, fleet_of
from steelyard.money.network import Outcome, Times, Turn, Way, latency, lognormal, points, turns, winner
from steelyard.money.traffic import Demand
from steelyard.report.edge_costs import Costs, costs_of
from steelyard.report.edge_words import notes_of, sentence_of
from steelyard.report.rows import Json
from steelyard.search.folder import RunFolder
from steelyard.search.record import RunRecord
from steelyard.search.recount import recount
from steelyard.spec import EdgePart, RoundTrip, Traffic
from steelyard.tasks import metric
from steelyard.units import Estimate

TRIPS = (0.1, 3_000.0)
"""Medians of the round trip between which the winner is looked for, ms."""
RATES = (0.001, 10_000.0)
"""Mean requests a second between which the winner is looked for."""
_RATE_STEPS = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is asked otherwise than in the spec; ``None`` keeps what that says."""

    round_trip_ms: float | None = None
    round_trip_p95_ms: float | None = None
    rps: float | None = None
    target_ms: float | None = None
    offline: float | None = None

    def edge(self, given: EdgePart) -> EdgePart:
        """Return the part of the spec, changed.

        Raises
        ------
        SpecInvalid
            If a figure is out of its range.
        """
        if self.round_trip_p95_ms is not None and self.round_trip_ms is None:
            raise SpecInvalid("--round-trip-p95-ms needs the mean beside it: --round-trip-ms")
        trip: object = self.round_trip_ms
        if self.round_trip_p95_ms is not None:
            trip = {"mean": self.round_trip_ms, "p95": self.round_trip_p95_ms}
        changed = {"round_trip_ms": trip, "offline": self.offline}
        kept = {name: getattr(given, name) for name in given.model_fields_set}
        return EdgePart(**{**kept, **{name: value for name, value in changed.items() if value is not None}})


def asked(run: Path, wanted: Wanted) -> Json:
    """Return the block for a finished run.

    Raises
    ------
    SpecInvalid
        If the spec names no device, or no round trip or traffic is known.
    RunUnreadable
        If there is no run, or it has not ended.
    """
    record = recount(RunFolder.existing(run))
    if record.spec.edge is None or record.spec.edge.device is None:
        raise SpecInvalid(
            f"{run} names no device; run it again with `edge: {{device: raspberry-pi-4}}` (`steelyard targets` "
            "lists them)"
        )
    if record.escalated is None:
        raise RunUnreadable(f"{run} has not ended yet; go on with `steelyard run --resume {run}`")
    found = edge(record, wanted)
    assert found is not None, "the spec names a device"
    if not found["ways"]:
        raise SpecInvalid(found["sentence"])
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """All that an answer is made of."""

    record: RunRecord
    edge: EdgePart
    trip: RoundTrip
    demand: Demand
    target_ms: float | None
    here: Weight
    front: Weight | None
    bundle: Bundle
    share: float
    qualities: dict[Way, Estimate]
    values: dict[Way, Estimate]
    costs: Costs
    _months: dict[float, float] = field(default_factory=dict)

    @property
    def ways(self) -> list[Way]:
        """The ways that can be compared."""
        return [way for way in Way if way is not Way.CASCADE or self.front is not None]


def edge(record: RunRecord, wanted: Wanted | None = None) -> Json | None:
    """Return the block; ``None`` where the spec names no device, or the run has not ended.

    Without a round trip, or without traffic, ``ways`` is empty and ``sentence`` says what to give.
    """
    asked_for = Wanted() if wanted is None else wanted
    given, kept = record.spec.edge, record.escalated
    if given is None or given.device is None or kept is None or record.decision is None:
        return None
    part = asked_for.edge(given)
    traffic = record.spec.serving.traffic
    if asked_for.rps is not None:
        traffic = Traffic(mean_rps=asked_for.rps)
    lacks = _lacks(part, traffic)
    if lacks:
        return _empty(record, part, lacks)
    assert part.round_trip_ms is not None
    assert traffic is not None
    return _block(_case(record, part, traffic, asked_for))


def _lacks(part: EdgePart, traffic: Traffic | None) -> str:
    if part.round_trip_ms is None:
        return (
            "The device is compared with no server, because no round trip is given; add edge.round_trip_ms, for "
            "example round_trip_ms: {mean: 60, p95: 150}, or ask `steelyard edge RUN --round-trip-ms 60`."
        )
    if traffic is None or traffic.mean_rps <= 0:
        return (
            "The device is compared with no server, because no traffic is given; add serving.traffic, for example "
            "traffic: {mean_rps: 5}, or ask `steelyard edge RUN --rps 5`."
        )
    return ""


def _device(record: RunRecord) -> Json | None:
    footing = record.footing
    return None if footing is None or footing.device is None else footing.device.to_json()


def _empty(record: RunRecord, part: EdgePart, lacks: str) -> Json:
    return {
        "device": part.device,
        "about": _device(record),
        "currency": record.prices.currency,
        "ways": [],
        "winner": None,
        "sentence": lacks,
        "notes": notes_of(record, part, ""),
    }


def _case(record: RunRecord, part: EdgePart, traffic: Traffic, wanted: Wanted) -> _Case:
    kept = record.escalated
    assert kept is not None
    assert part.round_trip_ms is not None
    weights = {trial.number: trial.weight for trial in record.trials}
    shipped = weights[kept["edge"]] if record.final is None else record.final.weight
    server, front = weights[kept["server"]], None if kept["front"] is None else weights[kept["front"]]
    assert shipped is not None
    assert server is not None
    same = kept["server"] == kept["edge"]
    serving = shipped if same else server
    calibration = Calibration.of_run(record.folder) if same else None
    target = record.spec.serving.latency_p95_ms if wanted.target_ms is None else wanted.target_ms
    return _Case(
        record=record,
        edge=part,
        trip=part.round_trip_ms,
        demand=Demand.of(traffic),
        target_ms=target,
        here=shipped,
        front=shipped if kept["front"] == kept["edge"] else front,
        bundle=bundle_of(serving, calibration),
        share=float(kept["escalated"]["share"]) if kept["front"] is not None else 0.0,
        qualities=_figures(record, record.task.aim),
        values=_figures(record, "value"),
        costs=costs_of(record, part),
    )


def _figures(record: RunRecord, name: str) -> dict[Way, Estimate]:
    """Return a metric of each way on the validation rows."""
    kept, trials = record.escalated or {}, {t.number: t for t in record.trials}
    found = {}
    for way, which in ((Way.EDGE, "edge"), (Way.SERVER, "server")):
        one = trials[kept[which]].validation.get(name)
        if one is not None:
            found[way] = one
    mixed = kept.get("quality", {}).get("cascade", {}).get(name)
    if mixed is not None:
        found[Way.CASCADE] = Estimate.from_json(mixed)
    return found


def _block(case: _Case) -> Json:
    record, kept = case.record, case.record.escalated or {}
    going = points(case.trip.at)
    outcomes = _outcomes(case, going, case.demand)
    taken, why = _winner(case, outcomes)
    by_trip = turns(lambda ms: _taken(case, _moved(going, ms), case.demand), *TRIPS)
    rates = (min(RATES[0], case.demand.mean_rps / 10), max(RATES[1], case.demand.mean_rps * 10))
    by_rate = turns(lambda rps: _taken(case, going, case.demand.scaled(rps / case.demand.mean_rps)), *rates,
                    steps=_RATE_STEPS, halvings=5)  # fmt: skip
    names = titles((t.number, t.recipe) for t in record.trials)
    block: Json = {
        "device": case.edge.device,
        "about": _device(record),
        "currency": record.prices.currency,
        "aim": record.task.aim,
        "target_ms": case.target_ms,
        "round_trip_ms": {"p50": case.trip.at(0.5), "p95": case.trip.at(0.95)},
        "mean_rps": case.demand.mean_rps,
        "offline": case.edge.offline,
        "models": {which: None if kept[which] is None else names[kept[which]] for which in ("edge", "server", "front")},
        "escalated": kept.get("escalated"),
        "ways": [_row(case, one) for one in outcomes],
        "winner": taken.way.value,
        "why": why,
        "by_round_trip": [_turn(one) for one in by_trip],
        "by_traffic": [_turn(one) for one in by_rate],
    }
    notes = notes_of(record, case.edge, str(kept.get("why", "")))
    return {**block, "notes": [*notes, *case.costs.notes], "sentence": sentence_of(block)}


def _row(case: _Case, one: Outcome) -> Json:
    costs = case.costs.parts(one.way, case.demand, _reaching(case, one.way), _device_ms(case, one.way))
    costs["server"] = _server_month(case, case.demand, _reaching(case, one.way))
    on = {Way.EDGE: case.here, Way.CASCADE: case.front, Way.SERVER: None}[one.way]
    return {
        "way": one.way.value,
        "p50_ms": _finite(one.p50),
        "p95_ms": _finite(one.p95),
        "device_p95": None if on is None else _there(case, on, "p95").to_json(),
        "keeps_target": case.target_ms is None or one.p95 <= case.target_ms,
        "quality": one.quality.to_json(),
        "month": one.month,
        "costs": costs,
        "returned_month": one.returned,
        "unanswered": one.unanswered,
        "reaches_server": _reaching(case, one.way),
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _turn(one: Turn) -> Json:
    return {"at": one.at, "below": one.below.value, "above": one.above.value}


def _moved(going: Floats, ms: float) -> Floats:
    """Return round trips of the same shape with another median."""
    middle = float(np.median(going))
    return going * (ms / middle) if middle > 0 else np.full_like(going, ms)


def _taken(case: _Case, going: Floats, demand: Demand) -> Way:
    return _winner(case, _outcomes(case, going, demand))[0].way


def _winner(case: _Case, outcomes: list[Outcome]) -> tuple[Outcome, str]:
    aim = metric(case.record.task.aim)
    return winner(outcomes, case.target_ms, aim.better == "higher", case.record.spec.quality.tolerance)


def _outcomes(case: _Case, going: Floats, demand: Demand) -> list[Outcome]:
    times = _times(case, demand)
    found = []
    for way in case.ways:
        p50, p95 = latency(way, times, going, case.share, case.edge.offline)
        reaching = _reaching(case, way)
        month = _server_month(case, demand, reaching) + sum(
            case.costs.parts(way, demand, reaching, _device_ms(case, way)).values()
        )
        unanswered = case.edge.offline if way is Way.SERVER else 0.0
        worth = case.values.get(way)
        returned = None
        if worth is not None and case.record.task.value is not None:
            returned = _offline(case, case.values, way).value * demand.month * (1 - unanswered) - month
        quality = _offline(case, case.qualities, way)
        found.append(
            Outcome(way=way, p50=p50, p95=p95, quality=quality, month=month, unanswered=unanswered, returned=returned)
        )
    return found


def _offline(case: _Case, figures: dict[Way, Estimate], way: Way) -> Estimate:
    """Return a figure with requests without a server in it: there the device's own answer stands."""
    one, share = figures[way], case.edge.offline
    kept = (case.record.escalated or {}).get("quality", {}).get("front")
    if way is not Way.CASCADE or not share or kept is None:
        return one
    name = "value" if figures is case.values else case.record.task.aim
    alone = Estimate.from_json(kept[name])
    ends = ((one.value, alone.value), (one.low, alone.low), (one.high, alone.high))
    value, low, high = ((1 - share) * a + share * b for a, b in ends)
    return Estimate(value, low, high, one.how, one.unit, one.source)


def _reaching(case: _Case, way: Way) -> float:
    """Return the share of requests that reach the server."""
    return {Way.EDGE: 0.0, Way.SERVER: 1.0, Way.CASCADE: case.share}[way] * (1 - case.edge.offline)


def _there(case: _Case, weight: Weight, name: str) -> Estimate:
    """Return a time on the device: measured where that is this machine."""
    if case.edge.device != HERE and name in weight.there:
        return weight.there[name]
    one = weight.busy if name == "mean" else getattr(weight, name)
    assert isinstance(one, Estimate)
    return one


def _device_ms(case: _Case, way: Way) -> float:
    """Return how long a request keeps the device busy, ms."""
    on = {Way.EDGE: case.here, Way.CASCADE: case.front, Way.SERVER: None}[way]
    return 0.0 if on is None else _there(case, on, "mean" if on.mean is not None else "p50").value


def _times(case: _Case, demand: Demand) -> Times:
    return Times(
        edge=_on(case, case.here),
        front=None if case.front is None else _on(case, case.front),
        server=_served(case, demand, _reaching(case, Way.SERVER)),
        behind=_served(case, demand, _reaching(case, Way.CASCADE)),
    )


def _on(case: _Case, weight: Weight) -> Floats:
    return lognormal(_there(case, weight, "p50").value, _there(case, weight, "p95").value)


def _served(case: _Case, demand: Demand, share: float) -> Floats:
    """Return the points of the server's latency with the mean traffic dealt out to the replicas of the peak."""
    if share <= 0:
        return _at(case.bundle.replica, 0.0)
    some = demand.scaled(share)
    replicas = max(around_the_clock(some, case.bundle.replica.capacity(_room(case)), Scaling()))
    return _at(case.bundle.replica, float(f"{some.mean_rps / replicas:.3g}"))


@lru_cache(maxsize=256)
def _at(replica: Replica, rps: float) -> Floats:
    return replica.draws(rps)


def _room(case: _Case) -> float | None:
    """Return what the latency target leaves to the server, ms; no target where the network takes it all."""
    if case.target_ms is None:
        return None
    left = case.target_ms - case.trip.at(0.95)
    return left if left > 0 and case.bundle.replica.keeps(left) else None


def _server_month(case: _Case, demand: Demand, share: float) -> float:
    if share <= 0:
        return 0.0
    key = demand.mean_rps * share
    if key not in case._months:  # noqa: SLF001 - its own
        fleet = fleet_of(
            case.bundle, demand.scaled(share), _room(case), case.record.prices.core_hour, Scaling(), around_the_clock
        )
        case._months[key] = fleet.cost.month.value  # noqa: SLF001 - its own
    return case._months[key]  # noqa: SLF001 - its own
