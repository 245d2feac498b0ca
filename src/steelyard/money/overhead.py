"""What a server spends around the model: on HTTP, on JSON, on its own turns, and on being woken."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from steelyard.contracts import Floats
from steelyard.units import How


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
        What a client waits on top although the server does nothing for it (waking up, the network, its own clock):
        quantiles at equal steps from 0 to 1.
    how, source
        How these are known.
    """

    turn_ms: float
    request_ms: float
    delay_ms: tuple[float, ...] = (0.0,)
    how: How = How.MEASURED
    source: str = ""

    def __post_init__(self) -> None:
        times = (self.turn_ms, self.request_ms, *self.delay_ms)
        if (
            not self.delay_ms
            or not all(np.isfinite(times))
            or min(times) < 0
            or list(self.delay_ms) != sorted(self.delay_ms)
        ):
            raise ValueError(f"times around a model are finite, of 0 ms or more, and quantiles ascend; got {times}")

    def delays(self, shares: Floats) -> Floats:
        """Return the delays, ms, that some shares of requests do not exceed.

        Examples
        --------
        >>> Overhead(turn_ms=0.1, request_ms=0.1, delay_ms=(0.0, 1.0)).delays(np.array([0.25]))
        array([0.25])
        """
        steps = np.linspace(0.0, 1.0, len(self.delay_ms))
        return np.asarray(np.interp(shares, steps, np.array(self.delay_ms)), np.float64)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {
            "turn_ms": self.turn_ms,
            "request_ms": self.request_ms,
            "delay_ms": list(self.delay_ms),
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
            how=How(data["how"]),
            source=str(data["source"]),
        )


NONE = Overhead(turn_ms=0.0, request_ms=0.0, how=How.ASSUMED, source="the model alone, without a server")
