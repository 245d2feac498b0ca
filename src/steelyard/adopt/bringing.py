"""``steelyard import``: a model that was made elsewhere becomes a bundle, if it answers as before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from steelyard.adopt import pipelines
from steelyard.adopt.graphs import artefact_of
from steelyard.adopt.raw import raw_answers
from steelyard.bundle import About, Bundle, load, write
from steelyard.bundle.running import GraphModel
from steelyard.contracts import Artefact, Columns, Floats, Problem, Schema, Task
from steelyard.data import inspect
from steelyard.data.columns import to_columns
from steelyard.errors import BundleRefused
from steelyard.recipe import Given
from steelyard.rows import read_rows
from steelyard.spec import Checks, Spec

PARITY = 1e-4
"""Most that the bundle may differ from the model, in probability or standard deviations of its answers."""
ONNX = ".onnx"


@dataclass(frozen=True, slots=True)
class Brought:
    """A bundle that was made of a model, and how far the two differ at most."""

    bundle: Bundle
    rows: int
    worst: float

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {
            "bundle": str(self.bundle.folder),
            "reads": [column.name for column in self.bundle.reads.columns],
            "classes": list(self.bundle.task.classes),
            "rows": self.rows,
            "worst": self.worst,
            "unit": "probability" if self.bundle.task.classes else "standard deviations of the answers",
            "size_bytes": self.bundle.size_bytes,
        }


def bring(
    model: Path,
    rows: Path,
    target: str,
    out: Path,
    *,
    columns: Sequence[str] = (),
    classes: Sequence[str] = (),
    trust: bool = False,
) -> Brought:
    """Make a bundle of an ONNX file or of a pipeline of scikit-learn, and check that it answers as the model does.

    Parameters
    ----------
    model
        ``.onnx``, ``.joblib`` or ``.pkl`` (with ``trust``), or ``.skops``.
    rows
        Labelled rows, from which the kinds of columns and the classes are read, and which both are asked about.
    target
        The column that it predicts.
    out
        Folder of the bundle, which must not exist.
    columns
        The columns that it reads, in its order; a pipeline fitted on a data frame names them itself.
    classes
        Of an ONNX file: its classes in the order of its probabilities.
    trust
        Whether the pickle may be loaded, which runs the code in it.

    Raises
    ------
    BundleRefused
        If the model cannot be read or converted, or the bundle differs from it by more than :data:`PARITY`.
    DataUnreadable, DataUnfit
        If the rows cannot be read.
    """
    if not model.exists():
        raise BundleRefused(f"there is no file {model}; check the path")
    seen = inspect(Spec(data=str(rows.resolve()), target=target, checks=Checks(leaks="keep")))
    if seen.task is None:
        raise BundleRefused(f"{rows} holds no usable target {target!r}; give labelled rows with every class")
    if seen.task.problem is Problem.TAGGING:
        raise BundleRefused("models that tag tokens cannot be brought: their graphs do not read lists of tokens")
    given = to_columns(read_rows(rows), seen.schema)
    asked = _Asked(
        columns=tuple(columns), classes=tuple(classes), schema=seen.schema, task=seen.task, rows=given, trust=trust
    )
    artefact, own = _onnx(model, asked) if model.suffix == ONNX else _pipeline(model, asked)
    name = model.stem
    reads = tuple(dict.fromkeys(name for feed in artefact.feeds for name in feed.columns))
    recipe = Given(name=name, kind="bundle", mark=model.name, reads=reads)
    about = About(task=seen.task, schema=seen.schema, recipe=recipe, fingerprint="", extra={"imported": model.name})
    write(out, artefact, about)
    bundle = load(out)
    worst = difference(own, bundle.answer(given).scores, seen.task)
    if not worst <= PARITY:
        _discard(out)
        unit = "standard deviations of its answers" if seen.task.problem is Problem.REGRESSION else "in probability"
        raise BundleRefused(
            f"the bundle differs from {model.name} by up to {worst:.2g} {unit} on {rows.name} (at most {PARITY:g} is "
            "allowed), so it was not kept; look for missing cells, or steps that ONNX computes otherwise"
        )
    return Brought(bundle, len(own), worst)


def difference(own: Floats, other: Floats, task: Task) -> float:
    """Return by how much two answers differ at most: in probability, or standard deviations of the first."""
    if own.shape != other.shape:
        return float("inf")
    spread = (float(np.std(own)) or 1.0) if task.problem is Problem.REGRESSION else 1.0
    return float(np.max(np.abs(own - other), initial=0.0)) / spread


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """What the user says of a model, and the rows that it is asked about."""

    columns: tuple[str, ...]
    classes: tuple[str, ...]
    schema: Schema
    task: Task
    rows: Columns
    trust: bool


def _pipeline(model: Path, asked: _Asked) -> tuple[Artefact, Floats]:
    """Return a pipeline as a graph, and its own answers."""
    if asked.classes:
        raise BundleRefused("a pipeline names its classes itself; leave --classes out")
    fitted = pipelines.load(model, trust=asked.trust)
    schema, task, rows = asked.schema, asked.task, asked.rows
    names = pipelines.columns_of(fitted, asked.columns, schema)
    own = pipelines.answers(fitted, names, rows, task)
    known = pipelines.classes_of(fitted) if task.classes else ()
    made = artefact_of(pipelines.convert(fitted, names, schema), names, task, schema, known)
    found = GraphModel(made, task, schema, threads=1).answer(rows).scores
    if difference(own, found, task) > PARITY:  # 32 bits are not enough for it
        made = artefact_of(pipelines.convert(fitted, names, schema, double=True), names, task, schema, known)
    return made, own


def _onnx(model: Path, asked: _Asked) -> tuple[Artefact, Floats]:
    """Return an ONNX file as a graph, and what it answers as it was given."""
    if not asked.columns:
        raise BundleRefused("an ONNX file does not say which columns it reads; name them in its order with --columns")
    content = model.read_bytes()
    made = artefact_of(content, asked.columns, asked.task, asked.schema, asked.classes)
    return made, raw_answers(content, asked.columns, asked.rows, asked.task, asked.classes)


def _discard(folder: Path) -> None:
    for file in sorted(folder.rglob("*"), reverse=True):
        file.rmdir() if file.is_dir() else file.unlink()
    folder.rmdir()
