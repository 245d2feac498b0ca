"""Persons as the last stage: rows are parked in a file, by a thread, and the client gets a ticket."""

from __future__ import annotations

import asyncio
import base64
import logging
import math
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from steelyard.contracts import Kind
from steelyard.data.sequences import to_lists
from steelyard.serve.counting import Gauge
from steelyard.serve.escalation.plan import Person
from steelyard.serve.escalation.reviews import Parked, Reviews
from steelyard.serve.escalation.stage import Case, Outcome, Result
from steelyard.serve.escalation.together import Together
from steelyard.serve.escalation.wiring import iso
from steelyard.serve.metrics import Metrics
from steelyard.serve.model import Served
from steelyard.serve.table import Layout, Table

_T = TypeVar("_T")
_MOST = 256
"""Rows written at once."""
_PATIENCE = 1.0
"""Seconds that a request waits at most for its rows to be written."""
_EVERY = 60.0
"""Seconds between looks for rows that waited too long; and at most one line is logged in so many."""
_LOGGER = logging.getLogger("steelyard.serve")


class PersonStage:
    """Parks rows for people.

    Parameters
    ----------
    person
        Where, and how many at most.
    folder
        What the path of the file is relative to.
    served
        The bundle whose rows are parked.

    Raises
    ------
    ServingRefused
        If the file cannot be opened or written.
    """

    def __init__(self, person: Person, folder: Path, served: Served) -> None:
        path = folder / person.database
        self.reviews = Reviews(path, most=person.most, megabytes=person.megabytes, days=person.days)
        self.served, self._path = served, path
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="reviews")
        self._together: Together[Sequence[Parked], list[str | None] | None] = Together(
            self._park, size=len, most=_MOST, at_once=1
        )
        self._logged = -math.inf
        self._gauge: Gauge | None = None
        self._keeper: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to give up rows that waited too long."""
        self._keeper = asyncio.create_task(self._keep())

    async def stop(self, grace: float) -> None:
        """Write what is under way and close the file."""
        if self._keeper is not None:
            self._keeper.cancel()
        await self._together.stop(grace)
        await asyncio.to_thread(self._thread.shutdown)
        self.reviews.close()

    async def ask(self, case: Case) -> Result:
        """Park the rows."""
        rows = len(case.table)
        try:
            async with asyncio.timeout(min(case.wait, _PATIENCE)):
                tickets = await self._together.ask(_parked(case))
        except TimeoutError:
            return Result.same(Outcome.LATE, rows)
        if tickets is None:
            return Result.same(Outcome.STORE, rows)
        got = {place: ticket for place, ticket in enumerate(tickets) if ticket is not None}
        outcomes = [Outcome.FULL if ticket is None else Outcome.PARKED for ticket in tickets]
        return Result(outcomes, len(got), tickets=got)

    def tell(self, metrics: Metrics, *, model: str, version: str) -> None:
        """Say from now on how many rows wait, as this process last saw it."""
        about = "Rows that wait for a person."
        self._gauge = metrics.gauge("steelyard_reviews_parked", about, shared=True, model=model, version=version)

    async def apart(self, work: Callable[..., _T], *arguments: Any, **named: Any) -> _T:
        """Do something with the file in its thread.

        Raises
        ------
        sqlite3.Error
            If the file cannot be read or written.
        """
        done = await asyncio.get_running_loop().run_in_executor(self._thread, lambda: work(*arguments, **named))
        if self._gauge is not None:
            self._gauge.set(self.reviews.seen)
        return done

    async def _park(self, jobs: Sequence[Sequence[Parked]]) -> list[list[str | None] | None]:
        rows = [row for job in jobs for row in job]
        try:
            tickets = iter(await self.apart(self.reviews.park, rows, now=time.time()))
        except sqlite3.Error as problem:
            self._say(f"rows cannot be parked in {self._path}: {problem}; the bundle's answers stand")
            return [None] * len(jobs)
        return [[next(tickets) for _ in job] for job in jobs]

    async def _keep(self) -> None:
        while True:
            try:
                await self.apart(self.reviews.expire, now=time.time())
                await self.apart(self.reviews.parked)
            except sqlite3.Error as problem:
                self._say(f"the reviews in {self._path} cannot be looked through: {problem}")
            await asyncio.sleep(_EVERY)

    def _say(self, sentence: str) -> None:
        """Log a sentence, but not more than one a minute: a full disk stays full for each of many rows."""
        now = time.monotonic()
        if now - self._logged >= _EVERY:
            self._logged = now
            _LOGGER.error("escalation: %s", sentence)


def _parked(case: Case) -> list[Parked]:
    served, classes = case.served, case.served.task.classes
    return [
        Parked(
            request=case.asking.request_id,
            model=served.name,
            version=served.version,
            digest=served.digest,
            target=served.task.target,
            inputs=inputs,
            provisional={
                "label": classes[int(case.answer.decided[row])],
                "probabilities": dict(zip(classes, case.answer.scores[row].tolist(), strict=True)),
            },
        )
        for row, inputs in enumerate(_told(served.layout, case.table))
    ]


def _told(layout: Layout, table: Table) -> Iterator[Mapping[str, Any]]:
    """Yield each row as people read it: times as ISO 8601, images in base64, ``null`` for what is missing."""
    columns = {name: cells.tolist() for name, cells in layout.columns_of(table).items()}
    for row in range(len(table)):
        yield {name: _cell(column.kind, columns[name][row]) for name, column in layout.columns.items()}


def _cell(kind: Kind, cell: Any) -> Any:
    if kind is Kind.TIME:
        return iso(cell) or None
    if isinstance(cell, float):
        return int(cell) if cell.is_integer() and abs(cell) < 2**53 else None if math.isnan(cell) else cell
    if kind is Kind.SEQUENCE:
        return to_lists(cell)
    if isinstance(cell, bytes):
        return {"image": base64.b64encode(cell).decode()}
    return cell
