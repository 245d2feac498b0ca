"""What ``steelyard load`` does with its options."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from steelyard.errors import Exit, RequestInvalid
from steelyard.load import words
from steelyard.load.arrivals import Plan
from steelyard.load.beside import beside_json, describe_beside, pairs
from steelyard.load.bodies import Protocol
from steelyard.load.loops import Way
from steelyard.load.maximum import Maximum
from steelyard.load.processes import cpu_of
from steelyard.load.run import (
    Ceiling,
    at_rate,
    fastest,
    lateness,
    measure_ceiling,
    weakness,
    what_to_send,
    with_connections,
)
from steelyard.load.summary import Result
from steelyard.load.target import Target
from steelyard.money import Forecast

_START = 20.0
"""Requests per second with which a search begins."""
_TEST_SECONDS, _SEARCH_SECONDS = 30.0, 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The options of the command; ``None`` and empty words are unset."""

    url: str
    rps: float | None = None
    seconds: float | None = None
    warm_up: float = 2.0
    connections: int | None = None
    find_max: bool = False
    p95_ms: float | None = None
    rows: Path | None = None
    protocol: str = "predict"
    model: str = ""
    key: str = ""
    ca: str = ""
    batch: int = 1
    timeout: float = 10.0
    most: int = 1000
    pid: int = 0
    run: Path | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        ways = [self.rps is not None, self.connections is not None]
        if sum(ways) > 1 or (not any(ways) and not self.find_max) or (self.find_max and self.connections is not None):
            raise RequestInvalid(
                "say how to load: --rps R (planned arrivals), --connections N (a closed loop), or --find-max "
                "--p95-ms T (where --rps says where to begin)"
            )
        if self.find_max and self.p95_ms is None:
            raise RequestInvalid("--find-max needs the target to keep: --p95-ms T")
        if self.protocol not in list(Protocol):
            raise RequestInvalid(f"--protocol must be one of {', '.join(Protocol)}; got {self.protocol!r}")
        if not (self.timeout > 0 and self.most >= 1):
            raise RequestInvalid("--timeout must be above 0, and --most at least 1")
        if self.pid:
            cpu_of(self.pid)

    @property
    def plan(self) -> Plan:
        """The plan of a test."""
        usual = _SEARCH_SECONDS if self.find_max else _TEST_SECONDS
        return Plan(
            rate=_START if self.rps is None else self.rps,
            seconds=usual if self.seconds is None else self.seconds,
            warm_up=self.warm_up,
            seed=self.seed,
        )


def load(asked: Asked, *, as_json: bool) -> tuple[dict[str, Any], Exit]:
    """Carry out a load; print lines unless JSON is asked for.

    Returns
    -------
    tuple
        The JSON, and the code to exit with: ``TARGET_MISSED`` before ``LOAD_TOO_WEAK``.
    """
    say = _silent if as_json else _print
    forecast = None if asked.run is None else Forecast.of_run(asked.run)
    target, plan = Target.parse(asked.url, key=asked.key, ca=asked.ca), asked.plan
    protocol = Protocol(asked.protocol)
    messages = what_to_send(
        target, protocol=protocol, model=asked.model, rows=asked.rows, batch=asked.batch, seed=asked.seed
    )
    target.probe(messages[0])
    if asked.rows is None:
        _warn("rows are made up from the model's metadata; --rows FILE sends real ones")
    ceiling = measure_ceiling(messages)
    say(words.describe_ceiling(ceiling))
    way = Way(target=target, messages=messages, most=asked.most, timeout=asked.timeout, pid=asked.pid)
    if asked.find_max:
        return _search(asked, way, plan, ceiling, forecast=forecast, say=say)
    result = at_rate(way, plan) if asked.connections is None else with_connections(way, plan, asked.connections)
    say(words.describe(result))
    missed = asked.p95_ms is not None and not result.latency["p95"].value <= asked.p95_ms
    if missed:
        say(f"p95 is over the {asked.p95_ms:g} ms that were asked for")
    weak = _doubt(result, ceiling, capped=False)
    data = {"ceiling": ceiling.to_json(), "result": result.to_json(), "vouched_for": not weak}
    data |= _beside(forecast, result, None, asked.p95_ms, say)
    return data, Exit.TARGET_MISSED if missed else Exit.LOAD_TOO_WEAK if weak else Exit.DONE


def _search(
    asked: Asked, way: Way, plan: Plan, ceiling: Ceiling, *, forecast: Forecast | None, say: Callable[[str], None]
) -> tuple[dict[str, Any], Exit]:
    assert asked.p95_ms is not None
    found, result = fastest(
        way, plan, p95_ms=asked.p95_ms, ceiling=ceiling, tell=lambda result: say(words.one_line(result))
    )
    say(words.describe_maximum(found, asked.p95_ms))
    say(words.describe(result))
    weak = _doubt(result, ceiling, capped=found.capped)
    data = {
        "ceiling": ceiling.to_json(),
        "maximum": found.to_json(),
        "p95_ms": asked.p95_ms,
        "result": result.to_json(),
        "vouched_for": not weak,
        **_beside(forecast, result, found, asked.p95_ms, say),
    }
    return data, Exit.TARGET_MISSED if not found.rate.value else Exit.LOAD_TOO_WEAK if weak else Exit.DONE


def _beside(
    forecast: Forecast | None,
    result: Result,
    found: Maximum | None,
    p95_ms: float | None,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Say what the run predicted beside what was measured."""
    if forecast is None:
        return {}
    both = pairs(forecast, result, found, p95_ms)
    say(describe_beside(forecast, both))
    return {"predicted": beside_json(forecast, both)}


def _doubt(result: Result, ceiling: Ceiling, *, capped: bool) -> bool:
    """Warn of what speaks against the figures; tell whether the generator was too weak."""
    if (late := lateness(result)) is not None:
        _warn(late)
    if (weak := weakness(result, ceiling, capped=capped)) is not None:
        _warn(weak)
    return weak is not None


def _print(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _silent(line: str) -> None:
    """Keep standard output for the JSON."""


def _warn(sentence: str) -> None:
    sys.stderr.write(f"steelyard: {sentence}\n")
