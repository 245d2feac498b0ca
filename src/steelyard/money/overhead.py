"""What a server spends around the model: on HTTP, on JSON, on its own turns, and on being woken."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from steelyard.contracts import Floats
from steelyard.units import How

_SHORT = 1e-6
"""The shortest gap between requests that is told from none, ms."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Overhead:
    """Time of a server beside computing.

    Attributes
    ----------
    turn_ms
        Of each turn in which it answers something, however many requests at once.
    request_ms
        Of each request besides.
    delay_ms
        What a client waits on top although the server does nothing for it (the network, its own clock): quantiles at
        equal steps from 0 to 1.
    wake
        What a turn takes longer that finds the server asleep: ms without a request, ascending, and the ms on top. A
        process that slept finds its caches cold, the longer the colder.
    spread
        Variance, over its squared mean, of the time of a turn with one request that waited; a turn with k of them
        varies a k-th as much.
    how, source
        How these are known.
    """

    turn_ms: float
    request_ms: float
    delay_ms: tuple[float, ...] = (0.0,)
    wake: tuple[tuple[float, float], ...] = ()
    spread: float = 0.0
    how: How = How.MEASURED
    source: str = ""

    def __post_init__(self) -> None:
        gaps = [gap for gap, _ in self.wake]
        times = (self.turn_ms, self.request_ms, self.spread, *self.delay_ms, *gaps, *(ms for _, ms in self.wake))
        if (
            not self.delay_ms
            or not all(np.isfinite(times))
            or min(times) < 0
            or list(self.delay_ms) != sorted(self.delay_ms)
            or gaps != sorted(set(gaps))
        ):
            raise ValueError(
                "times around a model are finite, of 0 ms or more, and quantiles and gaps ascend; got "
                f"{times}, gaps {gaps}"
            )

    def delays(self, shares: Floats) -> Floats:
        """Return the delays, ms, that some shares of requests do not exceed.

        Examples
        --------
        >>> Overhead(turn_ms=0.1, request_ms=0.1, delay_ms=(0.0, 1.0)).delays(np.array([0.25]))
        array([0.25])
        """
        steps = np.linspace(0.0, 1.0, len(self.delay_ms))
        return np.asarray(np.interp(shares, steps, np.array(self.delay_ms)), np.float64)

    def wake_ms(self, rps: float) -> float:
        """Return what a turn takes longer that finds the server asleep, at a rate of requests that come at random.

        Examples
        --------
        >>> around = Overhead(turn_ms=0.1, request_ms=0.1, wake=((1.0, 0.0), (100.0, 0.4)))
        >>> [round(around.wake_ms(rps), 6) for rps in (0.0, 100.0, 5000.0)]
        [0.4, 0.2, 0.0]
        """
        if not self.wake:
            return 0.0
        gaps, times = (np.array(part) for part in zip(*self.wake, strict=True))
        gap = 1000 / rps if rps > 0 else gaps[-1]
        return float(np.interp(np.log(max(gap, _SHORT)), np.log(np.maximum(gaps, _SHORT)), times))

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {
            "turn_ms": self.turn_ms,
            "request_ms": self.request_ms,
            "delay_ms": list(self.delay_ms),
            "wake": [list(point) for point in self.wake],
            "spread": self.spread,
            "how": self.how.value,
            "source": self.source,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Overhead:
        """Read what :meth:`to_json` wrote.

        Raises
        ------
        ValueError, KeyError, TypeError
            If it is something else.
        """
        return cls(
            turn_ms=float(data["turn_ms"]),
            request_ms=float(data["request_ms"]),
            delay_ms=tuple(float(d) for d in data["delay_ms"]),
            wake=tuple((float(gap), float(ms)) for gap, ms in data.get("wake", ())),
            spread=float(data.get("spread", 0.0)),
            how=How(data["how"]),
            source=str(data["source"]),
        )


NONE = Overhead(turn_ms=0.0, request_ms=0.0, how=How.ASSUMED, source="the model alone, without a server")
