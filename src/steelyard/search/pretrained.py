"""The pretrained encoders that a spec names, found once, before anything is trained."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from steelyard.contracts import Kind, Schema
from steelyard.data import Dataset
from steelyard.learners.pretrained.checkpoints import find, parted
from steelyard.spec import PretrainedPart


def with_checkpoints(dataset: Dataset, asked: PretrainedPart, base: Path | None) -> Dataset:
    """Return the data with the marks of the checkpoints that its text may be read with.

    This is the one place where anything may be downloaded, and only where the spec allows it; trials take what lies on
    the machine, by its digest.

    Raises
    ------
    CheckpointRefused
        If a checkpoint cannot be had, or must not be read.
    """
    if not asked.checkpoints:
        return dataset
    marks = tuple(find(_placed(name, base), downloads=asked.downloads).mark for name in asked.checkpoints)
    columns = tuple(
        replace(column, checkpoints=marks) if column.kind in {Kind.TEXT, Kind.TOKENS} else column
        for column in dataset.schema.columns
    )
    return replace(dataset, schema=Schema(columns))


def _placed(name: str, base: Path | None) -> str:
    """Return a name, or the absolute path of the folder that it names, seen from where the spec lies."""
    bare, digits = parted(name)
    path = (base or Path()) / Path(bare).expanduser()
    if not path.is_dir():
        return name
    return f"{path.resolve()}@{digits}" if digits else str(path.resolve())
