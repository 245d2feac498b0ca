"""What was measured of a bundle and of the server around it, before any load: ``capacity.json`` of a run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from steelyard.contracts import Weight
from steelyard.errors import RunUnreadable
from steelyard.money.batching import Replica
from steelyard.money.capacity import Bundle
from steelyard.money.overhead import Overhead
from steelyard.units import Estimate, How

FILE = "capacity.json"
_VERSION = 1
_MOST_SPREAD = 25.0
_NORMAL95 = 1.6448536269514722

USUAL = Overhead(
    turn_ms=0.15,
    request_ms=0.14,
    delay_ms=(0.03, 0.05, 0.08, 0.1, 0.15, 0.2, 0.3, 0.4, 0.6, 0.8, 1.5),
    how=How.ASSUMED,
    source="HTTP assumed as on the 2-core virtual machine of our benchmarks, 2026-11-22; --measure measures it",
)
"""The overhead where none was measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Times of batches of real rows and of the server around them, with where they were measured.

    Attributes
    ----------
    curve, spread, batch
        As in :class:`steelyard.money.batching.Replica`; ``batch`` is its ``most``.
    overhead
        Of a server of a bundle that does nothing, for the same requests.
    threads
        Of one inference.
    """

    curve: tuple[tuple[int, float], ...]
    spread: float
    batch: int
    overhead: Overhead
    threads: int = 1
    machine: str = ""

    @property
    def replica(self) -> Replica:
        """The server process that was measured."""
        return Replica(curve=self.curve, most=self.batch, spread=self.spread, overhead=self.overhead)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {
            "version": _VERSION,
            "curve": [list(point) for point in self.curve],
            "spread": self.spread,
            "batch": self.batch,
            "overhead": self.overhead.to_json(),
            "threads": self.threads,
            "machine": self.machine,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Calibration:
        """Read what :meth:`to_json` wrote."""
        found = cls(
            curve=tuple((int(rows), float(ms)) for rows, ms in data["curve"]),
            spread=float(data["spread"]),
            batch=int(data["batch"]),
            overhead=Overhead.from_json(data["overhead"]),
            threads=int(data["threads"]),
            machine=str(data["machine"]),
        )
        assert found.replica.busy_ms > 0
        return found

    @classmethod
    def of_run(cls, folder: Path) -> Calibration | None:
        """Read that of a run; ``None`` where none was made.

        Raises
        ------
        RunUnreadable
            If the file is damaged.
        """
        place = folder / FILE
        try:
            return cls.from_json(json.loads(place.read_bytes()))
        except FileNotFoundError:
            return None
        except (OSError, KeyError, TypeError, ValueError, AssertionError) as problem:
            raise RunUnreadable(
                f"{place} cannot be read ({problem}); delete it, or measure anew with `steelyard capacity {folder} "
                "--measure`"
            ) from None


def bundle_of(weight: Weight, calibration: Calibration | None = None) -> Bundle:
    """Return what serves a bundle: as calibrated, or by its weight and an assumed server."""
    slow, fast = (_ratio(weight.busy, end) for end in (weight.busy.high, weight.busy.low))
    if calibration is not None and calibration.threads == weight.threads:
        replica = calibration.replica
    else:
        replica = replica_of(weight.busy.value, weight.p50, weight.p95, weight.throughput, weight.batch, USUAL)
    return Bundle(
        replica=replica,
        slow=replica.scaled(slow),
        fast=replica.scaled(fast),
        threads=weight.threads,
        memory_bytes=max(0.0, weight.memory_bytes.value),
    )


def _ratio(figure: Estimate, end: float) -> float:
    return end / figure.value if figure.value > 0 and end > 0 else 1.0


def replica_of(  # noqa: PLR0917 - in the order of a weight
    busy_ms: float, p50: Estimate, p95: Estimate, batched: Estimate, batch: int, overhead: Overhead
) -> Replica:
    """Return a replica by the time of one row, its percentiles in ms, and rows a second in batches of ``batch``."""
    curve = [(1, busy_ms)]
    if batch > 1 and batched.value > 0:
        curve.append((batch, max(busy_ms, 1000 * batch / batched.value)))
    deviation = max(0.0, p95.value - p50.value) / _NORMAL95
    spread = min(_MOST_SPREAD, (deviation / busy_ms) ** 2)
    return Replica(curve=tuple(curve), most=batch, spread=spread, overhead=overhead)
