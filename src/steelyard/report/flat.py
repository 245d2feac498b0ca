"""A row of the report as one flat record: a name, a figure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def flat(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row with each estimate as three figures; lists, and what is nested otherwise, are left out.

    Examples
    --------
    >>> flat({"number": 3, "rounds": [7], "validation": {"rmse": {"value": 2.0, "low": 1.5, "high": 2.5}}})
    {'number': 3, 'rmse': 2.0, 'rmse_low': 1.5, 'rmse_high': 2.5}
    """
    found: dict[str, Any] = {}
    for name, value in row.items():
        if name in {"validation", "figures"}:
            found |= flat(value)
        elif isinstance(value, Mapping) and "low" in value:
            found |= {name: value["value"], f"{name}_low": value["low"], f"{name}_high": value["high"]}
        elif not isinstance(value, Mapping | list):
            found.setdefault(name, value)
    return found
