"""One graph that tags tokens, behind its front ends: rows of like length go together, so that little is padded."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.bundle.front_ends import Cells, Tensors
from steelyard.bundle.front_ends.base import RowRefused, column
from steelyard.bundle.rules import answer_of
from steelyard.bundle.running import OUTPUT, check_ends, extractors, first_line, graph_fails, session_of
from steelyard.contracts import Answer, Artefact, Columns, Floats, Kind, Schema, Task
from steelyard.contracts.ragged import batches, lengths_of
from steelyard.errors import BundleRefused

SLACK = 1e-3
"""How far probabilities in float32 may be from a sum of one before they are no probabilities."""


class TagModel:
    """One graph with its front ends; keeps the protocol :class:`steelyard.bundle.running.Model`."""

    __slots__ = ("_extractors", "_session", "_task", "_tokens", "columns")

    def __init__(self, artefact: Artefact, task: Task, schema: Schema, *, threads: int) -> None:
        self._task, self._tokens = task, tokens_column(schema)
        self._extractors = extractors(artefact.feeds, artefact.files, schema)
        self._session = session_of(artefact.graph, threads=threads)
        self.columns = frozenset(name for feed in artefact.feeds for name in feed.columns) | {self._tokens}
        check_ends(self._session, artefact.feeds, task, axes=3)

    def answer(self, columns: Columns) -> Answer:
        """Answer some rows, those of like length together."""
        lengths = lengths_of(column(columns, self._tokens))
        scores = np.empty(len(lengths), dtype=object)
        for rows in batches(lengths):
            part = {name: columns[name][rows] for name in columns if name in self.columns}
            try:
                made = self._scores(self._tensors(part), len(rows), int(lengths[rows].max(initial=0)))
            except RowRefused as problem:
                raise RowRefused(int(rows[problem.row]), problem.sentence) from None
            for place, row in enumerate(rows.tolist()):
                scores[row] = self._clean(made[place, : lengths[row]], row)
        return answer_of(self._task, scores)

    def row(self, cells: Cells) -> Answer:
        """Answer one row."""
        tensors: Tensors = {}
        for each in self._extractors:
            tensors.update(each.row(cells))
        length = len(cells[self._tokens])
        scores = np.empty(1, dtype=object)
        scores[0] = self._clean(self._scores(tensors, 1, length)[0, :length], 0)
        return answer_of(self._task, scores)

    def _tensors(self, columns: Columns) -> Tensors:
        tensors: Tensors = {}
        for extract in self._extractors:
            tensors.update(extract(columns))
        return tensors

    def _scores(self, tensors: Tensors, rows: int, longest: int) -> NDArray[Any]:
        try:
            (raw,) = self._session.run((OUTPUT,), tensors)
        except graph_fails() as problem:
            raise BundleRefused(f"the graph failed on these rows: {first_line(problem)}") from None
        if raw.ndim != 3 or raw.shape[0] != rows or raw.shape[1] < longest or raw.shape[2] != self._task.width:
            raise BundleRefused(
                f"the graph returned scores of shape {raw.shape} for {rows} rows of {longest} tokens at most; the task "
                f"needs {(rows, longest, self._task.width)}: export it again"
            )
        return np.asarray(raw)

    def _clean(self, raw: NDArray[Any], row: int) -> Floats:
        """Return the probabilities of a row's tokens, each of which sum to one in float64."""
        scores: Floats = raw.astype(np.float64)
        total = scores.sum(axis=1, keepdims=True)
        if (np.abs(total - 1.0) <= SLACK).all() and (scores >= 0.0).all():
            shares: Floats = scores / total
            return shares
        if not np.isfinite(total).all():
            raise RowRefused(row, " has no finite score: the model cannot compute with it; correct it or leave it out")
        raise BundleRefused(
            f"the graph's scores are no probabilities: their sums go from {total.min():.6g} to {total.max():.6g}, "
            f"the least score is {scores.min():.6g}; export it again"
        )


def tokens_column(schema: Schema) -> str:
    """Return the column whose tokens are tagged: the first one of tokens.

    Raises
    ------
    BundleRefused
        If there is none.
    """
    found = next((column.name for column in schema.of(Kind.TOKENS)), None)
    if found is None:
        raise BundleRefused("the schema has no column of tokens to tag; export the model again")
    return found
