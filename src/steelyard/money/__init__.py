"""Money: the prices in force, the ledger of what was spent, and what serving costs."""

from steelyard.money.forecast import Forecast
from steelyard.money.ledger import Entry, EntryKind, Ledger, compute_entry, label_entry, note_entry
from steelyard.money.price import Price, PricesInvalid, stale
from steelyard.money.prices import Prices
from steelyard.money.serving import Fleet, cost_per_million, fleet

__all__ = [
    "Entry",
    "EntryKind",
    "Fleet",
    "Forecast",
    "Ledger",
    "Price",
    "Prices",
    "PricesInvalid",
    "compute_entry",
    "cost_per_million",
    "fleet",
    "label_entry",
    "note_entry",
    "stale",
]
