"""How much processor time a process and all its descendants have taken, from /proc."""

from __future__ import annotations

import os
from pathlib import Path

from steelyard.errors import RequestInvalid
from steelyard.units import Seconds

_TICKS = os.sysconf("SC_CLK_TCK")


def cpu_of(pid: int) -> Seconds:
    """Return the processor time, user and system, that process ``pid`` and its living descendants have taken.

    It is counted in ticks of 10 ms. A worker that ended meanwhile is counted where its parent has waited for it.

    Raises
    ------
    RequestInvalid
        If there is no such process.
    """
    if not Path(f"/proc/{pid}/stat").exists():
        raise RequestInvalid(f"there is no process {pid}; give the server's own number with --pid")
    return Seconds(sum(_ticks(each) for each in tree(pid)) / _TICKS)


def tree(pid: int) -> list[int]:
    """Return a process and its living descendants."""
    found, rest = [], [pid]
    while rest:
        each = rest.pop()
        found.append(each)
        rest.extend(_children(each))
    return found


def _children(pid: int) -> list[int]:
    numbers: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            numbers.extend(int(word) for word in task.read_text(encoding="ascii").split())
        except OSError:  # the thread has ended
            continue
    return numbers


def _ticks(pid: int) -> int:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    except OSError:  # it has ended
        return 0
    return sum(int(field) for field in fields[11:15])  # utime, stime, and those of children waited for
