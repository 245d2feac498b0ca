"""What is worth knowing about the readings that rows were gathered from, each thing a sentence."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from steelyard.contracts import Column, Gathered
from steelyard.data.dataset import Finding, Severity
from steelyard.data.long import Order
from steelyard.data.windows import Spans

_SHOWN = 8


def about(made: Order, rows: Spans, column: Column) -> Iterator[Finding]:
    """Yield what became of the table: how many rows, of how many readings of which channels."""
    how, channels = column.gathered, column.channels
    assert how is not None
    each = "each all readings of a unit"
    if how.window is not None:
        each = f"windows of at most {how.window} readings, {_every(how.step)}, each with the target of its last reading"
    sentence = (
        f"{len(made.source):,} readings of {len(made.names):,} units become {len(rows):,} rows, {each}; column "
        f"{column.name!r} holds {len(channels)} channel{'' if len(channels) == 1 else 's'} ({_listed(channels)}), and "
        "every other column the value of the last reading"
    )
    numbers = {"readings": len(made.source), "units": len(made.names), "rows": len(rows), "channels": len(channels)}
    yield _finding("sequences", Severity.NOTE, sentence, column.name, numbers)


def _every(step: int) -> str:
    return "one after each reading" if step == 1 else f"one after every {step} readings"


def described(made: Order, rows: Spans, how: Gathered) -> Iterator[Finding]:
    """Yield what is odd: readings out of order, twice or missing, and units of unequal length."""
    if made.lost:
        what = f"without a value in {how.unit!r}" + (f" or {how.time!r}" if how.time else "")
        sentence = f"{made.lost:,} readings {what} are left out; fill them in to have them read"
        yield _finding("lost_readings", Severity.WARN, sentence, how.unit, {"readings": made.lost})
    if made.doubled:
        sentence = (
            f"{made.doubled:,} readings have the unit and the time of another one, of which the one that stands last "
            f"counts; keep one a time, or name another column than {how.time!r} under sequence.time"
        )
        yield _finding("doubled_readings", Severity.WARN, sentence, how.time, {"readings": made.doubled})
    if made.unsorted:
        sentence = f"the readings of {made.unsorted:,} units are not in the order of {how.time!r}; they are put in it"
        yield _finding("unsorted_readings", Severity.NOTE, sentence, how.time, {"units": made.unsorted})
    if made.skipped:
        sentence = (
            f"{made.skipped:,} readings are missing between others, going by the usual step of {how.time!r}; those "
            "around a gap are taken as neighbours, add empty readings where windows must span equal times"
        )
        yield _finding("skipped_readings", Severity.WARN, sentence, how.time, {"readings": made.skipped})
    yield from _lengths(made, rows, how)


def _lengths(made: Order, rows: Spans, how: Gathered) -> Iterator[Finding]:
    lengths = made.lengths
    low, middle, high = int(lengths.min()), int(np.median(lengths)), int(lengths.max())
    if how.window is None:
        if low < high:
            sentence = (
                f"units have from {low:,} to {high:,} readings ({middle:,} in the middle); shorter ones are padded and "
                "the padding is masked, nothing needs to be done"
            )
            yield _finding("unequal_lengths", Severity.NOTE, sentence, how.unit, {"low": low, "high": high})
        return
    short = int((rows.end - rows.first < how.window).sum())
    if short:
        one = short == 1
        sentence = (
            f"{short:,} unit{' has' if one else 's have'} fewer readings than the window of {how.window} and "
            f"{'gives one shorter row' if one else 'give one shorter row each'}; shorten the window if they matter"
        )
        yield _finding("short_units", Severity.WARN, sentence, how.unit, {"units": short, "low": low})


def channels_left_out(target: str, kept: Iterable[str], changing: Iterable[str]) -> Iterator[Finding]:
    """Yield columns that change within units but hold no numbers."""
    there = set(kept)
    names = tuple(name for name in changing if name in there and name != target)
    if names:
        one = len(names) == 1
        sentence = (
            f"{'column' if one else 'columns'} {_listed(names)} {'changes' if one else 'change'} within units and "
            f"{'holds' if one else 'hold'} no plain numbers: a row has the value of its last reading; write numbers to "
            "have them read as channels"
        )
        yield _finding("last_value", Severity.NOTE, sentence, names[0], {"columns": len(names)})


def _listed(names: Iterable[str]) -> str:
    several = list(names)
    return ", ".join(several[:_SHOWN]) + (", ..." if len(several) > _SHOWN else "")


def _finding(code: str, severity: Severity, sentence: str, column: str | None, numbers: dict[str, int]) -> Finding:
    figures = {name: float(value) for name, value in numbers.items()}
    return Finding(code=code, severity=severity, column=column, sentence=sentence, numbers=figures)
