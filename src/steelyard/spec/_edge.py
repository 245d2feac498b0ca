"""The part of a spec about devices: which one, its limits, and the network between it and a server."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field
from pydantic_core import PydanticCustomError, core_schema

from steelyard.spec._parts import Cost, Part
from steelyard.spec._ranges import Spread
from steelyard.spec._words import Problem, Words

if TYPE_CHECKING:
    from steelyard.spec._spec import Spec

HERE = "here"
_Z95 = NormalDist().inv_cdf(0.95)
_WIDEST = math.exp(_Z95**2 / 2)
"""The most that a 95% point of a lognormal distribution can be above its mean."""
_LOWEST = "low", "likely", "high"
_MEANS = "mean", "p95"


@dataclass(frozen=True, slots=True)
class RoundTrip:
    """Time to a server and back, ms: always the same, a triangle, or lognormal by its mean and 95% point.

    Examples
    --------
    >>> wide = RoundTrip.lognormal(50.0, 120.0)
    >>> round(wide.at(0.95), 6), wide.at(0.5) < 50.0
    (120.0, True)
    """

    spread: Spread
    mean: float | None = None
    p95: float | None = None

    @classmethod
    def lognormal(cls, mean: float, p95: float) -> RoundTrip:
        """Return the lognormal distribution with this mean and 95% point, ms."""
        return cls(Spread.exact(mean), mean, p95)

    @property
    def deviation(self) -> float:
        """Standard deviation of its logarithm; 0 where it is not lognormal."""
        if self.mean is None or self.p95 is None:
            return 0.0
        return _Z95 - math.sqrt(max(0.0, _Z95**2 - 2 * math.log(self.p95 / self.mean)))

    def at(self, share: float) -> float:
        """Return the time that a share (0 to 1, ends excluded) of round trips stays below, ms."""
        if self.mean is None:
            return self.spread.at(share)
        sigma = self.deviation
        return math.exp(math.log(self.mean) - sigma**2 / 2 + sigma * NormalDist().inv_cdf(share))

    def written(self) -> Any:
        """Return it as a spec writes it."""
        return self.spread.written() if self.mean is None else {"mean": self.mean, "p95": self.p95}


@dataclass(frozen=True, slots=True)
class _AsRoundTrip(Words):
    """Marks a field that takes a round trip."""

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        """Read with :meth:`read`, write as a spec does."""
        del source, handler
        written = core_schema.plain_serializer_function_ser_schema(lambda value: value.written())
        return core_schema.no_info_plain_validator_function(self.read, serialization=written)

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> dict[str, Any]:
        """Describe the number and the two ranges."""
        del schema, handler
        number = {"type": "number", "minimum": 0}
        ranges = [
            {
                "type": "object",
                "properties": dict.fromkeys(names, number),
                "required": list(names),
                "additionalProperties": False,
            }
            for names in (_MEANS, _LOWEST)
        ]
        return {"anyOf": [number, *ranges]}

    def read(self, given: object) -> RoundTrip:
        """Return what was given as a round trip.

        Raises
        ------
        ValueError
            If it is no time, or a range upside down.
        """
        if isinstance(given, RoundTrip):
            return given
        if not isinstance(given, Mapping):
            return RoundTrip(Spread.exact(self._time(given)))
        if set(given) == set(_MEANS):
            return _lognormal(*(self._time(given[name]) for name in _MEANS))
        if set(given) == set(_LOWEST):
            low, likely, high = (self._time(given[name]) for name in _LOWEST)
            if not low <= likely <= high:
                raise _refusal(
                    f"is upside down: low {low:g}, likely {likely:g}, high {high:g}; write low <= likely <= high"
                )
            return RoundTrip(Spread.triangular(low, likely, high))
        raise _refusal(f"must be {self.text}; got {', '.join(map(repr, given)) or 'an empty mapping'}")

    def _time(self, given: object) -> float:
        if isinstance(given, bool) or not isinstance(given, int | float) or not 0 <= given < math.inf:
            raise _refusal(f"must be {self.text}; got {given!r}")
        return float(given)


def _lognormal(mean: float, p95: float) -> RoundTrip:
    if not 0 < mean <= p95:
        raise _refusal(
            f"has a p95 of {p95:g} ms below its mean of {mean:g} ms; write the larger as p95, both above 0, or one "
            "number"
        )
    if p95 > mean * _WIDEST:
        raise _refusal(
            f"has a p95 more than {_WIDEST:.1f} times its mean ({p95:g} and {mean:g} ms), which no lognormal "
            "distribution has; give {low, likely, high} instead"
        )
    return RoundTrip.lognormal(mean, p95)


def _refusal(sentence: str) -> PydanticCustomError:
    return PydanticCustomError("rule", "{sentence}", {"sentence": sentence})


Trip = Annotated[
    RoundTrip, _AsRoundTrip("a time of 0 ms or more, or a range of it: {mean, p95} or {low, likely, high}")
]


class EdgePart(Part):
    """A device that answers itself: limits there, and the network to a server that could answer instead."""

    device: (
        Annotated[str, Words("the name of a device; `steelyard targets` lists them, `here` is this machine")] | None
    ) = Field(
        None,
        description="Device that must answer within the limits; `here`: this machine; unset: limits of size alone.",
    )
    devices: Path | None = Field(None, description="File of own devices that override the catalogue's.")
    size_mb: float | None = Field(None, gt=0, description="Most bytes on disk there, in units of 1,000,000 bytes.")
    memory_mb: float | None = Field(
        None, gt=0, description="Most memory that loading and running takes there, in units of 1,000,000 bytes."
    )
    latency_p95_ms: float | None = Field(None, gt=0, description="95% of single rows answered there within, ms.")
    round_trip_ms: Trip | None = Field(
        None, description="From the device to a server and back, ms; without it no server is compared."
    )
    offline: float = Field(0.0, ge=0, le=1, description="Share of requests during which no server can be reached.")
    fleet: int | None = Field(None, ge=1, description="Devices that there are; with price_per_device.")
    price_per_device: Cost | None = Field(
        None, description="Money a month for one device, on top of what it is there for."
    )
    answer_kb: float = Field(
        1.0, ge=0, description="Bytes of one answer that leave the cloud, in units of 1,000; they are paid as egress."
    )


def broken(spec: Spec) -> Iterator[Problem]:
    """Yield what the part breaks by itself, or beside the rest of the spec."""
    edge = spec.edge
    if edge is None:
        return
    if edge.latency_p95_ms is not None and edge.device is None:
        yield Problem(
            ("edge", "latency_p95_ms"),
            "is a limit on a device, and none is named; add device: raspberry-pi-4 (`steelyard targets` lists "
            "them), or ask for serving.latency_p95_ms",
        )
    if (edge.fleet is None) is not (edge.price_per_device is None):
        yield Problem(
            ("edge", "fleet"),
            "and price_per_device go together: how many devices there are, what one costs a month",
        )
    if edge.round_trip_ms is not None and edge.device is None:
        yield Problem(
            ("edge", "round_trip_ms"), "leads from a device to a server, and no device is named; add edge.device"
        )


def amounts(spec: Spec) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield the money in the part."""
    if spec.edge is not None and spec.edge.price_per_device is not None:
        yield ("edge", "price_per_device"), spec.edge.price_per_device
