"""The log of predictions: what was answered, kept within bounds, and the labels that come to it later.

:func:`open_store` gives a :class:`PredictionStore` for a file (SQLite) or a PostgreSQL database; both keep one contract
and pass the same tests. A server writes it, `steelyard log` reads it, whatever watches a model reads it too.
"""

from __future__ import annotations

from steelyard.predictions.address import Address, parse_address
from steelyard.predictions.opening import open_store
from steelyard.predictions.records import Joined, Label, Prediction, parts_of, row_id
from steelyard.predictions.store import (
    Bounds,
    PredictionStore,
    Query,
    RecordsRefused,
    StoreUnavailable,
)
from steelyard.predictions.words import label_from, moment

__all__ = [
    "Address",
    "Bounds",
    "Joined",
    "Label",
    "Prediction",
    "PredictionStore",
    "Query",
    "RecordsRefused",
    "StoreUnavailable",
    "label_from",
    "moment",
    "open_store",
    "parse_address",
    "parts_of",
    "row_id",
]
