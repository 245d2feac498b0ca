"""Tagging on the page: how well each type of entity and each tag is found, on validation rows."""

from __future__ import annotations

import math

from steelyard.decide.words import figure
from steelyard.report.grid import Cell, Row, table
from steelyard.report.markup import Markup, tag
from steelyard.report.say import say
from steelyard.report.words import DASH, Json


def tags_section(report: Json) -> Markup | None:
    """Return the tables by type of entity and by tag; ``None`` where no tokens are tagged, or nothing was measured."""
    found = _outcomes(report)
    if found is None:
        return None
    tokens = found["tokens"]
    made = []
    if found["types"]:
        words = say("Entities by type: whole and of the right type, on validation rows")
        made.append(_table("type", found["types"], tokens, "entities", words))
    words = say("Tokens by tag, on validation rows")
    made.append(_table("tag", found["tags"], tokens, "tokens", words))
    return tag("div", *made, class_="pair")


def by_part(outcomes: Json) -> dict[str, list[Json]]:
    """Return precision, recall and F1 of each type of entity and of each tag of tokens, most frequent first."""
    return {part: [_plain(row) for row in _rows(outcomes[part], outcomes["tokens"])] for part in ("types", "tags")}


def _plain(row: Json) -> Json:
    """Return a row without figures that are undefined."""
    return {name: None if isinstance(value, float) and math.isnan(value) else value for name, value in row.items()}


def _outcomes(report: Json) -> Json | None:
    chosen = next((row for row in report["trials"] if row["chosen"]), None)
    found: Json | None = None if chosen is None else chosen["outcomes"]
    return found if found is not None and "tags" in found else None


def _rows(shares: Json, tokens: int) -> list[Json]:
    rows = []
    for name, (hits, called, true) in shares.items():
        rows.append(
            {
                "name": name,
                "precision": hits / called if called else math.nan,
                "recall": hits / true if true else math.nan,
                "f1": 2 * hits / (called + true) if called + true else math.nan,
                "there": round(true * tokens),
                "predicted": round(called * tokens),
            }
        )
    return sorted(rows, key=lambda row: -row["there"])


def _table(head: str, shares: Json, tokens: int, what: str, caption: Markup) -> Markup:
    rows: list[Row] = []
    for row in _rows(shares, tokens):
        shown = [Cell(figure(row[k]) if math.isfinite(row[k]) else DASH, row[k]) for k in ("f1", "precision", "recall")]
        counts = [Cell(f"{row[k]:,}", row[k]) for k in ("there", "predicted")]
        rows.append(((row["name"], *shown, *counts), ""))
    heads = (head, "F1", "precision", "recall", what, "predicted")
    return table(heads, rows, name=f"by-{head}", numbers=(1, 2, 3, 4, 5), caption=caption, class_="small stack")
