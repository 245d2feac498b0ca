"""Who does a run's jobs, by what its spec says."""

from __future__ import annotations

from pathlib import Path

from steelyard.search.executors import Executor
from steelyard.search.pool import LocalPool
from steelyard.search.remote import RayExecutor
from steelyard.spec import Compute


def staff(compute: Compute, *, slots: int, log: Path, threads: int, memory_bytes: int) -> Executor:
    """Return the executor that a spec asks for, started; whoever asked closes it.

    Raises
    ------
    ClusterRefused
        Where a cluster cannot be reached or must not be used.
    MissingExtra
        Where it needs a package that is not installed.
    """
    if compute.executor == "ray":
        return RayExecutor(slots, log=log, threads=threads, memory_bytes=memory_bytes, address=compute.address)
    return LocalPool(slots, log=log, threads=threads, memory_bytes=memory_bytes)
