"""A store of predictions in a database that speaks SQL; what SQLite and PostgreSQL say differently is theirs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any, Protocol

import orjson

from steelyard.predictions import statements
from steelyard.predictions.address import Address
from steelyard.predictions.records import Joined, Label, Prediction
from steelyard.predictions.store import Bounds, Query, RecordsRefused, StoreUnavailable

_SCHEMA = 1
_PAGE = 1000
"""Predictions read at once: between pages nothing is locked, and the database may tidy up."""
_ASKED = 200
"""Ids looked for at once."""


class Backend(Protocol):
    """What a database says in its own way."""

    address: Address
    creates: bool
    """Whether to make the tables where there are none."""
    presence: str
    """Query for the number of our tables of schema that are there."""
    problems: tuple[type[Exception], ...]
    """What it raises."""
    refusals: tuple[type[Exception], ...]
    """Those that trying again does not help."""
    serial: str
    """The type of a number that counts up."""
    lock: str
    """Statement that lets one process at a time make the tables; may be empty."""

    def connect(self) -> Any:
        """Open a connection."""
        ...

    def is_stale(self, connection: Any) -> bool:
        """Tell whether a connection is of no more use."""
        ...

    def writing(self, connection: Any) -> AbstractContextManager[Any]:
        """Give a cursor; all that is done with it is done, or nothing."""
        ...

    def rows(self, connection: Any, sql: str, values: tuple[Any, ...]) -> list[Any]:
        """Return what a query finds."""
        ...

    def sql(self, text: str) -> str:
        """Return a statement in the words of the database."""
        ...


class SqlStore:
    """Keeps :class:`steelyard.predictions.PredictionStore`."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._connection: Any = None

    def append(self, predictions: Sequence[Prediction]) -> None:
        """Add predictions, all or none."""
        try:
            rows = [_row_of(prediction) for prediction in predictions]
        except orjson.JSONEncodeError as problem:
            raise RecordsRefused(f"these records are no plain JSON: {problem}") from None
        with self._writing() as cursor:
            cursor.executemany(self._backend.sql(statements.APPEND), rows)

    def label(self, labels: Sequence[Label], *, received: float) -> None:
        """Add labels, all or none."""
        rows = [(each.request, each.row, each.label, each.at, received) for each in labels]
        with self._writing() as cursor:
            cursor.executemany(self._backend.sql(statements.LABEL), rows)

    def known(self, ids: Iterable[tuple[str, int]]) -> set[tuple[str, int]]:
        """Return those that have a prediction."""
        asked = list(dict.fromkeys(ids))
        found: set[tuple[str, int]] = set()
        for start in range(0, len(asked), _ASKED):
            part = asked[start : start + _ASKED]
            values = tuple(value for pair in part for value in pair)
            found.update((request, int(row)) for request, row in self._rows(statements.known(len(part)), values))
        return found

    def read(self, query: Query) -> Iterator[Joined]:
        """Yield predictions, oldest first, each with the label that came last."""
        text, values = statements.read(query, _PAGE)
        after: tuple[Any, ...] = (float("-inf"), "", 0, "", "")
        while True:
            page = self._rows(text, (*after, *values))
            yield from map(_joined, page)
            if len(page) < _PAGE:
                return
            last = page[-1]
            after = (last[2], last[0], last[1], last[3], last[4])

    def history(self, request: str, row: int) -> list[Label]:
        """Return every label of a row, in the order in which they came."""
        found = self._rows(statements.HISTORY, (request, row))
        return [Label(request=request, row=row, label=label, at=at) for label, at in found]

    def prune(self, bounds: Bounds, *, now: float) -> int:
        """Delete what is over the bounds; return how many predictions went."""
        gone = 0
        with self._writing() as cursor:
            for text, value in statements.prune(bounds, now):
                cursor.execute(self._backend.sql(text), (value,))
                gone += cursor.rowcount
            for text, value in statements.prune_labels(bounds, now):
                cursor.execute(self._backend.sql(text), (value,))
        return gone

    def close(self) -> None:
        """Give up the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(*self._backend.problems):
                connection.close()

    @contextmanager
    def _writing(self) -> Iterator[Any]:
        with self._told(), self._backend.writing(self._connected()) as cursor:
            yield cursor

    def _rows(self, text: str, values: tuple[Any, ...]) -> list[Any]:
        with self._told():
            return self._backend.rows(self._connected(), self._backend.sql(text), values)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Say in our own words what the database raises, without its password; connect anew the next time."""
        backend = self._backend
        try:
            yield
        except backend.refusals as problem:
            raise RecordsRefused(f"{backend.address} refuses these records: {self._why(problem)}") from None
        except backend.problems as problem:
            self.close()
            raise StoreUnavailable(
                f"the log of predictions {backend.address} cannot be used: {self._why(problem)}; "
                "see that it is there, has room, and may be written"
            ) from None

    def _why(self, problem: Exception) -> str:
        first = str(problem).strip().partition("\n")[0]
        return self._backend.address.redacted(first or type(problem).__name__)[:200]

    def _connected(self) -> Any:
        if self._connection is not None and self._backend.is_stale(self._connection):
            self.close()
        if self._connection is None:
            made = self._backend.connect()
            try:
                self._prepare(made)
            except BaseException:
                with suppress(*self._backend.problems):
                    made.close()
                raise
            self._connection = made
        return self._connection

    def _prepare(self, connection: Any) -> None:
        """Make the tables where there are none and they may be made; refuse those of a later time."""
        if not self._backend.rows(connection, self._backend.presence, ())[0][0]:
            if not self._backend.creates:
                raise StoreUnavailable(f"{self._backend.address} holds no log of predictions; name what --log wrote")
            self._make(connection)
        found = self._backend.rows(connection, statements.SCHEMA, ())[0][0]
        if found > _SCHEMA:
            raise StoreUnavailable(
                f"the log of predictions {self._backend.address} was made by a newer Steelyard; update this one"
            )

    def _make(self, connection: Any) -> None:
        with self._backend.writing(connection) as cursor:
            if self._backend.lock:
                cursor.execute(self._backend.lock)
            for text in statements.TABLES:
                cursor.execute(text.replace("{serial}", self._backend.serial))
            cursor.execute(self._backend.sql(statements.MARK), (_SCHEMA,))


def _row_of(given: Prediction) -> tuple[Any, ...]:
    """Return a prediction as the columns of its table."""
    scores, inputs = orjson.dumps(given.scores).decode(), orjson.dumps(dict(given.inputs)).decode()
    label, value = (given.decided, None) if isinstance(given.decided, str) else (None, float(given.decided))
    size = len(given.request) + len(given.model) + len(given.version) + len(given.digest) + len(given.stage)
    return (
        *(given.request, given.row, given.at, given.model, given.version, given.digest),
        *(label, value, scores, given.latency, given.stage, inputs),
        size + len(scores) + len(inputs) + len(label or "") + statements.FIXED_BYTES,
    )


def _joined(found: Sequence[Any]) -> Joined:
    """Return what a row of the joined tables says."""
    request, row, at, model, version, digest, label, value, scores, latency, stage, inputs, truth, truth_at = found
    prediction = Prediction(
        request=request,
        row=int(row),
        at=at,
        model=model,
        version=version,
        digest=digest,
        decided=value if label is None else label,
        scores=tuple(orjson.loads(scores)),
        latency=latency,
        stage=stage,
        inputs=orjson.loads(inputs),
    )
    return Joined(prediction, None if truth is None else Label(request=request, row=int(row), label=truth, at=truth_at))
