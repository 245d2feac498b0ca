"""A model by its name: which version answers a request, and what happens around the answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from steelyard.contracts import Answer
from steelyard.serve.batching import Batcher
from steelyard.serve.faults import not_found
from steelyard.serve.http import Headers
from steelyard.serve.metrics import ModelMetrics
from steelyard.serve.model import Served
from steelyard.serve.table import Table

if TYPE_CHECKING:
    from steelyard.serve.escalation import Escalation


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
class Staged:
    """Who answered a row: the bundle or another server; ``review`` is its ticket if it waits for a person."""

    stage: Literal["bundle", "remote"]
    version: str = ""
    review: str = ""

    def to_json(self) -> dict[str, str | bool]:
        """Return what stands beside a row's answer."""
        told: dict[str, str | bool] = {"stage": self.stage}
        if self.version:
            told["version"] = self.version
        if self.review:
            told |= {"provisional": True, "review": self.review}
        return told


BY_BUNDLE = Staged("bundle")


@dataclass(frozen=True, slots=True)
class Answered:
    """What a client is told."""

    answer: Answer
    served: Served
    """The version that answered."""
    staged: Mapping[int, Staged] | None = None
    """Rows, by place, of which there is more to say than that the bundle answered; ``None`` without escalation."""

    def parameters(self) -> dict[str, str]:
        """Return what the parameters of the protocol carry: of each row its stage, separated by commas."""
        told: dict[str, str] = {}
        if self.staged is not None:
            rows = [self.staged.get(row, BY_BUNDLE) for row in range(len(self.answer.decided))]
            told["stages"] = ",".join(row.stage for row in rows)
            if any(row.version for row in rows):
                told["stage_versions"] = ",".join(row.version or self.served.version for row in rows)
            if any(row.review for row in rows):
                told["reviews"] = ",".join(row.review for row in rows)
        if self.answer.members is not None:
            told["members"] = ",".join(map(str, self.answer.members.tolist()))
        return told


@dataclass(frozen=True, slots=True)
class Deployed:
    """A version that answers requests: itself, its queue, and what was counted of it."""

    served: Served
    batcher: Batcher
    metrics: ModelMetrics
    escalation: Escalation | None = None
    """What happens to rows that it is not sure of."""


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


Recorder = Callable[[Answered, Table, Asking, float], None]
"""Takes an answer, its rows, its request, and the seconds that it took."""


class Endpoint:
    """One model: its versions, one of which answers whoever names none."""

    __slots__ = ("_stable", "_versions", "name", "recorder", "router")

    def __init__(self, stable: Deployed) -> None:
        self.name = stable.served.name
        self._stable = stable
        self._versions = {stable.served.version: stable}
        self.router: Router | None = None
        """Where versions have roles."""
        self.recorder: Recorder | None = None
        """Takes note of every answer."""

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
        if self.recorder is None:
            return await self._answer(deployed, table, asking)
        began = time.perf_counter()
        answered = await self._answer(deployed, table, asking)
        self.recorder(answered, table, asking, time.perf_counter() - began)
        return answered

    async def _answer(self, deployed: Deployed, table: Table, asking: Asking) -> Answered:
        if deployed.escalation is not None:
            return await deployed.escalation.answer(deployed, table, asking, self._asked)
        return Answered(await self._asked(deployed, table, asking), deployed.served)

    async def _asked(self, deployed: Deployed, table: Table, asking: Asking) -> Answer:
        """Return what the bundle of a version answers."""
        if self.router is not None:
            return await self.router.answer(deployed, table, asking)
        return await deployed.batcher.answer(table, wait=asking.wait, has_left=asking.has_left)

    def close(self) -> None:
        """End the threads of every version."""
        if self.router is not None:
            self.router.close()
        for deployed in self:
            deployed.batcher.close()
