"""The only way to a running bundle: verified, opened, ready for rows."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard import recipe as recipes
from steelyard.bundle.cells import RowReader
from steelyard.bundle.front_ends import Cells
from steelyard.bundle.intervals import Bands
from steelyard.bundle.manifest import MANIFEST, Manifest, Several
from steelyard.bundle.opening import Opened, read
from steelyard.bundle.running import GraphModel, JoinedModel, Model
from steelyard.bundle.signing import Trust
from steelyard.bundle.tagging import TagModel
from steelyard.bundle.write import same_question
from steelyard.contracts import NUMERIC, Answer, Artefact, Columns, Floats, Problem, Schema, Task
from steelyard.data.coerce import objects
from steelyard.data.columns import to_columns
from steelyard.errors import BundleRefused, RowsRefused
from steelyard.recipe import Recipe


def load(folder: Path | str, *, threads: int = 1, trust: Trust | None = None, version: str = "") -> Bundle:
    """Load a bundle: verify every file, judge every graph, open them.

    Parameters
    ----------
    folder
        Where ``manifest.json`` lies.
    threads
        Threads that one answer may use; they do not spin while they wait.
    trust
        Keys, one of which must have signed it; without, anybody may have made it.
    version
        The name that it must be signed under, where keys are given.

    Raises
    ------
    BundleRefused
        If the bundle is damaged, unsafe, of a newer protocol, or not signed as it must be.
    """
    folder = Path(folder)
    found = read(folder)
    try:
        if trust is not None:
            trust.check(found.files[MANIFEST], found.signature, version)
        model = _model(found, threads)
        return Bundle(folder, found.manifest, model, sum(map(len, found.files.values())))
    except BundleRefused as problem:
        raise BundleRefused(f"bundle {folder}: {problem}") from None


def _model(found: Opened, threads: int) -> Model:
    manifest = found.manifest
    if not isinstance(manifest.model, Several):
        kind = TagModel if manifest.task.problem is Problem.TAGGING else GraphModel
        return kind(found.artefact(), manifest.task, Schema(manifest.columns), threads=threads)
    members = []
    for name in manifest.model.members:
        member = found.member(name)
        same_question(member, manifest.task, name)
        members.append(_model(member, threads))
    return JoinedModel(members, manifest.model.rule, manifest.task)


class Bundle:
    """A model that answers rows. May be used from several threads at once.

    Columns that the model does not read may be absent; columns that it does not know are ignored.
    """

    __slots__ = ("_bands", "_model", "_reads", "_row", "folder", "manifest", "schema", "size_bytes", "task")

    folder: Path
    manifest: Manifest
    schema: Schema
    """The whole table it was trained on."""
    task: Task
    size_bytes: int
    """On disk, every file of the bundle."""

    def __init__(self, folder: Path, manifest: Manifest, model: Model, size_bytes: int) -> None:
        self.folder, self.manifest, self.size_bytes = folder, manifest, size_bytes
        self.task, self.schema = manifest.task, Schema(manifest.columns)
        self._model = model
        named = {value.name for value in manifest.signature.inputs}
        if not model.columns <= named:
            raise BundleRefused(f"the signature does not name {min(model.columns - named)!r}, which the model reads")
        self._reads = Schema(tuple(column for column in self.schema.features if column.name in named))
        self._row = RowReader(self._reads)
        self._bands = Bands.of(manifest.extra, self.task) if self.task.problem is Problem.FORECASTING else None

    @property
    def recipe(self) -> Recipe:
        """How the model was made."""
        return recipes.from_json(self.manifest.recipe)

    @property
    def reads(self) -> Schema:
        """The columns of a row that it asks for."""
        return self._reads

    def answer(self, columns: Columns) -> Answer:
        """Answer typed columns, as the data package makes them.

        Raises
        ------
        RowsRefused
            If a column is missing, or a row has no finite score.
        """
        answer = self._model.answer(columns)
        return answer if self._bands is None else self._bands.around(answer, columns, self.task)

    def answer_row(self, row: Mapping[str, Any]) -> Answer:
        """Answer one row of raw values by name, fast; the same answer as among many rows.

        But for a graph that ``quantise`` made ``dynamic``: it reads the range of its numbers off the whole batch, so
        that scores depend a little on the rows beside a row.

        Raises
        ------
        RowsRefused
            If a column is missing or a value does not fit.
        """
        return self.answer_cells(self._row(row))

    def cells(self, row: Mapping[str, Any]) -> Cells:
        """Return the typed cells of one row of raw values, for :meth:`answer_cells`.

        Raises
        ------
        RowsRefused
            If a column is missing or a value does not fit.
        """
        return self._row(row)

    def answer_cells(self, cells: Cells) -> Answer:
        """Answer one row that is typed already, each cell as it would stand in a typed column.

        Raises
        ------
        RowsRefused
            If the row has no finite score.
        """
        answer = self._model.row(cells)
        if self._bands is None:
            return answer
        return self._bands.around(answer, {name: objects([cell]) for name, cell in cells.items()}, self.task)

    def answer_rows(self, frame: Any) -> Answer:
        """Answer anything that is like a table: a data frame, a dict of lists, a list of dicts, or one dict.

        Raises
        ------
        RowsRefused
            If a column is missing or a value does not fit.
        """
        return self.answer(to_columns(frame, self._reads))

    def predict(self, frame: Any) -> NDArray[Any]:
        """Return the decisions, shape (n,): names of classes (objects of ``str``), lists of tags, or float64 values.

        Of a forecast shape (n, horizon x series): the values of the steps ahead of each history.
        """
        decided = self.answer_rows(frame).decided
        if self.task.problem in NUMERIC:
            return decided
        names: NDArray[Any] = np.array(self.task.classes, np.object_)
        if self.task.problem is Problem.TAGGING:
            return objects(names.take(tags).tolist() for tags in decided)
        return names.take(decided)

    def predict_proba(self, frame: Any) -> Floats:
        """Return the probability of each class, float64 of shape (n, classes), in the order of ``task.classes``.

        Of a tagging objects of shape (n,), each float64 of shape (tokens, classes).

        Raises
        ------
        RowsRefused
            If the model predicts a number, which has no probabilities.
        """
        if self.task.problem in NUMERIC:
            raise RowsRefused(f"{self.task.target!r} is a number and has no probabilities; use predict")
        return self.answer_rows(frame).scores

    def artefact(self) -> Artefact:
        """Return the graph with its feeds and files, read and verified anew.

        Raises
        ------
        BundleRefused
            If several models are joined in the bundle, or it was changed since.
        """
        return read(self.folder).artefact()

    def __repr__(self) -> str:
        return f"<Bundle {recipes.describe(self.recipe)!r} for {self.task.target!r} at {self.folder}>"
