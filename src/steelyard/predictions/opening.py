"""From an address to a store."""

from __future__ import annotations

from steelyard.predictions.address import Address
from steelyard.predictions.postgres import Postgres
from steelyard.predictions.sql import SqlStore
from steelyard.predictions.sqlite import Sqlite
from steelyard.predictions.store import PredictionStore


def open_store(address: Address, *, create: bool = True) -> PredictionStore:
    """Return the store at an address. It connects when it is first used, in the thread that uses it.

    Parameters
    ----------
    address
        Where it is.
    create
        Whether to make one where there is none; without, that is :class:`StoreUnavailable`.

    Raises
    ------
    MissingExtra
        If it is PostgreSQL and psycopg is not installed.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> from steelyard.predictions import Query, parse_address
    >>> store = open_store(parse_address(str(pathlib.Path(tempfile.mkdtemp(), "log.db"))))
    >>> list(store.read(Query()))
    []
    >>> store.close()
    """
    if address.path is not None:
        return SqlStore(Sqlite(address, create=create))
    return SqlStore(Postgres(address, create=create))
