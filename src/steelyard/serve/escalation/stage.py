"""What a last stage is: it is given the rows that the bundle is not sure of, and never fails a request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from steelyard.contracts import Answer
from steelyard.serve.endpoint import Asking
from steelyard.serve.metrics import Metrics
from steelyard.serve.model import Served
from steelyard.serve.table import Table


class Outcome(StrEnum):
    """What became of an unsure row; of all but the first two the bundle's answer stands."""

    REMOTE = "remote"
    """Another server answered it."""
    PARKED = "parked"
    """It waits for a person."""
    BUDGET_SHARE = "budget_share"
    BUDGET_MONEY = "budget_money"
    BREAKER = "breaker"
    """The other server failed again and again and is left alone for a while."""
    LATE = "late"
    """No answer within the time of a call, or the deadline of the request."""
    UNREACHABLE = "unreachable"
    REFUSED = "refused"
    """The other server said no, or answered what cannot be used."""
    FAILED = "failed"
    """The call ended in a way that nobody foresaw; the log says how."""
    FULL = "full"
    """There is no room to park it."""
    STORE = "store"
    """The file of parked rows cannot be written."""


@dataclass(frozen=True, slots=True)
class Case:
    """The unsure rows of a request with the bundle's own answer; ``wait`` is the seconds that are left for them."""

    served: Served
    table: Table
    answer: Answer
    asking: Asking
    wait: float


@dataclass(frozen=True, slots=True)
class Result:
    """What became of the rows of a case: one outcome each.

    ``answer`` is set where another server answered all of them, by ``version``; ``tickets`` holds one for each row
    that is parked. ``spent`` rows are paid for.
    """

    outcomes: Sequence[Outcome]
    spent: int = 0
    answer: Answer | None = None
    version: str = ""
    tickets: Mapping[int, str] | None = None

    @classmethod
    def same(cls, outcome: Outcome, rows: int, *, spent: int = 0) -> Result:
        """Return one outcome for all rows, without an answer."""
        return cls((outcome,) * rows, spent)


class LastStage(Protocol):
    """Another server, or persons."""

    async def start(self) -> None:
        """Begin."""
        ...

    async def stop(self, grace: float) -> None:
        """End within some seconds."""
        ...

    async def ask(self, case: Case) -> Result:
        """Have rows answered or parked, within ``case.wait`` seconds; whatever happens, return."""
        ...

    def tell(self, metrics: Metrics, *, model: str, version: str) -> None:
        """Say from now on by gauges how it is; called once, before :meth:`start`."""
        ...
