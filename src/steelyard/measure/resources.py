"""What a process uses: processor time, memory, and the cores it may run on."""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path

from steelyard.units import Seconds

_STATUS = Path("/proc/self/status")
_QUOTA = Path("/sys/fs/cgroup/cpu.max")


def cpu_seconds(*, children: bool = False) -> Seconds:
    """Return the processor time of this process so far, all threads, user and system; or of its ended children."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN if children else resource.RUSAGE_SELF)
    return Seconds(used.ru_utime + used.ru_stime)


def rss_bytes() -> int:
    """Return the memory that this process holds now, in bytes; its peak where the system does not tell."""
    return _status("VmRSS")


def peak_rss_bytes() -> int:
    """Return the most memory that this process ever held, in bytes."""
    return _status("VmHWM")


def _status(key: str) -> int:
    # The kernel's own line, since ru_maxrss of a child starts from what its parent held.
    if _STATUS.exists():
        for line in _STATUS.read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith(f"{key}:"):
                return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def cores() -> int:
    """Return how many cores this process may use: those it is bound to, within its container's quota.

    Examples
    --------
    >>> cores() >= 1
    True
    """
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(bound, quota(_QUOTA.read_text(encoding="ascii")) if _QUOTA.exists() else bound))


def quota(text: str) -> int:
    """Return the whole cores that a line of ``cpu.max`` (microseconds of a period, or ``max``) grants.

    Examples
    --------
    >>> quota("250000 100000")
    2
    """
    granted, _, period = text.strip().partition(" ")
    return sys.maxsize if granted == "max" or not period else int(granted) // int(period)
