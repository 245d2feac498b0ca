"""What the system knows of processes: time and memory, from /proc."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


def cpu_seconds(pids: Iterable[int]) -> float:
    """Return the processor time of processes and of those children that they have waited for, seconds.

    Examples
    --------
    >>> cpu_seconds([os.getpid()]) > 0
    True
    """
    ticks = 0
    for pid in pids:
        fields = _read(pid, "stat").rpartition(")")[2].split()
        ticks += sum(map(int, fields[11:15]))  # utime, stime, and those of children
    return ticks / _TICKS


def resident_bytes(pids: Iterable[int]) -> int:
    """Return the resident memory of processes; pages that they share count for each.

    Examples
    --------
    >>> resident_bytes([os.getpid()]) > 2**20
    True
    """
    return _PAGE * sum(int((_read(pid, "statm").split() or ["0", "0"])[1]) for pid in pids)


def _read(pid: int, name: str) -> str:
    try:
        return Path(f"/proc/{pid}/{name}").read_text(encoding="ascii", errors="replace")
    except OSError:  # it has ended, or this system has no /proc
        return ""
