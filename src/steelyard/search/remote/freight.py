"""What travels to the actors: put into Ray's memory once, fetched by each machine that lacks it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from steelyard.search.codec import job_to_json
from steelyard.search.remote.parcels import data_of, family, pack
from steelyard.search.remote.posts import Task
from steelyard.search.store import Store
from steelyard.units import Seconds


class Freight:
    """References to data and bundles; what they stand for is kept until :meth:`clear`."""

    def __init__(self, put: Callable[[Any], Any]) -> None:
        self._put = put
        self._data: dict[str, Any] = {}
        self._bundles: dict[Path, Any] = {}

    def load(self, task: Task) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the order of a job, and references to everything that it may need to read.

        Raises
        ------
        OSError
            If the data cannot be read.
        """
        left = task.until - time.monotonic() if math.isfinite(task.job.seconds) else math.inf
        stamp, data = self.data(task.job.store)
        places = family(task.job.recipe, Store(task.job.store))
        order = {"job": job_to_json(replace(task.job, seconds=Seconds(left))), "data": stamp}
        return order, {"data": data, "bundles": {place.name: self._bundle(place) for place in places}}

    def data(self, store: Path) -> tuple[str, Any]:
        """Return a name for the data of a store as it is now, and its reference."""
        seen = (store / "data.json").stat()
        stamp = sha256(f"{store.resolve()} {seen.st_mtime_ns} {seen.st_ino}".encode()).hexdigest()[:16]
        if stamp not in self._data:
            self._data[stamp] = self._put(data_of(store))
        return stamp, self._data[stamp]

    def clear(self) -> None:
        """Let go of everything."""
        self._data.clear()
        self._bundles.clear()

    def _bundle(self, place: Path) -> Any:
        if place not in self._bundles:
            self._bundles[place] = self._put(pack(place))
        return self._bundles[place]
