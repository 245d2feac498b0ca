"""Words for figures, and rows of words as columns."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol


class Bar(Protocol):
    """Says how a bar stands."""

    def __call__(self, sentence: str, *, met: bool, figure: str, lacking: str = "") -> None:
        """``lacking`` says which rows are missing, without which a bar is not met."""
        ...


def columns(rows: Sequence[Sequence[str]]) -> str:
    """Return rows of words as lines in columns, the first to the left and the others to the right.

    >>> print(columns([("a", "b"), ("long", "1")]))
    a     b
    long  1
    """
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [word.rjust(width) for word, width in zip(row, widths, strict=True)]
        lines.append("  ".join([row[0].ljust(widths[0]), *cells[1:]]).rstrip())
    return "\n".join(lines)


def span(found: tuple[float, float, float]) -> str:
    """Return a difference with its interval."""
    return "{:+.3f} ({:+.3f} to {:+.3f})".format(*found)


def times(ratio: float) -> str:
    """Return a ratio of three digits."""
    return "never" if math.isinf(ratio) else f"{ratio:.3g}"
