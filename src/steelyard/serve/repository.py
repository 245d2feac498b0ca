"""Which models a server has, by name."""

from __future__ import annotations

from collections.abc import Iterator

from steelyard.errors import nearest
from steelyard.serve.endpoint import Endpoint
from steelyard.serve.faults import not_found


class Repository:
    """Models by name."""

    __slots__ = ("_models",)

    def __init__(self) -> None:
        self._models: dict[str, Endpoint] = {}

    def __iter__(self) -> Iterator[Endpoint]:
        return iter(self._models.values())

    def add(self, endpoint: Endpoint) -> None:
        """Make a model known; one of the same name is replaced."""
        self._models[endpoint.name] = endpoint

    def find(self, name: str) -> Endpoint:
        """Return a model.

        Raises
        ------
        Fault
            404 if there is none of that name.
        """
        found = self._models.get(name)
        if found is None:
            raise not_found(f"no model is named {name[:80]!r}{nearest(name[:80], self._models)}")
        return found

    @property
    def only(self) -> Endpoint:
        """The model that ``/predict`` asks."""
        return next(iter(self._models.values()))

    def close(self) -> None:
        """End the threads of every model."""
        for endpoint in self:
            endpoint.close()
