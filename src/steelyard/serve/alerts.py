"""Alert rules for Prometheus, with the targets of an operator filled in."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from importlib.resources import files

from steelyard.errors import RequestInvalid

_JOB = re.compile(r"[A-Za-z0-9_./:-]{1,128}")
_MARK = re.compile(r"\$(job|errors|p95_seconds|p95_ms|queue|disagreement|cost_per_million)\b")
_SHARES = ("errors", "queue", "disagreement")


@dataclass(frozen=True, slots=True, kw_only=True)
class Targets:
    """What counts as alarming.

    Raises
    ------
    RequestInvalid
        If a target is out of its range.
    """

    p95_ms: float = 250.0
    """The 95th percentile of latency."""
    errors: float = 0.01
    """Share of requests that may fail."""
    queue: float = 0.8
    """Share of the queue that may be full."""
    disagreement: float = 0.1
    """Share of rows that a shadow may decide otherwise."""
    cost_per_million: float = 100.0
    """Most that a million predictions may cost, in the currency of the server's price."""
    job: str = "steelyard"
    """Prometheus' name for what it scrapes."""

    def __post_init__(self) -> None:
        """Check every target.

        Raises
        ------
        RequestInvalid
            If any is out of its range.
        """
        for name in _SHARES:
            if not 0 < getattr(self, name) < 1:
                raise RequestInvalid(f"{name} must be a share above 0 and below 1; got {getattr(self, name):g}")
        for name in ("p95_ms", "cost_per_million"):
            if not 0 < getattr(self, name) < float("inf"):
                raise RequestInvalid(f"{name} must be above 0; got {getattr(self, name):g}")
        if not _JOB.fullmatch(self.job):
            raise RequestInvalid(
                f"{self.job[:80]!r} is no name of a job; use letters, digits, '_', '-', '.', '/' or ':'"
            )


def written(targets: Targets) -> str:
    """Return the rules as Prometheus reads them.

    Examples
    --------
    >>> "> 0.02" in written(Targets(errors=0.02))
    True
    """
    values = {**asdict(targets), "p95_seconds": targets.p95_ms / 1000}
    text = files("steelyard.serve").joinpath("alerts.yaml").read_text(encoding="utf-8")
    return _MARK.sub(lambda found: _shown(values[found[1]]), text)


def _shown(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:.12g}"
