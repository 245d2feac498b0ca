"""What works on another machine: a pool of one, a store of its own that data and bundles come to, and its news.

Nothing here knows what carries the calls; :mod:`steelyard.search.remote.ray_executor` makes an actor of it.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from steelyard.contracts import Job
from steelyard.errors import Exit
from steelyard.search.codec import job_from_json
from steelyard.search.executors import Finished
from steelyard.search.machine import memory_bytes as memory_of_machine
from steelyard.search.pool import LocalPool
from steelyard.search.remote.lodging import Lodging
from steelyard.search.remote.parcels import pack, settle, unpack
from steelyard.search.store import Store
from steelyard.units import Seconds

PREFIX = "steelyard-outpost-"
MEMORY_SHARE = 0.8
"""Most of its machine's memory that one job may hold."""
MOST_LOG = 1 << 16
"""Bytes of what a job printed that are sent home."""

Fetch = Callable[[Any], Any]
"""Gets what a reference stands for; only called for what is not there yet."""


class Outpost:
    """One slot on another machine.

    Parameters
    ----------
    place
        Folder for its own; unset: the machine's folder for temporary files.
    threads, memory_bytes, silence
        As of :class:`~steelyard.search.pool.LocalPool`; memory is also limited by what the machine has.
    """

    def __init__(self, *, place: str | None, threads: int, memory_bytes: int, silence: float, fetch: Fetch) -> None:
        self._lodging = Lodging(PREFIX, None if place is None else Path(place))
        self._log = self._lodging.path / "log"
        self._said = 0
        self._fetch = fetch
        self._job: tuple[Job, Store, frozenset[str]] | None = None
        limit = min(memory_bytes, int(MEMORY_SHARE * memory_of_machine()))
        self._pool = LocalPool(1, log=self._log, threads=threads, memory_bytes=limit, silence=silence)

    def hello(self) -> dict[str, Any]:
        """Say who it is, once it is there."""
        token = os.environ.get("RAY_AUTH_MODE") == "token"
        return {"steelyard": version("steelyard"), "machine": platform.node(), "token": token}

    def load(self, modules: tuple[str, ...]) -> None:
        """Import modules ahead of the jobs."""
        self._pool.load(modules)

    def take(self, order: Mapping[str, Any], goods: Mapping[str, Any]) -> None:
        """Begin a job: ``order`` is its JSON, ``goods`` refer to data and bundles that it may need to read."""
        home = self._lodging.path / order["data"]
        if not home.exists():
            aside = home.with_name(f".{home.name}")
            settle(aside, self._fetch(goods["data"]))
            aside.rename(home)
        store = Store(home)
        for name, parcel in goods["bundles"].items():
            if not (store.bundles / name).exists():
                unpack(self._fetch(parcel), store, name)
        job = replace(job_from_json(order["job"]), store=home)
        self._job = (job, store, _finished(store))
        self._pool.submit(job)

    def hear(self, seconds: float) -> dict[str, Any]:
        """Return reports, and the end of the job with what it left, as soon as there are any."""
        news = self._pool.wait(Seconds(seconds))
        told: dict[str, Any] = {"reports": [(r.step, r.value) for r in news.reports], "finished": None}
        for finished in news.finished:
            told |= {"finished": self._facts(finished), "bundles": self._new(), "printed": self._printed()}
            told["log"] = str(self._log)
            self._job = None
        return told

    def cancel(self) -> None:
        """Stop the job."""
        self._pool.cancel()

    def close(self) -> None:
        """Stop everything and leave nothing behind; may be called twice."""
        self._pool.close()
        self._lodging.leave()

    def _facts(self, finished: Finished) -> dict[str, Any]:
        facts = {
            "left": None if finished.left is None else dict(finished.left),
            "problem": finished.problem,
            "cause": finished.cause,
            "exit_code": finished.exit_code,
        }
        if finished.exit_code == Exit.RUN_UNWRITABLE:  # this machine's disk is not the run's
            facts |= {"cause": "lost", "exit_code": 0, "problem": f"on {platform.node()}: {finished.problem}"}
        return facts

    def _new(self) -> dict[str, bytes]:
        """Return the folders that the job finished."""
        assert self._job is not None, "a job that came back was taken"
        _, store, before = self._job
        return {name: pack(store.bundles / name) for name in sorted(_finished(store) - before)}

    def _printed(self) -> str:
        with self._log.open("rb") as log:
            size = log.seek(0, os.SEEK_END)
            log.seek(max(self._said, size - MOST_LOG))
            self._said = size
            return log.read().decode(errors="replace")


def _finished(store: Store) -> frozenset[str]:
    return frozenset(path.name for path in store.bundles.iterdir() if not path.name.startswith("."))
