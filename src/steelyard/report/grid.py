"""Tables of the page: cells carry their figure beside the words for it, to sort by and to download."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from steelyard.report.markup import Markup, join, tag
from steelyard.report.say import filled, say
from steelyard.units import Estimate

SHOWN = 150
"""Rows of one table on the page; report.json holds all of them."""


@dataclass(frozen=True, slots=True)
class Cell:
    """Words, and the figure that they stand for."""

    words: str
    value: float | None = None
    low: float | None = None
    high: float | None = None

    @classmethod
    def of(cls, words: str, found: Estimate | None) -> Cell:
        """Return words for an estimate."""
        if found is None or not math.isfinite(found.value):
            return cls(words)
        spread = found.low != found.high and math.isfinite(found.low) and math.isfinite(found.high)
        return cls(
            _marked(words) if spread else words, found.value, *((found.low, found.high) if spread else (None, None))
        )


def _marked(words: str) -> str:
    """Mark the word between the ends of an interval, so that it is said in the page's language."""
    value, opened, ends = words.partition(" (")
    low, between, high = ends.removesuffix(")").partition(" to ")
    return join(f"{value} (", say("{0} to {1}", low, high), ")") if opened and between else words


Head = str | tuple[str, ...]
"""A word to say over a column, with what it speaks of; empty for none."""
Row = tuple[Sequence[str | Cell], str]
"""The cells of a row, and its look."""


def table(
    heads: Sequence[Head],
    rows: Iterable[Row],
    *,
    name: str,
    caption: Markup,
    numbers: Sequence[int] = (),
    class_: str = "stack",
    most: int = SHOWN,
) -> Markup:
    """Return a table. ``name`` is that of its file when it is downloaded; ``numbers`` are columns to set right."""
    look = ["number" if k in numbers else None for k in range(len(heads))]
    words = [(head,) if isinstance(head, str) else head for head in heads]
    said = [say(*each) if each[0] else "" for each in words]
    first = [tag("th", head, scope="col", role="columnheader", class_=c) for head, c in zip(said, look, strict=True)]
    every = list(rows)
    plain = [filled(*each) for each in words]
    body = [_row(plain, cells, look, style) for cells, style in every[:most]]
    more = join("; ", say("{0} more in report.json", f"{len(every) - most:,}")) if len(every) > most else None
    top = tag("thead", tag("tr", *first, role="row"), role="rowgroup")
    inside = (tag("caption", caption, more), top, tag("tbody", *body, role="rowgroup"))
    return tag("table", *inside, class_=class_, role="table", data_name=name)


def bar(start: float, end: float, look: str) -> Markup:
    """Return a bar from one share of a cell's width to another."""
    low, high = sorted((min(max(start, 0.0), 1.0), min(max(end, 0.0), 1.0)))
    style = f"left:{low:.2%};width:{max(high - low, 0.004):.2%}"
    return tag("span", tag("i", style=style, class_=look), class_="track", aria_hidden="true")


def _row(heads: Sequence[str], cells: Sequence[str | Cell], look: Sequence[str | None], style: str) -> Markup:
    rest = zip(heads[1:], cells[1:], look[1:], strict=True)
    return tag(
        "tr",
        _cell("th", cells[0], scope="row", role="rowheader"),
        *(_cell("td", cell, data_label=head, class_=c, role="cell") for head, cell, c in rest),
        class_=style or None,
        role="row",
    )


def _cell(name: str, cell: str | Cell, **attributes: str | None) -> Markup:
    if not isinstance(cell, Cell):
        return tag(name, cell, **attributes)
    figures = {"data_v": cell.value, "data_low": cell.low, "data_high": cell.high}
    given = {k: repr(float(v)) for k, v in figures.items() if v is not None}
    return tag(name, tag("span", cell.words), **given, **attributes)
