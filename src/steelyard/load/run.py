"""One load from end to end: what to send, how fast the generator could, the test itself, and what it is worth."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import uvloop

from steelyard.contracts import Floats
from steelyard.data import read_plain
from steelyard.errors import DataUnreadable, RequestInvalid
from steelyard.load.arrivals import Plan
from steelyard.load.bodies import Protocol, inputs_of, made_up, messages, rows_of
from steelyard.load.loops import Traces, Way, closed_loop, open_loop
from steelyard.load.maximum import Maximum, find_maximum
from steelyard.load.responder import responder
from steelyard.load.summary import Result, summarise
from steelyard.load.target import Target
from steelyard.units import Seconds

MARGIN = 2.0
"""How many times as fast as what it measures the generator must be."""
USUAL_MODEL = "model"
"""What ``steelyard serve`` calls its model."""
_CEILING = Plan(rate=1.0, seconds=0.7, warm_up=0.2)
_CEILING_CONNECTIONS, _MORE = 64, 1.1
_REST = 0.3
"""Seconds of quiet after each test of the search."""
_ENOUGH, _LONGEST = 200, 30.0
"""Requests that a test of the search should have, and the seconds that it may be made longer to for their sake."""
_TRIES = 3
"""How many times a test of the search is made where the generator itself was late."""
_LATE = 1.0
"""Milliseconds that the generator may be late."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ceiling:
    """How fast the generator is here: requests per second, and per second of its own processor time."""

    rate: float
    per_core: float

    def bears(self, rate: float) -> bool:
        """Tell whether a measured rate can be believed."""
        return self.rate >= MARGIN * rate

    def to_json(self) -> dict[str, float]:
        """Return plain JSON."""
        return {"rps": self.rate, "rps_per_core_second": self.per_core}


def what_to_send(
    target: Target, *, protocol: Protocol, model: str, rows: Path | None, batch: int, seed: int
) -> list[bytes]:
    """Return the requests: of the rows of a file, or made up from the metadata of the model.

    Where no model is named, that of ``steelyard serve`` is asked for its inputs, if they are needed: rows of a file go
    to ``/predict`` as they are written there.

    Raises
    ------
    RequestInvalid
        If rows and model do not fit.
    DataUnreadable
        If the file cannot be read.
    """
    if protocol is not Protocol.PREDICT or rows is None:
        model = model or USUAL_MODEL
    inputs = inputs_of(target.get(f"/v2/models/{quote(model, safe='')}")) if model else []
    if rows is None:
        found: Sequence[dict[str, Any]] = made_up(inputs, seed)
    elif not rows.exists():
        raise DataUnreadable(f"there is no file {rows}; check the path")
    else:
        found = rows_of(read_plain(rows), inputs)
    return messages(target, found, protocol=protocol, model=model, inputs=inputs, batch=batch)


def measure_ceiling(messages: Sequence[bytes]) -> Ceiling:
    """Measure how fast the generator sends these very requests to a server that does nothing but answer.

    A closed loop says about how much that is; then an open loop plans a tenth more, and what it brings about counts.
    """
    with responder() as target:
        way = Way(target=target, messages=messages, most=_CEILING_CONNECTIONS)
        about = with_connections(way, _CEILING, _CEILING_CONNECTIONS).rate
        result = at_rate(way, replace(_CEILING, rate=max(1.0, _MORE * about)))
    return Ceiling(rate=result.rate, per_core=result.rate / max(result.own_share, 1e-9))


def at_rate(way: Way, plan: Plan) -> Result:
    """Test one rate in an open loop."""
    return _result(uvloop.run(open_loop(way, plan)), plan, "open")


def latencies_at(way: Way, plan: Plan) -> Floats:
    """Return the latency of each request of an open loop that got a good answer, ms, in the order of planned times."""
    log = uvloop.run(open_loop(way, plan)).log
    planned, done, status = (np.array(v) for v in (log.planned, log.done, log.status))
    good = (status == HTTPStatus.OK) & (planned >= planned[0] + plan.warm_up)
    return np.asarray((done - planned)[good] * 1e3, np.float64)


def with_connections(way: Way, plan: Plan, connections: int) -> Result:
    """Test with a closed loop; the plan's rate is not used."""
    if connections < 1:
        raise RequestInvalid(f"a closed loop needs at least one connection; got {connections}")
    return _result(uvloop.run(closed_loop(way, plan, connections)), plan, "closed")


def _result(traces: Traces, plan: Plan, mode: str) -> Result:
    server = Seconds(traces.server[1] - traces.server[0]) if traces.server else None
    own = traces.own[1] - traces.own[0]
    return summarise(
        traces.log, plan, begin=traces.begin, mode=mode, connections=traces.connections, server=server, own=own
    )


def fastest(
    way: Way, plan: Plan, *, p95_ms: float, ceiling: Ceiling, tell: Callable[[Result], None]
) -> tuple[Maximum, Result]:
    """Find the highest rate at which the 95th percentile stays within ``p95_ms``.

    A request without a good answer counts as infinitely late, so at most a twentieth may fail. ``plan.rate`` is where
    the search begins; each test has arrivals of its own. A test in which the generator itself was late by more than a
    quarter of the target (99th percentile) says little of the server, and is made again, twice at most.

    Returns
    -------
    tuple
        The maximum, and the last test of its rate (of the lowest rate, if none keeps the target).
    """
    if not (math.isfinite(p95_ms) and p95_ms > 0):
        raise RequestInvalid(f"the target of latency must be a number of milliseconds above 0; got {p95_ms!r}")
    results: dict[float, Result] = {}
    seeds = itertools.count(plan.seed + 1)

    def test(rate: float) -> bool:
        seconds = min(max(plan.seconds, _ENOUGH / rate), max(plan.seconds, _LONGEST))
        for _ in range(_TRIES):
            results[rate] = at_rate(way, replace(plan, rate=rate, seconds=seconds, seed=next(seeds)))
            tell(results[rate])
            time.sleep(_REST)
            if results[rate].late <= p95_ms / 4:
                break
        return results[rate].latency["p95"].value <= p95_ms

    found = find_maximum(test, start=plan.rate, most=ceiling.rate / MARGIN)
    return found, results.get(found.rate.value, results[min(results)])


def weakness(result: Result, ceiling: Ceiling, *, capped: bool = False) -> str | None:
    """Return why the figures cannot be vouched for: the generator is not :data:`MARGIN` times as fast as they are.

    ``capped`` says that a search ended for this reason.
    """
    if capped:
        return (
            f"the search ended at half of the {ceiling.rate:,.0f} requests/s that the generator can send here, not at "
            "what the server bears; give the generator a free core, or test fewer workers of the server"
        )
    needed = result.rate if math.isnan(result.asked) else max(result.asked, result.rate)
    if ceiling.bears(needed):
        return None
    return (
        f"the generator sends at most {ceiling.rate:,.0f} requests/s here, which is not {MARGIN:g} times the "
        f"{needed:,.0f} of this test, so part of the latency may be its own; give it a free core, or test fewer "
        "workers of the server"
    )


def lateness(result: Result) -> str | None:
    """Return a warning where the generator itself was late by more than a tenth of the median latency, and by 1 ms."""
    if not result.late > max(_LATE, result.latency["p50"].value / 10):
        return None
    return (
        f"the generator itself was late by {result.late:.1f} ms at the 99th percentile, which the latencies include; "
        "something else keeps this machine busy"
    )
