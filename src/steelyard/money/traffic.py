"""How many requests come, hour by hour, and how many of them must be borne at once."""

from __future__ import annotations

from dataclasses import dataclass

from steelyard.spec import Traffic

HOURS_A_MONTH = 730.0
"""A twelfth of 365 days."""
_DAY = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """Requests a second in each hour, over and over.

    Attributes
    ----------
    mean
        On average over each hour.
    planned
        To be borne within the latency target in each hour: its mean, times how far the busiest minute is above the
        busiest hour.
    known
        Whether it was said how the hours differ; otherwise every hour is planned for the peak.
    """

    mean: tuple[float, ...]
    planned: tuple[float, ...]
    known: bool

    @classmethod
    def of(cls, traffic: Traffic) -> Demand:
        """Return the hours of some traffic.

        Examples
        --------
        >>> found = Demand.of(Traffic(mean_rps=50, peak_rps=200))
        >>> len(found.mean), found.planned[0], found.known
        (24, 200.0, False)
        """
        hours = traffic.hourly_rps
        if not hours:
            return cls(mean=(traffic.mean_rps,) * _DAY, planned=(traffic.most_rps,) * _DAY, known=False)
        busiest = max(hours)
        swell = traffic.most_rps / busiest if busiest else 1.0
        return cls(mean=hours, planned=tuple(swell * rps for rps in hours), known=True)

    @property
    def mean_rps(self) -> float:
        """Mean over all hours."""
        return sum(self.mean) / len(self.mean)

    @property
    def most_rps(self) -> float:
        """The most that must be borne."""
        return max(self.planned)

    @property
    def month(self) -> float:
        """Requests in a month."""
        return self.mean_rps * 3600 * HOURS_A_MONTH

    def scaled(self, factor: float) -> Demand:
        """Return ``factor`` times as many requests, in the same shape."""
        mean, planned = (tuple(factor * rps for rps in part) for part in (self.mean, self.planned))
        return Demand(mean=mean, planned=planned, known=self.known)
