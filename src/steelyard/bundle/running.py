"""What runs: one graph behind its front ends, or several members behind a rule."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn, Protocol

import numpy as np

from steelyard.bundle.front_ends import FRONT_ENDS, Cells, Extractor, Tensors
from steelyard.bundle.front_ends.base import RowRefused
from steelyard.bundle.graphs import check_graph
from steelyard.bundle.rules import Mask, answer_of, check_rule
from steelyard.bundle.stakes import Stakes
from steelyard.contracts import NUMERIC, Answer, Artefact, Columns, Feed, Floats, Rule, Schema, Task
from steelyard.errors import BundleRefused, nearest

OUTPUT = "scores"
_SLACK = 1e-3
"""How far probabilities in float32 may be from a sum of one before they are no probabilities."""
_IN_ORDER = 8
"""From so many numbers on NumPy does not add them up one after the other."""

SLOWER = ["SkipLayerNormFusion"]
"""Fusions at load that cost time: ONNX Runtime adds to a layer and normalises it in one operator, which takes a CPU
longer than the two; a quantised encoder of six layers answers 1.1 to 1.2 times as fast without
(``benchmarks/shrink/fusions.py``)."""

_FAILS = ("EPFail", "Fail", "InvalidArgument", "InvalidGraph", "InvalidProtobuf", "NotImplemented", "RuntimeException")
"""What ONNX Runtime raises about a graph."""


@functools.cache
def _runtime() -> Any:
    """Load ONNX Runtime when the first graph is opened: it starts a thread, after which a process should not fork."""
    return importlib.import_module("onnxruntime")


@functools.cache
def graph_fails() -> tuple[type[Exception], ...]:
    """Return what ONNX Runtime raises about a graph."""
    states = importlib.import_module("onnxruntime.capi.onnxruntime_pybind11_state")
    return tuple(getattr(states, name) for name in _FAILS)


class Model(Protocol):
    """What answers rows that are already typed."""

    columns: frozenset[str]
    """The columns it reads."""

    def answer(self, columns: Columns) -> Answer:
        """Answer some rows."""
        ...

    def row(self, cells: Cells) -> Answer:
        """Answer one row."""
        ...


def extractors(feeds: Sequence[Feed], files: Mapping[str, bytes], schema: Schema) -> tuple[Extractor, ...]:
    """Return the front ends of some feeds, checked against the columns there are.

    Raises
    ------
    BundleRefused
        If a front end is unknown, or reads a column that is absent or of another kind.
    """
    known = {column.name: column.kind for column in schema.features}
    made = []
    for feed in feeds:
        make = FRONT_ENDS.get(feed.front_end)
        if make is None:
            near = nearest(feed.front_end, FRONT_ENDS)
            raise BundleRefused(f"no front end is named {feed.front_end!r}{near}; known: {', '.join(FRONT_ENDS)}")
        extract = make(feed, files)
        for name in feed.columns:
            if name not in known:
                raise BundleRefused(f"front end {feed.front_end!r} reads column {name!r}, which the schema lacks")
            if known[name] not in extract.kinds:
                fit = " or ".join(sorted(extract.kinds))
                raise BundleRefused(f"front end {feed.front_end!r} reads {fit}; column {name!r} is {known[name]}")
        made.append(extract)
    return tuple(made)


class GraphModel:
    """One graph with its front ends."""

    __slots__ = ("_batch", "_extract", "_extractors", "_session", "_stakes", "_task", "columns")

    def __init__(self, artefact: Artefact, task: Task, schema: Schema, *, threads: int) -> None:
        self._task = task
        self._extractors = extractors(artefact.feeds, artefact.files, schema)
        self._extract = self._extractors[0] if len(self._extractors) == 1 else None
        self._batch = min((extract.batch for extract in self._extractors), default=1)
        self._session = session_of(artefact.graph, threads=threads)
        self._stakes = Stakes(task, schema)
        self.columns = frozenset(name for feed in artefact.feeds for name in feed.columns) | self._stakes.columns
        check_ends(self._session, artefact.feeds, task)

    def answer(self, columns: Columns) -> Answer:
        """Answer some rows, a batch at a time."""
        rows = len(next(iter(columns.values()), ()))
        scores = np.empty((rows, self._task.width))
        for start in range(0, rows, self._batch):
            end = start + self._batch
            part = columns if rows <= self._batch else {name: cells[start:end] for name, cells in columns.items()}
            try:
                scores[start:end] = self._scores(self._tensors(part), min(end, rows) - start)
            except RowRefused as problem:
                raise problem.shifted(start) from None
        return answer_of(self._task, scores, self._stakes(columns))

    def row(self, cells: Cells) -> Answer:
        """Answer one row."""
        extract = self._extract
        if extract is None:
            tensors: Tensors = {}
            for each in self._extractors:
                tensors.update(each.row(cells))
        else:
            tensors = extract.row(cells)
        return answer_of(self._task, self._scores(tensors, 1), self._stakes.row(cells))

    def _tensors(self, columns: Columns) -> Tensors:
        tensors: Tensors = {}
        for extract in self._extractors:
            tensors.update(extract(columns))
        return tensors

    def _scores(self, tensors: Tensors, rows: int) -> Floats:
        try:
            (raw,) = self._session.run((OUTPUT,), tensors)
        except graph_fails() as problem:
            raise BundleRefused(f"the graph failed on these rows: {first_line(problem)}") from None
        if raw.shape != (rows, self._task.width):
            raise BundleRefused(
                f"the graph returned scores of shape {raw.shape} for {rows} rows; "
                f"the task needs {(rows, self._task.width)}: export it again"
            )
        return _clean(raw.astype(np.float64), self._task)


def _clean(scores: Floats, task: Task) -> Floats:
    """Return scores that are finite and, where they are probabilities, sum to one in float64."""
    if task.problem in NUMERIC:
        if not np.isfinite(scores).all():
            _refuse(scores)
        return scores
    if len(scores) == 1 and scores.shape[1] < _IN_ORDER:  # plain numbers are several times as fast here
        (values,), whole = scores.tolist(), 0.0
        for value in values:  # not `sum`: from Python 3.12 on it rounds otherwise
            whole += value
        if abs(whole - 1.0) <= _SLACK and min(values) >= 0.0:
            return scores / whole
    total = np.add.reduce(scores, axis=1, keepdims=True)
    if _are_probabilities(scores, total):
        return scores / total
    if not np.isfinite(total).all():
        _refuse(scores)
    raise BundleRefused(
        f"the graph's scores are no probabilities: their sums go from {total.min():.6g} to {total.max():.6g}, "
        f"the least score is {scores.min():.6g}; export it again"
    )


def _are_probabilities(scores: Floats, total: Floats) -> bool:
    """Tell whether no score is negative and every row sums to one; NaN is neither."""
    if len(scores) == 1:
        return abs(total.item() - 1.0) <= _SLACK and min(scores.tolist()[0]) >= 0.0
    return bool((np.abs(total - 1.0) <= _SLACK).all() and (scores >= 0.0).all())


def _refuse(scores: Floats) -> NoReturn:
    raise RowRefused(
        int(np.isfinite(scores).all(axis=1).argmin()),
        " has no finite score: one of its numbers is beyond what the model can compute with; correct it or leave it "
        "empty",
    )


def first_line(problem: Exception) -> str:
    """Return what went wrong without what ONNX Runtime adds to it."""
    return str(problem).splitlines()[0]


def session_of(graph: bytes, *, threads: int) -> Any:
    """Open a graph, after it was judged, for a number of threads that do not spin.

    Raises
    ------
    BundleRefused
        If it asks for more than a bundle may, or ONNX Runtime cannot open it.
    """
    check_graph(graph)
    ort = _runtime()
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.use_deterministic_compute = True
    options.log_severity_level = 4
    for pool in ("intra_op", "inter_op"):
        options.add_session_config_entry(f"session.{pool}.allow_spinning", "0")
    try:
        return ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"], disabled_optimizers=SLOWER)
    except graph_fails() as problem:
        raise BundleRefused(f"ONNX Runtime {ort.__version__} cannot open the graph: {first_line(problem)}") from None


def check_ends(session: Any, feeds: Sequence[Feed], task: Task, *, axes: int = 2) -> None:
    """Refuse a graph whose inputs are not what the feeds fill, or whose output is not the task's scores.

    Raises
    ------
    BundleRefused
        If either does not fit; ``axes`` are those of the scores, the last one over the classes.
    """
    filled = [name for feed in feeds for name in feed.inputs]
    asked = [end.name for end in session.get_inputs()]
    if sorted(filled) != sorted(asked):
        raise BundleRefused(f"the feeds fill inputs {sorted(filled)}, the graph reads {sorted(asked)}: export it again")
    ends = [(end.name, end.type) for end in session.get_outputs()]
    if ends != [(OUTPUT, "tensor(float)")]:
        raise BundleRefused(f"the graph must have one output 'scores' of float32; it has {ends}: export it again")
    shape = session.get_outputs()[0].shape
    if len(shape) != axes or (isinstance(shape[-1], int) and shape[-1] != task.width):
        needed = ", ".join(["n", *["tokens"] * (axes - 2), str(task.width)])
        raise BundleRefused(f"the graph's scores have shape {shape}; the task needs ({needed}): export it again")


class JoinedModel:
    """Several members behind a rule; a member runs only for the rows that the rule asks it about."""

    __slots__ = ("_join", "_members", "columns")

    def __init__(self, members: Sequence[Model], rule: Rule, task: Task) -> None:
        self._members = tuple(members)
        self._join = check_rule(rule, len(self._members), task).ready(rule, task)
        self.columns = frozenset().union(*(member.columns for member in self._members))

    def answer(self, columns: Columns) -> Answer:
        """Answer some rows."""

        def ask(member: int, some: Mask | None = None) -> Answer:
            model = self._members[member]
            return model.answer(columns) if some is None else _answer_some(model, columns, some)

        return self._join(ask)

    def row(self, cells: Cells) -> Answer:
        """Answer one row."""

        def ask(member: int, some: Mask | None = None) -> Answer:
            del some  # there is one row: a rule that asks about it asks about all
            return self._members[member].row(cells)

        return self._join(ask)


def _answer_some(model: Model, columns: Columns, some: Mask) -> Answer:
    """Answer the rows of a mask; a row that is refused is named by its place among all of them."""
    read = [name for name in columns if name in model.columns] or list(columns)
    try:
        return model.answer({name: columns[name][some] for name in read})
    except RowRefused as problem:
        raise RowRefused(int(np.flatnonzero(some)[problem.row]), problem.sentence) from None
