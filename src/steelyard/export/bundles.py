"""The bundle that an exit takes: one that is named, or the one that a run ships; and rows to hold an exit against."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from steelyard.bundle.manifest import MANIFEST, SEAL, Several
from steelyard.bundle.opening import Opened, read
from steelyard.contracts import Columns, Schema
from steelyard.data import read_plain, to_columns
from steelyard.data.store import ARROW
from steelyard.data.store import read as read_dataset
from steelyard.errors import ExportRefused, RowsRefused
from steelyard.export.view import View

MOST_ROWS = 20_000
"""Rows that an exit is held against, at most."""


@dataclass(frozen=True, slots=True)
class Source:
    """A bundle, verified, and the run that it comes from if it was named by that."""

    place: Path
    opened: Opened
    run: Path | None = None

    @classmethod
    def of(cls, place: Path) -> Source:
        """Open a bundle, or the one that a run ships.

        Raises
        ------
        ExportRefused
            If the run has not come to a bundle.
        BundleRefused
            If it is damaged.
        RunUnreadable
            If it is neither a bundle nor a run.
        """
        if (place / MANIFEST).is_file():
            return cls(place, read(place))
        bundle = View.of(place).bundle
        if bundle is None:
            raise ExportRefused(f"{place} has not come to a bundle; go on with `steelyard run --resume`")
        return cls(bundle, read(bundle), place)

    def rows(self, file: Path | None) -> tuple[Columns, str] | None:
        """Return rows, typed, and where they come from: a file, or those that the run learned from; none without.

        Raises
        ------
        RowsRefused
            If they lack a column or a cell does not fit.
        """
        if file is not None:
            frame = read_plain(file)
            signed = {value.name for value in self.opened.manifest.signature.inputs}
            schema = Schema(tuple(column for column in self.opened.manifest.columns if column.name in signed))
            columns = {name: cells[:MOST_ROWS] for name, cells in to_columns(frame, schema).items()}
            if not len(next(iter(columns.values()), ())):
                raise RowsRefused(f"{file} holds no rows; give some that are like those to come")
            return columns, str(file.name)
        if self.run is None or not (self.run / ARROW).is_file():
            return None
        dataset = read_dataset(self.run)
        some = dataset.partition.development[:MOST_ROWS]
        return {name: cells[some] for name, cells in dataset.rows.columns.items()}, "the run's own"


def graphs_of(opened: Opened, prefix: str = "") -> Iterator[tuple[str, Opened]]:
    """Yield every single model of a bundle with its place in it, ``""`` for the bundle itself.

    Examples
    --------
    A cascade yields ``members/0`` and ``members/1``.
    """
    model = opened.manifest.model
    if not isinstance(model, Several):
        yield prefix, opened
        return
    for name in model.members:
        yield from graphs_of(opened.member(name), f"{prefix}/{name}".lstrip("/"))


def manifest_of(opened: Opened) -> dict[str, bytes]:
    """Return the manifest and its seal, as they lie in the bundle."""
    return {name: opened.files[name] for name in (MANIFEST, SEAL)}


def write(folder: Path, files: dict[str, bytes]) -> int:
    """Write files into a folder; return their bytes."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return sum(map(len, files.values()))
