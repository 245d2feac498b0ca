"""The contract of a store of predictions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from steelyard.errors import Exit, SteelyardError
from steelyard.predictions.records import Joined, Label, Prediction


class StoreUnavailable(SteelyardError):
    """A log of predictions that cannot be reached, read or written now."""

    exit_code = Exit.STORE_UNAVAILABLE


class RecordsRefused(SteelyardError):
    """Records that the store would never take, however often they are offered."""

    exit_code = Exit.STORE_UNAVAILABLE


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How much is kept; of what is over any of these the oldest goes."""

    rows: int = 1_000_000
    """Predictions, and as many labels."""
    bytes: int = 2**30
    """Of all predictions, as they are written; what the database adds for itself is not counted."""
    seconds: float = 90 * 86_400.0
    """Age of a prediction."""
    unknown_seconds: float = 7 * 86_400.0
    """Age of a label that belongs to no prediction."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """Which predictions to read: all that fit every part that is given."""

    since: float | None = None
    """Seconds since 1970-01-01 UTC; this instant counts."""
    until: float | None = None
    """Seconds since 1970-01-01 UTC; this instant does not count."""
    model: str = ""
    version: str = ""
    labelled: bool | None = None
    """``True``: only those with a label; ``False``: only those without."""


class PredictionStore(Protocol):
    """A log of predictions. One thread at a time uses a store; several processes may each open one of their own.

    Every method may raise :class:`StoreUnavailable`. After that the store may be used again: it connects anew.
    """

    def append(self, predictions: Sequence[Prediction]) -> None:
        """Add predictions, all or none; one that is there already (same request, row, model, version) is replaced.

        Raises
        ------
        RecordsRefused
            If one of them can never be stored.
        """
        ...

    def label(self, labels: Sequence[Label], *, received: float) -> None:
        """Add labels, all or none, whether or not their predictions are there. Earlier ones are kept as history.

        Parameters
        ----------
        labels
            Of one row the last one counts.
        received
            When they came, seconds since 1970-01-01 UTC.

        Raises
        ------
        RecordsRefused
            If one of them can never be stored.
        """
        ...

    def known(self, ids: Iterable[tuple[str, int]]) -> set[tuple[str, int]]:
        """Return those requests and rows that have a prediction."""
        ...

    def read(self, query: Query) -> Iterator[Joined]:
        """Yield predictions, oldest first, each with the label that came last."""
        ...

    def history(self, request: str, row: int) -> list[Label]:
        """Return every label of a row, in the order in which they came."""
        ...

    def prune(self, bounds: Bounds, *, now: float) -> int:
        """Delete what is over the bounds, oldest first, requests as a whole; return how many predictions went."""
        ...

    def close(self) -> None:
        """Give up the connection."""
        ...
