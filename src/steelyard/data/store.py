"""A data set on disk, for the processes that train: ``data.arrow`` and ``data.json``."""

from __future__ import annotations

from pathlib import Path

from steelyard.data.dataset import Dataset


def save(dataset: Dataset, folder: Path) -> None:
    """Write a data set into a folder."""
    raise NotImplementedError


def read(folder: Path) -> Dataset:
    """Read what :func:`save` wrote."""
    raise NotImplementedError
