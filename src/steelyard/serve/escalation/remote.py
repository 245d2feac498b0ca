"""Another server as the last stage: rows of several requests in one call, within time, behind a circuit breaker."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator, Sequence
from typing import Any

from steelyard.bundle.stakes import Stakes
from steelyard.client import AsyncClient, Retries
from steelyard.contracts import Answer
from steelyard.errors import ServerRefused, ServerUnreachable, ServingRefused, need
from steelyard.serve.counting import Gauge
from steelyard.serve.escalation.breaker import Breaker
from steelyard.serve.escalation.plan import Remote
from steelyard.serve.escalation.stage import Case, Outcome, Result
from steelyard.serve.escalation.together import Together
from steelyard.serve.escalation.wiring import decode, encode
from steelyard.serve.metrics import Metrics
from steelyard.serve.model import Served
from steelyard.serve.table import Table, joined


class RemoteStage:
    """Asks another server of the Open Inference Protocol, version 2.

    Parameters
    ----------
    remote
        Which one, and how.
    served
        The bundle whose rows it is asked about.

    Raises
    ------
    MissingExtra
        If httpx is not installed.
    ServingRefused
        If its key is not in the environment, or its certificates cannot be read.
    """

    def __init__(self, remote: Remote, served: Served) -> None:
        httpx = need("httpx", for_="asking another server about unsure rows")
        self._remote, self._served, self._key = remote, served, remote.key
        self._stakes = Stakes(served.task, served.bundle.schema)
        self._verify = _trust(remote.ca)
        self._strange: tuple[type[Exception], ...] = (ServerRefused, httpx.DecodingError, httpx.InvalidURL)
        self._seconds = remote.timeout_ms / 1000
        self._breaker = Breaker()
        self._gauge: Gauge | None = None
        self._together: Together[Table, Result] = Together(
            self._call, size=len, most=remote.batch, at_once=remote.calls
        )
        self._line: AsyncClient | None = None

    async def start(self) -> None:
        """Begin; connections are made when there is something to ask."""

    async def stop(self, grace: float) -> None:
        """End calls under way, which nobody waits for any more, and close the connections."""
        del grace
        await self._together.stop(0.0)
        if self._line is not None:
            await self._line.close()

    async def ask(self, case: Case) -> Result:
        """Have the rows answered by the other server."""
        rows = len(case.table)
        try:
            async with asyncio.timeout(min(case.wait, self._seconds)):
                found = await self._together.ask(case.table)
        except TimeoutError:  # the call itself may go on for others; its rows may be paid for
            return Result.same(Outcome.LATE, rows, spent=rows)
        return Result.same(Outcome.FAILED, rows) if found is None else found

    def tell(self, metrics: Metrics, *, model: str, version: str) -> None:
        """Say from now on whether the server is left alone."""
        about = "Processes that leave the other server alone, for it failed again and again."
        self._gauge = metrics.gauge("steelyard_escalation_breaker_open", about, model=model, version=version)

    async def _call(self, tables: Sequence[Table]) -> list[Result]:
        """Ask about the rows of several requests at once."""
        sizes = [len(table) for table in tables]
        if not self._breaker.may_call():
            return [Result.same(Outcome.BREAKER, size) for size in sizes]
        outcome = Outcome.FAILED
        try:
            answer, version = await self._answer(joined(tables))
            outcome = Outcome.REMOTE
        except TimeoutError:
            outcome = Outcome.LATE
        except ServerUnreachable:
            outcome = Outcome.UNREACHABLE
        except self._strange:
            outcome = Outcome.REFUSED
        finally:
            self._breaker.ended(well=outcome is Outcome.REMOTE)
            if self._gauge is not None:
                self._gauge.set(self._breaker.is_open)
        if outcome is not Outcome.REMOTE:
            spent = outcome is Outcome.LATE
            return [Result.same(outcome, size, spent=size if spent else 0) for size in sizes]
        return list(_parted(answer, version, sizes))

    async def _answer(self, table: Table) -> tuple[Answer, str]:
        if self._line is None:
            self._line = AsyncClient(
                self._remote.url, key=self._key, timeout=self._seconds, retries=Retries(most=0), verify=self._verify
            )
        wiring = self._remote.wiring
        inputs = encode(wiring, self._served.layout, table)
        outputs = [wiring.scores, *([wiring.label] if wiring.label else [])]
        async with asyncio.timeout(self._seconds):  # of the whole call: the client's own is that of each step
            said = await self._line.infer(self._remote.model, inputs, version=self._remote.version, outputs=outputs)
        amounts = self._stakes(self._served.layout.columns_of(table))
        return decode(wiring, self._served.task, said, len(table), amounts), said.version


def _trust(ca: str) -> Any:
    if not ca:
        return True
    try:
        return ssl.create_default_context(cafile=ca)
    except (OSError, ssl.SSLError) as problem:
        raise ServingRefused(f"the certificates in {ca} (remote.ca) cannot be read: {problem}") from None


def _parted(answer: Answer, version: str, sizes: Sequence[int]) -> Iterator[Result]:
    start = 0
    for size in sizes:
        end = start + size
        part = answer.take(slice(start, end))
        yield Result((Outcome.REMOTE,) * size, size, part, version)
        start = end
