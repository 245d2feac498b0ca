"""Which models a server has, each with the queue before it. Versions will live here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from steelyard.errors import nearest
from steelyard.serve.batching import Batcher
from steelyard.serve.faults import not_found
from steelyard.serve.metrics import ModelMetrics
from steelyard.serve.model import Served


@dataclass(frozen=True, slots=True)
class Deployed:
    """A model that answers requests: itself, its queue, and what was counted of it."""

    served: Served
    batcher: Batcher
    metrics: ModelMetrics


class Repository:
    """Models by name."""

    __slots__ = ("_models",)

    def __init__(self) -> None:
        self._models: dict[str, Deployed] = {}

    def __iter__(self) -> Iterator[Deployed]:
        return iter(self._models.values())

    def add(self, deployed: Deployed) -> None:
        """Make a model known; one of the same name is replaced."""
        self._models[deployed.served.name] = deployed

    def find(self, name: str, version: str = "") -> Deployed:
        """Return a model; without a version, the one that serves.

        Raises
        ------
        Fault
            404 if there is no such model or version.
        """
        found = self._models.get(name)
        if found is None:
            raise not_found(f"no model is named {name[:80]!r}{nearest(name[:80], self._models)}")
        if version and version != found.served.version:
            raise not_found(f"model {name!r} has no version {version[:80]!r}; it has {found.served.version!r}")
        return found

    @property
    def only(self) -> Deployed:
        """The model that ``/predict`` asks."""
        return next(iter(self._models.values()))

    def close(self) -> None:
        """End the threads of every model."""
        for deployed in self:
            deployed.batcher.close()
