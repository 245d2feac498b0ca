"""A model by its name: which version answers a request, and what happens around the answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from steelyard.contracts import Answer
from steelyard.serve.batching import Batcher
from steelyard.serve.faults import not_found
from steelyard.serve.http import Headers
from steelyard.serve.metrics import ModelMetrics
from steelyard.serve.model import Served
from steelyard.serve.table import Table


@dataclass(frozen=True, slots=True)
class Asking:
    """What is known of a request beside its rows, whatever protocol it came by."""

    request_id: str
    headers: Headers
    """By name in lower case; of gRPC the metadata."""
    wait: float
    """Most seconds to spend in the queue."""
    has_left: Callable[[], bool]
    """Tells whether the client has given up."""


@dataclass(frozen=True, slots=True)
class Answered:
    """What a client is told."""

    answer: Answer
    served: Served
    """The version that answered."""


@dataclass(frozen=True, slots=True)
class Deployed:
    """A version that answers requests: itself, its queue, and what was counted of it."""

    served: Served
    batcher: Batcher
    metrics: ModelMetrics


Recorder = Callable[[Answered, Table, Asking, float], None]
"""Takes an answer, its rows, its request, and the seconds that it took."""


class Endpoint:
    """One model: its versions, one of which answers whoever names none."""

    __slots__ = ("_stable", "_versions", "name", "recorder")

    def __init__(self, stable: Deployed) -> None:
        self.name = stable.served.name
        self._stable = stable
        self._versions = {stable.served.version: stable}
        self.recorder: Recorder | None = None
        """Takes note of every answer."""

    def __iter__(self) -> Iterator[Deployed]:
        return iter(self._versions.values())

    @property
    def stable(self) -> Deployed:
        """The version that answers whoever names none."""
        return self._stable

    def choose(self, headers: Headers, version: str = "") -> Deployed:
        """Return the version that answers a request.

        Parameters
        ----------
        headers
            Of the request.
        version
            The one that the client named; empty: the server's choice.

        Raises
        ------
        Fault
            404 if there is no such version.
        """
        del headers
        if not version:
            return self._stable
        found = self._versions.get(version)
        if found is None:
            there = ", ".join(map(repr, self._versions))
            raise not_found(f"model {self.name!r} has no version {version[:80]!r}; it has {there}")
        return found

    async def answer(self, deployed: Deployed, table: Table, asking: Asking) -> Answered:
        """Answer the rows of a request by the version that was chosen for it.

        Raises
        ------
        Fault
            503 if the queue is full, or the rows waited for too long.
        RowsRefused, BundleRefused
            If the model does not answer these rows.
        ClientLeft
            If the client did not wait.
        """
        if self.recorder is None:
            return await self._answer(deployed, table, asking)
        began = time.perf_counter()
        answered = await self._answer(deployed, table, asking)
        self.recorder(answered, table, asking, time.perf_counter() - began)
        return answered

    async def _answer(self, deployed: Deployed, table: Table, asking: Asking) -> Answered:
        answer = await deployed.batcher.answer(table, wait=asking.wait, has_left=asking.has_left)
        return Answered(answer, deployed.served)

    def close(self) -> None:
        """End the threads of every version."""
        for deployed in self:
            deployed.batcher.close()
