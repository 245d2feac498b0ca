"""What an operator may set about versions: where the log lies, whom to trust, when to go back without being asked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml

from steelyard.errors import ServingRefused, nearest

_RANGES = {
    "min_requests": (10, 10**9, "requests of the version that is judged"),
    "error_points": (0, 1, "share of requests"),
    "latency_ratio": (1, 1000, "times"),
    "latency_slack_ms": (0, 60_000, "milliseconds"),
    "disagreement": (0, 1, "share of rows"),
    "value_tolerance": (0, 1000, "relative difference of two predicted values"),
    "compare_share": (0, 1, "share of requests"),
    "confidence": (0.5, 0.9999, "of the intervals"),
    "watch_seconds": (0, 10**9, "seconds after a promotion"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Watching:
    """When a canary is ended, and a promotion taken back, without anybody asking for it."""

    enabled: bool = True
    min_requests: int = 100
    """Of a version, before it is judged at all."""
    error_points: float = 0.01
    """How much larger its share of failed requests may be than that of the version it is held against."""
    latency_ratio: float = 1.5
    """How much larger its 95th percentile may be."""
    latency_slack_ms: float = 5.0
    """A difference that is always allowed."""
    disagreement: float = 0.3
    """Share of rows on which it may decide otherwise; 1 allows any."""
    value_tolerance: float = 0.1
    """Two predicted numbers that differ by less, relative to the larger one, agree."""
    compare_share: float = 0.1
    """Of its requests whose rows the other version computes too, in the background."""
    confidence: float = 0.99
    watch_seconds: float = 3600.0
    """For how long a promoted version is watched; a canary is as long as it is one."""

    def problems(self) -> Iterator[str]:
        """Yield a sentence for each setting out of its range."""
        for name, (low, high, what) in _RANGES.items():
            if not low <= getattr(self, name) <= high:
                yield f"watch: {name} must be from {low} to {high} ({what}); got {getattr(self, name)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Releasing:
    """How versions are kept and changed."""

    stable: str = ""
    """The version that answers first, where the log says nothing yet."""
    state: Path | None = None
    """Folder of the log of switches; ``None`` is the shelf."""
    sources: tuple[str, ...] = ()
    """Addresses from which versions come that the shelf does not hold."""
    trust: tuple[Path, ...] = ()
    """Public keys, one of which must have signed whatever is loaded; with none, nothing need be signed."""
    watching: Watching = field(default_factory=Watching)

    def problems(self) -> Iterator[str]:
        """Yield a sentence for each setting that cannot be honoured."""
        yield from self.watching.problems()

    def of_a_shelf(self) -> tuple[str, ...]:
        """Return the options that only a shelf can honour, of those that were set."""
        given = {"--stable": self.stable, "--state": self.state, "--source": self.sources}
        named = [option for option, value in given.items() if value]
        return (*named, *(["--watch"] if self.watching != Watching() else []))


def read_watching(path: Path) -> Watching:
    """Read a YAML file of the settings of :class:`Watching` by name.

    Raises
    ------
    ServingRefused
        If it cannot be read, or names a setting that there is not or a value of another type.
    """
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except OSError as problem:
        raise ServingRefused(f"{path} cannot be read: {problem.strerror}; name a YAML file") from None
    except (yaml.YAMLError, UnicodeDecodeError) as problem:
        raise ServingRefused(f"{path} is no YAML: {str(problem).splitlines()[0]}") from None
    if not isinstance(data, dict):
        raise ServingRefused(f"{path} must hold settings by name, such as `min_requests: 200`")
    known = {each.name: type(each.default) for each in fields(Watching)}
    if problems := [*filter(None, (_problem(name, value, known) for name, value in data.items()))]:
        raise ServingRefused(f"{path}:\n" + "\n".join(f"  {problem}" for problem in problems))
    return Watching(**data)


def _problem(name: Any, value: Any, known: dict[str, type]) -> str:
    kind = known.get(name)
    if kind is None:
        return f"there is no setting {name!r}{nearest(name, known)}; there are {', '.join(known)}"
    fits = isinstance(value, int | float) and not isinstance(value, bool) if kind is float else type(value) is kind
    return "" if fits else f"{name} must be a {kind.__name__}; got {value!r}"
