"""Sound columns: whole paths or bytes, files that are not there, files that hold no sound, and what they are like."""

from __future__ import annotations

import zipfile
import zlib
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.data.coerce import objects, sound_of
from steelyard.data.dataset import Finding, Severity
from steelyard.data.files import lost, missing, whole
from steelyard.data.hashing import contents, read_file
from steelyard.data.table import Table
from steelyard.data.waves import decode, look

MOST_UNREADABLE = 0.05
"""Share of sounds that may be unreadable for a run to go on without their rows."""
SILENT = 1e-4
"""Largest sample, of full scale 1, up to which a recording is silent: 3 steps of 16 bits."""
LISTENED_TO = 600.0
"""Seconds of each recording that are looked at, from its middle."""
_DAMAGE = (OSError, ValueError, RuntimeError, KeyError, NotImplementedError, zipfile.BadZipFile, zlib.error)


def resolve(name: str, cells: Sequence[Any], table: Table) -> tuple[NDArray[Any], list[Finding]]:
    """Return sound cells as paths that hold from anywhere, or as bytes; and a finding if files are not there.

    A column that mixes paths and bytes becomes bytes.
    """
    made = [sound_of(cell) for cell in cells]
    if name not in table.sounds:
        made = [whole(cell, table) if isinstance(cell, str) else cell for cell in made]
    if gone := lost(made):
        return objects(made), [missing("sounds", name, cells, made, gone)]
    if any(isinstance(cell, bytes) for cell in made) and any(isinstance(cell, str) for cell in made):
        made = list(contents(objects(made)))
    return objects(made), []


def judge(name: str, cells: NDArray[Any]) -> tuple[NDArray[np.bool_] | None, list[Finding]]:
    """Decode every sound once, before anything is trained on them.

    Returns the rows to leave out (``None`` for none) and findings: a few unreadable sounds cost their rows, more than
    :data:`MOST_UNREADABLE` of them stop the run; files cut off, silent ones, and rates that differ are told.
    """
    heard = _Heard()
    with ExitStack() as stack:
        archives: dict[str, zipfile.ZipFile] = {}
        for row, cell in enumerate(cells):
            try:
                heard.take(row, cell if cell is None or isinstance(cell, bytes) else read_file(cell, archives, stack))
            except _DAMAGE as problem:
                heard.bad[row] = f"cannot be opened: {problem}" if isinstance(problem, OSError) else str(problem)
    findings = list(heard.findings(name, cells))
    if not heard.bad:
        return None, findings
    few = len(heard.bad) <= MOST_UNREADABLE * len(cells)
    mask = np.zeros(len(cells), dtype=bool)
    mask[list(heard.bad)] = True
    return mask if few else None, [_unreadable(name, cells, heard.bad, few=few), *findings]


class _Heard:
    """What the sounds of a column are like."""

    def __init__(self) -> None:
        self.bad: dict[int, str] = {}
        self.cut: list[int] = []
        self.silent: list[int] = []
        self.rates: Counter[int] = Counter()

    def take(self, row: int, content: bytes | None) -> None:
        """Listen to one file."""
        if content is None:
            self.bad[row] = "the cell is empty"
            return
        header, (samples, rate) = look(content), decode(content, most=LISTENED_TO)
        self.rates[rate] += 1
        if header.missing:
            self.cut.append(row)
        if np.abs(samples).max() <= SILENT:
            self.silent.append(row)

    def findings(self, name: str, cells: NDArray[Any]) -> Iterable[Finding]:
        """Yield what is worth knowing of the sounds that can be read."""
        if self.cut:
            what, end = "are shorter than their header says", "what is there is used"
            yield _some("cut_sounds", name, cells, self.cut, what=what, end=end)
        if self.silent:
            end = "take them out if that is no answer"
            yield _some("silent_sounds", name, cells, self.silent, what="are silent", end=end)
        if len(self.rates) > 1:
            listed = ", ".join(f"{count:,} of {rate:,} Hz" for rate, count in self.rates.most_common(5))
            sentence = (
                f"the sounds in column {name!r} have different sampling rates ({listed}); they are brought to one, "
                "and nothing needs to be done unless the rate gives the answer away"
            )
            numbers = {"rates": float(len(self.rates))}
            yield Finding(code="mixed_rates", severity=Severity.NOTE, column=name, sentence=sentence, numbers=numbers)


def _some(code: str, name: str, cells: NDArray[Any], rows: Sequence[int], *, what: str, end: str) -> Finding:
    sentence = (
        f"{len(rows):,} of {len(cells):,} sounds in column {name!r} {what}, the first is {_named(cells[rows[0]])} in "
        f"row {rows[0]} (from 0); {end}"
    )
    numbers = {"sounds": float(len(rows)), "row": float(rows[0])}
    return Finding(code=code, severity=Severity.WARN, column=name, sentence=sentence, numbers=numbers)


def _unreadable(name: str, cells: NDArray[Any], bad: dict[int, str], *, few: bool) -> Finding:
    row, why = next(iter(bad.items()))
    end = (
        "their rows are left out; replace the files to have them used"
        if few
        else f"replace them or take their rows out (up to {MOST_UNREADABLE:.0%} are left out without asking)"
    )
    sentence = (
        f"{len(bad):,} of {len(cells):,} sounds in column {name!r} cannot be read, the first is {_named(cells[row])} "
        f"in row {row} (from 0): {why.replace(';', ',')}; {end}"
    )
    severity = Severity.WARN if few else Severity.STOP
    numbers = {"sounds": float(len(bad)), "row": float(row)}
    return Finding(code="unreadable_sounds", severity=severity, column=name, sentence=sentence, numbers=numbers)


def _named(cell: Any) -> str:
    return "empty" if cell is None else "given as bytes" if isinstance(cell, bytes) else repr(cell)
