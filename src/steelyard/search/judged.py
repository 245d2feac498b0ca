"""What the answers of the chosen model came to on the validation rows: confusion, and calibration in bins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

BINS, MOST_CLASSES = 10, 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """Rows by true and decided class, and what was foretold against what came.

    ``confusion`` counts rows, ``confusion[true][decided]``; empty for numbers and for more than
    :data:`MOST_CLASSES` classes. Each bin holds about as many rows: the mean of what was foretold, what came with its
    95% interval, and how many rows. Foretold is the probability of the positive class, that of the class decided on
    where there are more than two, or the number itself. ``error`` is the mean distance of the two over all rows.

    References
    ----------
    .. [1] Wilson. Probable inference, the law of succession, and statistical inference. JASA 1927.
    .. [2] Guo et al. On calibration of modern neural networks. ICML 2017 (arXiv:1706.04599).
    """

    rows: int
    confusion: tuple[tuple[int, ...], ...]
    bins: tuple[tuple[float, float, float, float, int], ...]
    error: float

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON."""
        return asdict(self) | {"confusion": [list(r) for r in self.confusion], "bins": [list(b) for b in self.bins]}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Judged:
        """Read what :meth:`to_json` wrote."""
        confusion, bins = (tuple(tuple(row) for row in data[name]) for name in ("confusion", "bins"))
        return cls(rows=data["rows"], confusion=confusion, bins=bins, error=data["error"])
