"""What published results say of models before anything was trained here: errors beside each other, and their price.

``experience.json`` is made from TabArena's published results by ``benchmarks/replay/fit.py`` (``make experience``),
which describes the fit. A *look* is one way to use a family: ``"CAT (default)"``, ``"CAT (tuned)"``,
``"CAT (tuned + ensemble)"``. Errors are natural logarithms, so that a difference of 0.05 is five percent of the error.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np

from steelyard.contracts import Floats

DEFAULT, TUNED, JOINED = "default", "tuned", "tuned + ensemble"
"""The three looks at a family: its defaults, the best of 201 settings, and their weighted ensemble."""
PULLS = 201
"""Settings that a tuned look tried."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """Seconds as ``exp(constant + rows * log(n) + columns * log(p))``, with the spread of its logarithm."""

    constant: float
    rows: float
    columns: float
    spread: float

    def seconds(self, rows: float, columns: float) -> float:
        """Return the median expected seconds of a table with so many rows and columns.

        Examples
        --------
        >>> round(Prices(constant=0.0, rows=1.0, columns=0.0, spread=0.1).seconds(50, 3), 6)
        50.0
        """
        return float(np.exp(self.constant + self.rows * np.log(max(rows, 1)) + self.columns * np.log(max(columns, 1))))


@dataclass(frozen=True, slots=True, kw_only=True)
class Experience:
    """A multivariate normal over the log errors of looks, up to a shift that all looks at one table share.

    ``mean`` (k,) and ``covariance`` (k, k); ``optimism`` (k,) says by how many units of noise a validation figure of a
    look flatters it, ``noise`` (k,) how the noise of one look compares with the usual; ``training`` and
    ``answering`` are seconds by look, the latter for 1,000 rows. ``families`` maps learners to families.
    """

    looks: tuple[str, ...]
    mean: Floats
    covariance: Floats
    optimism: Floats
    noise: Floats
    training: tuple[Prices, ...]
    answering: tuple[Prices, ...]
    families: Mapping[str, str]
    source: str
    date: str

    def look(self, learner: str, kind: str = DEFAULT) -> str | None:
        """Return the look at a learner's family, or ``None`` where nothing is known of it."""
        name = f"{self.families.get(learner, learner)} ({kind})"
        return name if name in self.looks else None

    def at(self, looks: Sequence[str]) -> list[int]:
        """Return where looks stand."""
        return [self.looks.index(look) for look in looks]

    def gain(self, learner: str, first: str, second: str) -> tuple[float, float] | None:
        """Return by how much the second look lowers the log error of the first, with its standard deviation."""
        ends = [self.look(learner, kind) for kind in (first, second)]
        if None in ends:
            return None
        i, j = self.at([end for end in ends if end is not None])
        variance = self.covariance[i, i] + self.covariance[j, j] - 2 * self.covariance[i, j]
        return float(self.mean[i] - self.mean[j]), float(np.sqrt(max(variance, 0.0)))

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON, figures rounded to four decimals."""

        def prices(several: tuple[Prices, ...]) -> list[list[float]]:
            return [[round(x, 4) for x in (one.constant, one.rows, one.columns, one.spread)] for one in several]

        return {
            "source": self.source,
            "date": self.date,
            "families": dict(self.families),
            "looks": list(self.looks),
            "mean": self.mean.round(4).tolist(),
            "covariance": self.covariance.round(5).tolist(),
            "optimism": self.optimism.round(4).tolist(),
            "noise": self.noise.round(4).tolist(),
            "training_seconds": prices(self.training),
            "answering_seconds_per_1000_rows": prices(self.answering),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Experience:
        """Read what :meth:`to_json` wrote."""

        def prices(several: list[list[float]]) -> tuple[Prices, ...]:
            return tuple(Prices(constant=a, rows=b, columns=c, spread=d) for a, b, c, d in several)

        return cls(
            looks=tuple(data["looks"]),
            mean=np.array(data["mean"]),
            covariance=np.array(data["covariance"]),
            optimism=np.array(data["optimism"]),
            noise=np.array(data["noise"]),
            training=prices(data["training_seconds"]),
            answering=prices(data["answering_seconds_per_1000_rows"]),
            families=data["families"],
            source=data["source"],
            date=data["date"],
        )


@cache
def experience() -> Experience:
    """Return what ships with the package."""
    return Experience.from_json(json.loads(files("steelyard.search").joinpath("experience.json").read_text("utf-8")))
