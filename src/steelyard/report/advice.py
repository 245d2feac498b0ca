"""The block ``advice``: what ``steelyard advise`` left beside the run, where it is still of these trials."""

from __future__ import annotations

import json

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from steelyard.report.words import Json
from steelyard.search.record import RunRecord

FILE = "advice.json"
_BLOCK = ("currency", "priced", "actions", "next", "stop", "curve", "spent", "notes")


def advice(record: RunRecord) -> Json | None:
    """Return the advice on a run; ``None`` where none was asked for, or the run has gone on or changed since."""
    try:
        kept = json.loads((record.folder / FILE).read_bytes())
        fresh = kept["fingerprint"] == record.fingerprint and kept["trials"] == len(record.trials)
        return {name: kept[name] for name in _BLOCK} if fresh else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def last_word(block: Json) -> str:
    """Return the one thing to do next, or why to stop."""
    return block["stop"] if block["next"] is None else f"Next: {block['actions'][block['next']]['sentence']}"


def advice_lines(block: Json) -> RenderableType:
    """Return the section of the terminal: the actions, best first, and the last word."""
    table = Table.grid(padding=(0, 1))
    table.add_column(width=2)
    table.add_column(overflow="fold", ratio=1)
    table.add_row("", Text("Where the next dollar goes", style="bold"))
    for place, action in enumerate(block["actions"]):
        table.add_row("→" if place == block["next"] else "•", Text(action["sentence"]))
    table.add_row("", Text(last_word(block), style="bold"))
    table.add_row("", "")
    return table
