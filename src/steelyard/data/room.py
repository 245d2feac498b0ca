"""How much memory a table may take, and the rows to draw where it would take more."""

from __future__ import annotations

import contextlib
import math
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from steelyard.contracts import Ints
from steelyard.data.dataset import Finding, Severity
from steelyard.data.hashing import Hashes, mix
from steelyard.spec import Spec

COPIES, A_CELL = 3.0, 150.0
"""Bytes that a run takes at its peak: so many for a byte of the table as it is read, and so many for each cell.

A cell is held typed, hashed and stored by the process that reads, typed by each worker, and once more in the rows of a
training and in its matrix. A slow test in ``tests/data/test_big.py`` holds a load against it.
"""
_CGROUP = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
_SALT = np.uint64(0x5EED)


@dataclass(frozen=True, slots=True)
class Room:
    """Bytes of memory that a run may take, and what says so."""

    memory: float
    limited_by: str

    @classmethod
    def of(cls, spec: Spec) -> Room:
        """Return the room of a spec: ``budget.memory_gb`` for a trial, never more than the machine has."""
        machine, asked = memory_of_this_machine(), spec.budget.memory_gb
        if asked is not None and asked * 1e9 < machine:
            return cls(asked * 1e9, f"budget.memory_gb is {asked:g}")
        return cls(machine, f"this machine has {machine / 1e9:.1f} GB")

    def rows(self, bytes_a_row: float, columns: int) -> int:
        """Return how many rows fit, to two digits, so that the same file gives the same rows again.

        Examples
        --------
        >>> Room(1e9, "").rows(bytes_a_row=300.0, columns=30)
        180000
        """
        if math.isinf(self.memory):
            return sys.maxsize
        fit = max(self.memory / (COPIES * bytes_a_row + A_CELL * columns), 1.0)
        step = 10 ** max(int(np.log10(fit)) - 1, 0)
        return int(fit // step * step)


def memory_of_this_machine() -> float:
    """Return the bytes of memory of this machine, or of the container that this process is in."""
    physical = float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    for place in _CGROUP:
        with contextlib.suppress(OSError, ValueError):
            return min(physical, float(Path(place).read_text(encoding="ascii")))
    return physical


@dataclass(frozen=True, slots=True)
class Drawn:
    """Rows drawn from a larger table: their numbers in it (from 0, rising), how many it has, and why not all."""

    index: Ints
    total: int
    why: str

    def finding(self, source: str) -> Finding:
        """Return the sentence about it."""
        used = len(self.index)
        sentence = (
            f"{source} has {self.total:,} rows, of which {used:,} are used, drawn evenly by their number: more would "
            f"not fit the memory ({self.why}); raise budget.memory_gb, take a larger machine, or store fewer columns "
            "to use more"
        )
        numbers = {"rows": float(used), "total": float(self.total)}
        return Finding(code="sampled", severity=Severity.WARN, sentence=sentence, numbers=numbers)


def lots(index: Ints) -> Hashes:
    """Return a lot for each row number; the rows with the lowest lots are drawn.

    Examples
    --------
    >>> lots(np.arange(3)).argsort().tolist()
    [2, 0, 1]
    """
    return mix(mix(index.astype(np.uint64) + _SALT))
