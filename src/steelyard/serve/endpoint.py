"""A model by its name: which version answers a request, and what happens around the answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

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


class Router(Protocol):
    """Sends requests to several versions by their roles (see :mod:`steelyard.serve.releases`)."""

    is_in_step: bool
    """Whether it follows what it was told."""

    def choose(self, headers: Headers) -> Deployed:
        """Return the version that answers a request which names none."""
        ...

    async def answer(self, deployed: Deployed, table: Table, asking: Asking) -> Answer:
        """Answer rows by a version, and count how that went."""
        ...

    def close(self) -> None:
        """End what runs beside."""
        ...


class Endpoint:
    """One model: its versions, one of which answers whoever names none."""

    __slots__ = ("_stable", "_versions", "name", "router")

    def __init__(self, stable: Deployed) -> None:
        self.name = stable.served.name
        self._stable = stable
        self._versions = {stable.served.version: stable}
        self.router: Router | None = None
        """Where versions have roles."""

    def __iter__(self) -> Iterator[Deployed]:
        return iter(self._versions.values())

    @property
    def stable(self) -> Deployed:
        """The version that answers whoever names none."""
        return self._stable

    @property
    def is_ready(self) -> bool:
        """Whether the version answers that should."""
        return self.router is None or self.router.is_in_step

    def deploy(self, stable: Deployed, versions: Iterable[Deployed]) -> None:
        """Answer by other versions from now on; a request that was sent to one that goes is still answered by it."""
        self._stable = stable
        self._versions = {each.served.version: each for each in (stable, *versions)}

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
            404 if there is no such version, or no such role as a header asks for.
        """
        if not version:
            return self._stable if self.router is None else self.router.choose(headers)
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
        if self.router is not None:
            return Answered(await self.router.answer(deployed, table, asking), deployed.served)
        answer = await deployed.batcher.answer(table, wait=asking.wait, has_left=asking.has_left)
        return Answered(answer, deployed.served)

    def close(self) -> None:
        """End the threads of every version."""
        if self.router is not None:
            self.router.close()
        for deployed in self:
            deployed.batcher.close()
