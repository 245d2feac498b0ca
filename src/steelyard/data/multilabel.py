"""Targets that hold several labels a row: recognised so that they can be refused with a sentence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from steelyard.data.coerce import is_missing

_SEPARATORS = (";", "|", ",")
_WAY_OUT = "Steelyard predicts one label a row; keep the main one, or make one yes/no target for each label"


def several_labels(cells: Sequence[Any]) -> str | None:
    """Return a sentence when the cells hold several labels each, else ``None``.

    Lists are several labels. So are strings like ``a;b;c`` where most rows hold a separator, and the same labels
    come back in other company.

    Examples
    --------
    >>> several_labels(["a;b", "b;c", "a;c", "a;b;c"])[:42]
    "the target holds several labels a row ('a;"
    >>> several_labels(["Paris, France", "Oslo, Norway"]) is None
    True
    """
    known = [cell for cell in cells if isinstance(cell, list | tuple | set | np.ndarray) or not is_missing(cell)]
    listed = next((cell for cell in known if isinstance(cell, list | tuple | set | np.ndarray)), None)
    if listed is not None:
        return f"the target holds {type(listed).__name__}s of labels ({listed!r}); {_WAY_OUT}"
    texts = Counter(cell for cell in known if isinstance(cell, str))
    for separator in _SEPARATORS:
        joined = {text: count for text, count in texts.items() if separator in text}
        if 2 * sum(joined.values()) > len(known) and _recombined(texts, separator):
            return f"the target holds several labels a row ({next(iter(joined))!r}); {_WAY_OUT}"
    return None


def _recombined(texts: Counter[str], separator: str) -> bool:
    """Tell whether the same labels stand in different company: most of them in two strings or more."""
    seen: Counter[str] = Counter()
    for text in texts:
        seen.update({label.strip() for label in text.split(separator)})
    repeated = sum(count > 1 for count in seen.values())
    return 2 * repeated > len(seen) and len(texts) >= len(seen)
