"""Targets that hold several labels a row: recognised so that they can be refused with a sentence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np

from steelyard.data.fast import distinct_of
from steelyard.data.table import Cells

_SEPARATORS = (";", "|", ",")
_WAY_OUT = "Steelyard predicts one label a row; keep the main one, or make one yes/no target for each label"


def several_labels(cells: Cells) -> str | None:
    """Return a sentence when the cells hold several labels each, else ``None``.

    Lists are several labels. So are strings like ``a;b;c`` where most rows hold a separator, and the same labels
    come back in other company.

    Examples
    --------
    >>> several_labels(np.array(["a;b", "b;c", "a;c", "a;b;c"], dtype=object))[:42]
    "the target holds several labels a row ('a;"
    >>> several_labels(np.array(["Paris, France", "Oslo, Norway"], dtype=object)) is None
    True
    """
    if isinstance(cells, np.ndarray):
        listed = next((cell for cell in cells if isinstance(cell, list | tuple | set | np.ndarray)), None)
        if listed is not None:
            return f"the target holds {type(listed).__name__}s of labels ({listed!r}); {_WAY_OUT}"
        if cells.dtype != object:
            return None
    texts, _ = distinct_of(cells)
    known = sum(texts.values())
    for separator in _SEPARATORS:
        joined = {text: count for text, count in texts.items() if separator in text}
        if 2 * sum(joined.values()) > known and _recombined(texts, separator):
            return f"the target holds several labels a row ({min(joined)!r}); {_WAY_OUT}"
    return None


def _recombined(texts: Mapping[str, int], separator: str) -> bool:
    """Tell whether the same labels stand in different company: most of them in two strings or more."""
    rows = [{label.strip() for label in text.split(separator)} for text in texts]
    if separator == "," and len({len(row) for row in rows}) == 1:
        return False  # "Monday, morning" is one name with a comma in it
    seen: Counter[str] = Counter(label for row in rows for label in row)
    repeated = sum(count > 1 for count in seen.values())
    return 2 * repeated > len(seen) and len(texts) >= len(seen)
